//! Lines of tcpdump: which SYNs were seen, and whether any was answered. Pure.

use std::net::SocketAddr;

use super::super::snapshot::symptoms::Captured;
use super::address;

/// Connections that are kept.
const MOST: usize = 10_000;

/// The connections of a capture, in the order of their first SYN.
#[derive(Debug, Default)]
pub(super) struct Capture(Vec<Captured>);

impl Capture {
    /// Takes a line; whether it was one of a capture.
    pub(super) fn line(&mut self, line: &str) -> bool {
        let Some((from, to, flags)) = parse(line) else { return false };
        match flags {
            "S" | "SEW" => self.syn(from, to),
            // An answer goes the other way.
            "S." | "SE." | "S.E" => self.answer(to, from, |seen| seen.answered = true),
            "R" | "R." => self.answer(to, from, |seen| seen.reset = true),
            _ => {}
        }
        true
    }

    fn syn(&mut self, from: SocketAddr, to: SocketAddr) {
        let room = self.0.len() < MOST;
        match self.0.iter_mut().find(|seen| (seen.from, seen.to) == (from, to)) {
            Some(seen) => seen.syns += 1,
            None if room => self.0.push(Captured { from, to, syns: 1, answered: false, reset: false }),
            None => {}
        }
    }

    fn answer(&mut self, from: SocketAddr, to: SocketAddr, mark: impl Fn(&mut Captured)) {
        self.0.iter_mut().filter(|seen| (seen.from, seen.to) == (from, to)).for_each(mark);
    }

    pub(super) fn finish(self) -> Vec<Captured> {
        self.0
    }
}

/// `12:00:01.2 IP 10.0.0.1.51234 > 10.0.0.2.9099: Flags [S], seq 1`.
fn parse(line: &str) -> Option<(SocketAddr, SocketAddr, &str)> {
    let (head, rest) = line.split_once(" > ")?;
    let (to, rest) = rest.split_once(": Flags [")?;
    let (flags, _) = rest.split_once(']')?;
    let from = head.split_ascii_whitespace().next_back()?;
    Some((address::dotted(from)?, address::dotted(to)?, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_that_is_sent_again_is_one_connection() {
        let mut capture = Capture::default();
        for line in [
            "12:00:01.1 IP 10.0.0.1.51234 > 10.0.0.2.9099: Flags [S], seq 1, win 64240, length 0",
            "12:00:02.1 IP 10.0.0.1.51234 > 10.0.0.2.9099: Flags [S], seq 1, win 64240, length 0",
            "12:00:02.2 veth0 In  IP 10.0.0.1.51235 > 10.0.0.2.9099: Flags [S], seq 9, length 0",
            "12:00:02.2 IP 10.0.0.2.9099 > 10.0.0.1.51235: Flags [S.], seq 3, ack 10, length 0",
        ] {
            assert!(capture.line(line), "{line}");
        }
        assert!(!capture.line("3 packets captured"));
        let seen: Vec<_> = capture.finish().iter().map(|c| (c.syns, c.answered, c.reset)).collect();
        assert_eq!(seen, [(2, false, false), (1, true, false)]);
    }
}
