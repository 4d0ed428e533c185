//! Health checks beyond a plain GET: what they see of a healthy server and of one at its limit, in a real sandbox.

use super::support::{Run, sandbox_allowed};
use brimful_loadgen::probe::{Outcome, Sample};

const GRPC: &str = include_str!("../../../scenarios/grpc-health.toml");
const HTTPS: &str = include_str!("../../../scenarios/https-health.toml");
const BLIND: &str = include_str!("../../../scenarios/exec-blind.toml");

/// Every failed probe of a run, having come to its stated truth.
fn failed(text: &str) -> Vec<Sample> {
    let run = Run::of(text, &["--verify"]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let samples = run.records().into_iter().flat_map(|record| record.probe.samples);
    samples.filter(|sample| !sample.outcome.passed()).collect()
}

#[test]
fn grpc_waits_for_the_first_frame_of_a_server_without_descriptors() {
    if !sandbox_allowed() {
        return;
    }
    let failed = failed(GRPC);
    assert!(failed.len() >= 3, "{failed:?}");
    for sample in &failed {
        assert_eq!(sample.outcome, Outcome::ResponseTimeout, "{sample:?}");
        assert!(sample.connect_ns.is_some() && sample.message.contains("failed to connect service"), "{sample:?}");
    }
}

#[test]
fn https_waits_in_the_handshake_of_a_server_without_descriptors() {
    if !sandbox_allowed() {
        return;
    }
    let failed = failed(HTTPS);
    assert!(failed.len() >= 3, "{failed:?}");
    for sample in &failed {
        assert_eq!((sample.outcome, sample.tls_ns), (Outcome::ResponseTimeout, None), "{sample:?}");
        assert!(sample.connect_ns.is_some(), "{sample:?}");
    }
}

#[test]
fn a_command_passes_beside_a_dead_listener_and_the_verdict_says_what_it_did_not_see() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(BLIND, &["--verify"]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let report = run.report().to_string();
    assert!(report.contains("an exec probe passes on what its command finds"), "{report}");
}

#[test]
fn a_command_has_the_targets_limit_and_namespace_and_none_of_its_descriptors() {
    if !sandbox_allowed() {
        return;
    }
    // It fails with what it finds, so that its words are kept: limits, addresses, and descriptors of its own.
    let run = Run::of(
        r#"
        question = "what does a command find?"
        [topology]
        path = "veth"
        [load]
        connections = 1
        ramp = "0s"
        hold = "2s"
        [probe]
        exec = ["sh", "-c", "ulimit -Sn; ulimit -Hn; ls /proc/self/fd | wc -l; cat /proc/net/tcp; exit 7"]
        period = "1s"
        [matrix.ulimit]
        nofile = ["100:200"]
        "#,
        &[],
    );
    let record = run.record();
    let sample = record.probe.samples.first().expect("a probe");
    assert_eq!((sample.outcome, sample.status), (Outcome::BadStatus, Some(7)), "{sample:?}");
    let mut lines = sample.message.lines();
    assert_eq!((lines.next(), lines.next()), (Some("100"), Some("200")), "{sample:?}");
    // Standard input, output and error, and the folder that is listed.
    assert_eq!(lines.next(), Some("4"), "{sample:?}");
    // The server's listener, port 23380, state 0A: it is in this namespace, and in none of the client's.
    assert!(lines.any(|line| line.contains(":5B54 00000000:0000 0A")), "{sample:?}");
}

#[test]
fn a_command_that_fails_is_no_proof_against_the_server() {
    if !sandbox_allowed() {
        return;
    }
    // The server is out of descriptors as well, which an HTTP probe would be failing for.
    let run = Run::of(
        r#"
        question = "is the server to blame for a command that always fails?"
        [target]
        on-emfile = "sleep"
        [load]
        connections = 200
        ramp = "200ms"
        hold = "2s"
        [probe]
        exec = ["false"]
        period = "400ms"
        timeout = "400ms"
        [matrix.ulimit]
        nofile = [64]
        [expect]
        cells = [{ outcome = "failing", cause = "undetermined", must-not-claim = ["fd-limit"] }]
        "#,
        &["--verify"],
    );
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
}
