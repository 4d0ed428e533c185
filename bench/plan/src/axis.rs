//! The axes of a matrix, and the combinations they make.

mod id;

use super::cell::KnobValue;

pub use id::{BASE, IdError, ids};

/// One knob and the values it takes in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The full dotted name.
    pub knob: String,
    /// The values asked, in the file's order, canonical, without duplicates; at least one.
    pub values: Vec<KnobValue>,
}

/// Some knobs by full dotted name, and the value each must have.
pub type Condition = Vec<(String, KnobValue)>;

/// How many combinations the axes make; `None` where that overflows.
#[must_use]
pub fn size(axes: &[Axis]) -> Option<u64> {
    axes.iter().try_fold(1_u64, |product, axis| product.checked_mul(u64::try_from(axis.values.len()).ok()?))
}

/// Every combination that no condition of `exclude` takes out, as one index into each axis' values.
///
/// The first axis turns slowest, so cells stand in the order in which a reader of the file would write them down.
#[must_use]
pub fn product(axes: &[Axis], exclude: &[Condition]) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for axis in axes {
        rows = rows
            .into_iter()
            .flat_map(|row| {
                (0..axis.values.len()).map(move |index| {
                    let mut longer = row.clone();
                    longer.push(index);
                    longer
                })
            })
            .collect();
    }
    rows.retain(|row| !exclude.iter().any(|condition| holds(axes, row, condition)));
    rows
}

/// Whether a combination has every value that `condition` asks for. A knob that is no axis never has.
#[must_use]
pub fn holds(axes: &[Axis], row: &[usize], condition: &[(String, KnobValue)]) -> bool {
    condition.iter().all(|(knob, value)| {
        axes.iter().zip(row).any(|(axis, &index)| axis.knob == *knob && axis.values.get(index) == Some(value))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Random axes with distinct names and distinct values.
    pub(crate) fn axes() -> impl Strategy<Value = Vec<Axis>> {
        let value = prop_oneof![
            (0u64..50).prop_map(KnobValue::Number),
            any::<bool>().prop_map(KnobValue::Switch),
            "[a-c :/._~-]{1,6}".prop_map(KnobValue::Word),
        ];
        let values = prop::collection::hash_set(value, 1..4).prop_map(|set| set.into_iter().collect::<Vec<_>>());
        let name = prop::sample::select(vec![
            "ulimit.nofile",
            "target.backlog",
            "load.connections",
            "sysctl.net.core.somaxconn",
            "sysctl.net.ipv4.conf.all.rp_filter",
            "sysctl.net.ipv4.conf.eth0/1.rp_filter",
            "sysctl.net.ipv6.conf.all.rp_filter",
            "sysctl.net.target.backlog",
        ]);
        prop::collection::hash_map(name, values, 0..5)
            .prop_map(|map| map.into_iter().map(|(knob, values)| Axis { knob: knob.to_owned(), values }).collect())
    }

    fn number_axis(knob: &str, values: &[u64]) -> Axis {
        Axis { knob: knob.to_owned(), values: values.iter().copied().map(KnobValue::Number).collect() }
    }

    #[test]
    fn the_first_axis_turns_slowest() {
        let axes = [number_axis("a.x", &[1, 2]), number_axis("b.y", &[3, 4])];
        assert_eq!(product(&axes, &[]), [[0, 0], [0, 1], [1, 0], [1, 1]]);
        let exclude = vec![vec![("b.y".to_owned(), KnobValue::Number(3)), ("a.x".to_owned(), KnobValue::Number(2))]];
        assert_eq!(product(&axes, &exclude), [[0, 0], [0, 1], [1, 1]]);
        assert_eq!(product(&[], &[]), [Vec::<usize>::new()]);
    }

    proptest! {
        #[test]
        fn the_product_has_its_size_and_no_row_twice(axes in axes()) {
            let rows = product(&axes, &[]);
            prop_assert_eq!(rows.len() as u64, size(&axes).unwrap());
            let distinct: std::collections::HashSet<_> = rows.iter().collect();
            prop_assert_eq!(distinct.len(), rows.len());
            prop_assert!(rows.is_sorted());
        }

        #[test]
        fn ids_are_unique_and_safe_as_file_names(axes in axes()) {
            let rows = product(&axes, &[]);
            let ids = ids(&axes, &rows).unwrap();
            prop_assert_eq!(ids.len(), rows.len());
            let distinct: std::collections::HashSet<_> = ids.iter().collect();
            prop_assert_eq!(distinct.len(), ids.len());
            for id in &ids {
                prop_assert!(!id.is_empty() && !id.starts_with('.'), "{}", id);
                prop_assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "=,._-~".contains(c)), "{}", id);
            }
        }
    }
}
