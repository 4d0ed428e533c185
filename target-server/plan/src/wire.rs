//! HTTP/1 as far as a health check needs it: bytes in, a decision and bytes out. No socket here.

/// Longest request head that is read, in bytes: what nginx allots to one line of it (`large_client_header_buffers`, 8k).
pub const HEAD_MAX: usize = 8 * 1_024;
/// Most header fields that are read; as many as hyper takes by default is 100, a kubelet sends five.
const FIELDS_MAX: usize = 100;

/// Longest body that can be asked for, in bytes. Nothing of it is kept in memory here; it bounds how long one answer goes on.
const BYTES_MOST: u64 = 64 * 1_024 * 1_024;

/// Where a server says who may load it, and until when (RFC 8615 keeps `/.well-known/` for such).
pub const CONSENT_PATH: &str = "/.well-known/brimful-consent";

/// What there is to be had.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The path that answers 200.
    pub health_path: String,
    /// The document at [`CONSENT_PATH`]; `None` answers 404 there.
    pub consent: Option<String>,
}

impl Site {
    /// The whole response, head and body, but for the body of [`Answer::Bytes`]. It is HTTP/1.1 for a 1.0 client too (RFC 9110, 2.5), and says what becomes of the connection.
    pub fn render(&self, answer: Answer, keep_alive: bool) -> Vec<u8> {
        let (status, kind, body) = match (answer, &self.consent) {
            (Answer::Consent, Some(document)) => ("200 OK", "application/json", document.as_str()),
            (answer, _) => {
                let (status, body) = answer.parts();
                (status, "text/plain", body)
            }
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let length = body.len() as u64 + answer.more();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// What the bytes received so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The head is not complete yet.
    Partial,
    /// A whole head, or one that will never be.
    Decided(Decision),
}

/// How one request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which answer.
    pub answer: Answer,
    /// Whether the connection goes on afterwards.
    pub keep_alive: bool,
    /// Bytes of the input that this request used up.
    pub consumed: usize,
}

/// The answers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the server is healthy, as far as it is able to say so at all.
    Healthy,
    /// 200 with so many bytes of body, for clients that read slowly (`/bytes/N`).
    Bytes(u64),
    /// 200 with the document of consent, from a site that has one.
    Consent,
    /// 400: not HTTP/1.
    BadRequest,
    /// 404: another path.
    NotFound,
    /// 405: a method other than GET.
    MethodNotAllowed,
    /// 408: the head did not arrive in time.
    TooSlow,
    /// 431: more than [`HEAD_MAX`] bytes or 100 fields.
    HeadTooLarge,
}

impl Answer {
    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Healthy => ("200 OK", "ok\n"),
            Self::Bytes(_) => ("200 OK", ""),
            Self::BadRequest => ("400 Bad Request", "bad request\n"),
            // A site without a document decides for `NotFound` itself.
            Self::Consent | Self::NotFound => ("404 Not Found", "not found\n"),
            Self::MethodNotAllowed => ("405 Method Not Allowed\r\nAllow: GET", "method not allowed\n"),
            Self::TooSlow => ("408 Request Timeout", "request timeout\n"),
            Self::HeadTooLarge => ("431 Request Header Fields Too Large", "request header fields too large\n"),
        }
    }

    /// How many bytes of body follow what [`Site::render`] gives.
    pub const fn more(self) -> u64 {
        if let Self::Bytes(length) = self { length } else { 0 }
    }
}

/// Reads the first request in `bytes` and decides its answer. Never panics, whatever the bytes are.
pub fn read(bytes: &[u8], site: &Site) -> Reading {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => Reading::Partial,
        Ok(httparse::Status::Complete(consumed)) if consumed <= HEAD_MAX => {
            Reading::Decided(decide(&request, consumed, site))
        }
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Reading::Decided(fatal(Answer::HeadTooLarge, bytes)),
        Err(_) => Reading::Decided(fatal(Answer::BadRequest, bytes)),
    }
}

