//! Lines of `ss` and of `netstat`, one socket each. Pure.

use super::super::inet_diag::{Entry, Family, State};
use super::address;

/// A socket of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) entry: Entry,
    /// `users:(("kubelet",pid=812,fd=30))`.
    pub(super) owners: Vec<(String, u32)>,
    /// `skmem:(…,d3)`, where it stands on the same line.
    pub(super) drops: Option<u32>,
}

/// `LISTEN 0 128 127.0.0.1:80 0.0.0.0:*` of ss, or `tcp 0 1 10.0.0.1:4 10.0.0.2:80 SYN_SENT` of netstat.
pub(super) fn parse(line: &str) -> Option<Seen> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let fields = match fields.as_slice() {
        // `ss -an` of every family has a column before the state.
        [kind, rest @ ..] if *kind == "tcp" && rest.first().is_some_and(|word| state(word).is_some()) => rest,
        all => all,
    };
    let (name, receive, send, local, remote) = match fields {
        [kind, receive, send, local, remote, name, ..] if kind.starts_with("tcp") => {
            (name, receive, send, local, remote)
        }
        [name, receive, send, local, remote, ..] => (name, receive, send, local, remote),
        _ => return None,
    };
    let (state, local, remote) = (state(name)?, address::parse(local)?, address::parse(remote)?);
    let entry = Entry {
        family: if local.is_ipv4() { Family::V4 } else { Family::V6 },
        state,
        local,
        remote,
        recv_queue: receive.parse().ok()?,
        send_queue: send.parse().ok()?,
        retransmits: retransmits(line),
        drops: None,
        inode: 0,
        uid: 0,
    };
    Some(Seen { entry, owners: owners(line), drops: drops(line) })
}

/// The drops of `skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d3)`.
pub(super) fn drops(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("skmem:(")?;
    rest.split(')').next()?.rsplit(',').next()?.strip_prefix('d')?.parse().ok()
}

/// `  12051 ESTAB` of `uniq -c`.
pub(super) fn counted(line: &str) -> Option<(State, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (count, name) = (fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    Some((state(name)?, count.parse().ok()?))
}

fn state(name: &str) -> Option<State> {
    Some(match name.replace('_', "-").as_str() {
        "LISTEN" => State::LISTEN,
        "ESTAB" | "ESTABLISHED" => State::ESTABLISHED,
        "SYN-SENT" => State::SYN_SENT,
        "SYN-RECV" => State::SYN_RECV,
        "FIN-WAIT-1" | "FIN-WAIT1" => State::FIN_WAIT1,
        "FIN-WAIT-2" | "FIN-WAIT2" => State::FIN_WAIT2,
        "TIME-WAIT" => State::TIME_WAIT,
        "CLOSE-WAIT" => State::CLOSE_WAIT,
        "LAST-ACK" => State::LAST_ACK,
        "CLOSING" => State::CLOSING,
        _ => return None,
    })
}

/// The third number of `timer:(on,980ms,3)`.
fn retransmits(line: &str) -> u8 {
    let timer = line.split_once("timer:(on,").and_then(|(_, rest)| rest.split(')').next());
    timer.and_then(|timer| timer.rsplit(',').next()?.parse().ok()).unwrap_or(0)
}

fn owners(line: &str) -> Vec<(String, u32)> {
    let Some((_, users)) = line.split_once("users:(") else { return Vec::new() };
    let owner = |part: &str| {
        let name = part.split('"').nth(1)?;
        let (_, rest) = part.split_once("pid=")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((name.to_owned(), digits.parse().ok()?))
    };
    users.split("),(").filter_map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_ss_has_queue_limit_owner_and_drops() {
        let line =
            r#"LISTEN 3 511 [::]:8080 [::]:* users:(("node",pid=40,fd=18),("node",pid=41,fd=3)) skmem:(r0,rb1,t0,d7)"#;
        let seen = parse(line).unwrap();
        assert_eq!((seen.entry.state, seen.entry.recv_queue, seen.entry.send_queue), (State::LISTEN, 3, 511));
        assert_eq!(seen.owners, [("node".to_owned(), 40), ("node".to_owned(), 41)]);
        assert_eq!((seen.drops, drops("\t skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d3)")), (Some(7), Some(3)));
    }

    #[test]
    fn connections_of_both_tools_are_read() {
        for line in [
            "SYN-SENT 0 1 127.0.0.1:50412 127.0.0.1:9099 timer:(on,980ms,2)",
            "tcp SYN-SENT 0 1 127.0.0.1:50412 127.0.0.1:9099 timer:(on,980ms,2)",
            "tcp        0      1 127.0.0.1:50412         127.0.0.1:9099          SYN_SENT    812/curl timer:(on,1,2)",
        ] {
            let seen = parse(line).unwrap();
            assert_eq!(
                (seen.entry.state, seen.entry.remote.port(), seen.entry.retransmits),
                (State::SYN_SENT, 9_099, 2)
            );
        }
    }

    #[test]
    fn counted_states_are_read() {
        assert_eq!(counted("  12051 ESTAB"), Some((State::ESTABLISHED, 12_051)));
        assert_eq!((counted("1 State"), counted("12 ESTAB x")), (None, None));
    }

    #[test]
    fn other_lines_are_none() {
        for line in
            ["State Recv-Q Send-Q Local Address:Port Peer Address:Port", "LISTEN", "LISTEN a b c d", "real 0m1.0s"]
        {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
