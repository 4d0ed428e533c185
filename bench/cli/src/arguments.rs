//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::aa::Aa;
use super::compare::Compare;
use super::doctor::Doctor;
use super::gate::Gate;
pub(super) use super::merge::Options as Merge;
pub(super) use super::probe::Options as Probe;
pub(super) use super::restore::Options as Restore;
pub(super) use super::run::Options as Run;
use crate::load_options::Conduct;
use brimful_plan::order::BLOCKS_MOST;
use brimful_report::forms::markdown::LEAST_BYTES;

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
  brimful run my.toml --quick                the shortest form that still answers
  brimful check my.toml                      what it would run and cost, and whether this machine can
  brimful scenarios new > my.toml            a file to start from
  brimful probe 127.0.0.1:8080               like ping, for a health check

Exit status: 0 done, 1 a bug in brimful, 2 usage or scenario wrong, 3 this machine refuses
or a server does not consent, 4 --verify found another truth or a gate failed, 5 a gate is not settled, 6 generator-bound, 7 the target did not start or died,
130/143 stopped by a signal (what was done is saved). A failing cell is a finding, not an error.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios: every cell in a sandbox of its own, then the table and the verdicts
    Run(Run),
    /// Parse scenarios, print every cell with its cost, and refuse what this machine cannot do
    Check(Check),
    /// Search for the largest load at which the probe stays healthy, for each cell
    Knee(super::knee::arguments::Knee),
    /// The built-in scenarios
    Scenarios(Scenarios),
    /// Judge a saved run again and render it
    Report(Report),
    /// Several runs of one scenario as one: from several generators, or from several occasions
    Merge(Merge),
    /// Set two runs, or two arms of one run, side by side
    Compare(Compare),
    /// Hold a run to a baseline and to ceilings; exit with 4 when it fails, with 5 when it is not settled
    Gate(Gate),
    /// Run one thing under two labels, to learn how much of a difference this machine makes by itself
    Aa(Aa),
    /// Run the target server alone
    Serve(Serve),
    /// Open and hold connections against a server on loopback, or one that consents
    Load(Load),
    /// Probe a server as a kubelet does, like ping for a health check: on loopback, or one that consents
    Probe(Probe),
    /// Look at a live host, process, port or container without changing anything: what limit is met, and which binds first
    Doctor(Doctor),
    /// Put back what a run with --allow-host-changes had changed when it was killed, and sweep control groups
    Restore(Restore),
    /// Kubernetes: a scenario as plain YAML, and restarts set beside what was foretold
    K8s(K8s),
    /// Run scenarios on another kernel, in a virtual machine that lasts as long as the run
    Vm(super::vm::arguments::Vm),
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
    /// Take settings of this whole machine too, as `run --allow-host-changes` does; nothing is changed
    #[arg(long)]
    pub(super) allow_host_changes: bool,
    /// Show only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) only: Option<String>,
    /// Show the time that so many blocks take
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(BLOCKS_MOST)))]
    pub(super) blocks: u32,
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

/// A form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportForm {
    /// For a terminal
    #[default]
    Text,
    /// GitHub's Markdown, for a step's summary or a comment on a pull request
    Md,
    /// One page for a browser that needs nothing else: no network, no script
    Html,
    /// report.json, judged again
    Json,
    /// JUnit's XML: a failing or degraded cell is a failure, a void or missing one an error
    Junit,
    /// Bencher's metric format (JSON)
    Bmf,
    /// For github-action-benchmark, `tool: customSmallerIsBetter` (JSON)
    GithubActionBenchmark,
    /// Go's benchmark lines, one a block, for benchstat
    Benchstat,
    /// HdrHistogram's percentile table, one a cell, in milliseconds
    Hgrm,
    /// HdrHistogram's interval log of every block, in nanoseconds
    Hlog,
    /// OpenMetrics text, with the times of the run
    Openmetrics,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful report brimful-out/origin-20261123T120000Z
  brimful report brimful-out/origin-20261123T120000Z --format json | jq '.cells[].verdict.cause'
  brimful report brimful-out/origin-20261123T120000Z --format md --limit 64KB --out comment.md
  brimful report brimful-out/origin-20261123T120000Z --format hgrm --cell '*nofile=1024'

