//! What is turned while the cell runs: each change at its instant, most of them by the hands of the sandbox.

use std::collections::{BTreeSet, VecDeque};

use brimful_evidence::record::{LifeEndWhy, Role, Turned};
use brimful_plan::cell::Cell;
use brimful_plan::change::{Change, Turn};
use brimful_plan::knob::parse_nofile;
use brimful_plan::matrix;
use brimful_plan::topology::{self, Layout};

use super::{CellError, SANDBOX, Stage};
use crate::message::{Failed, Hand, Order, Processes, Tell};

/// The changes of a cell.
#[derive(Debug)]
pub(super) struct Changing {
    pending: VecDeque<Change>,
    /// The cell as its program is configured by now.
    cell: Cell,
    /// The number of the restart under way.
    restart: Option<usize>,
    /// The number of the kill under way.
    kill: Option<usize>,
}

impl Changing {
    pub(super) fn new(cell: &Cell) -> Self {
        Self { pending: cell.changes.iter().cloned().collect(), cell: cell.clone(), restart: None, kill: None }
    }

    /// When the next one is due; `u64::MAX` when there is none.
    pub(super) fn next_ns(&self, t0_ns: u64) -> u64 {
        self.pending.front().map_or(u64::MAX, |change| t0_ns.saturating_add(due_ns(change)))
    }
}

fn due_ns(change: &Change) -> u64 {
    u64::try_from(change.at.as_nanos()).unwrap_or(u64::MAX / 2)
}

impl Stage<'_> {
    /// Begins every change that is due.
    pub(super) fn turn_what_is_due(&mut self, layout: &Layout, now_ns: u64) -> Result<(), CellError> {
        while self.changing.next_ns(self.t0_ns) <= now_ns {
            let Some(change) = self.changing.pending.pop_front() else { return Ok(()) };
            let number = self.gathered.turned.len();
            let due_ns = due_ns(&change);
            self.gathered.turned.push(Turned {
                what: change.what.clone(),
                due_ns,
                done_ns: None,
                given: None,
                error: None,
            });
            self.begin_turn(number, &change.what, layout, now_ns)?;
        }
        Ok(())
    }

    fn begin_turn(&mut self, number: usize, turn: &Turn, layout: &Layout, now_ns: u64) -> Result<(), CellError> {
        let hand = match turn {
            Turn::Set { knob, value } => match knob.strip_prefix("sysctl.") {
                Some(name) => Hand::Sysctl { name: name.to_owned(), value: value.to_string() },
                None => match parse_nofile(value) {
                    Ok(nofile) => Hand::Nofile { of: self.processes(), nofile },
                    Err(what) => {
                        self.was_turned_at(number, now_ns, Err(what));
                        return Ok(());
                    }
                },
            },
            Turn::Elsewhere { nofile } => Hand::Shell { nofile: *nofile, beside: self.processes() },
            Turn::Relisten => match self.changing.cell.target.backlog() {
                Some(backlog) => Hand::Relisten { of: self.processes(), ports: layout.ports(), backlog },
                None => {
                    self.was_turned_at(number, now_ns, Err("nobody says with which backlog".to_owned()));
                    return Ok(());
                }
            },
            Turn::Configure { knob, value } => {
                let configured = matrix::configured(&self.changing.cell, knob, value).map_err(|refusal| refusal.what);
                let given = configured.and_then(|cell| self.configure(cell));
                self.was_turned_at(number, now_ns, given);
                return Ok(());
            }
            Turn::Restart => {
                if self.upkeep.runs() {
                    self.changing.restart = Some(number);
                    self.stop(LifeEndWhy::Change, BTreeSet::new());
                } else if self.starts_what_is_left_dead(now_ns) {
                    self.changing.restart = Some(number);
                } else {
                    self.was_turned_at(number, now_ns, Err("it is on its way out or back already".to_owned()));
                }
                return Ok(());
            }
            Turn::Kill => {
                if self.upkeep.runs() {
                    self.changing.kill = Some(number);
                    self.kill_the_target();
                } else {
                    self.was_turned_at(number, now_ns, Err("the target was not running".to_owned()));
                }
                return Ok(());
            }
        };
        if let Some(sandbox) = self.workers.get_mut(&SANDBOX) {
            sandbox.tell(&Tell::Turn { number: u32::try_from(number).unwrap_or(u32::MAX), what: hand })?;
        }
        Ok(())
    }

    fn processes(&self) -> Processes {
        let targets = self.workers.values().filter(|worker| worker.key().role == Role::Target);
        Processes {
            pids: targets.map(|worker| worker.pid()).collect(),
            trees: self.changing.cell.target.command.is_some(),
        }
    }

    /// What the target's processes are started with from now on.
    fn configure(&mut self, cell: Cell) -> Result<String, String> {
        let plans = topology::targets(&cell).ok_or("the shards' ports go beyond 65535")?;
        let places = self.upkeep.orders.iter().map(|order| match order {
            Order::Target { place, .. } => *place,
            Order::Sandbox(_) | Order::Load { .. } | Order::Probe { .. } => None,
        });
        let places: Vec<_> = places.collect();
        let orders = plans.iter().zip(places).map(|(plan, place)| self.target(&cell, plan, place));
        let orders = orders.collect::<Result<Vec<Order>, CellError>>().map_err(|error| error.to_string())?;
        self.upkeep.orders = orders;
        self.changing.cell = cell;
        Ok("known to the next listen() or start".to_owned())
    }

    /// The sandbox turned something, or could not.
    pub(super) fn was_turned(&mut self, number: u32, at_ns: u64, given: Result<String, Failed>) {
        self.was_turned_at(number as usize, at_ns, given.map_err(|failed| failed.what));
    }

    /// The target listens again: if it was told to restart, that is done.
    pub(super) fn has_restarted(&mut self, at_ns: u64) {
        if let Some(number) = self.changing.restart.take() {
            self.was_turned_at(number, self.t0_ns.saturating_add(at_ns), Ok("a new process listens".to_owned()));
        }
    }

    /// The target was killed and is gone.
    pub(super) fn has_been_killed(&mut self, at_ns: u64) {
        if let Some(number) = self.changing.kill.take() {
            self.was_turned_at(number, at_ns, Ok("it is gone".to_owned()));
        }
    }

    fn was_turned_at(&mut self, number: usize, at_ns: u64, given: Result<String, String>) {
        let at_ns = at_ns.saturating_sub(self.t0_ns);
        if let Some(turned) = self.gathered.turned.get_mut(number) {
            match given {
                Ok(given) => (turned.done_ns, turned.given) = (Some(at_ns), Some(given)),
                Err(error) => turned.error = Some(error),
            }
        }
    }
}
