//! `brimful doctor`: looks at a live host, or at a ticket, and changes nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brimful_evidence::pasted;
use brimful_judge::doctor::{Diagnosis, Scope, diagnose, replay};
use brimful_live::doctor::{self, Roots, Whom};
use brimful_live::interrupt::Interrupt;
use brimful_report::doctor::text;
use clap::Args;

use super::arguments::Format;
use super::{look, put};
use crate::error::{Error, ExitStatus};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The longest ticket, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// Arguments of `brimful doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful doctor                             the whole host
  brimful doctor --pid 812 --window 5s       one process, watched for longer
  brimful doctor --port 8080 --format json | jq '.causes[].cause'
  brimful doctor --container 3f2a1b --watch  the processes of a container, again and again
  brimful doctor --replay ticket.txt         pasted outputs of ss, nstat, /proc/PID/limits and the like

Nothing is set, sent or connected to. Root sees every process and namespace; others see their own,
and are told what they did not see. A finding is no error: the exit status is 0.
What the answers mean, and the paths of the JSON: docs/doctor.md.")]
pub(super) struct DoctorOptions {
    /// One process
    #[arg(long, value_name = "PID", conflicts_with_all = ["port", "container", "replay"], value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    /// Whoever listens on this port, in any network namespace
    #[arg(long, conflicts_with_all = ["container", "replay"], value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The processes whose control group's path has this in it: a container's id or its first digits, a unit
    #[arg(long, value_name = "ID", conflicts_with = "replay")]
    container: Option<String>,
    /// Judge pasted outputs in a file instead of this host; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["window", "watch"])]
    replay: Option<PathBuf>,
    /// From one look to the next, the accept queues being watched meanwhile: totals since boot prove nothing
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = window)]
    window: Duration,
    /// Look again and again until Ctrl-C: the whole answer when the causes change, otherwise one line
    #[arg(long)]
    watch: bool,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn doctor(options: &DoctorOptions) -> Result<ExitStatus, Error> {
    if let Some(file) = &options.replay {
        show(&replayed(file)?, options.format);
        return Ok(ExitStatus::Done);
    }
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let mut last: Option<Vec<String>> = None;
    loop {
        let diagnosis = examined(options, &|| interrupt.seen().is_some())?;
        if let Some(signal) = interrupt.seen() {
            return Ok(signal.into());
        }
        let causes: Vec<String> =
            diagnosis.causes.iter().map(|found| format!("{} {}", found.name(), found.subject.name)).collect();
        match options.format {
            Format::Text if last.as_ref() == Some(&causes) => put(&format!("{} {}", now(), text::line(&diagnosis))),
            // A line each, so that another program can read them as they come.
            Format::Json if options.watch => {
                put(&format!("{}\n", serde_json::to_string(&diagnosis).unwrap_or_default()))
            }
            format => show(&diagnosis, format),
        }
        if !options.watch {
            return Ok(ExitStatus::Done);
        }
        last = Some(causes);
    }
}

fn examined(options: &DoctorOptions, stop: &dyn Fn() -> bool) -> Result<Diagnosis, Error> {
    let (whom, words) = match (options.pid, options.port, &options.container) {
        (Some(pid), _, _) => (Whom::Process(pid), format!("process {pid}")),
        (_, Some(port), _) => (Whom::Port(port), format!("port {port}")),
        (_, _, Some(name)) if name.trim().is_empty() => {
            return Err(Error::Usage {
                what: "`--container` is empty".to_owned(),
                hint: "give a part of the control group's path: the first digits of the container's id".to_owned(),
            });
        }
        (_, _, Some(name)) => (Whom::Container(name.clone()), format!("container {name}")),
        _ => (Whom::Host, "this host".to_owned()),
    };
    let looks = doctor::look(&Roots::of_this_machine(), &whom, options.window, stop)?;
    let scope = Scope { words, pids: looks.meant, port: options.port, tool_version: VERSION.to_owned() };
    Ok(diagnose(&looks.before, &looks.after, &scope))
}

fn replayed(file: &Path) -> Result<Diagnosis, Error> {
    let failed = |source| Error::File { doing: "read", path: file.to_owned(), source };
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    }
    let ticket = pasted::read(&String::from_utf8_lossy(&bytes));
    if ticket.understood.is_empty() {
        return Err(Error::Usage {
            what: format!("`{}` has no line that is the output of a known tool", file.display()),
            hint: "paste what `ss -lntm`, `ss -tan`, `nstat -az`, `cat /proc/PID/limits`, `sysctl …` print, with the prompts above them"
                .to_owned(),
        });
    }
    let lines: u64 = ticket.understood.values().sum();
    let words = format!("this ticket ({lines} lines understood)");
    let scope = Scope { words, tool_version: VERSION.to_owned(), ..Scope::default() };
    Ok(replay(&ticket, &scope))
}

fn show(diagnosis: &Diagnosis, format: Format) {
    match format {
        Format::Text => put(&text::render(diagnosis, look())),
        Format::Json => put(&format!("{}\n", serde_json::to_string_pretty(diagnosis).unwrap_or_default())),
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%SZ").to_string()
}

/// Long enough for a counter to move, and short enough to wait for.
fn window(text: &str) -> Result<Duration, String> {
    let window = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(600);
    if allowed.contains(&window) { Ok(window) } else { Err("must be between 100ms and 10m".to_owned()) }
}
