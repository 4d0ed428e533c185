//! Tables with one row of hexadecimal numbers for each processor: `/proc/net/stat/*` and `/proc/net/softnet_stat`.
//! Given text, never a path.

use super::proc::ProcError;

/// The columns of `/proc/net/softnet_stat` that brimful knows, by place: the file has no names
/// (`net/core/net-procfs.c`, `softnet_seq_show`). The second one is the drops of a full per-processor backlog.
const SOFTNET_COLUMNS: [&str; 3] = ["processed", "dropped", "time_squeeze"];

/// Calls `each` with name and sum over all processors for every column of a `/proc/net/stat` table: `drop` and
/// `insert_failed` of `nf_conntrack`, `table_fulls` of `arp_cache`. `entries` is a total that every row repeats, and
/// so is taken once (`net/netfilter/nf_conntrack_standalone.c`, `ct_cpu_seq_show`; `net/core/neighbour.c`, `neigh_stat_seq_show`).
///
/// # Errors
///
/// [`ProcError`] for a row that has not as many numbers as there are names.
pub fn stat_table(text: &str, mut each: impl FnMut(&str, u64)) -> Result<(), ProcError> {
    let mut lines = text.lines();
    let header = lines.next().ok_or_else(|| ProcError::new("net/stat", "names", text))?;
    let names = header.split_ascii_whitespace();
    let mut sums = vec![0_u64; names.clone().count()];
    for (row_number, row) in lines.enumerate() {
        let mut fields = row.split_ascii_whitespace();
        for (sum, name) in sums.iter_mut().zip(names.clone()) {
            let value = hexadecimal(fields.next(), "net/stat", row)?;
            if row_number == 0 || name != "entries" {
                *sum = sum.wrapping_add(value);
            }
        }
        if fields.next().is_some() {
            return Err(ProcError::new("net/stat", "name for each number", row));
        }
    }
    names.zip(sums).for_each(|(name, sum)| each(name, sum));
    Ok(())
}

/// Calls `each` with name and sum over all processors for the known columns of `/proc/net/softnet_stat`, which is one
/// table for the whole host, whatever namespace it is read in.
///
/// # Errors
///
/// [`ProcError`] for a row with fewer columns, or one that is not hexadecimal.
pub fn softnet_stat(text: &str, mut each: impl FnMut(&'static str, u64)) -> Result<(), ProcError> {
    let mut sums = [0_u64; SOFTNET_COLUMNS.len()];
    for row in text.lines() {
        let mut fields = row.split_ascii_whitespace();
        for sum in &mut sums {
            *sum = sum.wrapping_add(hexadecimal(fields.next(), "softnet_stat", row)?);
        }
    }
    SOFTNET_COLUMNS.into_iter().zip(sums).for_each(|(name, sum)| each(name, sum));
    Ok(())
}

fn hexadecimal(field: Option<&str>, file: &'static str, row: &str) -> Result<u64, ProcError> {
    let value = field.and_then(|field| u64::from_str_radix(field, 16).ok());
    value.ok_or_else(|| ProcError::new(file, "hexadecimal number", row))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn table(text: &str) -> Result<BTreeMap<String, u64>, ProcError> {
        let mut seen = BTreeMap::new();
        stat_table(text, |name, value| assert!(seen.insert(name.to_owned(), value).is_none()))?;
        Ok(seen)
    }

    #[test]
    fn tables_captured_on_6_18_are_read() {
        let conntrack = table(include_str!("../tests/fixtures/proc/nf_conntrack-6.18.txt")).unwrap();
        assert_eq!((conntrack.len(), conntrack.get("drop")), (17, Some(&0)));
        let arp = table(include_str!("../tests/fixtures/proc/arp_cache-6.18.txt")).unwrap();
        assert_eq!((arp.get("entries"), arp.get("table_fulls")), (Some(&2), Some(&0)));
        let mut softnet = Vec::new();
        let text = include_str!("../tests/fixtures/proc/softnet_stat-6.18.txt");
        softnet_stat(text, |name, value| softnet.push((name, value))).unwrap();
        assert_eq!(softnet.iter().map(|(n, _)| *n).collect::<Vec<_>>(), SOFTNET_COLUMNS);
        assert!(softnet.iter().any(|(_, value)| *value > 0));
    }

    #[test]
    fn rows_are_summed_but_for_a_total_that_each_repeats() {
        let read = table("entries  drop\n00000010 0000000a\n00000010 00000006\n").unwrap();
        assert_eq!(read, BTreeMap::from([("entries".to_owned(), 16), ("drop".to_owned(), 16)]));
    }

    #[test]
    fn rows_of_another_length_are_refused() {
        for text in ["", "a b\n1\n", "a\n1 2\n", "a\nxyz\n"] {
            assert!(table(text).is_err(), "{text:?}");
        }
        assert!(softnet_stat("1 2\n", |_, _| {}).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "(?s)([0-9a-f \n]{0,80}|.{0,80})") {
            let answers = [stat_table(&text, |_, _| {}).is_ok(), softnet_stat(&text, |_, _| {}).is_ok()];
            prop_assert_eq!(answers.len(), 2);
        }
    }
}
