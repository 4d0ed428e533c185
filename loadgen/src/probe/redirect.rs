//! Where a redirect leads, and whether the kubelet follows it. Pure.
//!
//! `RedirectChecker` in `pkg/probe/http/http.go`, and `redirectBehavior` and `do` in Go's `net/http/client.go`.
//! Resolution is that of RFC 3986, section 5.2.

use std::fmt;
use std::net::SocketAddr;

use brimful_loadgen_plan::probe::Scheme;

/// Requests after which no further redirect is followed (`len(via) >= 10`: the tenth answer may not redirect).
const MAX_REQUESTS: u32 = 10;

/// An absolute URL, in the parts that a redirect needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// In lower case, that of the plan to begin with.
    pub(super) scheme: String,
    /// Host and, where one was written, port: what the `Host` header says.
    pub(super) authority: String,
    /// Path and query, percent-encoded, without the fragment; starts with a slash.
    pub(super) target: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.target)
    }
}

impl Url {
    /// What an `httpGet` of this path asks for first.
    pub(super) fn first(scheme: Scheme, address: SocketAddr, path: &str) -> Self {
        let slash = if path.starts_with('/') { "" } else { "/" };
        Self {
            scheme: scheme.word().to_owned(),
            authority: address.to_string(),
            target: encoded(&format!("{slash}{}", without_fragment(path))),
        }
    }

    /// The host without port and brackets, as written (Go's `URL.Hostname`, by which hosts are compared).
    fn hostname(&self) -> &str {
        let host = self.authority.rsplit_once('@').map_or(self.authority.as_str(), |(_, host)| host);
        match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, _)) => host,
            None => host.split_once(':').map_or(host, |(host, _)| host),
        }
    }

    /// The port; that of the scheme where none is written. `None` when what is written is not one.
    pub(super) fn port(&self) -> Option<u16> {
        let after_host = self.authority.rsplit_once(']').map_or(self.authority.as_str(), |(_, rest)| rest);
        match after_host.rsplit_once(':') {
            None | Some((_, "")) => Some(if self.scheme == "https" { 443 } else { 80 }),
            Some((_, port)) => port.parse().ok(),
        }
    }

    /// The URL that `location` means on this page; `None` when it is not one.
    fn join(&self, location: &str) -> Option<Self> {
        if location.chars().any(char::is_control) {
            return None;
        }
        let location = without_fragment(location);
        let (scheme, rest) = scheme_of(location).map_or((self.scheme.clone(), location), |(s, rest)| (s, rest));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (rest[..end].to_owned(), rest[end..].to_owned())
            }
            None => (self.authority.clone(), self.relative(rest)),
        };
        let url = Self { scheme, authority, target: encoded(&without_dots(&path)) };
        (url.port().is_some() && !url.hostname().is_empty()).then_some(url)
    }

    /// A relative reference, merged with this page's path.
    fn relative(&self, reference: &str) -> String {
        let path = self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path);
        match reference.chars().next() {
            None => self.target.clone(),
            Some('/') => reference.to_owned(),
            Some('?') => format!("{path}{reference}"),
            Some(_) => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
        }
    }
}

/// What comes after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the final one; its status decides.
    Final,
    /// It is the final one, a redirect that is not followed: a warning, which passes.
    Terminated,
    /// The next request.
    Follow(Url),
    /// The redirect cannot be followed and fails the probe: the URL to be named, and why.
    Broken(String, String),
}

/// What the kubelet does with an answer to `url` of this status and `Location`, which is the `requests`-th of a chain
/// that began at `first`.
pub(super) fn step(first: &Url, url: &Url, requests: u32, status: u16, location: Option<&str>) -> Step {
    if !(300..400).contains(&status) {
        return Step::Final;
    }
    let location = location.unwrap_or_default();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) || location.is_empty() {
        return Step::Terminated;
    }
    let Some(next) = url.join(location) else {
        return Step::Broken(url.to_string(), format!("failed to parse Location header {location:?}"));
    };
    if next.hostname() != first.hostname() {
        Step::Terminated
    } else if requests >= MAX_REQUESTS {
        Step::Broken(location.to_owned(), format!("stopped after {MAX_REQUESTS} redirects"))
    } else {
        Step::Follow(next)
    }
}

/// Whether a `Host` line of the plan's own goes with the request to this location: where that is relative, whatever came between (Go's
/// `Client.do` looks at the first request, each time).
pub(super) fn keeps_host(location: &str) -> bool {
    scheme_of(location).is_none()
}

/// The `Referer` on the way from one page to the next; none from TLS to where there is none (`refererForURL`).
pub(super) fn referer(from: &Url, to: &Url) -> Option<String> {
    (from.scheme != "https" || to.scheme == "https").then(|| from.to_string())
}

/// A scheme in lower case and what follows its colon, where the text starts with one.
fn scheme_of(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.chars();
    let well_formed = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    well_formed.then(|| (scheme.to_ascii_lowercase(), rest))
}

