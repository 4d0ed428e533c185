//! Addresses as ss, netstat and tcpdump write them. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `127.0.0.1:80`, `0.0.0.0:*`, `*:80`, `[::]:80`, `:::80`, `127.0.0.1%lo:80`. A port of `*` is 0.
pub(super) fn parse(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once(':')?;
    let port = if port == "*" { 0 } else { port.parse().ok()? };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let ip = ip.split_once('%').map_or(ip, |(ip, _)| ip);
    let ip = match ip {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "::" | "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ip => ip.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}

/// `10.0.0.1.51234`, `::1.51234`: the port behind the last full stop.
pub(super) fn dotted(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once('.')?;
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tools_way_of_writing_is_read() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:*", "0.0.0.0:0"),
            ("*:9100", "0.0.0.0:9100"),
            ("[::]:80", "[::]:80"),
            (":::80", "[::]:80"),
            ("127.0.0.53%lo:53", "127.0.0.53:53"),
            ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80"),
        ];
        for (text, address) in table {
            assert_eq!(parse(text), Some(address.parse().unwrap()), "{text}");
        }
        assert_eq!(dotted("10.0.0.1.51234"), Some("10.0.0.1:51234".parse().unwrap()));
        for text in ["", "80", "a:b", "1.2.3.4:http"] {
            assert_eq!((parse(text), dotted(text)), (None, None), "{text}");
        }
    }
}
