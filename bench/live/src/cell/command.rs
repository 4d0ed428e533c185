//! The order of a target, and what is different where it is a command: it is given a folder with its files, and it gives no account but
//! what it wrote.

use std::net::SocketAddr;

use brimful_evidence::record::{CommandRecord, EarlyEnd};
use brimful_evidence::server_log::Words;
use brimful_plan::cell::Cell;
use brimful_plan::command::{Command, Facts, Readiness};
use brimful_plan::topology;
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::TargetPlan;

use super::{CellError, Stage};
use crate::machine;
use crate::message::{CommandAccount, CommandOrder, Failed, Order, Place, Server};
use crate::process::Key;
use crate::scratch::Scratch;

/// The sysctl that an administrator's processes never meet.
const FILE_MAX: &str = "fs.file-max";

/// How much is kept of what the lives of a command wrote, in bytes: the first ones tell what the others repeat. A life has at most two of
/// the account's halves.
const LOG_MOST: usize = 512 * 1024;

/// A failure before the command could be started.
pub(super) fn did_not_start(what: String, machine: bool) -> CellError {
    CellError::TargetDidNotStart { failed: Failed { what, hint: None, machine } }
}

impl Stage<'_> {
    /// The order of one shard.
    pub(super) fn target(&mut self, cell: &Cell, plan: &TargetPlan, place: Option<Place>) -> Result<Order, CellError> {
        let cgroup = self.group.as_ref().map(|group| group.folder().to_owned());
        // Elsewhere it keeps what it was started with: nothing there lets an administrator by.
        let ordinary = cell.sysctls.contains_key(FILE_MAX);
        let server = match &cell.target.command {
            Some(command) => Server::Command(self.command(cell, command, plan)?),
            None => Server::Builtin(plan.clone()),
        };
        Ok(Order::Target { place, cgroup, nofile: cell.nofile, ordinary, server })
    }

    /// Makes the folder of a command's files, and the order to start it.
    fn command(&mut self, cell: &Cell, command: &Command, plan: &TargetPlan) -> Result<CommandOrder, CellError> {
        let no_folder =
            |error: std::io::Error| did_not_start(format!("cannot make the command's folder: {error}"), true);
        let scratch = Scratch::make().map_err(no_folder)?;
        let folder = scratch.path().to_owned();
        let health_path = &cell.target.plan.health_path;
        let facts = Facts { folder: &folder.to_string_lossy(), listen: plan.listen, health_path, nofile: cell.nofile };
        let rendered = command.render(&facts).map_err(|what| did_not_start(what, false))?;
        scratch.write(&rendered.files).map_err(no_folder)?;
        self.scratches.push(scratch);
        let name = rendered.argv.first().map_or("", String::as_str);
        let program =
            machine::program(name).ok_or_else(|| did_not_start(format!("there is no program `{name}` here"), true))?;
        let Readiness::Tcp(port) = command.ready;
        // Further shards listen on ports above the first one's.
        let above = plan.listen.port().saturating_sub(cell.target.plan.listen.port());
        let ready = topology::destination(cell.path, SocketAddr::new(plan.listen.ip(), port.saturating_add(above)))
            .map_err(|what| did_not_start(what, false))?;
        Ok(CommandOrder {
            program,
            argv: rendered.argv,
            env: rendered.env,
            directory: command.directory.clone().unwrap_or_else(|| folder.clone()),
            folder,
            user: command.user.clone(),
            ready,
            start_timeout: command.start_timeout,
            stop_signal: command.stop_signal,
        })
    }

    /// Notes that a command is ready; of one that was started again, how long that took the last time.
    pub(super) fn note_ready(&mut self, shard: u32, ready_after_ns: u64) {
        if let Some(command) = self.gathered.commands.iter_mut().find(|command| command.shard == shard) {
            (command.ready_after_ns, command.ended) = (ready_after_ns, None);
            return;
        }
        self.gathered.commands.push(CommandRecord { shard, ready_after_ns, ended: None, words: Words::default() });
        self.gathered.commands.sort_by_key(|command| command.shard);
    }

    /// Notes what a command wrote and how it ended. One that nobody had asked to has ended by itself.
    pub(super) fn note_command(&mut self, key: Key, account: CommandAccount) {
        let CommandAccount { how, asked, words, log } = account;
        let early = how.clone().filter(|_| !asked);
        if let Some(how) = early.filter(|_| self.gathered.early_ends.iter().all(|end| end.shard != key.shard)) {
            let at_ns = monotonic_ns().saturating_sub(self.t0_ns);
            let said = words.messages.last().map(|message| message.text.clone()).unwrap_or_default();
            self.gathered.early_ends.push(EarlyEnd { shard: key.shard, at_ns, how, said });
        }
        if let Some(command) = self.gathered.commands.iter_mut().find(|command| command.shard == key.shard) {
            command.words.followed_by(words);
            command.ended = how.filter(|_| asked);
        }
        let all = self.gathered.logs.entry(key.shard).or_default();
        if all.len() < LOG_MOST {
            all.push_str(&log);
        }
    }
}
