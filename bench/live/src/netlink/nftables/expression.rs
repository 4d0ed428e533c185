//! The few expressions that the filters of a sandbox are made of. Each works on one register, `NFT_REG_1`.

use super::super::build::Draft;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;

const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NF_DROP: u32 = 0;
const NFT_CT_STATE: u32 = 0;
const NFT_META_LEN: u32 = 0;
const NFT_META_NFPROTO: u32 = 15;
const NFT_META_L4PROTO: u32 = 16;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_LT: u32 = 2;
const NFT_CMP_LTE: u32 = 3;
const NFT_CMP_GTE: u32 = 5;
const NFT_BYTEORDER_HTON: u32 = 1;
const NFT_NG_INCREMENTAL: u32 = 0;
/// Bytes of a number in a register.
const NUMBER_LEN: u32 = 4;

/// One step of a rule. A comparison that does not hold ends the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// The packet's protocol above IP, one byte. It also finds the transport header behind IPv6's extensions.
    Protocol,
    /// The packet's IP version, one byte: 2 or 10.
    Family,
    /// The packet's length from its IP header on, in bytes: four bytes in the machine's order.
    Length,
    /// Bytes of the transport header.
    Transport {
        /// The first of them.
        offset: u32,
        /// How many.
        len: u32,
    },
    /// Clears the bits that are not in this mask.
    Mask(Vec<u8>),
    /// Goes on when the register holds this.
    Equals(Vec<u8>),
    /// Counts the packets that come this far, one by one, and starts again at this number: four bytes in the network's order.
    Round(u32),
    /// Goes on when the register, a number in the network's order, is below this.
    Below(u32),
    /// Goes on when the register holds this or more, the first byte the highest.
    AtLeast(Vec<u8>),
    /// Goes on when the register holds this or less.
    AtMost(Vec<u8>),
    /// Looks up the packet's connection. That a rule does so makes the kernel track connections in this namespace
    /// (`net/netfilter/nft_ct.c`, `nft_ct_get_init` calls `nf_ct_netns_get`).
    Connection,
    /// Counts packets and bytes.
    Counter,
    /// Drops the packet.
    Drop,
}

impl Expression {
    /// Writes it as the next element of a rule's list.
    pub(super) fn write(&self, list: Draft) -> Draft {
        match self {
            Self::Protocol => meta(list, NFT_META_L4PROTO),
            Self::Family => meta(list, NFT_META_NFPROTO),
            Self::Length => meta(list, NFT_META_LEN),
            Self::Transport { offset, len } => named(list, "payload", |data| {
                data.be32(1, NFT_REG_1).be32(2, NFT_PAYLOAD_TRANSPORT_HEADER).be32(3, *offset).be32(4, *len)
            }),
            Self::Mask(mask) => named(list, "bitwise", |data| {
                let zeros = vec![0; mask.len()];
                data.be32(1, NFT_REG_1)
                    .be32(2, NFT_REG_1)
                    .be32(3, mask.len() as u32)
                    .nested(4, |value| value.bytes(NFTA_DATA_VALUE, mask))
                    .nested(5, |value| value.bytes(NFTA_DATA_VALUE, &zeros))
            }),
            Self::Equals(value) => compare(list, NFT_CMP_EQ, value),
            Self::Round(modulus) => {
                let list = named(list, "numgen", |data| {
                    data.be32(1, NFT_REG_1).be32(2, *modulus).be32(3, NFT_NG_INCREMENTAL).be32(4, 0)
                });
                // Comparisons go byte by byte, the first the highest, and the number is in the machine's order.
                named(list, "byteorder", |data| {
                    data.be32(1, NFT_REG_1)
                        .be32(2, NFT_REG_1)
                        .be32(3, NFT_BYTEORDER_HTON)
                        .be32(4, NUMBER_LEN)
                        .be32(5, NUMBER_LEN)
                })
            }
            Self::Below(limit) => compare(list, NFT_CMP_LT, &limit.to_be_bytes()),
            Self::AtLeast(value) => compare(list, NFT_CMP_GTE, value),
            Self::AtMost(value) => compare(list, NFT_CMP_LTE, value),
            Self::Connection => named(list, "ct", |data| data.be32(1, NFT_REG_1).be32(2, NFT_CT_STATE)),
            Self::Counter => named(list, "counter", |data| data.bytes(1, &[0; 8]).bytes(2, &[0; 8])),
            Self::Drop => named(list, "immediate", |data| {
                data.be32(1, NFT_REG_VERDICT).nested(2, |value| {
                    value.nested(NFTA_DATA_VERDICT, |verdict| verdict.be32(NFTA_VERDICT_CODE, NF_DROP))
                })
            }),
        }
    }
}

