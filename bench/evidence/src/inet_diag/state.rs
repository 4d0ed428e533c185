//! The states of a TCP socket (`include/net/tcp_states.h`).

use std::fmt;

/// A state, by the kernel's number. A number that brimful does not know is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State(pub u8);

impl State {
    /// Connected.
    pub const ESTABLISHED: Self = Self(1);
    /// A SYN was sent and not yet answered.
    pub const SYN_SENT: Self = Self(2);
    /// A SYN came and was answered, and the last acknowledgement is awaited. Asking for it also gives the small
    /// request sockets, which the kernel keeps as `NEW_SYN_RECV` (12) and shows as this.
    pub const SYN_RECV: Self = Self(3);
    /// Closed here, and not yet acknowledged.
    pub const FIN_WAIT1: Self = Self(4);
    /// Closed here, and waiting for the other end to close.
    pub const FIN_WAIT2: Self = Self(5);
    /// Closed at both ends, and kept for a minute so that late packets find no successor.
    pub const TIME_WAIT: Self = Self(6);
    /// Not connected.
    pub const CLOSE: Self = Self(7);
    /// Closed by the other end, and not yet here.
    pub const CLOSE_WAIT: Self = Self(8);
    /// Closed by the other end and then here, and not yet acknowledged.
    pub const LAST_ACK: Self = Self(9);
    /// Listening.
    pub const LISTEN: Self = Self(10);
    /// Closed at both ends at once.
    pub const CLOSING: Self = Self(11);

    /// The kernel's name without `TCP_`; `UNKNOWN` for a number that is not one of the eleven.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ESTABLISHED => "ESTABLISHED",
            Self::SYN_SENT => "SYN_SENT",
            Self::SYN_RECV => "SYN_RECV",
            Self::FIN_WAIT1 => "FIN_WAIT1",
            Self::FIN_WAIT2 => "FIN_WAIT2",
            Self::TIME_WAIT => "TIME_WAIT",
            Self::CLOSE => "CLOSE",
            Self::CLOSE_WAIT => "CLOSE_WAIT",
            Self::LAST_ACK => "LAST_ACK",
            Self::LISTEN => "LISTEN",
            Self::CLOSING => "CLOSING",
            _ => "UNKNOWN",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of states, as the bits of `idiag_states`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSet(u32);

impl StateSet {
    /// Listeners only. The kernel keeps them in a table of their own, so asking for them and nothing else does not walk
    /// the connections (`inet_diag_dump_icsk`): the cost is the same however many are held.
    pub const LISTEN: Self = Self::of(&[State::LISTEN]);

    /// The set of some states. A number above 31 has no bit and is left out.
    #[must_use]
    pub const fn of(states: &[State]) -> Self {
        let (mut bits, mut rest) = (0, states);
        while let [state, tail @ ..] = rest {
            if state.0 < 32 {
                bits |= 1 << state.0;
            }
            rest = tail;
        }
        Self(bits)
    }

    /// The bits of `idiag_states`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether a state is in the set.
    #[must_use]
    pub const fn has(self, state: State) -> bool {
        state.0 < 32 && self.0 & (1 << state.0) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_bits_that_the_kernel_wants() {
        let set = StateSet::of(&[State::SYN_SENT, State::SYN_RECV, State::CLOSE_WAIT, State(40)]);
        assert_eq!(set.bits(), 0b1_0000_1100);
        assert!(set.has(State::SYN_RECV) && !set.has(State::LISTEN) && !set.has(State(40)));
        assert_eq!(StateSet::LISTEN.bits(), 1 << 10);
    }

    #[test]
    fn every_state_has_the_name_of_the_kernel() {
        let names: Vec<&str> = (0..=12).map(|n| State(n).name()).collect();
        let known = "UNKNOWN ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK \
                     LISTEN CLOSING UNKNOWN";
        assert_eq!(names.join(" "), known);
    }
}
