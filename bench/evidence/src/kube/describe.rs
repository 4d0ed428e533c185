//! `kubectl describe pod`: the part before its events. Keys are told by their words and containers by what stands beneath them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::{Container, Ended, Seen};

pub(super) fn read(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut pod = String::new();
    let mut name = String::new();
    let mut part = Part::Other;
    let mut last: Option<Ended> = None;
    for line in text.lines() {
        let (key, value) = line.trim().split_once(':').map_or((line.trim(), ""), |(key, value)| (key, value.trim()));
        let indented = line.starts_with([' ', '\t']);
        match (key, part) {
            ("Name", _) if !indented => (pod, part, last) = (value.to_owned(), Part::Other, None),
            ("Containers" | "Init Containers", _) if !indented => part = Part::Containers,
            ("Conditions" | "Volumes" | "Events", _) if !indented => part = Part::Other,
            (_, Part::Other) => {}
            ("State", _) => part = Part::State,
            ("Last State", _) => {
                part = Part::Last;
                last = (value == "Terminated").then(Ended::default);
            }
            ("Restart Count", _) => {
                let restarts = value.parse().unwrap_or(0);
                seen.containers.push(Container { pod: pod.clone(), name: name.clone(), restarts, last: last.take() });
                part = Part::Containers;
            }
            ("Ready", Part::Last | Part::State) => part = Part::Containers,
            (key, Part::Last) => {
                if let Some(ended) = &mut last {
                    take(ended, key, value);
                }
            }
            // A name by itself, no deeper than the containers of the section stand.
            (key, Part::Containers) if value.is_empty() && line.len() - line.trim_start().len() <= 2 => {
                (name, last) = (key.to_owned(), None);
            }
            _ => {}
        }
    }
    seen
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    Containers,
    State,
    Last,
}

fn take(ended: &mut Ended, key: &str, value: &str) {
    match key {
        "Reason" => value.clone_into(&mut ended.reason),
        "Exit Code" => ended.exit_code = value.parse().ok(),
        "Started" => ended.started = instant(value),
        "Finished" => ended.finished = instant(value),
        _ => {}
    }
}

/// `Mon, 23 Nov 2026 12:00:05 +0000`.
fn instant(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}