What each form is for, and how other tools take it: docs/report.md.")]
pub(super) struct Report {
    /// A folder that `brimful run` wrote, or the report.json in it
    pub(super) run: PathBuf,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ReportForm,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) cell: Option<String>,
    /// For md: the most it may have (GitHub takes 64KB in a comment), at least 1KiB
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = markdown_bytes)]
    pub(super) limit: usize,
    /// Write the report's files in the run's folder anew as well
    #[arg(long, conflicts_with = "cell")]
    pub(super) save: bool,
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
    /// Answer over TLS too, with a certificate made at the start and signed by itself
    #[arg(long)]
    pub(super) tls: bool,
    /// Tell the health of this service over gRPC too; without a name, that of the server alone
    #[arg(long, value_name = "SERVICE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(super) grpc: Option<String>,
    /// What to do when accept4 says EMFILE: spin, sleep, reserve-fd, exit, stop-accepting
    #[arg(long, default_value = "spin", value_parser = word::<brimful_target_plan::OnEmfile>)]
    pub(super) on_emfile: brimful_target_plan::OnEmfile,
    /// Raise the soft descriptor limit to the hard one
    #[arg(long)]
    pub(super) raise_nofile: bool,
    /// Descriptors each connection costs besides its socket
    #[arg(long, default_value_t = 0)]
    pub(super) extra_fds_per_connection: u32,
    /// What they are: file, inotify
    #[arg(long, default_value = "file", value_parser = word::<brimful_target_plan::ExtraFd>)]
    pub(super) extra_fd_kind: brimful_target_plan::ExtraFd,
    /// The descriptor limit to run with: SOFT or SOFT:HARD
    #[arg(long, value_parser = nofile)]
    pub(super) nofile: Option<brimful_target_plan::Nofile>,
    #[command(flatten)]
    pub(super) manners: Manners,
    #[command(flatten)]
    pub(super) consent: Consent,
}

/// What else a scenario's `[target]` can say of the server, in the same words.
#[derive(Debug, Args)]
#[command(next_help_heading = "What a server can get wrong, as in [target]")]
pub(super) struct Manners {
    /// How connections are taken from the queue: drain, one-per-wakeup, dead
    #[arg(long, default_value = "drain", value_parser = word::<brimful_target_plan::Accept>)]
    pub(super) accept: brimful_target_plan::Accept,
    /// Connections accepted a second, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) accept_rate: Option<u32>,
    /// Connections the program allows at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_connections: Option<u32>,
    /// What happens beyond that: wait, close, ignore
    #[arg(long, default_value = "wait", value_parser = word::<brimful_target_plan::AtMax>)]
    pub(super) at_max: brimful_target_plan::AtMax,
    /// Each so-many-th connection that the peer has ended is never closed; 0 for none
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(super) leak_one_in: u32,
    /// How long each answer is held back
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) answer_delay: Duration,
    /// TCP_DEFER_ACCEPT on the listener
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) defer_accept: Option<Duration>,
    /// Listening sockets that share the port by SO_REUSEPORT
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) reuseport: u32,
    /// How many of them are never accepted from
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(..=63))]
    pub(super) reuseport_stuck: u32,
}

