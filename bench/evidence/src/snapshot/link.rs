//! What a descriptor is, from the text of its link in `/proc/PID/fd` (`proc(5)`). Pure.

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// A socket, by its inode.
    Socket(u32),
    /// Anything else, by its kind: `file`, `device`, `pipe`, `eventpoll`.
    Other(&'a str),
}

impl<'a> Link<'a> {
    /// Reads the text of a link: `socket:[123]`, `anon_inode:[eventpoll]`, `/var/log/messages`.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let bracketed = |rest: &'a str| rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(rest);
        match text.split_once(':') {
            Some(("socket", inode)) => bracketed(inode).parse().map_or(Self::Other("socket"), Self::Socket),
            Some(("anon_inode", what)) => Self::Other(bracketed(what)),
            Some(("pipe", _)) => Self::Other("pipe"),
            _ if text.starts_with("/dev/") => Self::Other("device"),
            _ if text.starts_with('/') => Self::Other("file"),
            Some((kind, _)) => Self::Other(kind),
            None => Self::Other("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_link_is_told() {
        let table = [
            ("socket:[40121]", Link::Socket(40_121)),
            ("socket:[x]", Link::Other("socket")),
            ("pipe:[7]", Link::Other("pipe")),
            ("anon_inode:[eventpoll]", Link::Other("eventpoll")),
            ("anon_inode:inotify", Link::Other("inotify")),
            ("/dev/null", Link::Other("device")),
            ("/var/log/a:b", Link::Other("file")),
            ("net:[4026531840]", Link::Other("net")),
            ("", Link::Other("unknown")),
        ];
        for (text, expected) in table {
            assert_eq!(Link::parse(text), expected, "{text}");
        }
    }
}
