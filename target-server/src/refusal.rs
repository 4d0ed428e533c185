//! What a failing `accept4` means and how long to wait after it: decisions without a clock or a socket.

use std::time::Duration;

use rustix::io::Errno;

/// First wait of a back-off; the number of Go's `net/http` (`Server.Serve`, `tempDelay = 5 * time.Millisecond`).
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// Longest wait of a back-off; Go's again (`max := 1 * time.Second`).
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What kind of failure `accept4` reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No descriptor (`EMFILE`) or no open file (`ENFILE`) is left; the queue is untouched, and may even be empty.
    Exhausted,
    /// This one connection died in the queue, or a signal came: the next one may do (`accept(2)`, "Error handling").
    Transient,
    /// Anything else. It may last, so that trying again at once could spin for ever.
    Lasting,
}

/// Sorts an errno of `accept4`. `EAGAIN` is no failure and is not asked about.
pub(crate) fn classify(errno: Errno) -> Refusal {
    match errno {
        Errno::MFILE | Errno::NFILE => Refusal::Exhausted,
        Errno::CONNABORTED
        | Errno::INTR
        | Errno::PROTO
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::HOSTUNREACH
        | Errno::NETDOWN
        | Errno::NETUNREACH
        | Errno::NONET
        | Errno::TIMEDOUT => Refusal::Transient,
        _ => Refusal::Lasting,
    }
}

/// The waits between failing accepts: 5 ms, doubling up to 1 s, from the beginning again after a success.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.last.map_or(FIRST_WAIT, |last| (last * 2).min(LONGEST_WAIT));
        self.last = Some(wait);
        wait
    }

    /// An accept succeeded: the next wait is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second_and_begin_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST_WAIT);
    }

    #[test]
    fn only_the_two_limits_are_exhaustion() {
        assert_eq!(classify(Errno::MFILE), Refusal::Exhausted);
        assert_eq!(classify(Errno::NFILE), Refusal::Exhausted);
        assert_eq!(classify(Errno::CONNABORTED), Refusal::Transient);
        assert_eq!(classify(Errno::NOMEM), Refusal::Lasting);
        assert_eq!(classify(Errno::INVAL), Refusal::Lasting);
    }
}
