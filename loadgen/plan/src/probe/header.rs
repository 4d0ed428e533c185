//! The lines of a probe's request, as `pkg/probe/http/request.go` makes them and Go's client writes them. Pure.

use std::collections::BTreeMap;

use super::plan::Header;

/// `kube-probe/MAJOR.MINOR` (`pkg/probe/http/request.go`, `userAgent`). 1.35 is among the releases whose probe was
/// read for this; servers that look at it look at the name before the slash.
pub const AGENT: &str = "kube-probe/1.35";

/// What a request says of itself, but for what depends on the URL and the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// What stands in `Host` instead of the URL's own; it names the host to the server, and nothing else follows from it: the connection
    /// goes to the same address, and TLS sends no name.
    pub host: Option<String>,
    /// `User-Agent`; `None` for none.
    pub agent: Option<String>,
    /// All others by name, in lower case: Go writes them in the order of their names.
    pub others: BTreeMap<String, Vec<String>>,
}

impl Lines {
    /// Of these `httpHeaders`.
    pub fn of(headers: &[Header]) -> Self {
        let mut others = BTreeMap::<String, Vec<String>>::new();
        for Header { name, value } in headers {
            others.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
        }
        let mut first = |name: &str| others.remove(name).and_then(|values| values.into_iter().next());
        let host = first("host").filter(|host| !host.is_empty());
        let agent =
            first("user-agent").map_or_else(|| Some(AGENT.to_owned()), |it| Some(it).filter(|it| !it.is_empty()));
        // `Accept` is "*/*" unless it is said, and none where what is said first is empty.
        let accept = others.entry("accept".to_owned()).or_insert_with(|| vec!["*/*".to_owned()]);
        if accept.first().is_none_or(String::is_empty) {
            others.remove("accept");
        }
        Self { host, agent, others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(headers: &[(&str, &str)]) -> Lines {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| Header { name: (*name).into(), value: (*value).into() }).collect();
        Lines::of(&headers)
    }

    fn accept(lines: &Lines) -> Option<&[String]> {
        lines.others.get("accept").map(Vec::as_slice)
    }

    #[test]
    fn what_is_not_said_is_the_probers_own() {
        let plain = lines(&[]);
        assert_eq!((plain.host.as_deref(), plain.agent.as_deref()), (None, Some(AGENT)));
        assert_eq!(accept(&plain), Some(&["*/*".to_owned()][..]));
    }

    #[test]
    fn what_is_said_takes_its_place_and_an_empty_one_takes_it_away() {
        let said = lines(&[("host", "example.com"), ("USER-AGENT", "me"), ("Accept", "text/html"), ("accept", "a/b")]);
        assert_eq!((said.host.as_deref(), said.agent.as_deref()), (Some("example.com"), Some("me")));
        assert_eq!(accept(&said), Some(&["text/html".to_owned(), "a/b".to_owned()][..]));
        let empty = lines(&[("Host", ""), ("User-Agent", ""), ("Accept", ""), ("X-B", "2"), ("x-b", "1"), ("x-a", "")]);
        assert_eq!((empty.host, empty.agent), (None, None));
        let names: Vec<_> = empty.others.iter().map(|(name, values)| (name.as_str(), values.join(","))).collect();
        assert_eq!(names, [("x-a", String::new()), ("x-b", "2,1".to_owned())]);
    }
}
