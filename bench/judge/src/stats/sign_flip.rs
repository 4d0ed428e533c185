//! The exact paired sign-flip test, and the interval that inverts it. Pure.
//!
//! If the two sides of a block are equals, their difference could as well have had the other sign. Of the 2^n ways to choose
//! the signs of n differences, p is the share that leads at least as far from nought as what was seen. Nothing is assumed
//! of the shape of the differences, and nothing is drawn at random: the same blocks have the same p everywhere.

/// Differences that are flipped one by one; where there are more, neighbours are flipped together.
///
/// Flipping in groups is a subgroup of all flips, so the test stays exact; it only has fewer p-values to tell apart. 2^24 of
/// them are enough for the largest family: 4,096 cells by 7 metrics need 23 blocks.
const MOST_UNITS: usize = 24;

/// Sums that differ by less than this share of the sum of all sizes are the same: far above the rounding of 24 additions,
/// far below any difference that could be measured. A tie counts against the finding.
const ROUNDING: f64 = 1e-12;

/// Halvings of the way from the least difference to the mean until a limit stands: to less than 10^-10 of that way.
const HALVINGS: u32 = 34;

/// The differences of the blocks in which both sides have a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    differences: Vec<f64>,
}

/// Where the true difference lies, with a stated confidence. Both limits belong to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower limit; `None` where there is none, because the blocks are too few.
    pub low: Option<f64>,
    /// The upper limit, likewise.
    pub high: Option<f64>,
}

/// One block, or several that are flipped together: what is left of their sum when `centre` is taken off each.
type Unit = f64;

impl Paired {
    /// Finite differences, one a block, in the order of the blocks.
    #[must_use]
    pub fn new(differences: Vec<f64>) -> Self {
        Self { differences }
    }

    /// How many blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.differences.len()
    }

    /// The mean difference; `None` without a block.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        (!self.differences.is_empty()).then(|| self.differences.iter().sum::<f64>() / self.blocks() as f64)
    }

    /// The standard deviation of the differences; `None` for fewer than two.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        let mean = self.estimate().filter(|_| self.blocks() > 1)?;
        let squares: f64 = self.differences.iter().map(|d| (d - mean).powi(2)).sum();
        Some((squares / (self.blocks() - 1) as f64).sqrt())
    }

    /// The two-sided p of no difference.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.p_of(0.0)
    }

    /// The two-sided p of a true difference of `centre`: from 2/2^n, or 1 where there is no block, up to 1.
    #[must_use]
    pub fn p_of(&self, centre: f64) -> f64 {
        let units = self.units(centre);
        let below = at_or_below_zero(&units);
        let above = at_or_below_zero(&negated(&units));
        (2.0 * below.min(above) as f64 / flips(units.len())).min(1.0)
    }

    /// Every difference that the same test does not reject at `alpha` (0 to 0.5): the interval of confidence 1 − `alpha`.
    ///
    /// Its limits are the k-th smallest and the k-th largest mean over any of the blocks, k being ⌊2^n·`alpha`/2⌋ (Hartigan,
    /// *Using Subsample Values as Typical Values*, JASA 1969). Where k is 0, no difference however large is rejected, and there is no limit.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Interval {
        let negative = Self { differences: negated(&self.differences) };
        Interval { low: self.lower_limit(alpha), high: negative.lower_limit(alpha).map(|limit| -limit) }
    }

    /// The smallest centre of which `p_of` is above `alpha`, rounded outwards.
    fn lower_limit(&self, alpha: f64) -> Option<f64> {
        let rejected = |centre| {
            let units = self.units(centre);
            2.0 * at_or_below_zero(&units) as f64 / flips(units.len()) <= alpha
        };
        let mut high = self.estimate()?;
        let smallest = self.differences.iter().copied().fold(high, f64::min);
        // Below every difference all flips but the seen one lead less far: there p is as small as it gets.
        if 2.0 / flips(self.blocks().min(MOST_UNITS)) > alpha {
            return None;
        }
        if !rejected(smallest) {
            return Some(smallest);
        }
        let mut low = smallest;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if rejected(middle) { low = middle } else { high = middle }
        }
        Some(low)
    }

    /// At most [`MOST_UNITS`] sums over neighbouring blocks, each difference less `centre`.
    fn units(&self, centre: f64) -> Vec<Unit> {
        let blocks = self.blocks();
        let units = blocks.min(MOST_UNITS);
        let starts = (0..=units).map(|unit| unit * blocks / units.max(1));
        let starts: Vec<usize> = starts.collect();
        starts.windows(2).map(|ends| self.differences[ends[0]..ends[1]].iter().map(|d| d - centre).sum()).collect()
    }
}

