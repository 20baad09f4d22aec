//! Constants as each type of field takes them (Falco, `value_parser.cpp`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex::RegexBuilder;

use super::{
    ast::Operator,
    event_types,
    fields::{Field, Type},
    net::Net,
    pattern::Glob,
    posix,
    predicate::Constant,
    spelling,
};

/// Falco's buffer of 256 with the terminator.
const MAX_LENGTH: usize = 255;
/// Bytes of a compiled regex.
const MAX_REGEX: usize = 1 << 23;
/// More than a constant's length can nest.
const MAX_NESTING: u32 = 1000;

/// A message and a help.
pub(super) type Refusal = (String, Option<String>);

pub(super) fn checked_length(kind: Type, text: &str) -> Result<(), (String, &'static str)> {
    if text.len() > MAX_LENGTH {
        let message = format!(
            "a constant has at most {MAX_LENGTH} bytes, this one has {}",
            text.len()
        );
        return Err((
            message,
            "compare a part of it, with `startswith` or `contains`",
        ));
    }
    if kind != Type::Bytes && text.contains('\0') {
        let message = "a constant cannot contain a NUL byte".to_owned();
        return Err((message, "leave out `\\x00`: no text of an event has it"));
    }
    Ok(())
}

/// Of `evt.type`, whatever the operator; `syscall.type` takes any text.
pub(super) fn event_type(text: &str) -> Result<(), Refusal> {
    if text.is_empty() || event_types::is_known(text) {
        return Ok(());
    }
    let observed = ["connect", "accept", "accept4", "listen"];
    let help = spelling::did_you_mean(text, observed).unwrap_or_else(|| {
        "write connect, accept or listen, or the name of another syscall".to_owned()
    });
    Err((format!("unknown event type `{text}`"), Some(help)))
}

pub(super) fn convert(
    field: Option<&Field>,
    kind: Type,
    operator: Operator,
    text: &str,
) -> Result<Constant, Refusal> {
    let name = field.map_or("the left side", |field| field.name);
    let refused = |help: &str| {
        (
            format!("`{text}` is no {} for `{name}`", kind.as_str()),
            Some(help.to_owned()),
        )
    };
    match kind {
        Type::Text | Type::List | Type::Socket => pattern(operator, text),
        Type::Bytes => {
            bytes(operator, text).ok_or_else(|| refused("write an even number of hex digits"))
        }
        Type::Bool => text
            .parse()
            .map(Constant::Bool)
            .map_err(|_error| refused("write true or false")),
        Type::Double => double(text)
            .map(Constant::Double)
            .ok_or_else(|| refused("write a number, such as 12.5")),
        // Cut to its bits, as a port is.
        Type::Int16 => integer(text)
            .and_then(|number| i64::try_from(number).ok())
            .map(|number| {
                let [low, high, ..] = number.to_le_bytes();
                Constant::Signed(i16::from_le_bytes([low, high]).into())
            })
            .ok_or_else(|| refused("write a decimal number")),
        Type::Int64 => integer(text)
            .and_then(|number| i64::try_from(number).ok())
            .map(Constant::Signed)
            .ok_or_else(|| refused("write a decimal number")),
        Type::Uint32 => integer(text)
            .map(|number| Constant::Unsigned(wrapped(number) & u64::from(u32::MAX)))
            .ok_or_else(|| refused("write a decimal number")),
        Type::Uint64 | Type::Time | Type::Duration => integer(text)
            .map(|number| Constant::Unsigned(wrapped(number)))
            .ok_or_else(|| refused("write a decimal number")),
        Type::Port => port(text)
            .map(|port| Constant::Unsigned(port.into()))
            .ok_or_else(|| refused("write a port number")),
        Type::Ip => ip(text).map(Constant::Ip).ok_or_else(|| match mapped(text) {
            Some(address) => refused(&format!(
                "an IPv4-mapped connection has IPv4 addresses here: write {address}"
            )),
            None => refused(
                "write an IPv4 or IPv6 address; networks are compared with `fd.snet` and the like",
            ),
        }),
        Type::Net => net(text).map(Constant::Net).ok_or_else(|| match mapped(text) {
            Some(_) => refused(
                "an IPv4-mapped connection has IPv4 addresses here: write the network as IPv4",
            ),
            None => refused("write `address/bits`, such as 10.0.0.0/8"),
        }),
    }
}

