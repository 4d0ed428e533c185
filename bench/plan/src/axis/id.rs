//! Names of cells: readable, unique, and fit to be the name of a folder on any file system.

use std::collections::HashSet;

use super::Axis;

/// The id of the only cell of a scenario in which nothing varies.
pub const BASE: &str = "base";
/// The longest id in bytes: file systems take 255 for a name, and a suffix needs room.
const MAX_ID: usize = 200;

/// Why a matrix has no usable ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Too many axes vary, or their values are long.
    #[error("the cell `{id}` would have a name of {} bytes, at most {MAX_ID} are taken", id.len())]
    TooLong {
        /// The id.
        id: String,
    },
    /// Two cells would have the same name.
    #[error("two cells would both be called `{id}`")]
    Duplicate {
        /// The id.
        id: String,
    },
}

/// The id of each combination: `name=value` pairs of the axes with more than one value, joined by `,`, in their order; `base` where none has.
///
/// Names are cut to the shortest dotted end that no other of them has; what a file name cannot hold becomes `-`.
///
/// # Errors
/// [`IdError`] for an id that is too long or there twice.
pub fn ids(axes: &[Axis], rows: &[Vec<usize>]) -> Result<Vec<String>, IdError> {
    let names: Vec<&str> = axes.iter().filter(|axis| axis.values.len() > 1).map(|axis| axis.knob.as_str()).collect();
    let labels: Vec<Option<Vec<String>>> =
        axes.iter().map(|axis| (axis.values.len() > 1).then(|| pair_labels(axis, &names))).collect();
    let mut seen = HashSet::new();
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let pairs = labels.iter().zip(row).filter_map(|(labels, &index)| labels.as_ref()?.get(index));
        let mut id = pairs.map(String::as_str).collect::<Vec<_>>().join(",");
        if id.is_empty() {
            id = BASE.to_owned();
        }
        if id.len() > MAX_ID {
            return Err(IdError::TooLong { id });
        }
        if !seen.insert(id.clone()) {
            return Err(IdError::Duplicate { id });
        }
        ids.push(id);
    }
    Ok(ids)
}

/// `name=value` for each value of the axis; where two values look alike in a file name, the later ones are numbered.
fn pair_labels(axis: &Axis, names: &[&str]) -> Vec<String> {
    let name = file_safe(shortest_end(&axis.knob, names));
    let mut taken = HashSet::new();
    axis.values
        .iter()
        .map(|value| {
            let plain = format!("{name}={}", file_safe(&value.to_string()));
            let mut label = plain.clone();
            let mut number = 2;
            while !taken.insert(label.clone()) {
                // `~` never comes out of `file_safe`, so a numbered label meets only other numbered ones.
                label = format!("{plain}~{number}");
                number += 1;
            }
            label
        })
        .collect()
}

/// The shortest dotted end of `name` that no other of `names` has.
fn shortest_end<'a>(name: &'a str, names: &[&str]) -> &'a str {
    let ends_with = |other: &str, end: &str| {
        other.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let mut starts: Vec<usize> = name.match_indices('.').map(|(at, _)| at + 1).collect();
    starts.insert(0, 0);
    let unique = |end: &str| !names.iter().any(|&other| other != name && ends_with(other, end));
    starts.into_iter().rev().map(|start| &name[start..]).find(|end| unique(end)).unwrap_or(name)
}

fn file_safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::product;
    use super::*;
    use crate::cell::KnobValue;

    fn axis(knob: &str, values: &[&str]) -> Axis {
        Axis { knob: knob.to_owned(), values: values.iter().map(|v| KnobValue::Word((*v).to_owned())).collect() }
    }

    fn all(axes: &[Axis]) -> Vec<String> {
        ids(axes, &product(axes, &[])).unwrap()
    }

    #[test]
    fn names_are_as_short_as_they_can_be() {
        let axes = [
            axis("sysctl.net.core.somaxconn", &["128", "4096"]),
            axis("sysctl.net.ipv4.tcp_syncookies", &["1"]),
            axis("ulimit.nofile", &["1024:20000"]),
        ];
        assert_eq!(all(&axes), ["somaxconn=128", "somaxconn=4096"]);
        let alike = [
            axis("sysctl.net.ipv4.conf.all.rp_filter", &["0", "1"]),
            axis("sysctl.net.ipv4.conf.lo.rp_filter", &["0", "1"]),
        ];
        assert_eq!(all(&alike)[1], "all.rp_filter=0,lo.rp_filter=1");
        let inside = [axis("target.backlog", &["1", "2"]), axis("sysctl.net.target.backlog", &["1", "2"])];
        assert_eq!(all(&inside)[0], "target.backlog=1,net.target.backlog=1");
    }

    #[test]
    fn nothing_varies_is_base() {
        assert_eq!(all(&[axis("ulimit.nofile", &["1024"])]), ["base"]);
        assert_eq!(all(&[]), ["base"]);
    }

    #[test]
    fn what_a_file_name_cannot_hold_is_mapped_and_stays_unique() {
        let axes = [axis("sysctl.net.x", &["1024 60999", "1024-60999", "1024:60999", "a/b"])];
        assert_eq!(all(&axes), ["x=1024-60999", "x=1024-60999~2", "x=1024-60999~3", "x=a-b"]);
    }

    #[test]
    fn an_id_that_no_folder_can_have_is_refused() {
        let long = "v".repeat(150);
        let axes = [axis("a.one", &["1", &long]), axis("a.two", &["1", &long])];
        assert!(matches!(ids(&axes, &product(&axes, &[])), Err(IdError::TooLong { .. })));
    }
}
