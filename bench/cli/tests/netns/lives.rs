//! What is turned under a running server, and a server that is restarted, on a real kernel.

use brimful_evidence::record::LifeEndWhy;
use brimful_plan::expect::Took;

use super::support::{BRIMFUL, Run, sandbox_allowed};

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
    let took: Vec<_> = brimful_judge::judge(&record).changes.iter().map(|effect| effect.took).collect();
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
    // A life of more than two caps would begin afresh.
    let kubelet = "[restart]\npolicy = \"kubelet\"\nback-off = \"200ms\"\nback-off-cap = \"2s\"\ngrace = \"1s\"\n";
    let run = Run::of(&full("6s", kubelet), &[]);
    let record = run.record();
    let told = brimful_judge::judge(&record).restarts.expect("the kubelet acts");
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
    let target = record.evidence.processes.iter().filter(|p| p.role == brimful_evidence::record::Role::Target);
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

#[test]
fn who_is_killed_stays_dead_until_a_restart_and_is_started_at_once_by_a_kubelet() {
    if !sandbox_allowed() {
        return;
    }
    let kill = "[[change]]\nat = \"800ms\"\nkill = true\n";
    let restart = "[[change]]\nat = \"1600ms\"\nrestart = true\n";
    let kubelet = "[restart]\npolicy = \"kubelet\"\nback-off = \"200ms\"\ngrace = \"1s\"\n";
    for (more, dead_for_ms) in [(format!("{kill}{restart}"), 700..2_000), (format!("{kill}{kubelet}"), 0..500)] {
        let text = full("2300ms", &more).replace("connections = 80", "connections = 20");
        let run = Run::of(&text, &[]);
        let record = run.record();
        assert!(record.turned.iter().all(|turned| turned.error.is_none()), "{:?} {}", record.turned, run.stderr());
        let [first, second] = &record.lives[..] else { panic!("{:?}", record.lives) };
        let end = first.end.as_ref().expect("it was killed");
        assert_eq!((end.why, end.killed, end.how.as_str()), (LifeEndWhy::Killed, true, "signal 9"));
        let dead_ms = (second.started_ns - end.gone_ns.expect("it was gone")) / 1_000_000;
        assert!(dead_for_ms.contains(&dead_ms), "{dead_ms} ms: {:?}", record.lives);
        assert!(second.end.is_none() && second.listening_ns.is_some());
        let last = record.probe.samples.last().expect("somebody asked");
        assert!(last.outcome.passed(), "{last:?}");
    }
}

/// A stranger behind a shell, with 64 descriptors for 80 clients that come back.
fn stranger(shell: &str, more: &str) -> String {
    let target = format!(
        "[target]\nkind = \"command\"\nargv = [\"sh\", \"-c\", {shell:?}, {BRIMFUL:?}]\nlisten = \"127.0.0.1:8080\"\n\
         start-timeout = \"15s\"\nbacklog = 300\n"
    );
    full("HOLD", more).replace("[target]\non-emfile = \"sleep\"\n", &target).replace("HOLD", "6s")
}

const BEHIND_A_SHELL: &str = "\"$0\" serve --listen {{listen}} --backlog {{backlog}} --on-emfile sleep & wait";

#[test]
fn a_command_is_restarted_with_all_that_it_has_started() {
    if !sandbox_allowed() {
        return;
    }
    let kubelet = "[restart]\npolicy = \"kubelet\"\nback-off = \"200ms\"\nback-off-cap = \"400ms\"\ngrace = \"1s\"\n";
    let run = Run::of(&stranger(BEHIND_A_SHELL, kubelet), &[]);
    let record = run.record();
    let verdict = brimful_judge::judge(&record);
    let told = verdict.restarts.expect("the kubelet acts");
    assert!(told.restarts >= 2 && told.settles == Some(false), "{told:?} {}", run.stderr());
    for life in &record.lives[..record.lives.len() - 1] {
        let end = life.end.as_ref().expect("it ended");
        assert_eq!((end.why, end.killed, end.how.as_str()), (LifeEndWhy::Liveness, false, "signal 15"));
    }
    let members = || record.evidence.processes.iter().filter_map(|p| Some((p.member.as_ref()?, &p.descriptors)));
    let servers: Vec<_> = members().filter(|(member, _)| member.name == "brimful").collect();
    assert!(servers.len() > told.restarts as usize, "each life has a server of its own: {}", servers.len());
    assert!(servers.iter().all(|(_, open)| open.max <= 64), "one series is one process");
    // The last one may live; what the others had open they have no more.
    assert!(servers[..servers.len() - 1].iter().all(|(_, open)| open.last == 0));
    assert_eq!(verdict.cause, Some(brimful_plan::expect::CauseName::FdLimit), "{:?}", verdict.proof);
}

#[test]
fn a_command_that_does_not_listen_to_its_signal_is_killed_after_its_grace() {
    if !sandbox_allowed() {
        return;
    }
    let shell = format!("trap '' TERM; {BEHIND_A_SHELL}; while :; do wait; sleep 1; done");
    let run = Run::of(&stranger(&shell, "[[change]]\nat = \"1s\"\nrestart = true\n"), &[]);
    // Without a kubelet its grace is the kubelet's own, longer than the cell: it is not waited for.
    assert_eq!(run.record().lives[0].end.as_ref().map(|end| end.gone_ns), Some(None), "{}", run.stderr());
    let kubelet = "[restart]\npolicy = \"kubelet\"\nback-off = \"100ms\"\ngrace = \"700ms\"\n";
    let record = Run::of(&stranger(&shell, kubelet), &[]).record();
    let end = record.lives[0].end.as_ref().expect("it ended");
    let took_ms = (end.gone_ns.expect("it is gone") - end.decided_ns) / 1_000_000;
    assert!(end.killed && took_ms >= 700, "{took_ms} ms: {end:?}");
    assert!(record.lives.len() > 1, "{:?}", record.lives);
}

#[test]
fn a_commands_limit_and_its_listener_are_changed_from_outside() {
    if !sandbox_allowed() {
        return;
    }
    let changes = "[[change]]\nat = \"1200ms\"\nset = { ulimit.nofile = 4096 }\n\
                   [[change]]\nat = \"2200ms\"\nset = { target.backlog = 77 }\n\
                   [[change]]\nat = \"2400ms\"\nrelisten = true\n\
                   [[change]]\nat = \"3s\"\nset = { target.backlog = 33 }\n\
                   [[change]]\nat = \"3200ms\"\nrestart = true\n";
    let run = Run::of(&stranger(BEHIND_A_SHELL, changes), &[]);
    let record = run.record();
    assert!(record.turned.iter().all(|turned| turned.error.is_none()), "{:?} {}", record.turned, run.stderr());
    assert_eq!(record.turned[0].given.as_deref(), Some("4096"));
    let took: Vec<_> = brimful_judge::judge(&record).changes.iter().map(|effect| effect.took).collect();
    assert_eq!(took[0], Some(Took::Live), "{:?}", record.probe.samples);
    let listener = record.evidence.server.listeners.values().next().expect("a listener");
    let limits: Vec<u64> = listener.limit.points.iter().map(|&(_, limit)| limit).collect();
    assert_eq!(limits, [300, 77, 33], "{:?}", record.turned);
    assert_eq!(record.lives.len(), 2);
}
