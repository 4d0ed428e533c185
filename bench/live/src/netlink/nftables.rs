//! Packet filters of a sandbox, written to nf_tables over netlink, and their counters read back.
//!
//! The forms are those of `include/uapi/linux/netfilter/nf_tables.h`. Each fault has one chain of its own in the table
//! `brimful`, whose rules count what they drop and nothing else. A namespace's rules go when it does.

use brimful_evidence::nftables::{RULE, Rule};

use super::build::{Draft, NLM_F_APPEND, NLM_F_CREATE};
use super::netfilter::{Netfilter, NetfilterError};

mod expression;
mod filter;

pub(crate) use filter::Filter;

/// The table of every filter that brimful makes.
pub(crate) const TABLE: &str = "brimful";

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u8 = 10;
/// `NFPROTO_INET`: IPv4 and IPv6 alike.
const INET: u8 = 1;

const NEW_TABLE: u16 = 10 << 8;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_RULE: u16 = 10 << 8 | 7;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;

/// Where a chain hangs in the path of a packet (`include/uapi/linux/netfilter.h`, `enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    /// `NF_INET_LOCAL_IN`: what comes to this namespace's own sockets.
    Input = 1,
    /// `NF_INET_LOCAL_OUT`: what they send.
    Output = 3,
}

fn new_table(flags: u16, sequence: u32) -> Draft {
    Draft::netfilter(NEW_TABLE, flags | NLM_F_CREATE, sequence, INET, 0).text(NFTA_TABLE_NAME, TABLE)
}

/// A chain; without a hook no packet passes it.
fn new_chain(name: &str, hook: Option<Hook>, flags: u16, sequence: u32) -> Draft {
    let chain = Draft::netfilter(NEW_CHAIN, flags | NLM_F_CREATE, sequence, INET, 0)
        .text(NFTA_CHAIN_TABLE, TABLE)
        .text(NFTA_CHAIN_NAME, name);
    let Some(hook) = hook else { return chain };
    chain
        .nested(NFTA_CHAIN_HOOK, |at| {
            // Priority 0 is NF_IP_PRI_FILTER, where filters are.
            at.be32(NFTA_HOOK_HOOKNUM, hook as u32).be32(NFTA_HOOK_PRIORITY, 0)
        })
        .text(NFTA_CHAIN_TYPE, "filter")
}

fn new_rule(chain: &str, expressions: &[expression::Expression], flags: u16, sequence: u32) -> Draft {
    Draft::netfilter(RULE, flags | NLM_F_CREATE | NLM_F_APPEND, sequence, INET, 0)
        .text(NFTA_RULE_TABLE, TABLE)
        .text(NFTA_RULE_CHAIN, chain)
        .nested(NFTA_RULE_EXPRESSIONS, |list| expressions.iter().fold(list, |list, one| one.write(list)))
}

impl Netfilter {
    /// Makes a filter in the conversation's namespace. Nothing is made when any part of it is refused.
    ///
    /// # Errors
    /// [`NetfilterError`].
    pub(crate) fn make(&mut self, filter: &Filter) -> Result<(), NetfilterError> {
        let chain = |flags, sequence| new_chain(filter.chain, filter.hook, flags, sequence);
        let rules: Vec<_> = filter
            .rules
            .iter()
            .map(|rule| move |flags, sequence| new_rule(filter.chain, rule, flags, sequence))
            .collect();
        let mut changes: Vec<&dyn Fn(u16, u32) -> Draft> = vec![&new_table, &chain];
        changes.extend(rules.iter().map(|rule| rule as &dyn Fn(u16, u32) -> Draft));
        self.commit(SUBSYSTEM, &changes)
    }

    /// Every rule of every table of the conversation's namespace, with its counters.
    ///
    /// # Errors
    /// [`NetfilterError`].
    pub(crate) fn rules(&mut self) -> Result<Vec<Rule>, NetfilterError> {
        let mut rules = Vec::new();
        self.dump(GET_RULE, |frame| {
            if frame.kind == RULE {
                rules.push(Rule::parse(frame.payload)?);
            }
            Ok(())
        })?;
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_chain_has_every_byte_in_its_place() {
        #[rustfmt::skip]
        let expected = [
            80, 0, 0, 0, 0x03, 0x0a, 0x05, 0x04, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
            12, 0, 1, 0, b'b', b'r', b'i', b'm', b'f', b'u', b'l', 0,
            7, 0, 3, 0, b'i', b'n', 0, 0,
            20, 0, 4, 0x80, 8, 0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0, 0, 0, 0,
            11, 0, 7, 0, b'f', b'i', b'l', b't', b'e', b'r', 0, 0,
        ];
        let hooked = new_chain("in", Some(Hook::Input), 4, 5).into_bytes();
        assert_eq!(hooked.len(), 72);
        assert_eq!(hooked[4..], expected[4..]);
        assert_eq!(new_chain("in", None, 4, 5).into_bytes()[4..], expected[4..40]);
    }

    #[test]
    fn a_rule_that_is_written_can_be_read() {
        let bytes = new_rule("syn-drop", &[expression::Expression::Counter], 0, 1).into_bytes();
        let frame = brimful_evidence::netlink::Frames::new(&bytes).next().unwrap().unwrap();
        let rule = Rule { table: TABLE.to_owned(), chain: "syn-drop".to_owned(), packets: vec![0] };
        assert_eq!((frame.kind, Rule::parse(frame.payload)), (RULE, Ok(rule)));
    }
}
