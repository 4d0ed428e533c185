//! The filters of a sandbox: which packets each drops, as rules. Pure.

use super::Hook;
use super::expression::Expression;

/// Bits of the TCP header's flags (`include/net/tcp.h`).
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// Where ports, header length and flags stand in the TCP header.
const SOURCE_PORT: u32 = 0;
const DESTINATION_PORT: u32 = 2;
const HEADER_LENGTH: u32 = 12;
const FLAGS: u32 = 13;
/// `NFPROTO_IPV4` and `NFPROTO_IPV6`, with the length of their headers without options, in bytes.
const IP: [(u8, u32); 2] = [(2, 20), (10, 40)];
/// Lengths that the TCP header of a handshake's final ACK has, in words of four bytes: without options, and with time stamps.
const BARE_ACK_WORDS: [u8; 2] = [5, 8];

/// One chain and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Its name, and that of its counters: `nftables.brimful.CHAIN.N.packets`.
    pub(crate) chain: &'static str,
    pub(super) hook: Option<Hook>,
    pub(super) rules: Vec<Vec<Expression>>,
}

impl Filter {
    /// For the server: drops `percent` of the SYNs to each of the ports.
    pub(crate) fn syn_drop(ports: &[u16], percent: u8) -> Self {
        let rule = |port| {
            let syn = [tcp(), port_is(DESTINATION_PORT, port), flags_are(SYN | ACK, SYN)];
            [syn.concat(), share(percent), counted_drop()].concat()
        };
        Self { chain: "syn-drop", hook: Some(Hook::Input), rules: ports.iter().copied().map(rule).collect() }
    }

    /// For the client: drops `percent` of the SYN-ACKs from each of the ports.
    pub(crate) fn syn_ack_loss(ports: &[u16], percent: u8) -> Self {
        let rule = |port| {
            let syn_ack = [tcp(), port_is(SOURCE_PORT, port), flags_are(SYN | ACK, SYN | ACK)];
            [syn_ack.concat(), share(percent), counted_drop()].concat()
        };
        Self { chain: "syn-ack-loss", hook: Some(Hook::Input), rules: ports.iter().copied().map(rule).collect() }
    }

    /// For the client: drops everything from each of the ports that is for a port from `first` to `last`.
    pub(crate) fn ports_taken(ports: &[u16], first: u16, last: u16) -> Self {
        let rule = |port| {
            let taken = vec![
                Expression::Transport { offset: DESTINATION_PORT, len: 2 },
                Expression::AtLeast(first.to_be_bytes().to_vec()),
                Expression::AtMost(last.to_be_bytes().to_vec()),
            ];
            [tcp(), port_is(SOURCE_PORT, port), taken, counted_drop()].concat()
        };
        Self { chain: "ports-taken", hook: Some(Hook::Input), rules: ports.iter().copied().map(rule).collect() }
    }

    /// For the client: drops every ACK to the ports that carries neither data nor another flag. A filter without
    /// connection tracking cannot tell the last ACK of a handshake from a later one: those are dropped as well, which
    /// makes the server send again what the client has already got. A client's first data completes the handshake.
    pub(crate) fn ack_hold(ports: &[u16]) -> Self {
        let mut rules = Vec::new();
        for port in ports {
            for (family, ip_len) in IP {
                for words in BARE_ACK_WORDS {
                    let length = ip_len + u32::from(words) * 4;
                    rules.push(
                        [
                            vec![Expression::Family, Expression::Equals(vec![family])],
                            tcp(),
                            port_is(DESTINATION_PORT, *port),
                            vec![
                                Expression::Transport { offset: HEADER_LENGTH, len: 2 },
                                Expression::Mask(vec![0xf0, FIN | SYN | RST | ACK]),
                                Expression::Equals(vec![words << 4, ACK]),
                                Expression::Length,
                                Expression::Equals(length.to_ne_bytes().to_vec()),
                            ],
                            counted_drop(),
                        ]
                        .concat(),
                    );
                }
            }
        }
        Self { chain: "ack-hold", hook: Some(Hook::Output), rules }
    }

    /// Makes the namespace track connections, by a rule that no packet ever passes: that it exists is enough.
    pub(crate) fn tracking() -> Self {
        Self { chain: "tracking", hook: None, rules: vec![vec![Expression::Connection]] }
    }

    /// How many rules it has.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }
}

fn tcp() -> Vec<Expression> {
    vec![Expression::Protocol, Expression::Equals(vec![TCP])]
}

fn port_is(offset: u32, port: u16) -> Vec<Expression> {
    vec![Expression::Transport { offset, len: 2 }, Expression::Equals(port.to_be_bytes().to_vec())]
}

fn flags_are(mask: u8, value: u8) -> Vec<Expression> {
    vec![Expression::Transport { offset: FLAGS, len: 1 }, Expression::Mask(vec![mask]), Expression::Equals(vec![value])]
}

/// A share of the packets, counted off and not drawn by lot: of any hundred in a row exactly `percent` go on, so that a
/// cell run again loses the same number, and a share of few packets is not a matter of luck. The round is the shortest
/// that gives the share (1 in 2 for 50, 3 in 10 for 30), so that the losses are spread as far as they can be.
fn share(percent: u8) -> Vec<Expression> {
    let percent = u32::from(percent.min(100));
    if percent == 100 {
        return Vec::new();
    }
    let divisor = greatest_common_divisor(percent, 100);
    vec![Expression::Round(100 / divisor), Expression::Below(percent / divisor)]
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn counted_drop() -> Vec<Expression> {
    vec![Expression::Counter, Expression::Drop]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_shortest_round() {
        for (percent, round) in [(50, Some((2, 1))), (30, Some((10, 3))), (1, Some((100, 1))), (33, Some((100, 33)))] {
            let round = round.map(|(of, below)| vec![Expression::Round(of), Expression::Below(below)]);
            assert_eq!(share(percent), round.unwrap_or_default(), "{percent} %");
        }
        assert_eq!(share(100), []);
    }

    #[test]
    fn a_filter_has_rules_for_each_port() {
        let filter = Filter::syn_drop(&[80, 81], 50);
        assert_eq!((filter.chain, filter.hook, filter.len()), ("syn-drop", Some(Hook::Input), 2));
        let second = filter.rules.last().unwrap();
        assert_eq!(second.get(3), Some(&Expression::Equals(vec![0, 81])));
        assert_eq!(second.get(5..7), Some([Expression::Mask(vec![0x12]), Expression::Equals(vec![0x02])].as_slice()));
        assert_eq!(second.last(), Some(&Expression::Drop));
        // Two IP versions, with time stamps and without.
        assert_eq!(Filter::ack_hold(&[80, 81]).len(), 8);
        assert_eq!(Filter::tracking().hook, None);
    }

    #[test]
    fn nothing_is_dropped_uncounted() {
        for filter in [
            Filter::syn_drop(&[1], 7),
            Filter::syn_ack_loss(&[1], 100),
            Filter::ports_taken(&[1], 2, 3),
            Filter::ack_hold(&[1]),
        ] {
            for rule in filter.rules {
                assert_eq!(rule.get(rule.len() - 2..), Some([Expression::Counter, Expression::Drop].as_slice()));
            }
        }
    }
}
