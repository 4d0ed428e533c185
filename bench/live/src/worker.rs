//! brimful as one of its own workers: enter the place while there is one thread, then do one part of a cell.
//!
//! A worker dies with brimful: the kernel kills it when the thread that started it ends, and a closed standard input tells it so besides.

mod command;
mod load;
mod orders;
mod probe;
mod sandbox;
mod target;

use std::io::Write as _;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use self::orders::{Orders, say};
use super::message::{Failed, Order, Said, Server};

/// Runs this process as a worker; `arguments` are those after the worker word: its role and its parent, and for those
/// that keep a command what was handed to them. Returns the process's exit status.
#[must_use]
pub fn main(arguments: &[String]) -> u8 {
    let (role, parent, handed) = match arguments {
        [role, parent] => (role, parent, None),
        // A command's init and what becomes the command name brimful too, for whoever looks at them from outside.
        [role, brimful, handed] => (role, brimful, Some(handed)),
        _ => return 2,
    };
    if let Some(order) = handed.filter(|_| role == command::START) {
        return become_the_command(order);
    }
    // The signal goes out when the parent *thread* dies; a parent that died before this line is seen by its pid.
    let bound = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    // The parent of an init is outside its namespace, so it has no number to be known by: the end of its input tells.
    let first = role == command::INIT || role == probe::INSIDE;
    let alive = first || getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| pid.get().to_string() == *parent);
    if !bound || !alive {
        return 1;
    }
    if let Ok(name) = std::ffi::CString::new(format!("brimful-{role}")) {
        // For ps and top only.
        rustix::thread::set_name(&name).ok();
    }
    let mut orders = Orders::new();
    if let Some(order) = handed {
        return ended(match role.as_str() {
            probe::INSIDE => probe::inside(order, orders),
            _ => command::init::run((parent.as_str(), order.as_str()), orders),
        });
    }
    let done = match orders.first() {
        None => return 1,
        Some(Order::Sandbox(order)) => sandbox::run(&order, orders),
        Some(Order::Target { place, cgroup, nofile, ordinary, server: Server::Builtin(plan) }) => {
            let born = target::Born { group: cgroup.as_deref(), nofile, ordinary };
            target::run(place.as_ref(), &born, plan, orders)
        }
        Some(Order::Target { place, cgroup, nofile, ordinary: _, server: Server::Command(order) }) => {
            // Whatever else is said is for its init, which reads on from the same pipe.
            match command::run(place.as_ref(), cgroup.as_deref(), nofile, order) {
                Ok(status) => return status,
                Err(failed) => Err(failed),
            }
        }
        Some(Order::Load { place, plan, shard, in_turn }) => load::run(place.as_ref(), &plan, shard, in_turn, orders),
        Some(Order::Probe { place, nofile, container: None, plan, until, held }) => {
            probe::run(place.as_ref(), nofile, probe::Task { plan, until, held }, orders)
        }
        Some(Order::Probe { place, nofile: _, container: Some(container), plan, until, held }) => {
            // As with a command: the first process of its namespace reads on.
            match probe::keep(place.as_ref(), &container, probe::Task { plan, until, held }) {
                Ok(status) => return status,
                Err(failed) => Err(failed),
            }
        }
    };
    ended(done)
}

fn ended(done: Result<(), Failed>) -> u8 {
    match done {
        Ok(()) => 0,
        Err(failed) => {
            say(&Said::Failed(failed));
            1
        }
    }
}

/// Executes the command; what keeps it from that stands where the command would have written.
fn become_the_command(order: &str) -> u8 {
    let failed = command::start::run(order);
    let hint = failed.hint.map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    // Where that cannot be written either, the exit status is all there is.
    writeln!(std::io::stderr(), "{}{hint}", failed.what).ok();
    command::start::NOT_EXECUTED
}

/// An errno of one of our own system calls, as a failure with what was tried.
fn os(what: &'static str) -> impl Fn(std::io::Error) -> Failed {
    move |error| Failed { what: format!("cannot {what}: {error}"), hint: None, machine: true }
}
