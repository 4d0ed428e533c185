//! Many comparisons at once. Pure.

/// Holm's step-down adjustment (*A Simple Sequentially Rejective Multiple Test Procedure*, 1979): the p-values of a family, made so
/// large that the chance of one false alarm in the whole family is at most the level that they are held against. In the order in which they came.
///
/// `family` is how many comparisons were meant from the start, at least as many as there are values; those without a value
/// (a quantile among the censored) count as never significant.
#[must_use]
pub fn adjusted(p: &[f64], family: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let family = family.max(p.len());
    let mut adjusted = vec![1.0; p.len()];
    let mut floor = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        floor = floor.max(p[at] * (family - rank) as f64).min(1.0);
        adjusted[at] = floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_can_be_reckoned_by_hand_comes_out() {
        let p = [0.01, 0.04, 0.03, 0.005];
        let by_hand = [0.03, 0.06, 0.06, 0.02];
        assert!(adjusted(&p, 4).iter().zip(by_hand).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", adjusted(&p, 4));
        assert_eq!(adjusted(&[0.01], 5), [0.05]);
        assert_eq!(adjusted(&[], 3), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn never_below_the_raw_p_and_never_above_bonferronis(
            p in proptest::collection::vec(0.0..=1.0, 0..40), more in 0_usize..10,
        ) {
            let family = p.len() + more;
            for (adjusted, raw) in adjusted(&p, family).iter().zip(&p) {
                prop_assert!(adjusted >= raw && *adjusted <= (raw * family as f64).min(1.0));
            }
        }

        #[test]
        fn the_order_of_the_p_values_is_kept(p in proptest::collection::vec(0.0..=1.0, 2..20)) {
            let adjusted = adjusted(&p, p.len());
            for (i, j) in (0..p.len()).flat_map(|i| (0..p.len()).map(move |j| (i, j))) {
                prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
            }
        }

        #[test]
        fn a_larger_family_asks_for_more(p in proptest::collection::vec(0.0..=1.0, 1..20)) {
            let (small, large) = (adjusted(&p, p.len()), adjusted(&p, p.len() + 3));
            prop_assert!(small.iter().zip(&large).all(|(small, large)| small <= large));
        }
    }
}
