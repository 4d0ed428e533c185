//! Plans that ask for what cannot be: found before any socket is made, and without one.

use std::time::Duration;

use thiserror::Error;

use crate::plan::TargetPlan;

/// Why a plan cannot be carried out anywhere. Mend the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidTarget {
    /// `reuseport` is 0: nothing would listen.
    #[error("reuseport is 0: nothing would listen")]
    NoListener,
    /// As many sockets are stuck as there are, or more.
    #[error("reuseport-stuck is {stuck} of {sockets}: none would be accepted from")]
    AllStuck {
        /// Sockets never accepted from, as asked.
        stuck: u32,
        /// Sockets that share the address, as asked.
        sockets: u32,
    },
    /// `defer_accept` is below a second or no whole number of seconds, and the kernel counts in seconds (`tcp(7)`).
    #[error("defer-accept is {asked:?}: the kernel takes whole seconds, from 1 on")]
    DeferAccept {
        /// What was asked.
        asked: Duration,
    },
    /// `accept_rate` is 0: nothing would ever be accepted.
    #[error("accept-rate is 0: nothing would ever be accepted")]
    NoRate,
}

impl InvalidTarget {
    /// What to write instead, as one line without a `hint:` before it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoListener => "choose reuseport = 1 for a listener that shares its address with none".to_owned(),
            Self::AllStuck { sockets, .. } => {
                let most = sockets.saturating_sub(1);
                format!(
                    "choose reuseport-stuck = {most} or fewer, or accept = \"dead\" for a server that accepts from none"
                )
            }
            Self::DeferAccept { .. } => "choose defer-accept = \"1s\" or more, in whole seconds".to_owned(),
            Self::NoRate => "choose accept-rate = 1 or more, or accept = \"dead\"".to_owned(),
        }
    }
}

impl TargetPlan {
    /// Whether the settings agree with each other. Settings without effect beside others (an `at_max` without
    /// `max_connections`, a rate for a dead acceptor) do.
    ///
    /// # Errors
    /// The first contradiction there is.
    pub fn check(&self) -> Result<(), InvalidTarget> {
        let (sockets, stuck) = (self.reuseport, self.reuseport_stuck);
        if sockets == 0 {
            return Err(InvalidTarget::NoListener);
        }
        if stuck >= sockets {
            return Err(InvalidTarget::AllStuck { stuck, sockets });
        }
        if let Some(asked) = self.defer_accept
            && (asked.is_zero() || asked.subsec_nanos() != 0)
        {
            return Err(InvalidTarget::DeferAccept { asked });
        }
        if self.accept_rate == Some(0) { Err(InvalidTarget::NoRate) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> TargetPlan {
        TargetPlan::plain(([127, 0, 0, 1], 0).into())
    }

    #[test]
    fn what_cannot_be_is_named() {
        let deferred = |asked| TargetPlan { defer_accept: Some(asked), ..plain() };
        let millis = Duration::from_millis;
        for (plan, why) in [
            (TargetPlan { reuseport: 0, ..plain() }, InvalidTarget::NoListener),
            (TargetPlan { reuseport_stuck: 1, ..plain() }, InvalidTarget::AllStuck { stuck: 1, sockets: 1 }),
            (
                TargetPlan { reuseport: 2, reuseport_stuck: 3, ..plain() },
                InvalidTarget::AllStuck { stuck: 3, sockets: 2 },
            ),
            (deferred(Duration::ZERO), InvalidTarget::DeferAccept { asked: Duration::ZERO }),
            (deferred(millis(999)), InvalidTarget::DeferAccept { asked: millis(999) }),
            (deferred(millis(1_500)), InvalidTarget::DeferAccept { asked: millis(1_500) }),
            (TargetPlan { accept_rate: Some(0), ..plain() }, InvalidTarget::NoRate),
        ] {
            assert_eq!(plan.check(), Err(why));
            assert!(!why.hint().is_empty());
        }
    }

    #[test]
    fn what_can_be_is_let_through() {
        for plan in [
            plain(),
            TargetPlan { reuseport: 4, reuseport_stuck: 3, ..plain() },
            TargetPlan { defer_accept: Some(Duration::from_secs(1)), ..plain() },
            TargetPlan { accept_rate: Some(1), max_connections: Some(0), ..plain() },
        ] {
            assert_eq!(plan.check(), Ok(()));
        }
    }
}
