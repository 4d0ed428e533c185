//! The scenarios that come with the binary, so that `brimful run origin` works in an empty folder.

/// The scenario of `brimful run` without an argument.
pub const DEFAULT: &str = "origin";

/// A scenario that is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// What it is called on the command line: its file's name without `.toml`.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

/// Embeds `scenarios/NAME.toml` for each name.
macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        &[$(Embedded { name: $name, text: include_str!(concat!("../../../scenarios/", $name, ".toml")) }),*]
    };
}

/// In the order in which a newcomer would read them.
const LIST: &[Embedded] = embed![
    "origin",
    "smoke",
    "fd-soft-1024",
    "fd-soft-raised-control",
    "fd-leak-closewait",
    "app-conn-cap",
    "backlog-app-small",
    "backlog-sysctl-ignored",
    "backlog-not-relistened",
    "gate-backlog",
    "accept-dead",
    "exec-blind",
    "knee-accept-queue",
    "accept-throttled",
    "accept-slow-cpu",
    "block-loop",
    "reuseport-skew",
    "probe-budget-1s",
    "https-health",
    "grpc-health",
    "synq-full-nocookies",
    "synq-three-quarter",
    "synq-cookies",
    "synq-saturation",
    "synq-synack-retries",
    "defer-accept",
    "ack-hold",
    "conntrack-full",
    "filter-drop",
    "synack-loss",
    "no-route-back",
    "no-listener",
    "ports-exhausted-client",
    "probe-fd-limit",
    "generator-self-limit",
    "restart-loop",
    "reconnect-storm",
    "slow-start",
    "what-takes-effect",
    "what-takes-effect-ports",
    "what-takes-effect-process",
    "what-takes-effect-syn",
    "what-takes-effect-synack",
    "origin-replay",
    "nginx",
    "haproxy",
    "redis",
    "redis-ping",
    "node",
    "python-asyncio",
    "null",
    "million",
    "nodeport-range-overlap",
    "enfile-system",
    "inotify-emfile",
    "neigh-overflow",
    "softirq-backlog",
    "tcp-mem",
];

/// Every embedded scenario, the default first.
#[must_use]
pub fn list() -> &'static [Embedded] {
    LIST
}

/// The embedded scenario of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Embedded> {
    LIST.iter().find(|embedded| embedded.name == name)
}

/// The name most like this one, where one is alike.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    crate::wording::nearest(name, LIST.iter().map(|embedded| embedded.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_first() {
        assert_eq!(list().first().map(|embedded| embedded.name), Some(DEFAULT));
        assert!(find(DEFAULT).is_some());
        assert_eq!(nearest("orgin"), Some("origin"));
    }
}
