//! The rules of nf_tables as the kernel dumps them, read for their packet counters only
//! (`include/uapi/linux/netfilter/nf_tables.h`; `net/netfilter/nf_tables_api.c`, `nf_tables_fill_rule_info`).

use std::collections::BTreeMap;

use super::named_log::NamedLog;
use super::netlink::{Attributes, NetlinkError, bytes_at};

/// The kind of a message that is a rule: `NFNL_SUBSYS_NFTABLES` (10) in the high byte, `NFT_MSG_NEWRULE` (6) in the low.
pub const RULE: u16 = 10 << 8 | 6;

/// `struct nfgenmsg`, in bytes, which stands before the attributes of every netfilter message.
const GENERAL_LEN: usize = 4;

const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_COUNTER_PACKETS: u16 = 2;

/// A rule and what its counters say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The table it is in.
    pub table: String,
    /// The chain it is in.
    pub chain: String,
    /// Packets counted by each of its `counter` expressions, in their order.
    pub packets: Vec<u64>,
}

impl Rule {
    /// Reads the payload of one message of kind [`RULE`].
    ///
    /// # Errors
    ///
    /// [`NetlinkError`] for one that is cut short or lacks its table or chain.
    pub fn parse(payload: &[u8]) -> Result<Self, NetlinkError> {
        let attributes = Attributes::new(payload.get(GENERAL_LEN..).ok_or(NetlinkError::Truncated)?);
        let text = |kind, what| -> Result<String, NetlinkError> {
            let value = attributes.clone().find(kind)?.ok_or(NetlinkError::Missing(what))?;
            Ok(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
        };
        let (table, chain) = (text(NFTA_RULE_TABLE, "table")?, text(NFTA_RULE_CHAIN, "chain")?);
        let mut packets = Vec::new();
        for element in Attributes::new(attributes.find(NFTA_RULE_EXPRESSIONS)?.unwrap_or_default()) {
            if let (NFTA_LIST_ELEM, expression) = element?
                && let Some(counted) = counter(expression)?
            {
                packets.push(counted);
            }
        }
        Ok(Self { table, chain, packets })
    }
}

/// The packets of an expression that is a counter.
fn counter(expression: &[u8]) -> Result<Option<u64>, NetlinkError> {
    let parts = Attributes::new(expression);
    if parts.clone().find(NFTA_EXPR_NAME)?.map(|name| name.trim_ascii_end().strip_suffix(&[0]).unwrap_or(name))
        != Some(b"counter")
    {
        return Ok(None);
    }
    let data = parts.find(NFTA_EXPR_DATA)?.ok_or(NetlinkError::Missing("counter"))?;
    let packets = Attributes::new(data).find(NFTA_COUNTER_PACKETS)?.and_then(|value| bytes_at(value, 0));
    packets.map(u64::from_be_bytes).map(Some).ok_or(NetlinkError::Missing("packets of a counter"))
}

/// Takes a reading of all counters of a complete dump, at nanoseconds since the start of the cell, as
/// `nftables.TABLE.CHAIN.N.packets`: `N` counts the `counter` expressions of a chain from 0, in the order of its rules.
/// Tables of one name in two families are counted on.
pub fn record(log: &mut NamedLog, at_ns: u64, rules: &[Rule]) {
    let mut next: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for rule in rules {
        for packets in &rule.packets {
            let place = next.entry((&rule.table, &rule.chain)).or_default();
            log.record(at_ns, &["nftables", &rule.table, &rule.chain, &place.to_string(), "packets"], *packets);
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::Frames;

    // Captured on x86-64 in a network namespace of its own: a chain of two rules with a counter each, the first of which
    // had seen three packets.
    const RULES: &[u8] = include_bytes!("../tests/fixtures/netlink/nft-rules-6.18.bin");

    fn rules(bytes: &[u8]) -> Vec<Result<Rule, NetlinkError>> {
        let frames = Frames::new(bytes).filter_map(Result::ok).filter(|frame| frame.kind == RULE);
        frames.map(|frame| Rule::parse(frame.payload)).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn rules_captured_on_6_18_are_read() {
        let read: Vec<Rule> = rules(RULES).into_iter().map(Result::unwrap).collect();
        let rule = |packets: u64| Rule { table: "brimful".into(), chain: "syn-drop".into(), packets: vec![packets] };
        assert_eq!(read, [rule(3), rule(0)]);
    }

    #[test]
    fn counters_are_numbered_within_their_chain() {
        let rule = |table: &str, chain: &str, packets: &[u64]| Rule {
            table: table.to_owned(),
            chain: chain.to_owned(),
            packets: packets.to_vec(),
        };
        let mut log = NamedLog::default();
        record(
            &mut log,
            1,
            &[rule("t", "in", &[7]), rule("t", "in", &[]), rule("t", "in", &[8, 9]), rule("t", "out", &[1])],
        );
        record(&mut log, 2, &[rule("t", "in", &[10])]);
        for (name, last) in [
            ("nftables.t.in.0.packets", Some(10)),
            ("nftables.t.in.1.packets", Some(8)),
            ("nftables.t.in.2.packets", Some(9)),
            ("nftables.t.out.0.packets", Some(1)),
            ("nftables.t.out.1.packets", None),
        ] {
            assert_eq!(log.last(name), last, "{name}");
        }
    }

    #[test]
    fn a_rule_without_a_table_is_refused() {
        assert_eq!(Rule::parse(&[0; 4]), Err(NetlinkError::Missing("table")));
        assert_eq!(Rule::parse(&[0; 3]), Err(NetlinkError::Truncated));
    }

    proptest! {
        #[test]
        fn a_capture_with_a_hole_never_panics(at in 0_usize..1040, byte in any::<u8>(), keep in 0_usize..=1040) {
            let mut bytes = RULES.to_vec();
            if let Some(hole) = bytes.get_mut(at) {
                *hole = byte;
            }
            bytes.truncate(keep);
            prop_assert!(rules(&bytes).len() <= bytes.len() / 16 + 1);
        }
    }
}