/// Who may load the server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Consent to being loaded from elsewhere (docs/consent.md)")]
pub(super) struct Consent {
    /// Consent to `brimful load` and `brimful probe` from other machines
    #[arg(long)]
    pub(super) consent: bool,
    /// Only to this scenario
    #[arg(long, value_name = "NAME", requires = "consent")]
    pub(super) consent_scenario: Option<String>,
    /// Until this instant, such as 2026-11-23T18:00:00Z
    #[arg(long, value_name = "TIME", requires = "consent", conflicts_with = "consent_for")]
    pub(super) consent_until: Option<jiff::Timestamp>,
    /// For so long from the start
    #[arg(long, value_name = "TIME", requires = "consent", default_value = "1h", value_parser = above_zero)]
    pub(super) consent_for: Duration,
    /// To so many connections of one generator
    #[arg(long, value_name = "N", requires = "consent", default_value_t = 100_000)]
    pub(super) consent_connections: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful load 127.0.0.1:23380 --connections 12000 --ramp 3s --hold 1m
  brimful load 127.0.0.1:23380 --source kernel --ramp 0s
  brimful load 127.0.0.1:23380 --behaviour heartbeat --heartbeat-interval 5s --reconnect jittered
  brimful load 10.0.0.9:8080 --connections 100000 --fleet 0/8 --gatherer 10.0.0.1:23390 --out fleet.json
  brimful load 10.0.0.9:8080 --connections 100000 --fleet 3/8 --gatherer 10.0.0.1:23390

A fleet exits with 6 when a member is missing, late or lost: the load was not the one that was planned.")]
pub(super) struct Load {
    /// The server: on loopback, or one that consents (docs/consent.md)
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
    #[arg(long, default_value = "auto", value_parser = word::<brimful_plan::cell::SourceChoice>)]
    pub(super) source: brimful_plan::cell::SourceChoice,
    #[command(flatten)]
    pub(super) conduct: Conduct,
    /// Open only this generator's share of the connections, such as 0/4: the first of four generators
    #[arg(long, value_name = "INDEX/OF", value_parser = share)]
    pub(super) share: Option<(u32, u32)>,
    /// The scenario that this load is part of, for a server that consents to that one only
    #[arg(long, value_name = "NAME")]
    pub(super) scenario: Option<String>,
    /// The form of the summary
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) fleet: FleetOptions,
}