fn pattern(operator: Operator, text: &str) -> Result<Constant, Refusal> {
    Ok(match operator {
        Operator::Glob => Constant::Glob(Glob::new(text, false)),
        Operator::Iglob => Constant::Glob(Glob::new(text, true)),
        Operator::Regex => regex(text)?,
        _ => Constant::Text(text.to_owned()),
    })
}

/// The whole value must match.
/// How many parts of a condition a regex counts as: it takes about as much memory.
pub(super) fn regex_parts(text: &str) -> usize {
    const AT_LEAST: usize = 64;
    AT_LEAST + posix::weight(text) / 4
}

fn regex(text: &str) -> Result<Constant, Refusal> {
    let refused = |cause: &str| {
        let help = "regexes are POSIX: [0-9] and [[:space:]], no \\d and no (?i); a sign that is \
                    meant itself has two backslashes before it in quotes";
        (format!("invalid regex: {cause}"), Some(help.to_owned()))
    };
    let pattern = posix::translated(text).map_err(|cause| refused(&cause))?;
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
        .size_limit(MAX_REGEX)
        .nest_limit(MAX_NESTING)
        .build()
        .map(|regex| Constant::Regex(Box::new(regex)))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => refused("it is too large when compiled"),
            error => refused(&error.to_string()),
        })
}

/// Literal text with at most `^`, `$`, and a leading or trailing `.*`, `.+` or `.?`.
pub(super) fn is_simple_regex(text: &str) -> bool {
    let text = text.strip_prefix('^').unwrap_or(text);
    let text = text.strip_suffix('$').unwrap_or(text);
    let any = [".*", ".+", ".?"];
    let text = any
        .iter()
        .find_map(|any| text.strip_prefix(any))
        .unwrap_or(text);
    let text = any
        .iter()
        .find_map(|any| text.strip_suffix(any))
        .unwrap_or(text);
    !text.contains(|meta: char| r".*+?()[]{}|\^$".contains(meta))
}

fn integer(text: &str) -> Option<i128> {
    let text = text.trim_start_matches(' ');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse::<u128>().ok())??;
    let number = i128::try_from(number).ok()?;
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

fn double(text: &str) -> Option<f64> {
    let number: f64 = text.trim_start_matches(' ').parse().ok()?;
    number.is_finite().then_some(number)
}

/// A negative number given to an unsigned field wraps; too large a one is the largest.
fn wrapped(number: i128) -> u64 {
    match u64::try_from(number) {
        Ok(number) => number,
        Err(_) if number < 0 => i64::try_from(number).map_or(0, i64::cast_unsigned),
        Err(_) => u64::MAX,
    }
}

/// What a rule about ports is likely to name: no host's service table is read.
const SERVICES: [(&str, u16); 21] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("ldap", 389),
    ("https", 443),
    ("submission", 587),
    ("ldaps", 636),
    ("imaps", 993),
    ("mysql", 3306),
    ("rdp", 3389),
    ("postgresql", 5432),
    ("redis", 6379),
];

/// Digits are cut to 16 bits; nothing is 0; else a service.
fn port(text: &str) -> Option<u16> {
    if text.bytes().all(|digit| digit.is_ascii_digit()) {
        if text.is_empty() {
            return Some(0);
        }
        return u16::try_from(text.parse::<i32>().ok()? & i32::from(u16::MAX)).ok();
    }
    SERVICES
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, port)| *port)
}