fn without_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

/// Removes `.` and `..` from a path, not from its query; the result starts with a slash.
fn without_dots(target: &str) -> String {
    let (path, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Percent-encodes what may not stand in a request line; what is encoded already stays.
fn encoded(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for &byte in target.as_bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first() -> Url {
        Url::first(Scheme::Http, "127.0.0.1:8080".parse().unwrap(), "/a/b?c=d")
    }

    #[test]
    fn a_location_is_resolved_as_rfc_3986_says() {
        let cases = [
            ("/x", "http://127.0.0.1:8080/x"),
            ("x", "http://127.0.0.1:8080/a/x"),
            ("../x", "http://127.0.0.1:8080/x"),
            ("../../../x/./y/..", "http://127.0.0.1:8080/x/"),
            ("?q=1", "http://127.0.0.1:8080/a/b?q=1"),
            ("#top", "http://127.0.0.1:8080/a/b?c=d"),
            ("//127.0.0.1/x?y=../z", "http://127.0.0.1/x?y=../z"),
            ("http://127.0.0.1", "http://127.0.0.1/"),
            ("HTTP://127.0.0.1:81?q", "http://127.0.0.1:81/?q"),
            ("/a b", "http://127.0.0.1:8080/a%20b"),
            ("/a%20b", "http://127.0.0.1:8080/a%20b"),
        ];
        for (location, url) in cases {
            assert_eq!(first().join(location).map(|u| u.to_string()).as_deref(), Some(url), "{location}");
        }
        for bad in ["http://127.0.0.1:port/", "http://", "/a\u{7}b", "http://127.0.0.1:70000/"] {
            assert_eq!(first().join(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_same_host_is_followed() {
        let step_to = |location: &str| step(&first(), &first(), 1, 302, Some(location));
        assert!(matches!(step_to("/x"), Step::Follow(_)));
        assert!(matches!(step_to("http://127.0.0.1:99/"), Step::Follow(url) if url.port() == Some(99)));
        assert!(
            matches!(step_to("https://127.0.0.1/"), Step::Follow(url) if url.scheme == "https" && url.port() == Some(443))
        );
        assert_eq!(step_to("http://localhost:8080/"), Step::Terminated);
        assert_eq!(step_to("http://127.0.0.2/"), Step::Terminated);
        assert!(matches!(step_to("http://127.0.0.1:port/"), Step::Broken(_, _)));
        let v6 = Url::first(Scheme::Http, "[::1]:8080".parse().unwrap(), "/");
        assert!(matches!(step(&v6, &v6, 1, 301, Some("http://[::1]/")), Step::Follow(url) if url.port() == Some(80)));
    }

    #[test]
    fn a_host_of_ones_own_and_where_one_comes_from_go_as_far_as_go_takes_them() {
        assert!(keeps_host("/x") && keeps_host("x?y:z") && keeps_host("//127.0.0.1/"));
        assert!(!keeps_host("http://127.0.0.1/"));
        let secure = Url::first(Scheme::Https, "127.0.0.1:8443".parse().unwrap(), "/a");
        assert_eq!(referer(&first(), &secure).as_deref(), Some("http://127.0.0.1:8080/a/b?c=d"));
        assert_eq!(referer(&secure, &secure).as_deref(), Some("https://127.0.0.1:8443/a"));
        assert_eq!(referer(&secure, &first()), None);
    }

    #[test]
    fn the_status_decides_first() {
        for status in [200, 204, 404, 503, 101] {
            assert_eq!(step(&first(), &first(), 1, status, Some("/x")), Step::Final, "{status}");
        }
        for status in [300, 304, 305, 399] {
            assert_eq!(step(&first(), &first(), 1, status, Some("/x")), Step::Terminated, "{status}");
        }
        assert_eq!(step(&first(), &first(), 1, 302, None), Step::Terminated);
        assert!(matches!(step(&first(), &first(), 9, 308, Some("/x")), Step::Follow(_)));
        let stopped = Step::Broken("/x".to_owned(), "stopped after 10 redirects".to_owned());
        assert_eq!(step(&first(), &first(), 10, 308, Some("/x")), stopped);
    }

    #[test]
    fn a_path_of_the_plan_is_made_fit_for_a_request_line() {
        let target = |path: &str| Url::first(Scheme::Http, "127.0.0.1:1".parse().unwrap(), path).target;
        assert_eq!(target("/healthz"), "/healthz");
        assert_eq!(target("healthz"), "/healthz");
        assert_eq!(target("/a b?c#d"), "/a%20b?c");
        assert_eq!(target(""), "/");
    }

    proptest! {
        #[test]
        fn whatever_comes_in_a_location_a_target_is_fit_for_a_request_line(location in "\\PC{0,40}") {
            if let Some(url) = first().join(&location) {
                prop_assert!(url.target.starts_with('/'));
                prop_assert!(url.target.bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
