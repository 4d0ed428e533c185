//! `[target]` with `kind = "command"`: a server that is not brimful's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::error::ScenarioError;
use super::reader::{Section, Value};
use crate::cell::KnobValue;
use crate::command::{Command, Readiness, StopSignal, check_name};
use crate::knob::Values;
use crate::knob::limits::BACKLOG_MOST;

/// Words of `stop-signal`.
const SIGNALS: &[&str] = &["TERM", "QUIT", "INT", "USR1", "USR2", "HUP"];
/// The most arguments, variables, files and settings, each.
const ENTRIES_MOST: usize = 64;
/// The largest text of a file or an argument, in bytes.
const TEXT_MOST: usize = 64 * 1024;
/// How long a command has to become ready unless it is said.
const START: Duration = Duration::from_secs(10);
/// The longest that can be said: below what a worker may take to be ready.
const START_MOST: Duration = Duration::from_secs(18);

/// Reads what only a command has.
pub(super) fn read(section: &Section<'_>, listen: SocketAddr) -> Result<Command, ScenarioError> {
    Ok(Command {
        argv: argv(section)?,
        env: texts(section, "env", name_of_a_variable)?,
        files: texts(section, "files", name_of_a_file)?,
        directory: section.value("directory").map(|value| directory(&value)).transpose()?,
        user: section.value("user").map(|value| value.text().map(str::to_owned)).transpose()?,
        ready: section.value("ready").map_or(Ok(Readiness::Tcp(listen.port())), |value| ready(&value))?,
        start_timeout: section.duration("start-timeout", Duration::from_millis(100)..=START_MOST, START)?,
        stop_signal: section.value("stop-signal").map_or(Ok(StopSignal::Term), |value| signal(&value))?,
        args: args(section)?,
        backlog: section
            .value("backlog")
            .map(|value| value.count(0..=BACKLOG_MOST))
            .transpose()?
            .and_then(|backlog| u32::try_from(backlog).ok()),
    })
}

fn argv(section: &Section<'_>) -> Result<Vec<String>, ScenarioError> {
    const EXAMPLE: &str = "write argv = [\"nginx\", \"-c\", \"{{dir}}/nginx.conf\"]";
    let value = section.required("argv").map_err(|error| error.hint(EXAMPLE))?;
    if !value.is_list() {
        return Err(value.error("`target.argv` must be a list of texts: no shell reads it").hint(EXAMPLE));
    }
    let items = value.list()?;
    if items.is_empty() || items.len() > ENTRIES_MOST {
        return Err(value.error(format!("`target.argv` takes 1 to {ENTRIES_MOST} texts")).hint(EXAMPLE));
    }
    let argv: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
    match argv.first() {
        Some(program) if !program.trim().is_empty() => Ok(argv),
        _ => Err(value.error("`target.argv` begins with the program").hint(EXAMPLE)),
    }
}

/// A text of which a C program can make sense.
fn text(value: &Value<'_>) -> Result<String, ScenarioError> {
    let text = value.text()?;
    if text.len() > TEXT_MOST {
        return Err(value.error(format!("`{}` is longer than {TEXT_MOST} bytes", value.name)));
    }
    if text.contains('\0') {
        return Err(value.error(format!("`{}` has a zero byte in it", value.name)));
    }
    Ok(text.to_owned())
}

/// A table of texts.
fn texts(
    section: &Section<'_>,
    key: &str,
    fits: fn(&str) -> Result<(), &'static str>,
) -> Result<IndexMap<String, String>, ScenarioError> {
    entries(section, key, |name, value| {
        fits(name).map_err(|what| value.error_at_key(format!("`{name}` {what}")))?;
        text(value)
    })
}

fn args(section: &Section<'_>) -> Result<IndexMap<String, KnobValue>, ScenarioError> {
    entries(section, "arg", |name, value| {
        check_name(name).map_err(|what| value.error_at_key(what))?;
        let canonical = Values::Any.canonical(&value.knob_value()?);
        canonical.map_err(|what| value.error(format!("`{}`: {what}", value.name)))
    })
}

fn entries<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&str, &Value<'_>) -> Result<T, ScenarioError>,
) -> Result<IndexMap<String, T>, ScenarioError> {
    let Some(value) = section.value(key) else { return Ok(IndexMap::new()) };
    let table = value.any_table()?;
    if table.values().count() > ENTRIES_MOST {
        return Err(value.error(format!("`{}` has more than {ENTRIES_MOST} entries", value.name)));
    }
    table.values().map(|(name, value)| Ok((name.to_owned(), read(name, &value)?))).collect()
}

fn name_of_a_variable(name: &str) -> Result<(), &'static str> {
    let fits = !name.is_empty() && !name.contains(['=', '\0']);
    if fits { Ok(()) } else { Err("is no name of a variable") }
}

/// A file of the command's own folder: no way leads out of it.
fn name_of_a_file(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain);
    if fits { Ok(()) } else { Err("is no name of a file: it takes letters, digits, `.`, `_` and `-`, and no folders") }
}

fn directory(value: &Value<'_>) -> Result<PathBuf, ScenarioError> {
    let path = PathBuf::from(text(value)?);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(value
        .error("`target.directory` must be an absolute path")
        .hint("without it the command starts in the folder of its files"))
}

fn ready(value: &Value<'_>) -> Result<Readiness, ScenarioError> {
    let port = value.text()?.strip_prefix("tcp:").and_then(|port| port.parse().ok()).filter(|&port| port > 0);
    port.map(Readiness::Tcp).ok_or_else(|| {
        value
            .error(format!("`{}` says nothing that can be waited for", value.name))
            .hint("write ready = \"tcp:8080\": the command is ready when this port takes a connection")
    })
}

fn signal(value: &Value<'_>) -> Result<StopSignal, ScenarioError> {
    let error = match value.text()?.strip_prefix("SIG") {
        Some(short) if SIGNALS.contains(&short) => Some(short),
        _ => None,
    };
    match error {
        Some(short) => {
            Err(value.error(format!("`{}` goes without SIG", value.name)).hint(format!("write \"{short}\"")))
        }
        None => value.word(SIGNALS, &[]),
    }
}