/// Blanks may stand before the number of bits.
fn net(text: &str) -> Option<Net> {
    match text.split_once("/ ") {
        Some((address, bits)) => Net::parse(&format!("{address}/{}", bits.trim_start_matches(' '))),
        None => Net::parse(text),
    }
}

/// A dot makes it IPv4: an IPv4-mapped text is no address.
fn ip(text: &str) -> Option<IpAddr> {
    if text.contains('.') {
        return text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The IPv4 address that a refused one stands for, with bits or without.
fn mapped(text: &str) -> Option<Ipv4Addr> {
    let address = text.split('/').next()?;
    address.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped()
}

fn bytes(operator: Operator, text: &str) -> Option<Constant> {
    let hex = matches!(operator, Operator::Bcontains | Operator::BstartsWith);
    let even = text.len().is_multiple_of(2) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    (!hex || even).then(|| Constant::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Type, text: &str) -> Option<String> {
        match convert(None, kind, Operator::Equal, text).ok()? {
            Constant::Signed(number) => Some(number.to_string()),
            Constant::Unsigned(number) => Some(number.to_string()),
            Constant::Ip(ip) => Some(ip.to_string()),
            Constant::Bool(value) => Some(value.to_string()),
            other => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn constants_convert_as_falcos() {
        for (kind, text, expected) in [
            (Type::Int64, "-5", Some("-5")),
            (Type::Int64, " 5", Some("5")),
            (Type::Int64, "", None),
            (Type::Int64, "0x10", None),
            (Type::Int64, "1.5", None),
            (Type::Int64, "5x", None),
            (Type::Uint64, "-1", Some("18446744073709551615")),
            (
                Type::Uint64,
                "99999999999999999999999",
                Some("18446744073709551615"),
            ),
            (Type::Uint32, "-1", Some("4294967295")),
            (Type::Bool, "true", Some("true")),
            (Type::Bool, "True", None),
            (Type::Port, "65979", Some("443")),
            (Type::Port, "2147483647", Some("65535")),
            (Type::Port, "2147483648", None),
            (Type::Int16, "65537", Some("1")),
            (Type::Int16, "65535", Some("-1")),
            (Type::Int16, "-65535", Some("1")),
            (Type::Port, "https", Some("443")),
            (Type::Port, "", Some("0")),
            (Type::Port, "nosuch", None),
            (Type::Ip, "10.0.0.1", Some("10.0.0.1")),
            (Type::Ip, "10.0.1", None),
            (Type::Ip, "::1", Some("::1")),
            (Type::Ip, "::ffff:1.2.3.4", None),
            (Type::Ip, "10.0.0.0/8", None),
            (Type::Net, "10.0.0.1", None),
        ] {
            assert_eq!(shown(kind, text).as_deref(), expected, "{kind:?} {text}");
        }
    }

    #[test]
    fn regexes_are_posix_and_bounded() {
        for (text, good) in [
            ("a.*b", true),
            ("[0-9]+", true),
            (r"\d+", false),
            ("(?i)a", false),
            ("a)(b", false),
            ("(a{1000}){1000}", false),
        ] {
            let found = convert(None, Type::Text, Operator::Regex, text);
            assert_eq!(found.is_ok(), good, "{text}");
        }
        for (text, simple) in [
            ("^abc$", true),
            (".*abc.+", true),
            ("a.c", false),
            ("a|b", false),
            ("", true),
        ] {
            assert_eq!(is_simple_regex(text), simple, "{text}");
        }
    }

    #[test]
    fn long_texts_are_refused() {
        assert!(checked_length(Type::Text, &"a".repeat(255)).is_ok());
        assert!(checked_length(Type::Text, &"a".repeat(256)).is_err());
        assert!(checked_length(Type::Text, "a\0").is_err());
        assert!(checked_length(Type::Bytes, "a\0").is_ok());
    }
}
