//! The order of a run: which cell comes when. Pure.
//!
//! Cells that are compared must not always stand in the same place: what drifts while a run lasts (a machine that warms up, a
//! neighbour that wakes up) would then look like a difference between them. So each block has an order of its own, and all
//! orders follow from one seed that is printed.

use brimful_loadgen_plan::seeded::Seeded;

/// The largest seed: every whole number up to it survives a reader of JSON that knows only doubles.
pub const SEED_MOST: u64 = (1 << 53) - 1;
/// The most blocks of one run.
pub const BLOCKS_MOST: u32 = 1_000;

/// How the cells of each block follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As in the scenario's file.
    #[default]
    AsWritten,
    /// Shuffled, each block in its own way, by this seed; from 1 to [`SEED_MOST`].
    Shuffled(u64),
}

impl Order {
    /// The order of a run: one block stands as its author wrote it down, unless a seed was given; several are always shuffled.
    /// `chance` gives the seed where nobody named one.
    #[must_use]
    pub fn of_run(blocks: u32, seed: Option<u64>, chance: impl FnOnce() -> u64) -> Self {
        match seed {
            Some(seed) => Self::Shuffled(seed),
            None if blocks > 1 => Self::Shuffled(chance() % SEED_MOST + 1),
            None => Self::AsWritten,
        }
    }

    /// The number that stands in records and in the report: the seed, or 0 where nothing was shuffled.
    #[must_use]
    pub const fn seed(self) -> u64 {
        match self {
            Self::AsWritten => 0,
            Self::Shuffled(seed) => seed,
        }
    }

    /// The order of one block, as indices of the cells. What comes in a block does not depend on how many others there are.
    #[must_use]
    pub fn of_block(self, block: u32, cells: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..cells).collect();
        if let Self::Shuffled(seed) = self {
            Seeded::stream(seed, u64::from(block)).shuffle(&mut order);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_block_stands_as_it_was_written_and_several_are_shuffled() {
        assert_eq!(Order::of_run(1, None, || 7), Order::AsWritten);
        assert_eq!(Order::of_run(1, Some(5), || 7), Order::Shuffled(5));
        assert_eq!(Order::of_run(2, None, || 7), Order::Shuffled(8));
        assert_eq!(Order::of_run(2, Some(5), || 7), Order::Shuffled(5));
        assert_eq!((Order::AsWritten.seed(), Order::Shuffled(5).seed()), (0, 5));
        assert_eq!(Order::AsWritten.of_block(3, 4), [0, 1, 2, 3]);
    }

    #[test]
    fn a_seed_means_the_same_order_in_every_version() {
        let blocks: Vec<_> = (0..3).map(|block| Order::Shuffled(42).of_block(block, 6)).collect();
        assert_eq!(blocks, [[3, 0, 4, 5, 2, 1], [1, 5, 0, 4, 3, 2], [5, 2, 3, 4, 1, 0]]);
    }

    proptest! {
        #[test]
        fn each_block_runs_every_cell_once(seed in 1..=SEED_MOST, block in 0..BLOCKS_MOST, cells in 0_usize..200) {
            let mut order = Order::Shuffled(seed).of_block(block, cells);
            prop_assert_eq!(&order, &Order::Shuffled(seed).of_block(block, cells));
            order.sort_unstable();
            prop_assert_eq!(order, (0..cells).collect::<Vec<_>>());
        }

        #[test]
        fn a_seed_by_chance_is_one_that_can_be_typed_again(chance: u64) {
            let seed = Order::of_run(2, None, || chance).seed();
            prop_assert!((1..=SEED_MOST).contains(&seed));
        }

        #[test]
        fn blocks_differ(seed in 1..=SEED_MOST) {
            let orders: std::collections::HashSet<_> = (0..20).map(|b| Order::Shuffled(seed).of_block(b, 8)).collect();
            // Of 40,320 orders, 20 draws meet in one and the same with a chance below 10^-80.
            prop_assert!(orders.len() > 1);
        }
    }
}
