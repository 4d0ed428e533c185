//! The local ports that the kernel may give to a connection. Pure.

/// `net.ipv4.ip_local_port_range` without what is reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
    reserved: Vec<(u16, u16)>,
}

impl PortRange {
    /// Reads the two sysctls as the kernel writes them: `32768\t60999` and `8080,9000-9010`. `None` for a range that is none.
    #[must_use]
    pub fn parse(range: &str, reserved: &str) -> Option<Self> {
        let mut ends = range.split_ascii_whitespace().map(|end| end.parse::<u16>().ok());
        let (first, last) = (ends.next()??, ends.next()??);
        let reserved = reserved.trim().split(',').filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
        });
        (first <= last).then(|| Self { first, last, reserved: reserved.collect() })
    }

    /// Whether the kernel may give this port.
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port) && !self.reserved.iter().any(|(a, b)| (*a..=*b).contains(&port))
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        (self.first..=self.last).filter(|port| self.has(*port)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_not_given() {
        let range = PortRange::parse("40000\t40999\n", "40000-40009,40500\n").unwrap();
        assert_eq!((range.size(), range.has(40_009), range.has(40_010), range.has(41_000)), (989, false, true, false));
        assert_eq!(PortRange::parse("40000 40999", "").map(|range| range.size()), Some(1_000));
    }

    #[test]
    fn a_range_that_is_none_is_not_guessed() {
        for text in ["", "1", "x y", "9 8", "1 99999"] {
            assert_eq!(PortRange::parse(text, ""), None, "{text:?}");
        }
    }
}
