//! Kernel counters by name: `/proc/net/netstat` and `/proc/net/snmp`.
//!
//! Both are pairs of lines, the names of a group and then its values (`net/ipv4/proc.c`, `netstat_seq_show` and
//! `snmp_seq_show`). Names differ between kernels and are inserted in the middle, so they are never matched by place,
//! and one that brimful has never heard of is kept. Given text, never a path.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why a text is not one of counters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CounterError {
    /// As many values as names are needed: a missing one would shift all that follow it.
    #[error("group {group} has {names} names and {values} values")]
    Mismatch {
        /// The group, `TcpExt`.
        group: String,
        /// How many names its first line has.
        names: usize,
        /// How many values its second line has.
        values: usize,
    },
    /// The line of values is missing, or belongs to another group.
    #[error("group {group} has names but no values")]
    NoValues {
        /// The group, `TcpExt`.
        group: String,
    },
    /// A line does not begin with the name of a group.
    #[error("line {line:?} does not begin with a group and a colon")]
    NoGroup {
        /// The line, cut to 40 characters.
        line: String,
    },
    /// A value is not a whole number that fits 64 bits.
    #[error("{name} is {value:?}, which is not a whole number of 64 bits")]
    NotANumber {
        /// The counter, `TcpExt.ListenDrops`.
        name: String,
        /// The value as found.
        value: String,
    },
}

/// Counters as last read. Reading the same names again compares them as text and allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Table {
    groups: Vec<Group>,
    names: Vec<String>,
    values: Vec<Option<u64>>,
}

/// One pair of lines: the first as text, and how many columns it has.
#[derive(Clone, Debug)]
struct Group {
    header: String,
    columns: usize,
}

impl Table {
    /// Takes the next reading of the same file. Returns whether the names changed since the last one (they do at the
    /// first, and when the kernel shows a row it had hidden, such as `IcmpMsg`).
    ///
    /// # Errors
    ///
    /// [`CounterError`] for a text that is not in pairs of lines of equal length; the table is then empty.
    pub fn update(&mut self, text: &str) -> Result<bool, CounterError> {
        if self.refill(text) {
            return Ok(false);
        }
        self.groups.clear();
        self.names.clear();
        self.values.clear();
        let built = self.rebuild(text);
        if built.is_err() {
            *self = Self::default();
        }
        built.map(|()| true)
    }

    /// Names in the order of the file, `Group.Name`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Values in the order of [`Table::names`]. `None` is a negative one, which counts nothing: `Tcp.MaxConn` is -1
    /// for "no limit" (RFC 4022).
    #[must_use]
    pub fn values(&self) -> &[Option<u64>] {
        &self.values
    }

    /// The fast way: same names, new values. `false`, with the values in disorder, when the text is another one.
    fn refill(&mut self, text: &str) -> bool {
        let mut lines = text.lines();
        let mut free = self.values.as_mut_slice();
        for group in &self.groups {
            let (Some(header), Some(values)) = (lines.next(), lines.next()) else { return false };
            if header != group.header {
                return false;
            }
            let Some((mine, rest)) = free.split_at_mut_checked(group.columns) else { return false };
            free = rest;
            let Some(fields) = fields_of(values, group_of(header)) else { return false };
            if !fill(mine, fields) {
                return false;
            }
        }
        !self.groups.is_empty() && lines.next().is_none()
    }

    fn rebuild(&mut self, text: &str) -> Result<(), CounterError> {
        let mut lines = text.lines();
        while let Some(header) = lines.next() {
            let group =
                group_of(header).ok_or_else(|| CounterError::NoGroup { line: header.chars().take(40).collect() })?;
            let first = self.names.len();
            let fields = header.get(group.len() + 1..).unwrap_or_default();
            self.names.extend(fields.split_ascii_whitespace().map(|name| format!("{group}.{name}")));
            let columns = self.names.len() - first;
            let values = lines
                .next()
                .and_then(|line| fields_of(line, Some(group)))
                .ok_or_else(|| CounterError::NoValues { group: group.to_owned() })?;
            let found = values.split_ascii_whitespace().count();
            if found != columns {
                return Err(CounterError::Mismatch { group: group.to_owned(), names: columns, values: found });
            }
            for (name, field) in self.names.iter().skip(first).zip(values.split_ascii_whitespace()) {
                let value = number(field)
                    .ok_or_else(|| CounterError::NotANumber { name: name.clone(), value: field.to_owned() })?;
                self.values.push(value.counted());
            }
            self.groups.push(Group { header: header.to_owned(), columns });
        }
        Ok(())
    }
}

