//! `brimful serve`: the target alone, with a line a second on what it holds.

use std::time::Duration;

use brimful_live::interrupt::{Interrupt, LOOK};
use brimful_plan::consent::{ANY, Consent, VERSION};
use brimful_target::{Server, TargetError, limits};
use brimful_target_plan::{TargetOutcome, TargetPlan};
use jiff::Timestamp;

use super::arguments::{self, Serve};
use super::{put, say};
use crate::error::{Error, ExitStatus};

/// From one look at the counters to the next.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn serve(options: &Serve) -> Result<ExitStatus, Error> {
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

fn plan(options: &Serve) -> TargetPlan {
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
fn consent(options: &arguments::Consent) -> Result<Option<Consent>, Error> {
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
