//! What a kubelet did to containers, read from what `kubectl` prints: restarts, how they ended, and the probes that failed before. Pure.
//!
//! Three forms are told apart by themselves: JSON of pods (`kubectl get pods -o json`), the description of pods (`kubectl describe pod`), and
//! a table of events (`kubectl get events`, wide or not). Text is read by its words and not by its columns, because what is pasted has lost
//! them. A line that says nothing of restarts or probes is passed over.

mod describe;
mod events;
mod pods;

use std::io::{self, Read};

use jiff::Timestamp;

/// The most that is read, in bytes: the pods of a large cluster are some megabytes of JSON.
pub const BYTES_MOST: u64 = 32 << 20;

/// Everything that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Containers whose restarts are known.
    pub containers: Vec<Container>,
    /// What the kubelet said of probes and kills, in the order of the text.
    pub events: Vec<Event>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The pod's name.
    pub pod: String,
    /// Its own name.
    pub name: String,
    /// How often the kubelet has started it again.
    pub restarts: u64,
    /// How it ended last; `None` where it never did, or the text does not say.
    pub last: Option<Ended>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// In the kubelet's word: `Error`, `OOMKilled`, `Completed`.
    pub reason: String,
    /// Its exit status; 137 is SIGKILL, 143 SIGTERM.
    pub exit_code: Option<i64>,
    /// When it had been started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Ended {
    /// How long it ran, in seconds; the kubelet keeps whole ones.
    #[must_use]
    pub fn ran_s(&self) -> Option<i64> {
        Some(self.finished?.duration_since(self.started?).as_secs())
    }
}

/// What the kubelet said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of which pod; `None` where the text does not say.
    pub pod: Option<String>,
    /// What it is about.
    pub about: About,
    /// How often, at least 1.
    pub times: u64,
    /// In its words.
    pub message: String,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A liveness probe failed.
    Liveness,
    /// A readiness probe failed.
    Readiness,
    /// A startup probe failed.
    Startup,
    /// The container is ended because of its liveness or startup probe.
    Killing,
    /// It is not started again yet, because it ended too often.
    BackOff,
}

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// It cannot be had.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is too long.
    #[error("it has more than {BYTES_MOST} bytes")]
    TooLong,
    /// JSON of something else, or none.
    #[error("it begins like JSON and is none of pods or events: {0}")]
    Json(String),
    /// None of the three forms.
    #[error("it is neither JSON of pods nor a description of pods nor a table of events")]
    Unknown,
}

/// Reads one text.
///
/// # Errors
/// A [`KubeError`], when it is none of the three forms.
pub fn read(reader: impl Read) -> Result<Seen, KubeError> {
    let mut bytes = Vec::new();
    reader.take(BYTES_MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MOST {
        return Err(KubeError::TooLong);
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.trim_start().starts_with(['{', '[']) {
        return pods::read(&text);
    }
    let mut seen = describe::read(&text);
    seen.events.extend(events::read(&text));
    let known = !seen.containers.is_empty() || !seen.events.is_empty() || events::is_table(&text);
    if known { Ok(seen) } else { Err(KubeError::Unknown) }
}

impl Seen {
    /// Adds what another text says. Of a container that both speak of, the one with more restarts is the later one.
    pub fn merge(&mut self, other: Self) {
        for container in other.containers {
            let same = |known: &&mut Container| known.pod == container.pod && known.name == container.name;
            match self.containers.iter_mut().find(same) {
                Some(known) if known.restarts > container.restarts => {}
                Some(known) if known.restarts == container.restarts => {
                    known.last = known.last.take().or(container.last)
                }
                Some(known) => *known = container,
                None => self.containers.push(container),
            }
        }
        for event in other.events {
            // The same event from two texts is one.
            if !self.events.contains(&event) {
                self.events.push(event);
            }
        }
    }
}

#[cfg(test)]
mod tests;
