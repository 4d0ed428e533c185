//! The words in which a scenario says what it holds to be true, shared with the judge who finds out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cell::KnobValue;

/// What became of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CellOutcome {
    /// No probe failed.
    Healthy,
    /// At least one probe failed, but liveness would not have restarted the container.
    Degraded,
    /// Liveness would have restarted the container.
    Failing,
    /// The experiment itself did not work, so it says nothing about the target.
    Void,
}

/// The names of the causes that a verdict can give. What shows and excludes each is the judge's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CauseName {
    /// The target is out of descriptors.
    FdLimit,
    /// The accept queue is too small for the bursts it meets, though the acceptor keeps up on average.
    AcceptQueue,
    /// The acceptor takes too little from its queue, for another reason than descriptors.
    AcceptorStalled,
    /// The SYN queue is full and cookies are off.
    SynQueue,
    /// Nothing listens where the probe connects.
    NoListener,
    /// The target's descriptors grow without its connections, because closed ones are kept.
    FdLeak,
    /// The acceptor gets too little processor time.
    AcceptorThrottled,
    /// The program allows no more connections, though it has descriptors left.
    AppConnectionCap,
    /// The connection is accepted in time, and the answer comes too late.
    SlowAnswer,
    /// One of several sockets on the same port is not accepted from.
    ReuseportSkew,
    /// Cookies are off, and the last quarter of `tcp_max_syn_backlog` is kept for peers that are known.
    SynQueueThreeQuarterRule,
    /// The SYN queue is full and connections are served by cookies: not a fault.
    SynCookies,
    /// Handshakes are kept in the SYN queue until data comes.
    DeferAccept,
    /// The connection-tracking table is full.
    ConntrackFull,
    /// A packet filter drops what should reach the listener.
    PacketFilterDrop,
    /// The server's answers are lost on the way back.
    ReturnPathLoss,
    /// The server has no route to the client.
    NoRouteBack,
    /// The client has no source port left.
    LocalPorts,
    /// The prober itself is out of descriptors.
    ProberFdLimit,
    /// A processor's receive backlog is full (`net.core.netdev_max_backlog`).
    SoftirqBacklog,
    /// The neighbour table is full (`neigh.default.gc_thresh3`).
    NeighbourTable,
    /// The whole system is out of descriptors (`fs.file-max`).
    FileMax,
    /// The target's user is out of inotify instances (`fs.inotify.max_user_instances`), whose error is that of the descriptor limit.
    InotifyLimit,
    /// TCP is out of memory (`net.ipv4.tcp_mem`).
    TcpMem,
    /// The generator did not keep its plan or ran into its own limits.
    GeneratorBound,
    /// The evidence does not tell.
    Undetermined,
}

/// Why an accept queue was too small: which of the two numbers bounded it, and whether a change reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The program asked `listen(2)` for no more; raising `net.core.somaxconn` does not reach it.
    AppBacklog,
    /// The program asked for more and `net.core.somaxconn` cut it down.
    SomaxconnClamp,
    /// Both allow more now, but the socket was made to listen before the change.
    NotRelistened,
}

/// When a change that was made while a cell ran was felt by the health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Took {
    /// As soon as it was made.
    Live,
    /// Not before `listen(2)` was called again.
    AtListen,
    /// Not before the process was started again.
    AtStart,
    /// Not even then.
    Never,
    /// Not as long as it was watched, in which nobody listened or started again.
    NotYet,
}

/// How many restarts are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HowMany {
    /// At least so many.
    pub least: u64,
    /// At most so many; `None` for any number more.
    pub most: Option<u64>,
}

impl HowMany {
    /// Whether a number is right.
    #[must_use]
    pub fn holds(&self, number: u64) -> bool {
        self.least <= number && self.most.is_none_or(|most| number <= most)
    }

    /// Reads `2`, `1..3` (both ends count) and `2..`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        match text.split_once("..") {
            None => number(text).map(|number| Self { least: number, most: Some(number) }),
            Some((least, "")) => Some(Self { least: number(least)?, most: None }),
            Some((least, most)) => {
                let (least, most) = (number(least)?, number(most)?);
                (least <= most).then_some(Self { least, most: Some(most) })
            }
        }
    }
}

impl fmt::Display for HowMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Some(most) if most == self.least => write!(f, "{most}"),
            Some(most) => write!(f, "{} to {most}", self.least),
            None => write!(f, "{} or more", self.least),
        }
    }
}

/// One line of a scenario's `[expect]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Full dotted knob names and the values asked; empty for every cell.
    pub when: Vec<(String, KnobValue)>,
    /// The outcomes that would be right; empty for any.
    pub outcome: Vec<CellOutcome>,
    /// The cause that must be named; `None` where none is asked for.
    pub cause: Option<CauseName>,
    /// The reason within the cause.
    pub why: Option<Why>,
    /// Causes that must not be named.
    pub must_not_claim: Vec<CauseName>,
    /// When the first change that was made to it while it ran was felt.
    pub took: Option<Took>,
    /// How often the kubelet restarted it.
    pub restarts: Option<HowMany>,
    /// Whether it came to rest.
    pub settles: Option<bool>,
}

impl Expectation {
    /// Whether it speaks of the cell that asks these values; `asked` gives the value of a knob by its full dotted name.
    #[must_use]
    pub fn speaks_of<'a>(&self, asked: impl Fn(&str) -> Option<&'a KnobValue>) -> bool {
        self.when.iter().all(|(knob, value)| asked(knob) == Some(value))
    }
}

/// The name as it is written in scenario files and reports.
macro_rules! display_as_written {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match serde_json::to_value(self) {
                    Ok(serde_json::Value::String(text)) => f.pad(&text),
                    _ => Err(fmt::Error),
                }
            }
        }
    )*};
}
display_as_written!(CellOutcome, CauseName, Why, Took);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_is_a_number_or_a_range_with_both_ends() {
        let holds = |text: &str| (0..6).filter(|&n| HowMany::parse(text).unwrap().holds(n)).collect::<Vec<u64>>();
        assert_eq!(
            (holds("2"), holds("1..3"), holds("4.."), holds("0..0")),
            (vec![2], vec![1, 2, 3], vec![4, 5], vec![0])
        );
        for bad in ["", "..", "..3", "3..1", "-1", "one", "1..2..3"] {
            assert_eq!(HowMany::parse(bad), None, "{bad}");
        }
    }
}
