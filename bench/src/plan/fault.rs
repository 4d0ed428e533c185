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
    /// The server has no route to the client's addresses.
    NoRouteBack,
    /// A packet filter at the client holds back the handshake's final ACKs.
    AckHold,
}