/// An answer after which nothing on the connection can be made sense of.
fn fatal(answer: Answer, bytes: &[u8]) -> Decision {
    Decision { answer, keep_alive: false, consumed: bytes.len() }
}

fn decide(request: &httparse::Request<'_, '_>, consumed: usize, site: &Site) -> Decision {
    let asked = request.path.map(path);
    let answer = match asked {
        _ if request.method != Some("GET") => Answer::MethodNotAllowed,
        Some(asked) if asked == site.health_path => Answer::Healthy,
        Some(CONSENT_PATH) if site.consent.is_some() => Answer::Consent,
        asked => asked.and_then(bytes_asked).map_or(Answer::NotFound, Answer::Bytes),
    };
    Decision { answer, keep_alive: keeps_alive(request), consumed }
}

/// The number in `/bytes/N`, up to [`BYTES_MOST`].
fn bytes_asked(path: &str) -> Option<u64> {
    path.strip_prefix("/bytes/")?.parse().ok().filter(|&bytes| bytes <= BYTES_MOST)
}

/// The path of a request target, without query; also of the absolute form that a proxy would get (RFC 9112, 3.2.2).
fn path(target: &str) -> &str {
    let target = target.split_once('?').map_or(target, |(path, _)| path);
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |slash| &rest[slash..]),
        _ => target,
    }
}

