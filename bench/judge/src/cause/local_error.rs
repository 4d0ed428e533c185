//! Probes that the prober could not even send, by what it ran out of. Pure.
//!
//! The errno is known from the probe's message, in the words of Go's `syscall` package: it is what the kubelet's event would say.

use brimful_loadgen_plan::probe::{Outcome, Sample};

/// What the prober ran out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Source ports: `EADDRNOTAVAIL`.
    Ports,
    /// Its own descriptors: `EMFILE`.
    Descriptors,
    /// The host's descriptors: `ENFILE`.
    Files,
    /// Something else, which says nothing but that the experiment did not work.
    Other,
}

/// What this probe lacked; `None` for one that was sent.
pub(super) fn lack(sample: &Sample) -> Option<Lack> {
    if sample.outcome != Outcome::LocalError {
        return None;
    }
    let said = sample.message.to_lowercase();
    Some(if said.contains("cannot assign requested address") {
        Lack::Ports
    } else if said.contains("too many open files in system") {
        Lack::Files
    } else if said.contains("too many open files") {
        Lack::Descriptors
    } else {
        Lack::Other
    })
}

#[cfg(test)]
mod tests {
    use brimful_testing::sample;

    use super::*;

    #[test]
    fn the_errno_is_told_by_its_words() {
        let table = [
            ("dial tcp 127.0.0.1:8080: connect: cannot assign requested address", Lack::Ports),
            ("dial tcp 127.0.0.1:8080: socket: too many open files", Lack::Descriptors),
            ("dial tcp 127.0.0.1:8080: socket: too many open files in system", Lack::Files),
            ("dial tcp 127.0.0.1:8080: socket: cannot allocate memory", Lack::Other),
        ];
        for (message, expected) in table {
            let mut probe = sample(0, Outcome::LocalError);
            probe.message = message.into();
            assert_eq!(lack(&probe), Some(expected), "{message}");
            probe.outcome = Outcome::Reset;
            assert_eq!(lack(&probe), None);
        }
    }
}
