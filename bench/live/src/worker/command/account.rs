//! What a command wrote: the beginning and the end of it as it was, and all of it message by message. Pure.

use std::collections::VecDeque;

use brimful_evidence::server_log::{Listener, Words};

/// How much of the beginning is kept, and as much of the end, in bytes.
const KEPT: usize = 64 * 1024;
/// The longest line that is one message, in bytes; what goes on is the next one.
const LINE_MOST: usize = 4 * 1024;
/// How much of its last words an error tells, in lines.
const LAST_LINES: usize = 6;

/// Gathers what comes out of a pipe.
#[derive(Debug, Default)]
pub(super) struct Account {
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    left_out: u64,
    line: Vec<u8>,
    listener: Listener,
}

impl Account {
    /// A piece, read at an instant.
    pub(super) fn take(&mut self, at_ns: u64, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.beginning.len()).min(piece.len());
        let (first, rest) = piece.split_at(room);
        self.beginning.extend_from_slice(first);
        self.end.extend(rest);
        let beyond = self.end.len().saturating_sub(KEPT);
        self.end.drain(..beyond);
        self.left_out += beyond as u64;
        for &byte in piece {
            if byte == b'\n' || self.line.len() >= LINE_MOST {
                self.end_line(at_ns);
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self, at_ns: u64) {
        self.listener.hear(at_ns, &String::from_utf8_lossy(&self.line));
        self.line.clear();
    }

    /// The text as it was, with a remark where something is left out.
    fn text(&self) -> String {
        let mut bytes = self.beginning.clone();
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes are left out here]\n", self.left_out).as_bytes());
        }
        bytes.extend(self.end.iter());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines, in one.
    pub(super) fn last_words(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" / ")
    }

    /// Everything, with the messages counted from an instant of the same clock.
    pub(super) fn close(mut self, t0_ns: u64, now_ns: u64) -> (Words, String) {
        self.end_line(now_ns);
        let text = self.text();
        (self.listener.since(t0_ns), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut account = Account::default();
        for (at, piece) in [(10, "hel"), (20, "lo\nwor"), (30, "ld\n\nand")] {
            account.take(at, piece.as_bytes());
        }
        assert_eq!(account.last_words(), "hello / world / and");
        let (words, text) = account.close(5, 40);
        let heard: Vec<_> = words.messages.iter().map(|m| (m.text.as_str(), m.first_ns)).collect();
        assert_eq!(heard, [("hello", 15), ("world", 25), ("and", 35)]);
        assert_eq!(text, "hello\nworld\n\nand");
    }

    #[test]
    fn a_talkative_server_costs_no_more_than_a_bound() {
        let mut account = Account::default();
        account.take(0, b"first\n");
        for i in 0..40_000_u32 {
            account.take(0, format!("accept4: {i} too many open files\n").as_bytes());
        }
        account.take(0, b"last\n");
        let (words, text) = account.close(0, 0);
        assert!(text.len() < 2 * KEPT + 100 && text.starts_with("first\n") && text.ends_with("last\n"));
        assert!(text.contains("bytes are left out here"));
        assert_eq!((words.messages.len(), words.lines, words.messages[1].lines), (3, 40_002, 40_000));
    }
}
