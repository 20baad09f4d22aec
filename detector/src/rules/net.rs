//! Networks as ranges of addresses, merged and sorted: any number is searched in logarithmic time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    V4(u32, u32),
    V6(u128, u128),
}

impl Net {
    /// `address/bits`: IPv4 0 to 32, IPv6 1 to 128; host bits do not count (Falco, `value_parser.cpp`).
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        if address.contains('.') {
            let first: u32 = address.parse::<Ipv4Addr>().ok()?.into();
            let host = (bits <= 32).then(|| u32::MAX.checked_shr(bits).unwrap_or(0))?;
            return Some(Self::V4(first & !host, first | host));
        }
        let first: u128 = address.parse::<Ipv6Addr>().ok()?.into();
        let host = (1..=128)
            .contains(&bits)
            .then(|| u128::MAX.checked_shr(bits).unwrap_or(0))?;
        Some(Self::V6(first & !host, first | host))
    }

    pub fn contains(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Self::V4(first, last), IpAddr::V4(ip)) => (first..=last).contains(&ip.into()),
            (Self::V6(first, last), IpAddr::V6(ip)) => (first..=last).contains(&ip.into()),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Nets {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn covers<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= value);
    after
        .checked_sub(1)
        .and_then(|index| ranges.get(index))
        .is_some_and(|(_, last)| value <= *last)
}

impl Nets {
    pub fn new(nets: impl Iterator<Item = Net>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                Net::V4(first, last) => v4.push((first, last)),
                Net::V6(first, last) => v6.push((first, last)),
            }
        }
        Self {
            v4: merged(v4),
            v6: merged(v6),
        }
    }

    /// Merged: fewer than were given where they overlap.
    pub fn all(&self) -> impl Iterator<Item = Net> {
        let v4 = self.v4.iter().map(|(first, last)| Net::V4(*first, *last));
        let v6 = self.v6.iter().map(|(first, last)| Net::V6(*first, *last));
        v4.chain(v6)
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => covers(&self.v4, ip.into()),
            IpAddr::V6(ip) => covers(&self.v6, ip.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_falcos_networks_parse() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3/0", true),
            ("10.0.0.0/33", false),
            ("10.0.0/8", false),
            ("10.0.0.1", false),
            ("::/0", false),
            ("::/1", true),
            ("fe80::/128", true),
            ("fe80::/129", false),
            ("::ffff:1.2.3.4/96", false),
        ] {
            assert_eq!(Net::parse(text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn a_set_of_networks_agrees_with_each_of_them() {
        let texts = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "192.168.1.0/24",
            "0.0.0.0/32",
            "fe80::/10",
            "fe80::/64",
        ];
        let nets: Vec<Net> = texts.iter().filter_map(|text| Net::parse(text)).collect();
        let set = Nets::new(nets.iter().copied());
        for ip in [
            "10.1.255.255",
            "11.0.0.0",
            "192.168.1.9",
            "192.168.2.0",
            "0.0.0.0",
            "fe80::1",
            "fec0::1",
            "::1",
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(
                set.contains(ip),
                nets.iter().any(|net| net.contains(ip)),
                "{ip}"
            );
        }
        assert!(!Nets::default().contains([1, 2, 3, 4].into()));
    }
}