impl Interval {
    /// Whether a difference lies in it.
    #[must_use]
    pub fn contains(&self, difference: f64) -> bool {
        self.low.is_none_or(|low| low <= difference) && self.high.is_none_or(|high| difference <= high)
    }
}

/// In how many ways the signs can be chosen.
fn flips(units: usize) -> f64 {
    2_f64.powi(i32::try_from(units).unwrap_or(i32::MAX))
}

fn negated(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| -value).collect()
}

/// How many of all subsets of the units have a sum of at most nought, the empty one among them: in so many ways can
/// signs be flipped without leading less far upwards than what was seen.
///
/// Every one of the 2^n is counted, without making each: both halves of the units give 2^(n/2) sums in order, and what
/// one half may add to a sum of the other is read off by walking through them once.
fn at_or_below_zero(units: &[Unit]) -> u64 {
    let slack = ROUNDING * units.iter().map(|unit| unit.abs()).sum::<f64>();
    let (left, right) = units.split_at(units.len() / 2);
    let right = subset_sums(right);
    let mut count = 0;
    let mut fitting = right.len();
    for sum in subset_sums(left) {
        while fitting > 0 && right[fitting - 1] + sum > slack {
            fitting -= 1;
        }
        count += fitting as u64;
    }
    count
}

/// The sums of all subsets, in order.
fn subset_sums(units: &[Unit]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for unit in units {
        let mut grown = Vec::with_capacity(sums.len() * 2);
        let (mut without, mut with) = (sums.iter().peekable(), sums.iter().map(|sum| sum + unit).peekable());
        while let (Some(&&a), Some(&b)) = (without.peek(), with.peek()) {
            if a <= b {
                grown.push(a);
                without.next();
            } else {
                grown.push(b);
                with.next();
            }
        }
        grown.extend(without);
        grown.extend(with);
        sums = grown;
    }
    sums
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::seeded::Seeded;
    use proptest::prelude::*;

    use super::super::{ALPHA, LEAST_BLOCKS};
    use super::*;

    fn p(differences: &[f64]) -> f64 {
        Paired::new(differences.to_vec()).p()
    }

    /// The definition, word for word: every choice of signs, one after the other.
    fn by_enumeration(differences: &[f64]) -> f64 {
        let size: f64 = differences.iter().map(|d| d.abs()).sum();
        let seen = differences.iter().sum::<f64>().abs();
        let n = differences.len();
        let as_far = |flips: &u32| {
            let sum: f64 = differences.iter().enumerate().map(|(i, d)| if flips >> i & 1 == 1 { -d } else { *d }).sum();
            sum.abs() >= seen - ROUNDING * size
        };
        (0..1_u32 << n).filter(as_far).count() as f64 / f64::from(1_u32 << n)
    }

    #[test]
    fn what_can_be_reckoned_by_hand_comes_out() {
        // All of one sign: only that choice and its mirror lead as far.
        assert_eq!(p(&[1.0, 2.0, 3.0]), 0.25);
        assert_eq!(p(&[1.0; 8]), 2.0 / 256.0);
        // +++-: 1+2+3-0.5 = 5.5; as far lead also 6.5, and the mirrors of both.
        assert_eq!(p(&[1.0, 2.0, 3.0, -0.5]), 0.25);
        assert_eq!(p(&[0.0; 12]), 1.0);
        assert_eq!((p(&[]), p(&[3.0])), (1.0, 1.0));
        // Seven of ten blocks without any difference leave 2/2^3.
        assert_eq!(p(&[0.0, 0.1, 0.0, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0]), 0.25);
    }

    #[test]
    fn eight_blocks_are_the_fewest_that_can_tell() {
        for n in 1..=20 {
            let all_alike = Paired::new(vec![1.0; n]);
            let able = n >= LEAST_BLOCKS as usize;
            assert_eq!(all_alike.p() <= ALPHA, able, "{n}");
            let interval = all_alike.interval(ALPHA);
            assert_eq!((interval.low.is_some(), interval.high.is_some()), (able, able), "{n}");
        }
        assert_eq!(Paired::new(vec![]).interval(ALPHA), Interval { low: None, high: None });
    }

    #[test]
    fn with_eight_blocks_the_interval_is_from_the_least_to_the_greatest() {
        let paired = Paired::new(vec![0.3, 0.1, 0.2, -0.05, 0.4, 0.2, 0.1, 0.15]);
        assert_eq!(paired.interval(ALPHA), Interval { low: Some(-0.05), high: Some(0.4) });
    }

    #[test]
    fn many_blocks_are_flipped_in_groups_and_stay_exact() {
        // 48 blocks in 24 pairs of neighbours are 24 blocks of their sums.
        let mut seeded = Seeded::new(5);
        let many: Vec<f64> = (0..48).map(|_| seeded.unit() - 0.4).collect();
        let summed: Vec<f64> = many.chunks(2).map(|pair| pair.iter().sum()).collect();
        assert_eq!(p(&many), p(&summed));
        assert_eq!(p(&vec![1.0; 1_000]), 2.0 / f64::from(1_u32 << 24));
    }

    /// Differences as they come: of any size, with ties and noughts among them.
    fn differences(blocks: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
        let one = prop_oneof![4 => -1.0..1.0, 1 => Just(0.0), 2 => (-5_i32..5).prop_map(|n| f64::from(n) / 10.0), 1 => -1e6..1e6];
        proptest::collection::vec(one, blocks)
    }

    proptest! {
        #[test]
        fn every_flip_is_counted(of in differences(0..13)) {
            prop_assert_eq!(p(&of), by_enumeration(&of));
        }

        #[test]
        fn p_is_a_probability_of_at_least_two_flips(of in differences(1..40)) {
            let floor = 2.0 / 2_f64.powi(of.len().min(MOST_UNITS) as i32);
            prop_assert!((floor.min(1.0)..=1.0).contains(&p(&of)));
        }

        #[test]
        fn p_does_not_know_the_sides_from_each_other(of in differences(0..30)) {
            prop_assert_eq!(p(&of), p(&negated(&of)));
        }

        #[test]
        fn p_does_not_know_the_unit(of in differences(0..30), scale in 1e-3..1e3) {
            let scaled: Vec<f64> = of.iter().map(|d| d * scale).collect();
            prop_assert!((p(&of) - p(&scaled)).abs() <= 1e-6);
        }

        #[test]
        fn the_order_of_the_blocks_is_nothing(of in differences(0..16), seed: u64) {
            let mut shuffled = of.clone();
            Seeded::new(seed).shuffle(&mut shuffled);
            prop_assert_eq!(p(&of), p(&shuffled));
            let (a, b) = (Paired::new(of).interval(ALPHA), Paired::new(shuffled).interval(ALPHA));
            prop_assert!(near(a.low, b.low) && near(a.high, b.high), "{:?} {:?}", a, b);
        }

        #[test]
        fn the_interval_holds_the_estimate_and_agrees_with_the_test(of in differences(1..16), alpha in 0.001..0.2) {
            let paired = Paired::new(of);
            let interval = paired.interval(alpha);
            let estimate = paired.estimate().unwrap();
            let margin = 1e-9 * (1.0 + paired.differences.iter().map(|d| d.abs()).sum::<f64>());
            prop_assert!(interval.low.is_none_or(|low| low <= estimate + margin));
            prop_assert!(interval.high.is_none_or(|high| high >= estimate - margin));
            for (limit, outwards) in [(interval.low, -1.0), (interval.high, 1.0)] {
                if let Some(limit) = limit {
                    prop_assert!(paired.p_of(limit + outwards * margin) <= alpha, "beyond {limit}");
                    prop_assert!(paired.p_of(limit - outwards * margin) > alpha, "within {limit}");
                }
            }
            // A limit in neither direction, or in both.
            prop_assert_eq!(interval.low.is_some(), interval.high.is_some());
        }

        #[test]
        fn a_difference_that_is_rejected_lies_outside(of in differences(8..16), centre in -1.0..1.0_f64) {
            let paired = Paired::new(of);
            let interval = paired.interval(ALPHA);
            let margin = 1e-9 * paired.differences.iter().map(|d| d.abs()).sum::<f64>();
            let at_a_limit =
                [interval.low, interval.high].into_iter().flatten().any(|limit| (limit - centre).abs() <= margin);
            prop_assert!(at_a_limit || interval.contains(centre) == (paired.p_of(centre) > ALPHA));
        }

        #[test]
        fn more_confidence_is_a_wider_interval(of in differences(8..16)) {
            let paired = Paired::new(of);
            let (narrow, wide) = (paired.interval(0.05), paired.interval(0.01));
            prop_assert!(wide.low.unwrap() <= narrow.low.unwrap() && narrow.high.unwrap() <= wide.high.unwrap());
        }

        #[test]
        fn what_is_added_to_all_is_added_to_the_limits(of in differences(8..16), shift in -10.0..10.0) {
            let shifted = Paired::new(of.iter().map(|d| d + shift).collect());
            let (a, b) = (Paired::new(of).interval(ALPHA), shifted.interval(ALPHA));
            prop_assert!(near(a.low.map(|low| low + shift), b.low) && near(a.high.map(|high| high + shift), b.high));
        }
    }

    fn near(a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * (1.0 + a.abs()),
            (a, b) => a == b,
        }
    }
}
