//! Where the answer to a request ends: a reader of HTTP/1 that keeps nothing but where it stands. Pure.
//!
//! It is fed whatever a `recv(2)` brought, in pieces of any size, and owns no buffer, so that a connection that waits for
//! its answer costs what an idle one costs. It knows the status and `Content-Length`; an answer without that ends with its
//! head, as a 204 does, and what follows of a chunked one is taken for nothing that anybody asked for.

/// The field that says how long the body is, with its colon and in lower case.
const LENGTH: &[u8] = b"content-length:";

/// How far the answer to one request was read: 12 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Of the body: announced while the head is read, to come after that.
    left: u32,
    status: u16,
    /// Digits of the status, then characters of the present line that were as in [`LENGTH`].
    matched: u8,
    at: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In the version, before the first blank.
    #[default]
    Version,
    /// In the three digits after it.
    Status,
    /// In the rest of a line that does not matter.
    Rest,
    /// At or in the name of a field.
    Field,
    /// In the value of the length.
    Length,
    /// Behind the head.
    Body,
}

/// What came of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// There is more to come.
    More,
    /// The answer is complete, with this status (0 where it had none that could be read), after so many of the bytes.
    Done(u16, usize),
}

impl Answer {
    /// Reads on. Never panics, whatever the bytes are; after [`Fed::Done`] it begins anew.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            if self.at == Place::Body {
                let body = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u32::try_from(body).unwrap_or(self.left);
                used += body;
            } else if let Some(&byte) = rest.first() {
                self.head(byte);
                used += 1;
            }
            if self.at == Place::Body && self.left == 0 {
                let status = self.status;
                *self = Self::default();
                return Fed::Done(status, used);
            }
        }
        Fed::More
    }

    fn head(&mut self, byte: u8) {
        match (self.at, byte) {
            // An empty line ends the head; a bare line feed ends a line too (RFC 9112, 2.2).
            (Place::Field, b'\n') if self.matched == 0 => self.at = Place::Body,
            (Place::Field, b'\r') => {}
            (_, b'\n') => (self.at, self.matched) = (Place::Field, 0),
            (Place::Version, b' ') => (self.at, self.matched) = (Place::Status, 0),
            (Place::Status, b'0'..=b'9') if self.matched < 3 => {
                self.status = self.status * 10 + u16::from(byte - b'0');
                self.matched += 1;
            }
            (Place::Status, _) => self.at = Place::Rest,
            (Place::Field, _) if LENGTH.get(usize::from(self.matched)) == Some(&byte.to_ascii_lowercase()) => {
                self.matched += 1;
                if usize::from(self.matched) == LENGTH.len() {
                    (self.at, self.left) = (Place::Length, 0);
                }
            }
            (Place::Field, _) => self.at = Place::Rest,
            (Place::Length, b'0'..=b'9') => {
                self.left = self.left.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
            }
            (Place::Version | Place::Rest | Place::Length | Place::Body, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds an answer in pieces that end at `cuts`, and returns what the last piece that mattered said, and how many bytes it took in all.
    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> (Fed, usize) {
        let mut answer = Answer::default();
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            match answer.feed(&bytes[from..to.max(from)]) {
                Fed::More => from = to.max(from),
                Fed::Done(status, used) => return (Fed::Done(status, used), from + used),
            }
        }
        (Fed::More, from)
    }

    #[test]
    fn answers_and_their_ends() {
        for (text, status, length) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", 200, 41),
            ("HTTP/1.1 200 OK\r\nA: b\r\nCONTENT-LENGTH:  3\r\nB: c\r\n\r\nok\nHTTP/1.1", 200, 54),
            ("HTTP/1.0 404 Not Found\n\nnot read", 404, 24),
            ("HTTP/1.1 204\r\n\r\n", 204, 16),
            ("HTTP/1.1 503 content-length: 9\r\n\r\n", 503, 34),
            ("HTTP/1.1 200 OK\r\nX-Content-Length: 9\r\nContent-Length: 0\r\n\r\n", 200, 59),
            ("nonsense\r\n\r\n", 0, 12),
        ] {
            assert!(
                matches!(in_pieces(text.as_bytes(), &[]), (Fed::Done(said, _), used) if (said, used) == (status, length)),
                "{text:?}: {:?}",
                in_pieces(text.as_bytes(), &[])
            );
        }
        assert_eq!(in_pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", &[]).0, Fed::More);
    }

    proptest! {
        #[test]
        fn how_it_is_cut_does_not_matter(body in 0_usize..200, more in 0_usize..50, mut cuts in proptest::collection::vec(0_usize..300, 0..12)) {
            let head = format!("HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: {body}\r\nConnection: keep-alive\r\n\r\n");
            let end = head.len() + body;
            let bytes = [head.as_bytes(), &vec![b'\n'; body], &vec![b'H'; more]].concat();
            cuts.retain(|&cut| cut <= bytes.len());
            cuts.sort_unstable();
            let (fed, used) = in_pieces(&bytes, &cuts);
            prop_assert!(matches!(fed, Fed::Done(200, _)));
            prop_assert_eq!(used, end);
        }

        #[test]
        fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut answer = Answer::default();
            let mut from = 0;
            while let Fed::Done(_, used) = answer.feed(&bytes[from..]) {
                prop_assert!(used > 0);
                from += used;
            }
        }
    }

    #[test]
    fn an_answer_costs_twelve_bytes() {
        assert!(size_of::<Answer>() <= 12);
    }
}
