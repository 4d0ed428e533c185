//! Series made short enough to draw, without losing their peaks. Pure.

/// Points kept of each stretch: its first, its lowest, its highest and its last.
const KEPT: usize = 4;

/// A step function with at most `most` points: where there are more, each stretch of equal length up to `end_ns` keeps its first,
/// lowest, highest and last, so that the largest and the smallest value, and every flat top, survive.
pub(super) fn thin(points: &[(u64, u64)], end_ns: u64, most: usize) -> Vec<(u64, u64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let stretches = (most / KEPT).max(1) as u64;
    let mut kept = Vec::with_capacity(most);
    for of_stretch in points.chunk_by(|a, b| stretch(a.0, end_ns, stretches) == stretch(b.0, end_ns, stretches)) {
        let lowest = of_stretch.iter().min_by_key(|p| p.1);
        let highest = of_stretch.iter().max_by_key(|p| p.1);
        let mut four: Vec<(u64, u64)> =
            [of_stretch.first(), lowest, highest, of_stretch.last()].into_iter().flatten().copied().collect();
        four.sort_by_key(|p| p.0);
        four.dedup();
        kept.extend(four);
    }
    kept
}

/// How much a counter grew in each of `stretches` equal stretches up to `end_ns`; what a reading shows is put where it was read.
pub(super) fn growth(points: &[(u64, u64)], end_ns: u64, stretches: usize) -> Vec<u64> {
    let mut grown = vec![0_u64; stretches.max(1)];
    for (before, after) in points.iter().zip(points.iter().skip(1)) {
        let at = stretch(after.0, end_ns, stretches.max(1) as u64);
        if let Some(sum) = usize::try_from(at).ok().and_then(|at| grown.get_mut(at)) {
            *sum = sum.saturating_add(after.1.saturating_sub(before.1));
        }
    }
    grown
}

/// Neighbours added up until at most `most` are left.
pub(super) fn coarser(grown: &[u64], most: usize) -> Vec<u64> {
    let together = grown.len().div_ceil(most.max(1)).max(1);
    grown.chunks(together).map(|few| few.iter().fold(0, |sum: u64, n| sum.saturating_add(*n))).collect()
}

/// The points of a line without those that lie on the straight between their neighbours, give or take `slack` of height.
pub(super) fn straightened(points: &[(f64, f64)], slack: f64) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    let mut since: Vec<(f64, f64)> = Vec::new();
    for &next in points.iter().skip(1) {
        let near = |from: (f64, f64)| since.iter().all(|&p| (p.1 - height(from, next, p.0)).abs() <= slack);
        if let (false, Some(&corner)) = (kept.last().copied().is_some_and(near), since.last()) {
            kept.push(corner);
            since.clear();
        }
        since.push(next);
    }
    kept.extend(since.last());
    kept
}

/// How high the line between two points is at `x`.
fn height(from: (f64, f64), to: (f64, f64), x: f64) -> f64 {
    let run = to.0 - from.0;
    if run <= 0.0 { to.1 } else { from.1 + (to.1 - from.1) * (x - from.0) / run }
}

/// Which of `stretches` equal stretches up to `end_ns` an instant falls into; the last for one after the end.
fn stretch(at_ns: u64, end_ns: u64, stretches: u64) -> u64 {
    let at = u128::from(at_ns) * u128::from(stretches) / u128::from(end_ns.max(1));
    u64::try_from(at).unwrap_or(u64::MAX).min(stretches.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series() -> impl Strategy<Value = Vec<(u64, u64)>> {
        proptest::collection::vec((1_u64..50, 0_u64..1_000), 1..400).prop_map(|steps| {
            let mut at = 0;
            steps
                .into_iter()
                .map(|(gap, value)| {
                    at += gap;
                    (at, value)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_kept_is_little_and_has_the_peaks(points in series(), most in 8_usize..200) {
            let end = points.last().unwrap().0 + 1;
            let kept = thin(&points, end, most);
            prop_assert!(kept.len() <= most);
            prop_assert!(kept.windows(2).all(|w| w[0].0 < w[1].0));
            prop_assert_eq!(kept.iter().map(|p| p.1).max(), points.iter().map(|p| p.1).max());
            prop_assert_eq!(kept.iter().map(|p| p.1).min(), points.iter().map(|p| p.1).min());
            prop_assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        }

        #[test]
        fn a_straightened_line_is_near_every_point(points in series(), slack in 0_u64..300) {
            let points: Vec<(f64, f64)> = points.iter().map(|p| (p.0 as f64, p.1 as f64)).collect();
            let kept = straightened(&points, slack as f64);
            prop_assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
            for ends in kept.windows(2) {
                let between = points.iter().filter(|p| ends[0].0 <= p.0 && p.0 <= ends[1].0);
                for p in between {
                    prop_assert!((p.1 - height(ends[0], ends[1], p.0)).abs() <= slack as f64 + 1e-6);
                }
            }
        }

        #[test]
        fn no_growth_is_lost(mut points in series(), stretches in 1_usize..200, most in 1_usize..200) {
            points.iter_mut().fold(0, |sum, p| { p.1 += sum; p.1 });
            let end = points.last().unwrap().0;
            let grown = growth(&points, end, stretches);
            let total = points.last().unwrap().1 - points.first().unwrap().1;
            prop_assert_eq!(grown.iter().sum::<u64>(), total);
            let few = coarser(&grown, most);
            prop_assert!(few.len() <= most);
            prop_assert_eq!(few.iter().sum::<u64>(), total);
        }
    }
}