/// Whether the connection persists (RFC 9112, 9.3). A body would have to be read past, so a request with one ends the connection.
fn keeps_alive(request: &httparse::Request<'_, '_>) -> bool {
    let mut keep = request.version == Some(1);
    for field in request.headers.iter() {
        let value = field.value.trim_ascii();
        if field.name.eq_ignore_ascii_case("connection") {
            for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    return false;
                }
                keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding")
            || (field.name.eq_ignore_ascii_case("content-length") && value != b"0")
        {
            return false;
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn site() -> Site {
        Site { health_path: "/healthz".to_owned(), consent: None }
    }

    fn decided(text: &str) -> (Answer, bool) {
        match read(text.as_bytes(), &site()) {
            Reading::Decided(decision) => (decision.answer, decision.keep_alive),
            Reading::Partial => panic!("only a part: {text:?}"),
        }
    }

    #[test]
    fn requests_and_their_answers() {
        use Answer::{BadRequest, Healthy, MethodNotAllowed, NotFound};
        for (text, answer, keep_alive) in [
            ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", Healthy, true),
            ("GET /bytes/5 HTTP/1.1\r\n\r\n", Answer::Bytes(5), true),
            ("GET /bytes/67108865 HTTP/1.1\r\n\r\n", NotFound, true),
            ("GET /bytes/-1 HTTP/1.1\r\n\r\n", NotFound, true),
            ("POST /bytes/5 HTTP/1.1\r\n\r\n", MethodNotAllowed, true),
            ("GET /healthz?verbose=1 HTTP/1.1\r\n\r\n", Healthy, true),
            ("GET http://10.0.0.1:80/healthz HTTP/1.1\r\n\r\n", Healthy, true),
            ("GET /healthz HTTP/1.1\nHost: a\n\n", Healthy, true),
            ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", Healthy, false),
            ("GET /healthz HTTP/1.1\r\nconnection: Upgrade, CLOSE\r\n\r\n", Healthy, false),
            ("GET /healthz HTTP/1.0\r\n\r\n", Healthy, false),
            ("GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Healthy, true),
            ("GET /healthz HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Healthy, true),
            ("GET /healthz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", Healthy, false),
            ("GET / HTTP/1.1\r\n\r\n", NotFound, true),
            ("GET /healthz/ HTTP/1.1\r\n\r\n", NotFound, true),
            ("GET /x://a/healthz HTTP/1.1\r\n\r\n", NotFound, true),
            ("GET http://10.0.0.1 HTTP/1.1\r\n\r\n", NotFound, true),
            ("POST /healthz HTTP/1.1\r\n\r\n", MethodNotAllowed, true),
            ("HEAD /healthz HTTP/1.0\r\n\r\n", MethodNotAllowed, false),
            ("GET /healthz HTTP/2.0\r\n\r\n", BadRequest, false),
            ("\x16\x03\x01\x02\0", BadRequest, false),
        ] {
            assert_eq!(decided(text), (answer, keep_alive), "{text:?}");
        }
    }

    #[test]
    fn a_head_that_never_ends_is_refused_and_not_waited_for() {
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_MAX));
        assert_eq!(decided(&endless), (Answer::HeadTooLarge, false));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1));
        assert_eq!(decided(&many), (Answer::HeadTooLarge, false));
    }

    #[test]
    fn every_answer_is_one_that_a_client_can_parse() {
        for answer in [
            Answer::Healthy,
            Answer::BadRequest,
            Answer::NotFound,
            Answer::MethodNotAllowed,
            Answer::TooSlow,
            Answer::HeadTooLarge,
        ] {
            for keep_alive in [true, false] {
                let bytes = site().render(answer, keep_alive);
                let mut fields = [httparse::EMPTY_HEADER; 8];
                let mut response = httparse::Response::new(&mut fields);
                let head = response.parse(&bytes).unwrap().unwrap();
                let field = |name: &str| {
                    let found = response.headers.iter().find(|field| field.name == name);
                    found.map(|field| std::str::from_utf8(field.value).unwrap())
                };
                assert_eq!(response.code == Some(200), answer == Answer::Healthy);
                assert_eq!(field("Content-Length"), Some((bytes.len() - head).to_string().as_str()));
                assert_eq!(field("Connection"), Some(if keep_alive { "keep-alive" } else { "close" }));
            }
        }
    }

    #[test]
    fn consent_is_told_by_a_site_that_has_some() {
        let asked = format!("GET {CONSENT_PATH} HTTP/1.1\r\n\r\n");
        let answer = |site: &Site| match read(asked.as_bytes(), site) {
            Reading::Decided(decision) => String::from_utf8(site.render(decision.answer, true)).unwrap(),
            Reading::Partial => panic!("only a part"),
        };
        assert!(answer(&site()).starts_with("HTTP/1.1 404 "));
        let consenting = Site { consent: Some("{}\n".to_owned()), ..site() };
        let told = answer(&consenting);
        assert!(
            told.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n"),
            "{told}"
        );
        assert!(told.ends_with("\r\n\r\n{}\n"), "{told}");
    }

    const REQUEST: &[u8] =
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\n\r\n";

    proptest! {
        #[test]
        fn arbitrary_bytes_are_partial_or_decided_within_the_input(bytes in prop::collection::vec(any::<u8>(), 0..2 * HEAD_MAX)) {
            match read(&bytes, &site()) {
                Reading::Partial => prop_assert!(bytes.len() < HEAD_MAX),
                Reading::Decided(decision) => prop_assert!((1..=bytes.len()).contains(&decision.consumed)),
            }
        }

        #[test]
        fn a_request_cut_anywhere_waits_and_what_follows_it_is_left_alone(cut in 0..REQUEST.len(), rest in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(read(&REQUEST[..cut], &site()), Reading::Partial);
            let all = [REQUEST, &rest].concat();
            let whole = Decision { answer: Answer::Healthy, keep_alive: true, consumed: REQUEST.len() };
            prop_assert_eq!(read(&all, &site()), Reading::Decided(whole));
        }

        #[test]
        fn any_field_of_text_keeps_the_answer(name in "[a-z]{1,12}-x", value in "[ -~]{0,40}") {
            let text = format!("GET /healthz HTTP/1.1\r\n{name}: {value}\r\n\r\n");
            prop_assert_eq!(decided(&text), (Answer::Healthy, true));
        }
    }
}
