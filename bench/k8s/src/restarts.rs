//! Restarts that a kubelet made, beside those that brimful's own probe foretold. Pure.
//!
//! The two are set side by side and not weighed: they were measured by other clocks, and often on other machines.

use brimful_evidence::kube::{About, Container, Event, Seen};
use brimful_judge::wording::{count, counted};

/// A restart that was foretold, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Foretold {
    /// By what: a cell of a report, a probe's log.
    pub by: String,
    /// When liveness would have restarted the container, in seconds from the first probe; `None` when it would not.
    pub restart_at_s: Option<f64>,
}

/// Kinds of messages shown of one pod, at most.
const MESSAGES_MOST: usize = 6;

/// Both as text.
#[must_use]
pub fn text(seen: &Seen, foretold: &[Foretold]) -> String {
    let mut lines = Vec::new();
    let restarted: Vec<&Container> = seen.containers.iter().filter(|container| container.restarts > 0).collect();
    let killed: u64 = seen.events.iter().filter(|event| event.about == About::Killing).map(|event| event.times).sum();
    if !seen.containers.is_empty() {
        lines.push(format!(
            "{} of {} was started again by the kubelet",
            restarted.len(),
            counted(seen.containers.len() as u64, "container")
        ));
    } else if killed > 0 {
        lines.push(format!("the kubelet ended a container for its probe {}", times(killed)));
    } else {
        lines.push("the events speak of no container that was ended for its probe".to_owned());
    }
    for container in &restarted {
        lines.push(String::new());
        lines.push(container_line(container));
        lines.extend(of_pod(seen, Some(&container.pod)));
    }
    let told: Vec<&str> = restarted.iter().map(|container| container.pod.as_str()).collect();
    let mut others: Vec<Option<&str>> = seen.events.iter().map(|event| event.pod.as_deref()).collect();
    others.retain(|pod| pod.is_none_or(|pod| !told.contains(&pod)));
    others.sort_unstable();
    others.dedup();
    for pod in others {
        lines.push(String::new());
        lines.push(format!("pod {}", pod.unwrap_or("not named")));
        lines.extend(of_pod(seen, pod));
    }
    if !foretold.is_empty() {
        lines.push(String::new());
        lines.push("foretold by brimful's probe, from its first probe on".to_owned());
        lines.extend(foretold.iter().map(|foretold| match foretold.restart_at_s {
            Some(at) => format!("  {}: a restart after {at:.1} s", foretold.by),
            None => format!("  {}: no restart", foretold.by),
        }));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn container_line(container: &Container) -> String {
    let mut line =
        format!("pod {}, container {}: restarted {}", container.pod, container.name, times(container.restarts));
    if let Some(last) = &container.last {
        line.push_str(&format!("; ended last as {}", last.reason));
        if let Some(code) = last.exit_code {
            line.push_str(&format!(" (status {code})"));
        }
        if let Some(ran) = last.ran_s() {
            line.push_str(&format!(" after {ran} s"));
        }
        if last.reason == "OOMKilled" {
            line.push_str(": for its memory, not for a probe");
        }
    }
    line
}

/// The events of a pod, those that are alike as one.
fn of_pod(seen: &Seen, pod: Option<&str>) -> Vec<String> {
    let mut kinds: Vec<(&Event, u64)> = Vec::new();
    for event in seen.events.iter().filter(|event| event.pod.as_deref() == pod) {
        match kinds.iter_mut().find(|(known, _)| known.message == event.message) {
            Some((_, times)) => *times += event.times,
            None => kinds.push((event, event.times)),
        }
    }
    let mut lines: Vec<String> = kinds
        .iter()
        .take(MESSAGES_MOST)
        .map(|(event, times)| format!("  {:>7}  {}", format!("{}×", count(*times)), event.message))
        .collect();
    if kinds.len() > MESSAGES_MOST {
        lines.push(format!("           and {} more kinds of events", kinds.len() - MESSAGES_MOST));
    }
    if lines.is_empty() {
        lines.push("           no event of it is known; events are kept for an hour".to_owned());
    }
    lines
}

fn times(n: u64) -> String {
    if n == 1 { "once".to_owned() } else { format!("{} times", count(n)) }
}

#[cfg(test)]
mod tests {
    use brimful_evidence::kube;

    use super::*;

    fn fixture(name: &str) -> Seen {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../evidence/tests/fixtures/kube/");
        kube::read(std::fs::File::open(format!("{root}{name}")).unwrap()).unwrap()
    }

    #[test]
    fn a_restart_stands_beside_what_was_foretold() {
        let mut seen = fixture("pods-by-hand.json");
        seen.merge(fixture("events-wide-by-hand.txt"));
        let foretold = [
            Foretold { by: "cell nofile=64".to_owned(), restart_at_s: Some(3.98) },
            Foretold { by: "cell nofile=1024".to_owned(), restart_at_s: None },
        ];
        assert_eq!(
            text(&seen, &foretold),
            "1 of 2 containers was started again by the kubelet\n\
             \n\
             pod target-6d9c7b8f5d-x2x8k, container target: restarted 3 times; ended last as Error (status 143) after 4 s\n\
             \x20      9×  Liveness probe failed: dial tcp 10.244.1.4:8080: i/o timeout\n\
             \x20      3×  Container target failed liveness probe, will be restarted\n\
             \n\
             foretold by brimful's probe, from its first probe on\n\
             \x20 cell nofile=64: a restart after 4.0 s\n\
             \x20 cell nofile=1024: no restart\n"
        );
    }

    #[test]
    fn events_alone_and_none_at_all_say_what_they_can() {
        let alone = text(&fixture("events-by-hand.txt"), &[]);
        assert!(alone.starts_with("the kubelet ended a container for its probe once\n\npod target-"), "{alone}");
        assert!(alone.contains("1×  Back-off restarting failed container"), "{alone}");
        assert_eq!(text(&Seen::default(), &[]), "the events speak of no container that was ended for its probe\n");
        let pods = text(&fixture("pods-by-hand.json"), &[]);
        assert!(pods.contains("no event of it is known"), "{pods}");
    }
}
