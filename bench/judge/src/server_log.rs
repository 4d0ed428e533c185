//! What a command said of its own plight: a witness, never a proof. It stands beside what the kernel shows, and shows nothing by itself. Pure.

use brimful_evidence::server_log::Message;
use brimful_plan::expect::CauseName;

use super::cause::ProofLine;
use super::view::View;
use crate::wording::{counted, time};

/// The most messages quoted for one cell.
const QUOTED_MOST: usize = 3;

/// What servers say when they are out of descriptors: the words of `strerror(3)`, its number's name, and what some say instead.
const DESCRIPTORS: &[&str] =
    &["too many open files", "emfile", "fd limit", "file descriptor", "out of system resource", "no file descriptors"];
/// What they say at a limit of their own.
const CAP: &[&str] =
    &["worker_connections are not enough", "max number of clients", "maxclients", "maxconn", "too many connections"];

/// What was said about a cause, as lines beneath its proof; none for a cause that no server speaks of, or of the built-in one.
pub(crate) fn about(view: &View<'_>, cause: CauseName) -> Vec<ProofLine> {
    let texts = match cause {
        CauseName::FdLimit | CauseName::FdLeak | CauseName::FileMax => DESCRIPTORS,
        CauseName::AppConnectionCap => CAP,
        _ => return Vec::new(),
    };
    let commands = view.record.target.commands.iter().filter(|command| command.shard == view.shard);
    // What was said before the load began is how it was configured, and after its end nobody asks any more.
    let asked = |message: &&Message| message.last_ns > 0 && message.first_ns < view.end_ns;
    let messages = commands.flat_map(|command| command.words.saying(texts)).filter(asked);
    messages.take(QUOTED_MOST).map(|message| line(view, message)).collect()
}

fn line(view: &View<'_>, message: &Message) -> ProofLine {
    let span = match message.lines {
        1 => String::new(),
        lines => format!("{}, until {}", counted(lines, "line"), time(message.last_ns)),
    };
    let source = format!("target.{}.log", view.shard);
    ProofLine::new(source, span, format!("said by the server: {}", message.text)).at(message.first_ns)
}
