//! What is turned under a running server, and a server that is restarted, on a real kernel.

use brimful::evidence::record::LifeEndWhy;
use brimful::judge;
use brimful::plan::expect::Took;

use super::support::{Run, sandbox_allowed};

/// 64 descriptors less the 11 of the server itself are 53; 80 clients want in.
const FULL: &str = r#"
question = "what becomes of a server without descriptors?"
[target]
on-emfile = "sleep"
[load]
connections = 80
ramp = "200ms"
hold = "HOLD"
behaviour = "reconnect"
reconnect = "linear"
reconnect-base = "100ms"
reconnect-cap = "100ms"
[probe]
period = "200ms"
timeout = "200ms"
[matrix.ulimit]
nofile = ["64:4096"]
"#;

fn full(hold: &str, more: &str) -> String {
    format!("{}{more}", FULL.replace("HOLD", hold))
}

#[test]
fn a_shells_limit_does_nothing_and_prlimit_cures_live() {
    if !sandbox_allowed() {
        return;
    }
    let changes = "[[change]]\nat = \"1200ms\"\nelsewhere = { ulimit.nofile = 4096 }\n\
                   [[change]]\nat = \"2200ms\"\nset = { ulimit.nofile = 4096 }\n";
    let run = Run::of(&full("3s", changes), &[]);
    let record = run.record();
    let given: Vec<&str> = record.turned.iter().filter_map(|turned| turned.given.as_deref()).collect();
    assert_eq!(given, ["4096 in the shell, 64:4096 in the target", "4096"], "{}", run.stderr());
    assert!(record.turned.iter().all(|turned| turned.done_ns.is_some_and(|done| done >= turned.due_ns)));
    let took: Vec<_> = judge::judge(&record).changes.iter().map(|effect| effect.took).collect();
    assert_eq!(took, [Some(Took::NotYet), Some(Took::Live)], "{:?}", record.probe.samples);
    assert!(record.lives.is_empty(), "nothing could have restarted it");
}

#[test]
fn a_new_somaxconn_reaches_a_live_listener_only_when_it_listens_again() {
    if !sandbox_allowed() {
        return;
    }
    let changes = "[[change]]\nat = \"500ms\"\nset = { sysctl.\"net.core.somaxconn\" = 77 }\n\
                   [[change]]\nat = \"1s\"\nrelisten = true\n\
                   [[change]]\nat = \"1500ms\"\nset = { target.backlog = 33 }\n\
                   [[change]]\nat = \"2s\"\nrestart = true\n";
    let run = Run::of(&full("2500ms", changes), &[]);
    let record = run.record();
    assert!(record.turned.iter().all(|turned| turned.error.is_none()), "{:?}", record.turned);
    let listener = record.evidence.server.listeners.values().next().expect("a listener");
    let limits: Vec<u64> = listener.limit.points.iter().map(|&(_, limit)| limit).collect();
    assert_eq!(limits, [4_096, 77, 33], "{:?}", record.turned);
    let at = |index: usize| listener.limit.points[index].0;
    assert!(at(1) >= record.turned[1].done_ns.unwrap(), "not before listen() was called again");
    assert_eq!(record.lives.len(), 2);
    assert_eq!(record.lives[0].end.as_ref().map(|end| end.why), Some(LifeEndWhy::Change));
}

#[test]
fn a_server_that_meets_its_limit_is_restarted_again_and_again_with_growing_pauses() {
    if !sandbox_allowed() {
        return;
    }
    let kubelet = "[restart]\npolicy = \"kubelet\"\nback-off = \"200ms\"\nback-off-cap = \"400ms\"\ngrace = \"1s\"\n";
    let run = Run::of(&full("6s", kubelet), &[]);
    let record = run.record();
    let told = judge::judge(&record).restarts.expect("the kubelet acts");
    assert!(told.restarts >= 3 && told.settles == Some(false), "{told:?}");
    assert_eq!(run.status(), Some(0), "a loop is a finding: {}", run.stderr());
    for pair in record.lives.windows(2) {
        let end = pair[0].end.as_ref().expect("it ended");
        assert_eq!(end.why, LifeEndWhy::Liveness);
        let gone_ns = end.gone_ns.expect("it was gone");
        assert!(pair[1].started_ns >= gone_ns, "two lives at once");
        // Nobody asks between the decision and the next life.
        let asked = |ns: u64| ns > end.decided_ns + 50_000_000 && pair[1].listening_ns.is_none_or(|next| ns < next);
        assert!(!record.probe.samples.iter().any(|sample| asked(sample.started_ns)), "{:?}", record.lives);
    }
    let pauses: Vec<u64> = told.lives.iter().skip(1).map(|life| life.paused_ns / 1_000_000).collect();
    assert!(pauses[0] < 200 && pauses[1] >= 200 && pauses[2] >= 400, "{pauses:?}");
    let target = record.evidence.processes.iter().filter(|p| p.role == brimful::evidence::record::Role::Target);
    assert_eq!(target.count(), 1, "one series over all lives");
}

#[test]
fn a_slow_start_is_killed_by_liveness_and_given_its_time_by_a_startup_probe() {
    if !sandbox_allowed() {
        return;
    }
    let text = "question = \"?\"\n[target]\naccept-pause = { first = \"0s\", every = \"1h\", length = \"1500ms\" }\n\
                [load]\nconnections = 1\nramp = \"100ms\"\nhold = \"4s\"\n[probe]\nperiod = \"200ms\"\ntimeout = \"200ms\"\n\
                [matrix.ulimit]\nnofile = [256]\n[restart]\npolicy = \"kubelet\"\nback-off = \"100ms\"\nback-off-cap = \"200ms\"\n";
    let looping = Run::of(text, &[]).record();
    assert!(
        looping.lives.len() >= 3 && looping.probe.samples.iter().all(|s| !s.outcome.passed()),
        "{:?}",
        looping.lives
    );
    let cured = format!(
        "{text}[restart.startup-probe]\nperiod = \"200ms\"\ntimeout = \"200ms\"\nfailure-threshold = 20\n\
                         [restart.readiness-probe]\nperiod = \"200ms\"\ntimeout = \"200ms\"\n"
    );
    let record = Run::of(&cured, &[]).record();
    let [life] = &record.lives[..] else { panic!("{:?}", record.lives) };
    let up_ns = life.up_ns.expect("it came up");
    assert!(up_ns >= 1_500_000_000, "{up_ns}");
    assert!(record.probe.samples.iter().all(|s| s.outcome.passed() && s.started_ns >= up_ns), "liveness waits");
    assert!(record.startup.is_some_and(|startup| startup.samples.iter().filter(|s| s.outcome.passed()).count() == 1));
    assert_eq!(life.ready.first().map(|&(at, now)| (at >= up_ns, now)), Some((true, true)));
}
