//! How many blocks a question takes, and how small an effect some blocks can see. Pure.
//!
//! Plans, not findings: they assume that the spread of the blocks stays what it was. Nothing here makes an answer a `pass` or a `fail`.

use super::{ALPHA, Paired};

/// The normal deviate that four in five stay below: the power at which an effect counts as one that could have been seen.
const POWER_80: f64 = 0.8416;

/// More blocks than anybody would run for one answer.
const MOST_BLOCKS: u32 = 1_000;

/// The fewest blocks with which one comparison of a family of `comparisons` can be significant: the smallest n with
/// 2/2^n ≤ 0.01/`comparisons`, that is n ≥ 1 + log2(`comparisons`/0.01). 8 for one, 14 for eight cells by eight metrics.
#[must_use]
pub fn blocks_for(comparisons: usize) -> u32 {
    let flips = comparisons.max(1) as f64 * 2.0 / ALPHA;
    (1..63).find(|&n| 2_f64.powi(n) >= flips).map_or(63, i32::unsigned_abs)
}

/// The true difference that these blocks would have told from none in four cases of five, on the scale of the differences: what it takes to
/// reach significance at `alpha`, as the test itself has it, and as much again as chance may take away. `None` where the blocks are too few to
/// see a difference of any size.
#[must_use]
pub fn smallest_effect(paired: &Paired, alpha: f64) -> Option<f64> {
    let estimate = paired.estimate()?;
    let interval = paired.interval(alpha);
    let reach = f64::max(estimate - interval.low?, interval.high? - estimate);
    Some(reach + POWER_80 * paired.spread()? / (paired.blocks() as f64).sqrt())
}

/// How many blocks would settle on which side of `limit` the true difference lies, if estimate and spread stay as they are: the interval then
/// leaves the limit out, and a difference beyond it is significant in its family. At least what the family takes. `None` without a spread to
/// go by, or where a thousand blocks would not do.
#[must_use]
pub fn blocks_to_settle(paired: &Paired, limit: f64, comparisons: usize) -> Option<u32> {
    let (estimate, spread) = (paired.estimate()?, paired.spread()?);
    let enough = |&blocks: &u32| {
        let error = spread / f64::from(blocks).sqrt();
        let told_from_limit = (estimate - limit).abs() > student(ALPHA / 2.0, blocks - 1) * error;
        let family = ALPHA / comparisons.max(1) as f64;
        told_from_limit && (estimate <= limit || estimate.abs() > student(family / 2.0, blocks - 1) * error)
    };
    (blocks_for(comparisons)..=MOST_BLOCKS).find(enough)
}

/// The deviate of Student's t that a share of `tail` lies above, to about a hundredth for 7 degrees of freedom and more: the normal one with two
/// terms of its expansion (Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.5).
fn student(tail: f64, degrees: u32) -> f64 {
    let z = normal(tail);
    let v = f64::from(degrees.max(1));
    z + (z.powi(3) + z) / (4.0 * v) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
}

/// The normal deviate that a share of `tail` (above 0, up to 0.5) lies above, to 0.0005 (the same, 26.2.23).
fn normal(tail: f64) -> f64 {
    let t = (-2.0 * tail.ln()).sqrt();
    t - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
        / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_family_needs_what_the_formula_says() {
        for (comparisons, blocks) in [(0, 8), (1, 8), (2, 9), (3, 10), (24, 13), (64, 14), (4_096 * 7, 23)] {
            assert_eq!(blocks_for(comparisons), blocks, "{comparisons}");
            let formula = (1.0 + (comparisons.max(1) as f64 / ALPHA).log2()).ceil();
            assert_eq!(f64::from(blocks), formula, "{comparisons}");
        }
    }

    #[test]
    fn deviates_are_those_of_the_tables() {
        for (tail, z) in [(0.5, 0.0), (0.2, 0.8416), (0.025, 1.9600), (0.005, 2.5758), (0.0005, 3.2905)] {
            assert!((normal(tail) - z).abs() < 5e-4, "{tail}: {}", normal(tail));
        }
        for (degrees, t) in [(7, 3.4995), (9, 3.2498), (14, 2.9768), (29, 2.7564)] {
            assert!((student(0.005, degrees) - t).abs() < 0.09, "{degrees}: {}", student(0.005, degrees));
        }
    }

    #[test]
    fn blocks_that_are_all_alike_see_anything_and_few_see_nothing() {
        assert_eq!(smallest_effect(&Paired::new(vec![0.25; 8]), ALPHA), Some(0.0));
        assert_eq!(smallest_effect(&Paired::new(vec![0.1, 0.3, 0.2]), ALPHA), None);
        assert_eq!(smallest_effect(&Paired::new(vec![]), ALPHA), None);
    }

    #[test]
    fn what_lies_on_the_limit_is_never_settled() {
        let paired = Paired::new(vec![0.0, 0.2, 0.0, 0.2]);
        assert_eq!(blocks_to_settle(&paired, 0.1, 1), None);
        assert_eq!(blocks_to_settle(&Paired::new(vec![0.1]), 0.5, 1), None);
        let settled = blocks_to_settle(&paired, 0.5, 24).unwrap();
        assert_eq!(settled, blocks_for(24), "far from the limit, only the family counts");
    }

    proptest! {
        #[test]
        fn nearer_to_the_limit_takes_no_fewer_blocks(
            of in proptest::collection::vec(-0.1..0.1, 3..12), limit in 0.2..0.5, nearer in 0.0..0.09,
        ) {
            let paired = Paired::new(of);
            let (far, near) = (blocks_to_settle(&paired, limit, 3), blocks_to_settle(&paired, limit - nearer, 3));
            prop_assert!(near.is_none() || far.unwrap() <= near.unwrap());
        }

        #[test]
        fn a_stricter_level_sees_less(of in proptest::collection::vec(-0.1..0.1, 12..16)) {
            let paired = Paired::new(of);
            prop_assert!(smallest_effect(&paired, 0.05).unwrap() <= smallest_effect(&paired, 0.002).unwrap());
        }
    }
}
