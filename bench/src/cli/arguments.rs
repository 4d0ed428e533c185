//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Finds out by experiment which limit makes a health check fail under many connections.
#[derive(Debug, Parser)]
#[command(name = "brimful", version, about, long_about = None, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  brimful run                                the built-in scenario `origin`: descriptors or queue?
  brimful run scenarios/null.toml --verify   hold a scenario to its own [expect]
  brimful check my.toml                      what it would run and cost, and whether this machine can
  brimful scenarios new > my.toml            a file to start from
  brimful probe 127.0.0.1:8080               like ping, for a health check

Exit status: 0 done, 1 a bug in brimful, 2 usage or scenario wrong, 3 this machine refuses,
4 --verify found another truth, 6 generator-bound, 7 the target did not start or died,
130/143 stopped by a signal (what was done is saved). A failing cell is a finding, not an error.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios: every cell in a sandbox of its own, then the table and the verdicts
    Run(Run),
    /// Parse scenarios, print every cell with its cost, and refuse what this machine cannot do
    Check(Check),
    /// The built-in scenarios
    Scenarios(Scenarios),
    /// Judge a saved run again and render it
    Report(Report),
    /// Run the target server alone
    Serve(Serve),
    /// Open and hold connections against a server on loopback
    Load(Load),
    /// Probe a server on loopback as a kubelet does, like ping for a health check
    Probe(Probe),
}

/// The form of an answer on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// The form of a report on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people, at a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// For people, in a browser: one page that needs nothing else
    Html,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful run
  brimful run origin --only 'somaxconn=128,*'
  brimful run scenarios/ --verify
  brimful run my.toml --format json --out /tmp/mine")]
pub(super) struct Run {
    /// Files, folders of files, or names of built-in scenarios [default: origin]
    pub(super) scenarios: Vec<String>,
    /// Where to write; must be new or empty [default: brimful-out/NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(super) force: bool,
    /// Run only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) only: Option<String>,
    /// Compare with the scenario's [expect]; exit with 4 when the truth is another
    #[arg(long)]
    pub(super) verify: bool,
    /// Fail when a scenario of several needs what is not here (root), instead of listing it
    #[arg(long)]
    pub(super) strict: bool,
    /// What to print when it is done
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Lines instead of a progress display, also on a terminal
    #[arg(long)]
    pub(super) plain: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful check scenarios/*.toml
  brimful check my.toml --only '*nofile=1024*'
  brimful check --syntax my.toml")]
pub(super) struct Check {
    /// Files, folders of files, or names of built-in scenarios
    #[arg(required = true)]
    pub(super) scenarios: Vec<String>,
    /// Only parse; do not ask what this machine can do
    #[arg(long)]
    pub(super) syntax: bool,
    /// Show only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) only: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Scenarios {
    #[command(subcommand)]
    pub(super) what: Option<ScenarioCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// Names and questions
    List,
    /// The text of one
    Show {
        /// Its name
        name: String,
    },
    /// A commented file to start from
    New,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful report brimful-out/origin-20261123T120000Z
  brimful report brimful-out/origin-20261123T120000Z --format json | jq '.cells[].verdict.cause'
  brimful report brimful-out/origin-20261123T120000Z --format html > report.html")]
pub(super) struct Report {
    /// A folder that `brimful run` wrote, or the report.json in it
    pub(super) run: PathBuf,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Form,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful serve
  brimful serve --listen '[::1]:8080' --backlog 128 --nofile 1024 --on-emfile sleep")]
pub(super) struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:23380")]
    pub(super) listen: SocketAddr,
    /// The backlog passed to listen(2), in connections
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(..=2_147_483_647))]
    pub(super) backlog: u32,
    /// The path that answers 200
    #[arg(long, default_value = "/healthz")]
    pub(super) health: String,
    /// A listener for health checks alone
    #[arg(long, value_name = "ADDRESS")]
    pub(super) health_listen: Option<SocketAddr>,
    /// What to do when accept4 says EMFILE: spin, sleep, reserve-fd, exit, stop-accepting
    #[arg(long, default_value = "spin", value_parser = word::<brimful_target::OnEmfile>)]
    pub(super) on_emfile: brimful_target::OnEmfile,
    /// Raise the soft descriptor limit to the hard one
    #[arg(long)]
    pub(super) raise_nofile: bool,
    /// Descriptors each connection costs besides its socket
    #[arg(long, default_value_t = 0)]
    pub(super) extra_fds_per_connection: u32,
    /// The descriptor limit to run with: SOFT or SOFT:HARD
    #[arg(long, value_parser = nofile)]
    pub(super) nofile: Option<brimful_target::limits::Nofile>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful load 127.0.0.1:23380 --connections 12000 --ramp 3s --hold 1m
  brimful load 127.0.0.1:23380 --source kernel --ramp 0s")]
pub(super) struct Load {
    /// The server, on loopback
    pub(super) address: SocketAddr,
    /// Connections to open
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=4_000_000))]
    pub(super) connections: u64,
    /// Over which time they are opened, evenly
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(super) ramp: Duration,
    /// How long they are held after that
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) hold: Duration,
    /// Who names the source ports: auto, kernel
    #[arg(long, default_value = "auto", value_parser = word::<crate::plan::cell::SourceChoice>)]
    pub(super) source: crate::plan::cell::SourceChoice,
    /// The form of the summary
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful probe 127.0.0.1:8080 --path /livez
  brimful probe 127.0.0.1:5432 --tcp-socket --period 1s --count 5")]
pub(super) struct Probe {
    /// The server, on loopback
    pub(super) address: SocketAddr,
    /// The path of an httpGet probe
    #[arg(long, default_value = "/healthz", conflicts_with = "tcp_socket")]
    pub(super) path: String,
    /// A tcpSocket probe instead
    #[arg(long)]
    pub(super) tcp_socket: bool,
    /// periodSeconds (the kubelet's default is 10s)
    #[arg(long, default_value = "1s", value_parser = above_zero)]
    pub(super) period: Duration,
    /// timeoutSeconds
    #[arg(long, default_value = "1s", value_parser = above_zero)]
    pub(super) timeout: Duration,
    /// failureThreshold
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) failure_threshold: u32,
    /// Probes to send; without it, until Ctrl-C
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// One JSON object for each probe instead of lines
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

fn above_zero(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be above zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn nofile(text: &str) -> Result<brimful_target::limits::Nofile, String> {
    crate::plan::knob::parse_nofile(&crate::plan::cell::KnobValue::Word(text.to_owned()))
}

/// Reads one of the words of a closed set as scenario files write them.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