fn named(list: Draft, name: &str, data: impl FnOnce(Draft) -> Draft) -> Draft {
    list.nested(NFTA_LIST_ELEM, |element| element.text(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, data))
}

fn meta(list: Draft, key: u32) -> Draft {
    named(list, "meta", |data| data.be32(1, NFT_REG_1).be32(2, key))
}

fn compare(list: Draft, operation: u32, value: &[u8]) -> Draft {
    named(list, "cmp", |data| {
        data.be32(1, NFT_REG_1).be32(2, operation).nested(3, |held| held.bytes(NFTA_DATA_VALUE, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind the headers of a message.
    fn written(expression: &Expression) -> Vec<u8> {
        expression.write(Draft::netfilter(0, 0, 0, 0, 0)).into_bytes().split_off(20)
    }

    /// An attribute: little-endian length and kind, value, padding.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (value.len() as u16 + 4).to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn element(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
        let name = attribute(1, format!("{name}\0").as_bytes());
        attribute(0x8001, &[name, attribute(0x8002, &parts.concat())].concat())
    }

    fn number(kind: u16, value: u32) -> Vec<u8> {
        attribute(kind, &value.to_be_bytes())
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn expressions_are_those_of_the_kernel() {
        let value = |kind: u16, bytes: &[u8]| attribute(0x8000 | kind, &attribute(1, bytes));
        let table = [
            (Expression::Protocol, element("meta", &[number(1, 1), number(2, 16)])),
            (Expression::Family, element("meta", &[number(1, 1), number(2, 15)])),
            (Expression::Length, element("meta", &[number(1, 1), number(2, 0)])),
            (
                Expression::Transport { offset: 13, len: 1 },
                element("payload", &[number(1, 1), number(2, 2), number(3, 13), number(4, 1)]),
            ),
            (
                Expression::Mask(vec![0x12]),
                element("bitwise", &[number(1, 1), number(2, 1), number(3, 1), value(4, &[0x12]), value(5, &[0])]),
            ),
            (Expression::Equals(vec![2]), element("cmp", &[number(1, 1), number(2, 0), value(3, &[2])])),
            (Expression::AtLeast(vec![2]), element("cmp", &[number(1, 1), number(2, 5), value(3, &[2])])),
            (Expression::AtMost(vec![2]), element("cmp", &[number(1, 1), number(2, 3), value(3, &[2])])),
            (Expression::Below(3), element("cmp", &[number(1, 1), number(2, 2), value(3, &[0, 0, 0, 3])])),
            (
                Expression::Round(10),
                [
                    element("numgen", &[number(1, 1), number(2, 10), number(3, 0), number(4, 0)]),
                    element("byteorder", &[number(1, 1), number(2, 1), number(3, 1), number(4, 4), number(5, 4)]),
                ]
                .concat(),
            ),
            (Expression::Connection, element("ct", &[number(1, 1), number(2, 0)])),
            (Expression::Counter, element("counter", &[attribute(1, &[0; 8]), attribute(2, &[0; 8])])),
            (
                Expression::Drop,
                element("immediate", &[number(1, 0), attribute(0x8002, &attribute(0x8002, &number(1, 0)))]),
            ),
        ];
        for (expression, expected) in table {
            assert_eq!(written(&expression), expected, "{expression:?}");
        }
    }
}
