//! `brimful serve`: the target alone, with a line a second on what it holds.

use std::net::SocketAddr;
use std::time::Duration;

use brimful_live::interrupt::{Interrupt, LOOK};
use brimful_plan::consent::{ANY, Consent, VERSION};
use brimful_target::{Server, TargetError, limits};
use brimful_target_plan::{TargetOutcome, TargetPlan};
use clap::Args;
use jiff::Timestamp;

use super::{put, say};
use crate::arguments::{above_zero, word};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful serve
  brimful serve --listen '[::1]:8080' --backlog 128 --nofile 1024 --on-emfile sleep")]
pub(super) struct ServeOptions {
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
    pub(super) manners: TargetOptions,
    #[command(flatten)]
    pub(super) consent: ConsentOptions,
}

/// What else a scenario's `[target]` can say of the server, in the same words.
#[derive(Debug, Args)]
#[command(next_help_heading = "What a server can get wrong, as in [target]")]
pub(super) struct TargetOptions {
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
pub(super) struct ConsentOptions {
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

fn nofile(text: &str) -> Result<brimful_target_plan::Nofile, String> {
    brimful_plan::knob::parse_nofile(&brimful_plan::cell::KnobValue::Word(text.to_owned()))
}

/// From one look at the counters to the next.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn serve(options: &ServeOptions) -> Result<ExitStatus, Error> {
    let consent = consent(&options.consent)?;
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    if let Some(want) = options.nofile {
        limits::set_nofile(want).map_err(|source| Error::Machine { doing: "set the descriptor limit", source })?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Machine { doing: "start a runtime within the descriptor limit", source })?;
    let mut server = {
        let _inside = runtime.enter();
        Server::bind_consenting(plan(options), consent.as_ref().map(Consent::render))?
    };
    announce(&server);
    if let Some(consent) = &consent {
        say(&format!(
            "consents to {} and {} connections of each generator, until {}",
            if consent.scenario == ANY {
                "every scenario".to_owned()
            } else {
                format!("the scenario `{}`", consent.scenario)
            },
            consent.most_connections,
            consent.expires
        ));
    }
    let counters = server.counters();
    let stop = async {
        let mut before = None;
        let mut ticks = 0_u128;
        while interrupt.seen().is_none() {
            tokio::time::sleep(LOOK).await;
            ticks += 1;
            if ticks.is_multiple_of(EVERY.as_millis() / LOOK.as_millis()) {
                let now = counters.snapshot();
                if before.as_ref() != Some(&now) {
                    say(&line(&now));
                }
                before = Some(now);
            }
        }
    };
    let outcome: Result<TargetOutcome, TargetError> = runtime.block_on(server.run(async { None }, stop));
    let outcome = outcome?;
    put(&format!("{}\n", serde_json::to_string_pretty(&outcome).unwrap_or_default()));
    if outcome.exited_on_emfile {
        say("error: accept4: EMFILE (--on-emfile exit)");
        return Ok(ExitStatus::Target);
    }
    // Ending on a signal is how a server ends well: SIGTERM is no failure of it.
    Ok(interrupt.seen().map_or(ExitStatus::Done, ExitStatus::from))
}

fn plan(options: &ServeOptions) -> TargetPlan {
    TargetPlan {
        backlog: options.backlog,
        health_path: options.health.clone(),
        health_listen: options.health_listen,
        tls: options.tls,
        grpc_service: options.grpc.clone(),
        on_emfile: options.on_emfile,
        raise_nofile: options.raise_nofile,
        extra_fds_per_connection: options.extra_fds_per_connection,
        extra_fd_kind: options.extra_fd_kind,
        accept: options.manners.accept,
        accept_rate: options.manners.accept_rate,
        max_connections: options.manners.max_connections,
        at_max: options.manners.at_max,
        leak_one_in: options.manners.leak_one_in,
        answer_delay: options.manners.answer_delay,
        defer_accept: options.manners.defer_accept,
        reuseport: options.manners.reuseport,
        reuseport_stuck: options.manners.reuseport_stuck,
        ..TargetPlan::plain(options.listen)
    }
}

/// The document that is given to whoever asks, where the server consents at all.
fn consent(options: &ConsentOptions) -> Result<Option<Consent>, Error> {
    if !options.consent {
        return Ok(None);
    }
    let now = Timestamp::now();
    let expires = match options.consent_until {
        Some(until) if until <= now => {
            return Err(Error::Usage {
                what: format!("a consent until {until} has ended before it began"),
                hint: "give a time to come, with its offset: --consent-until 2030-01-01T00:00:00Z, or --consent-for 1h"
                    .to_owned(),
            });
        }
        Some(until) => until,
        None => now.checked_add(options.consent_for).map_err(|_beyond| Error::Usage {
            what: "the consent would last beyond the year 9999".to_owned(),
            hint: "write for example --consent-for 1h".to_owned(),
        })?,
    };
    let scenario = options.consent_scenario.clone().unwrap_or_else(|| ANY.to_owned());
    Ok(Some(Consent { version: VERSION, scenario, most_connections: options.consent_connections, expires }))
}

fn announce(server: &Server) {
    let ready = server.ready();
    for listening in &ready.listening {
        let what = if listening.health_only { "health checks" } else { "connections" };
        say(&format!("listening on {} for {what}, backlog {} asked", listening.address, listening.backlog));
    }
    say(&format!(
        "descriptors: {} open, limit {} soft, {} hard; Ctrl-C ends it",
        ready.descriptors, ready.nofile.soft, ready.nofile.hard
    ));
}

fn line(outcome: &TargetOutcome) -> String {
    let mut line = format!(
        "held {} (max {}), accepted {}, health answers {}",
        outcome.held, outcome.held_max, outcome.accepted, outcome.health_answers
    );
    for (errno, count) in &outcome.accept_errors {
        line.push_str(&format!(", accept4 {errno} {count}"));
    }
    line
}
