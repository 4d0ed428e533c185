//! Numbers that look random and follow from a seed: the order of cells, jitter, simulations. Pure.

/// A sequence that is the same for the same seed, on every machine and in every version of brimful, so that a run can
/// be repeated from the seed it prints. SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*,
/// OOPSLA 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

/// The odd number nearest to 2^64 over the golden ratio: the step of the sequence.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Seeded {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for one of several users of a seed, so that what one draws shifts nobody else's.
    #[must_use]
    pub fn stream(seed: u64, number: u64) -> Self {
        let mut of_stream = Self(number);
        Self(seed ^ of_stream.next_u64())
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to and without `bound`; 0 for a bound of 0. Its bias is below `bound` / 2^64 (Lemire, 2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from 0 up to and without 1, in steps of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Brings a slice into any order, each equally likely (Fisher and Yates, in Durstenfeld's form).
    pub fn shuffle<T>(&mut self, slice: &mut [T]) {
        for last in (1..slice.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(last);
            slice.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // The first outputs for seed 1234567, as the generator's public test vectors have them.
        let mut seeded = Seeded::new(1_234_567);
        assert_eq!(
            [seeded.next_u64(), seeded.next_u64(), seeded.next_u64()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn every_order_of_three_is_about_as_likely() {
        let mut seeded = Seeded::new(1);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6_000 {
            let mut three = [0, 1, 2];
            seeded.shuffle(&mut three);
            *counts.entry(three).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Five standard deviations of a count of 1,000 are 144.
        assert!(counts.values().all(|n| n.abs_diff(1_000) < 144), "{counts:?}");
    }

    proptest! {
        #[test]
        fn numbers_keep_their_bounds(seed: u64, number: u64, bound in 1_u64..) {
            let mut seeded = Seeded::stream(seed, number);
            prop_assert!(seeded.below(bound) < bound);
            let unit = seeded.unit();
            prop_assert!((0.0..1.0).contains(&unit));
        }

        #[test]
        fn a_shuffle_loses_nothing(seed: u64, mut items: Vec<u8>) {
            let mut shuffled = items.clone();
            Seeded::new(seed).shuffle(&mut shuffled);
            items.sort_unstable();
            shuffled.sort_unstable();
            prop_assert_eq!(items, shuffled);
        }
    }
}
