//! The process that becomes the command: its limits, its user and its variables are set by itself, because only a process can set its own
//! without `unsafe`, and then it executes the program. It is the command's `execve(2)` away from being the command.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::super::super::message::Failed;
use super::super::super::sys;
use super::super::target::give_limit;
use super::{Handed, inherited, user};

/// The exit status of a command that could not be executed, as shells have it.
pub(in super::super) const NOT_EXECUTED: u8 = 127;

/// Becomes the command. Returns only when it cannot; what is wrong is then written where the command would have written.
pub(in super::super) fn run(number: &str) -> Failed {
    let prepared = inherited(number).and_then(|handed: Handed| {
        if let Some(want) = handed.nofile {
            give_limit(want)?;
        }
        Ok(handed)
    });
    let order = match prepared {
        Ok(handed) => handed.order,
        Err(failed) => return failed,
    };
    let Some((name, arguments)) = order.argv.split_first() else {
        return Failed { what: "the command is empty".to_owned(), hint: None, machine: false };
    };
    let mut command = Command::new(&order.program);
    command.arg0(name).args(arguments).envs(order.env).current_dir(&order.directory).stdin(Stdio::null());
    if let Some(name) = &order.user {
        match whom(name) {
            Ok(user) => command.uid(user.uid).gid(user.gid),
            Err(failed) => return failed,
        };
    }
    // The order, brimful's and the init's: the command begins with its three streams, as in a container.
    sys::keep_inherited_descriptors_to_ourselves();
    let error = command.exec();
    let what = format!("cannot execute {}: {error}", order.program.display());
    Failed { what, hint: None, machine: error.kind() == io::ErrorKind::PermissionDenied }
}

/// The ids of a user that this machine knows.
pub(in super::super) fn whom(name: &str) -> Result<user::User, Failed> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    user::find(&passwd, name).ok_or_else(|| Failed {
        what: format!("there is no user `{name}` here"),
        hint: Some("name one of /etc/passwd in `target.user`, or write uid:gid".to_owned()),
        machine: true,
    })
}
