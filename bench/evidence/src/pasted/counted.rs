//! Counters as tools print them: `nstat -az`, `netstat -s`, `conntrack -S`, softnet_stat. Pure.

use super::super::per_cpu::softnet_stat;
use super::super::snapshot::names;

/// Groups of nstat, the longest name first: it prints group and name without anything between.
const GROUPS: [&str; 8] = ["TcpExt", "MPTcpExt", "IpExt", "IcmpMsg", "Icmp", "Tcp", "UdpLite", "Ip"];

/// What `netstat -s` calls the two that matter most (net-tools, `statistics.c`).
const SENTENCES: [(&str, &str); 3] = [
    ("times the listen queue of a socket overflowed", "TcpExt.ListenOverflows"),
    ("SYNs to LISTEN sockets dropped", "TcpExt.ListenDrops"),
    ("SYNs to LISTEN sockets ignored", "TcpExt.ListenDrops"),
];

/// The counters of a line; `None` for a line of another kind. `command` is what was typed above it.
pub(super) fn parse(line: &str, command: &str) -> Option<Vec<(String, u64)>> {
    nstat(line).or_else(|| sentence(line)).or_else(|| conntrack(line)).or_else(|| softnet(line, command))
}

/// `TcpExtListenOverflows           12                 0.0`.
fn nstat(line: &str) -> Option<Vec<(String, u64)>> {
    let mut fields = line.split_ascii_whitespace();
    let (name, value, rate) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() || rate.parse::<f64>().is_err() {
        return None;
    }
    let group = GROUPS.iter().find(|group| name.strip_prefix(**group).is_some_and(|rest| !rest.is_empty()))?;
    let rest = name.strip_prefix(group)?;
    Some(vec![(format!("{group}.{rest}"), value.parse().ok()?)])
}

fn sentence(line: &str) -> Option<Vec<(String, u64)>> {
    let (count, words) = line.trim().split_once(' ')?;
    let (_, name) = SENTENCES.iter().find(|(sentence, _)| words == *sentence)?;
    Some(vec![((*name).to_owned(), count.parse().ok()?)])
}

/// `cpu=0 found=4 invalid=1 insert=0 … drop=0 early_drop=0`. Each processor is kept by itself, and they are summed where they are judged.
fn conntrack(line: &str) -> Option<Vec<(String, u64)>> {
    let rest = line.trim().strip_prefix("cpu=")?;
    let cpu = rest.split_ascii_whitespace().next()?;
    let drop = rest.split_ascii_whitespace().find_map(|field| field.strip_prefix("drop="))?;
    Some(vec![(format!("{}.cpu{cpu}", names::CONNTRACK_DROP), drop.parse().ok()?)])
}

/// A row of hexadecimal numbers below `cat /proc/net/softnet_stat`.
fn softnet(line: &str, command: &str) -> Option<Vec<(String, u64)>> {
    if !command.contains("softnet_stat") {
        return None;
    }
    let mut found = Vec::new();
    softnet_stat(line, |name, value| found.push((format!("softnet.{name}"), value))).ok()?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str, command: &str) -> Option<(String, u64)> {
        parse(line, command)?.into_iter().next()
    }

    #[test]
    fn each_tools_counters_have_the_kernels_names() {
        let table = [
            ("TcpExtListenOverflows           12                 0.0", "TcpExt.ListenOverflows", 12),
            ("TcpPassiveOpens                 7                  0.1", "Tcp.PassiveOpens", 7),
            ("IpExtInOctets                   9                  0.0", "IpExt.InOctets", 9),
            ("    3 times the listen queue of a socket overflowed", "TcpExt.ListenOverflows", 3),
            ("    5 SYNs to LISTEN sockets dropped", "TcpExt.ListenDrops", 5),
            ("cpu=1   found=0 invalid=3 insert=0 drop=8 early_drop=0", "nf_conntrack.drop.cpu1", 8),
        ];
        for (line, name, value) in table {
            assert_eq!(one(line, ""), Some((name.to_owned(), value)), "{line}");
        }
        let row = "0001 0000000a 00000000";
        assert_eq!(parse(row, "cat /proc/net/softnet_stat").unwrap()[1], ("softnet.dropped".to_owned(), 10));
        for line in ["#kernel", "net.core.somaxconn = 128", row, "Tcp 1 0.0", "TcpExtX much 0.0"] {
            assert_eq!(parse(line, "nstat -az"), None, "{line}");
        }
    }
}
