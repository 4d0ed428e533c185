//! The way out of loopback: a server elsewhere is asked for its consent before anything else is sent to it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use brimful_loadgen::probe::page;
use brimful_plan::consent::{Intent, MOST_BYTES, judge};
use brimful_target_plan::wire::CONSENT_PATH;
use jiff::Timestamp;

use super::say;
use crate::error::Error;

/// For the whole answer: a server that is slower is not one to be loaded. Two repeated SYNs fit into it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a server may be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It is on this machine's loopback.
    Loopback,
    /// It says so.
    Given {
        /// The address of this machine from which it is reached.
        local: IpAddr,
        /// Until when.
        expires: Timestamp,
    },
}

impl Leave {
    /// How long it lasts from now; `None` for ever.
    pub(super) fn ends_in_ns(self) -> Option<u64> {
        match self {
            Self::Loopback => None,
            Self::Given { expires, .. } => {
                let left = expires.duration_since(Timestamp::now()).as_nanos();
                // An end beyond what 64 bits of nanoseconds can say is 584 years away.
                Some(u64::try_from(left.max(0)).unwrap_or(u64::MAX))
            }
        }
    }
}

/// Leave to do this to the server: none is needed on loopback, elsewhere it is asked.
pub(super) fn ask(address: SocketAddr, intent: Intent<'_>) -> Result<Leave, Error> {
    if address.ip().is_loopback() {
        return Ok(Leave::Loopback);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Machine { doing: "start a runtime", source })?;
    let page = runtime
        .block_on(page(address, CONSENT_PATH, PATIENCE, MOST_BYTES))
        .map_err(|source| Error::NotAsked { address, source })?;
    let consent = judge(page.status, page.location.as_deref(), &page.body, intent, Timestamp::now())
        .map_err(|source| Error::NoConsent { address, source })?;
    say(&format!("{address} consents until {}", consent.expires));
    Ok(Leave::Given { local: page.local, expires: consent.expires })
}
