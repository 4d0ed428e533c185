//! The command line of brimful: parse, dispatch, print the error and its hint. Data goes to standard output, everything else to
//! standard error. What a library user would miss here belongs below.

mod aa;
mod arguments;
mod check;
mod compare;
mod consent;
mod doctor;
pub mod error;
mod gate;
#[cfg(feature = "k8s")]
mod k8s;
mod knee;
mod load;
mod load_options;
mod merge;
mod probe;
mod progress;
mod report;
mod restore;
mod rules;
mod run;
mod scenarios;
mod serve;
mod sources;
#[cfg(feature = "vm")]
mod vm;

use std::io::{IsTerminal as _, Write as _};

use brimful_judge::report::Report;
use brimful_live::message::chain;
use brimful_live::{process, worker};
use brimful_report::forms::json;
use brimful_report::text::{self, Look};
use clap::Parser as _;

use self::arguments::{Arguments, Command, Format};
use crate::error::{Error, ExitStatus};

/// Runs the command that the process was started with, and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some((_, order)) = words.split_first().filter(|(first, _)| *first == process::WORKER) {
        return worker::main(order);
    }
    #[cfg(feature = "vm")]
    if let Some(status) = words.split_first().and_then(|(first, rest)| vm::role(first, rest)) {
        return status;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors; both go where clap sends them.
            error.print().ok();
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done };
            return status.code();
        }
    };
    // A panic is a bug: its message is already on standard error, and the exit status says so too.
    match std::panic::catch_unwind(|| dispatch(arguments.command)) {
        Ok(Ok(status)) => status.code(),
        Ok(Err(error)) => {
            explain(&error);
            error.exit_status().code()
        }
        Err(_) => {
            say("hint: this is a bug in brimful; please report it with the lines above");
            ExitStatus::Bug.code()
        }
    }
}

fn dispatch(command: Command) -> Result<ExitStatus, Error> {
    match command {
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options),
        Command::Knee(options) => knee::knee(&options),
        Command::Scenarios(options) => scenarios::scenarios(&options),
        Command::Report(options) => report::report(&options),
        Command::Merge(options) => merge::merge(&options),
        Command::Compare(options) => compare::compare(&options),
        Command::Gate(options) => gate::gate(&options),
        Command::Aa(options) => aa::aa(&options),
        Command::Serve(options) => serve::serve(&options),
        Command::Load(options) => load::load(&options),
        Command::Probe(options) => probe::probe(&options),
        Command::Restore(options) => restore::restore(&options),
        Command::Doctor(options) => doctor::doctor(&options),
        #[cfg(feature = "k8s")]
        Command::K8s(options) => k8s::k8s(&options),
        #[cfg(feature = "vm")]
        Command::Vm(options) => vm::vm(&options),
    }
}

fn explain(error: &Error) {
    say(&in_words(error));
    for hint in error.hints() {
        say(&format!("hint: {hint}"));
    }
}

/// An error with all its causes.
fn in_words(error: &Error) -> String {
    format!("error: {}", chain(error))
}

/// A line on standard error. When that is closed there is nobody to tell.
fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// Text on standard output. A reader that went away (`| head`) is no error.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

/// A report on standard output.
fn show(report: &Report, format: Format) {
    match format {
        Format::Text => put(&page(report)),
        Format::Json => put(&json::render(report)),
    }
}

/// A report for the terminal that this is, or for a file.
fn page(report: &Report) -> String {
    text::render(report, look())
}

/// How a page on standard output shall look.
fn look() -> Look {
    let width = terminal_size::terminal_size().map_or(WIDTH, |(columns, _)| columns.0);
    Look { width, color: colour() }
}

/// Columns of a page where no terminal tells.
const WIDTH: u16 = 100;

/// Whether tables may be coloured: a terminal, and no `NO_COLOR`.
fn colour() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}

/// Whether colours are wanted where there is a terminal: not with `NO_COLOR` (no-color.org).
fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
