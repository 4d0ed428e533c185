//! Which of the connections that their peers ended are never closed: each n-th, by count and not by chance.

use std::cell::Cell;

/// Counts ends and picks each n-th of them.
#[derive(Debug)]
pub struct Leak {
    one_in: u32,
    since_last: Cell<u32>,
}

impl Leak {
    /// One in so many; none for 0.
    pub fn new(one_in: u32) -> Self {
        Self { one_in, since_last: Cell::new(0) }
    }

    /// A peer ended its connection: whether this is one that stays open here.
    pub fn picks(&self) -> bool {
        if self.one_in == 0 {
            return false;
        }
        let nth = self.since_last.get() + 1;
        let picked = nth == self.one_in;
        self.since_last.set(if picked { 0 } else { nth });
        picked
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_nth_is_picked_and_no_other(one_in in 0..50_u32, ends in 0..1_000_u32) {
            let leak = Leak::new(one_in);
            for nth in 1..=ends {
                prop_assert_eq!(leak.picks(), one_in != 0 && nth % one_in == 0);
            }
        }
    }
}