/// One load over several machines.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several generators that start together (docs/fleet.md)")]
pub(super) struct FleetOptions {
    /// Which member this is, and how many there are: 0/8 gathers, 1/8 to 7/8 join it. 8 alone takes the index from JOB_COMPLETION_INDEX
    #[arg(long, value_name = "INDEX/MEMBERS", value_parser = member, conflicts_with = "share")]
    pub(super) fleet: Option<(Option<u32>, u32)>,
    /// Where member 0 is reached, the same for every member
    #[arg(long, value_name = "ADDRESS", requires = "fleet")]
    pub(super) gatherer: Option<SocketAddr>,
    /// Where member 0 listens for the others; without it, everywhere, at the gatherer's port
    #[arg(long, value_name = "ADDRESS", requires = "fleet")]
    pub(super) fleet_listen: Option<SocketAddr>,
    /// How long the members are waited for before those that are ready start
    #[arg(long, value_name = "TIME", requires = "fleet", default_value = "5m", value_parser = above_zero)]
    pub(super) register_within: Duration,
    /// How long their accounts are waited for after the end of the load
    #[arg(long, value_name = "TIME", requires = "fleet", default_value = "15s", value_parser = above_zero)]
    pub(super) gather_within: Duration,
    /// Where member 0 writes the fleet's report (JSON), besides standard output
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct K8s {
    #[command(subcommand)]
    pub(super) what: K8sCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum K8sCommand {
    /// Write a scenario as plain YAML: a kustomize base with the overlays `kind` and `cluster`, a folder for each cell
    Render(Render),
    /// What a kubelet restarted, from what kubectl prints, beside what brimful's probe foretold
    Restarts(Restarts),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl get events | brimful k8s restarts -
  brimful k8s restarts pods.json events.txt --report brimful-out/origin-20261123T120000Z
  brimful k8s restarts out/0-nofile-64/account/{pods.json,events.txt} --probe out/0-nofile-64/account/probe-*.log

Nothing is asked of a cluster.")]
pub(super) struct Restarts {
    /// What `kubectl get pods -o json`, `kubectl describe pod` or `kubectl get events` printed; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// A run whose cells say when a restart was foretold
    #[arg(long, value_name = "RUN")]
    pub(super) report: Option<PathBuf>,
    /// The log of a `brimful probe --format json`
    #[arg(long, value_name = "LOG")]
    pub(super) probe: Option<PathBuf>,
    /// The failureThreshold for that log
    #[arg(long, default_value_t = 3, requires = "probe", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) failure_threshold: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful k8s render origin --cell 'somaxconn=128,*nofile=1024' --out k8s
  kubectl apply -k k8s/0-*/overlays/kind

Nothing is sent anywhere. The pods of the load are a fleet; its report is in the log of pod 0. docs/kubernetes.md goes through it.")]
pub(super) struct Render {
    /// A file, or the name of a built-in scenario
    pub(super) scenario: String,
    /// Only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) cell: Option<String>,
    /// Where to write; without it, brimful-k8s/NAME
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write over what is there
    #[arg(long)]
    pub(super) force: bool,
    /// The image of every pod
    #[arg(long, value_name = "REF", default_value = concat!("brimful:", env!("CARGO_PKG_VERSION")))]
    pub(super) image: String,
    /// Pods of the load; without it, as many as the connections need
    #[arg(long, value_name = "N")]
    pub(super) pods: Option<u32>,
    /// The namespace of everything
    #[arg(long, value_name = "NAME", default_value = "brimful")]
    pub(super) namespace: String,
}

/// One generator among several: `0/4` to `3/4`.
fn share(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("`{text}` is no share: write 0/4 for the first of four, 3/4 for the last");
    let (index, of) = text.split_once('/').ok_or_else(wrong)?;
    match (index.parse(), of.parse()) {
        (Ok(index), Ok(of)) if index < of => Ok((index, of)),
        _ => Err(wrong()),
    }
}

/// A member of a fleet: `3/8`, or `8` for one that is told its index by Kubernetes.
fn member(text: &str) -> Result<(Option<u32>, u32), String> {
    let wrong = || format!("`{text}` is no member: write 0/8 for the first of eight, or 8 in a pod of an Indexed Job");
    if text.contains('/') {
        return share(text).map(|(index, of)| (Some(index), of)).map_err(|_| wrong());
    }
    text.parse().ok().filter(|members| *members > 0).map(|members| (None, members)).ok_or_else(wrong)
}

/// A duration that is not zero.
pub(super) fn above_zero(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be above zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn markdown_bytes(text: &str) -> Result<usize, String> {
    let size: bytesize::ByteSize = text.parse()?;
    let bytes = usize::try_from(size.as_u64()).map_err(|error| error.to_string())?;
    if bytes < LEAST_BYTES { Err(format!("must be at least {LEAST_BYTES} bytes")) } else { Ok(bytes) }
}

fn nofile(text: &str) -> Result<brimful_target_plan::Nofile, String> {
    brimful_plan::knob::parse_nofile(&brimful_plan::cell::KnobValue::Word(text.to_owned()))
}

/// Reads one of the words of a closed set as scenario files write them.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }

    #[test]
    fn a_share_is_one_of_several() {
        assert_eq!(["0/1", "3/4"].map(super::share), [Ok((0, 1)), Ok((3, 4))]);
        assert!(
            ["4/4", "0/0", "1", "-1/4", "1/4/8", "$(JOB_COMPLETION_INDEX)/4"]
                .into_iter()
                .all(|text| super::share(text).is_err())
        );
    }

    #[test]
    fn sizes_are_read_in_the_units_people_write() {
        assert_eq!(["64KB", "1MiB", "65536"].map(super::markdown_bytes), [Ok(64_000), Ok(1 << 20), Ok(65_536)]);
        assert!(["1000", "-1", "much"].into_iter().all(|text| super::markdown_bytes(text).is_err()));
    }
}