/// All counters of a text by `Group.Name`, without the negative ones.
///
/// # Errors
///
/// As [`Table::update`].
pub fn parse(text: &str) -> Result<BTreeMap<String, u64>, CounterError> {
    let mut table = Table::default();
    table.update(text)?;
    Ok(table.names.into_iter().zip(table.values).filter_map(|(name, value)| Some((name, value?))).collect())
}

/// A field of a line of values.
#[derive(Clone, Copy)]
enum Number {
    Counted(u64),
    Negative,
}

impl Number {
    fn counted(self) -> Option<u64> {
        match self {
            Self::Counted(value) => Some(value),
            Self::Negative => None,
        }
    }
}

fn number(field: &str) -> Option<Number> {
    match field.strip_prefix('-') {
        Some(digits) => digits.parse::<u64>().ok().map(|_| Number::Negative),
        None => field.parse().ok().map(Number::Counted),
    }
}

fn group_of(line: &str) -> Option<&str> {
    line.split_once(':').map(|(group, _)| group).filter(|group| !group.is_empty() && !group.contains(' '))
}

fn fields_of<'a>(line: &'a str, group: Option<&str>) -> Option<&'a str> {
    line.strip_prefix(group?)?.strip_prefix(':')
}

fn fill(mine: &mut [Option<u64>], values: &str) -> bool {
    let mut fields = values.split_ascii_whitespace();
    for slot in mine {
        let Some(value) = fields.next().and_then(number) else { return false };
        *slot = value.counted();
    }
    fields.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NETSTAT_6_18: &str = include_str!("../tests/fixtures/proc/netstat-6.18.txt");
    const SNMP_6_18: &str = include_str!("../tests/fixtures/proc/snmp-6.18.txt");
    const NETSTAT_4_19: &str = include_str!("../tests/fixtures/proc/netstat-4.19.txt");
    const NETSTAT_5_15: &str = include_str!("../tests/fixtures/proc/netstat-5.15.txt");
    const SNMP_6_1: &str = include_str!("../tests/fixtures/proc/snmp-6.1.txt");

    #[test]
    fn captured_texts_are_read_by_name() {
        let table = [
            (NETSTAT_6_18, "TcpExt.TCPOrigDataSent", Some(1275)),
            (NETSTAT_6_18, "IpExt.InOctets", Some(96_006_083)),
            (NETSTAT_6_18, "TcpExt.ListenOverflows", Some(0)),
            (SNMP_6_18, "Ip.OutTransmits", Some(3243)),
            (SNMP_6_18, "Tcp.ActiveOpens", Some(57)),
            (SNMP_6_18, "IcmpMsg.InType3", Some(1)),
            (NETSTAT_4_19, "TcpExt.ListenOverflows", Some(131)),
            (NETSTAT_4_19, "TcpExt.TCPMigrateReqSuccess", None),
            (NETSTAT_5_15, "TcpExt.TCPMigrateReqSuccess", Some(10)),
            (NETSTAT_5_15, "MPTcpExt.MPCapableSYNRX", Some(0)),
            (SNMP_6_1, "Ip.OutNoRoutes", Some(6)),
            (SNMP_6_1, "Ip.OutTransmits", None),
            (SNMP_6_1, "Tcp.OutRsts", Some(2)),
        ];
        for (text, name, value) in table {
            assert_eq!(parse(text).unwrap().get(name).copied(), value, "{name}");
        }
        assert!(parse(NETSTAT_6_18).unwrap().keys().filter(|k| k.starts_with("TcpExt.")).count() >= 135);
    }

    #[test]
    fn a_negative_value_is_left_out_and_shifts_nothing() {
        let counters = parse(SNMP_6_18).unwrap();
        assert_eq!((counters.get("Tcp.MaxConn"), counters.get("Tcp.RtoMax")), (None, Some(&120_000)));
    }

    #[test]
    fn bad_texts_are_refused_by_name() {
        let mismatch = |names, values| CounterError::Mismatch { group: "Tcp".to_owned(), names, values };
        let table = [
            ("a value short", "Tcp: A B\nTcp: 1\n", mismatch(2, 1)),
            ("a value too many", "Tcp: A\nTcp: 1 2\n", mismatch(1, 2)),
            ("cut after the names", "Tcp: A\n", CounterError::NoValues { group: "Tcp".to_owned() }),
            ("another group's values", "Tcp: A\nUdp: 1\n", CounterError::NoValues { group: "Tcp".to_owned() }),
            ("no group", "hello\n", CounterError::NoGroup { line: "hello".to_owned() }),
            (
                "a word",
                "Tcp: A\nTcp: x\n",
                CounterError::NotANumber { name: "Tcp.A".to_owned(), value: "x".to_owned() },
            ),
        ];
        for (name, text, error) in table {
            assert_eq!(parse(text), Err(error), "{name}");
            let mut used = Table::default();
            used.update("Tcp: A B\nTcp: 3 4\n").unwrap();
            assert!(used.update(text).is_err(), "{name}, after a good one");
            assert!(used.values().is_empty(), "{name}: no half-filled values");
        }
    }

    #[test]
    fn names_that_change_are_noticed() {
        let mut table = Table::default();
        assert_eq!(table.update("Tcp: A B\nTcp: 1 2\n"), Ok(true));
        assert_eq!(table.update("Tcp: A B\nTcp: 5 -1\n"), Ok(false));
        assert_eq!(table.values(), [Some(5), None]);
        assert_eq!(table.update("Tcp: A New B\nTcp: 5 6 7\n"), Ok(true));
        assert_eq!(table.names(), ["Tcp.A", "Tcp.New", "Tcp.B"]);
        assert_eq!(table.update("Tcp: A New B\nTcp: 5 6 7\nUdp: X\nUdp: 1\n"), Ok(true));
        assert_eq!(table.update("Tcp: A New B\nTcp: 5 6 7\n"), Ok(true));
    }

    fn print(groups: &BTreeMap<String, BTreeMap<String, i64>>) -> String {
        let line = |group: &String, fields: Vec<String>| format!("{group}: {}\n", fields.join(" "));
        groups
            .iter()
            .map(|(group, counters)| {
                line(group, counters.keys().cloned().collect())
                    + &line(group, counters.values().map(ToString::to_string).collect())
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            groups in proptest::collection::btree_map(
                "[A-Z][A-Za-z]{0,8}",
                proptest::collection::btree_map("[A-Z][A-Za-z0-9]{0,12}", -2_i64.., 0..20),
                0..6,
            )
        ) {
            let expected: BTreeMap<String, u64> = groups
                .iter()
                .flat_map(|(g, counters)| counters.iter().map(move |(n, v)| (format!("{g}.{n}"), *v)))
                .filter_map(|(name, value)| Some((name, u64::try_from(value).ok()?)))
                .collect();
            prop_assert_eq!(parse(&print(&groups)).unwrap(), expected);
        }

        #[test]
        fn reading_again_gives_what_reading_afresh_gives(first in 0_usize..5, second in 0_usize..5) {
            let texts = [NETSTAT_6_18, SNMP_6_18, NETSTAT_4_19, NETSTAT_5_15, SNMP_6_1];
            let (mut used, mut fresh) = (Table::default(), Table::default());
            used.update(texts[first]).unwrap();
            used.update(texts[second]).unwrap();
            fresh.update(texts[second]).unwrap();
            prop_assert_eq!((used.names(), used.values()), (fresh.names(), fresh.values()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}", tail in "(Tcp: [A-Z ]{0,6}\n?|Tcp:[0-9 -]{0,9}\n){0,6}") {
            let mut table = Table::default();
            for text in [text.as_str(), tail.as_str(), text.as_str()] {
                if table.update(text).is_err() {
                    prop_assert!(table.names().is_empty());
                }
                prop_assert_eq!(table.names().len(), table.values().len());
            }
        }
    }
}
