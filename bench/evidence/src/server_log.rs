//! What a command writes to its standard output and error, gathered message by message: a server at its limit says the same thing
//! thousands of times. Pure.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The most different messages kept; lines beyond are counted.
const MESSAGES_MOST: usize = 48;
/// The longest text of a message kept, in bytes.
const TEXT_MOST: usize = 240;

/// One message: lines that differ in their digits only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The first of the lines.
    pub text: String,
    /// How many there were.
    pub lines: u64,
    /// When the first was read, in nanoseconds since the start of the cell; 0 for before.
    pub first_ns: u64,
    /// When the last was.
    pub last_ns: u64,
}

/// Everything a command wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// The messages, in the order in which each was first read.
    pub messages: Vec<Message>,
    /// All lines.
    pub lines: u64,
    /// Lines whose message found no place among [`Words::messages`].
    pub unkept: u64,
}

impl Words {
    /// The messages that have one of these texts in them, whatever the case.
    pub fn saying<'w>(&'w self, texts: &'w [&str]) -> impl Iterator<Item = &'w Message> {
        self.messages.iter().filter(move |message| {
            let text = message.text.to_lowercase();
            texts.iter().any(|wanted| text.contains(&wanted.to_lowercase()))
        })
    }

    /// Takes in what the next process of the same command wrote: the same message goes on.
    pub fn followed_by(&mut self, next: Self) {
        self.lines += next.lines;
        self.unkept += next.unkept;
        for message in next.messages {
            let key = without_digits(&message.text);
            let room = self.messages.len() < MESSAGES_MOST;
            match self.messages.iter_mut().find(|known| without_digits(&known.text) == key) {
                Some(known) => {
                    known.lines += message.lines;
                    known.last_ns = message.last_ns;
                }
                None if room => self.messages.push(message),
                None => self.unkept += message.lines,
            }
        }
    }
}

/// Gathers lines as they come.
#[derive(Debug, Default)]
pub struct Listener {
    words: Words,
    known: HashMap<String, usize>,
}

impl Listener {
    /// One line, at an instant of the caller's clock; the clock of all lines is the same.
    pub fn hear(&mut self, at_ns: u64, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let words = &mut self.words;
        words.lines += 1;
        let key = without_digits(line);
        if let Some(message) = self.known.get(&key).and_then(|&index| words.messages.get_mut(index)) {
            message.lines += 1;
            message.last_ns = at_ns;
        } else if words.messages.len() < MESSAGES_MOST {
            self.known.insert(key, words.messages.len());
            let text = line[..line.floor_char_boundary(TEXT_MOST)].to_owned();
            words.messages.push(Message { text, lines: 1, first_ns: at_ns, last_ns: at_ns });
        } else {
            words.unkept += 1;
        }
    }

    /// What was heard, counted from an instant of the same clock.
    #[must_use]
    pub fn since(mut self, t0_ns: u64) -> Words {
        for message in &mut self.words.messages {
            message.first_ns = message.first_ns.saturating_sub(t0_ns);
            message.last_ns = message.last_ns.saturating_sub(t0_ns);
        }
        self.words
    }
}

/// A line with each number in it made alike, as far as it is kept.
fn without_digits(line: &str) -> String {
    let mut key = String::with_capacity(line.len().min(TEXT_MOST));
    for c in line.chars().take(TEXT_MOST) {
        match (c.is_ascii_digit(), key.ends_with('#')) {
            (true, true) => {}
            (true, false) => key.push('#'),
            (false, _) => key.push(c),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_goes_on_with_the_same_messages() {
        let heard = |from: u64, lines: &[&str]| {
            let mut listener = Listener::default();
            lines.iter().zip(from..).for_each(|(line, at)| listener.hear(at, line));
            listener.since(0)
        };
        let mut words = heard(1, &["started as 17", "full"]);
        words.followed_by(heard(10, &["started as 18", "bye"]));
        let said: Vec<_> = words.messages.iter().map(|m| (m.text.as_str(), m.lines, m.first_ns, m.last_ns)).collect();
        assert_eq!(said, [("started as 17", 2, 1, 10), ("full", 1, 2, 2), ("bye", 1, 11, 11)]);
        assert_eq!((words.lines, words.unkept), (4, 0));
    }

    #[test]
    fn lines_that_differ_in_their_numbers_are_one_message() {
        let mut listener = Listener::default();
        for (at, line) in [
            (5, "2026/11/26 11:00:01 [crit] 17#17: accept4() failed (24: Too many open files)\n"),
            (10, "2026/11/26 11:00:02 [crit] 18#18: accept4() failed (24: Too many open files)\n"),
            (12, ""),
            (40, "bye"),
        ] {
            listener.hear(at, line);
        }
        let words = listener.since(10);
        assert_eq!((words.lines, words.messages.len(), words.unkept), (3, 2, 0));
        let first = &words.messages[0];
        assert_eq!((first.lines, first.first_ns, first.last_ns), (2, 0, 0));
        assert!(first.text.ends_with("files)"));
        assert_eq!(words.messages[1].first_ns, 30);
        assert_eq!(words.saying(&["too many OPEN files"]).count(), 1);
    }

    #[test]
    fn what_is_kept_has_a_bound_and_the_rest_is_counted() {
        let mut listener = Listener::default();
        for i in 0..200_u32 {
            let name: String = std::iter::repeat_n(char::from_u32(0x4e00 + i).unwrap(), 900).collect();
            listener.hear(0, &name);
        }
        let words = listener.since(0);
        assert_eq!((words.lines, words.messages.len(), words.unkept), (200, MESSAGES_MOST, 152));
        assert!(words.messages.iter().all(|message| message.text.len() <= TEXT_MOST));
    }
}
