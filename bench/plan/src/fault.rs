//! Faults on the path between client and server, which no server and no load can make.

use serde::{Deserialize, Serialize};

/// Something wrong with the path of a sandbox, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Fault {
    /// The server's connection-tracking table is filled with entries that cannot be evicted.
    ConntrackFull,
    /// A packet filter at the server drops this share of the SYNs.
    SynDrop {
        /// In per cent, 1 to 100.
        percent: u8,
    },
    /// A packet filter at the client drops this share of the SYN-ACKs.
    SynAckLoss {
        /// In per cent, 1 to 100.
        percent: u8,
    },
    /// Replies to these ports of the client's are taken by somebody else before they reach its sockets, as IPVS does where
    /// source ports are also NodePorts. A packet filter at the client stands for it.
    PortsTaken {
        /// The first port.
        first: u16,
        /// The last one, not below it.
        last: u16,
    },
    /// The server has no route to the client's addresses.
    NoRouteBack,
    /// A packet filter at the client holds back the handshake's final ACKs. What the client sends next, data or a FIN,
    /// passes and completes the handshake: so it can meet an accept queue that had room for its SYN and is full for its
    /// ACK. Without a filter both come within microseconds.
    AckHold,
}

impl Fault {
    /// Its name in scenario files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConntrackFull => "conntrack-full",
            Self::SynDrop { .. } => "syn-drop",
            Self::SynAckLoss { .. } => "synack-loss",
            Self::PortsTaken { .. } => "ports-taken",
            Self::NoRouteBack => "no-route-back",
            Self::AckHold => "ack-hold",
        }
    }

    /// Whether client and server must be two namespaces: on loopback there is no way back that could be cut without cutting the way there.
    #[must_use]
    pub fn needs_veth(&self) -> bool {
        match self {
            Self::ConntrackFull | Self::SynDrop { .. } => false,
            Self::SynAckLoss { .. } | Self::PortsTaken { .. } | Self::NoRouteBack | Self::AckHold => true,
        }
    }
}
