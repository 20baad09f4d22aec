//! Values that a field's type does not take, or takes otherwise than they are written.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    super::{ast, fields::Type, operand::Operand, predicate::Constant, text::Text},
    Checker,
};

/// Our own.
const WRAPS: &str = "RULE_VALUE_WRAPS";

/// What is wrong with a value that looks like one, if that is more than its type.
pub(super) fn help(left: &Operand, text: &str) -> Option<String> {
    let name = match left {
        Operand::Field { field, .. } => field.name,
        _ => "...",
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit());
    match left.kind() {
        Type::Net => bits(text).map(str::to_owned),
        Type::Port | Type::Int64 | Type::Uint32 | Type::Uint64 => {
            if let Some((first, last)) = text.split_once('-')
                && number(first)
                && number(last)
            {
                return Some(format!(
                    "a range is two checks: `{name} >= {first} and {name} <= {last}`"
                ));
            }
            number(text).then(|| "the number is too large for the field".to_owned())
        }
        _ => None,
    }
}

/// Of a network whose address is one.
fn bits(text: &str) -> Option<&'static str> {
    let (address, _) = text.split_once('/')?;
    if address.parse::<Ipv4Addr>().is_ok() {
        return Some("the bits of an IPv4 network are 0 to 32");
    }
    let ipv6 = address.parse::<Ipv6Addr>().ok()?;
    (ipv6.to_ipv4_mapped().is_none()).then_some("the bits of an IPv6 network are 1 to 128")
}

impl Checker<'_> {
    /// A number that is too large is cut to the bits of its field, as in Falco.
    pub(super) fn wraps(
        &mut self,
        left: &Operand,
        constant: &ast::Constant,
        converted: &Constant,
        text: &Text,
    ) {
        let Ok(number) = constant.text.parse::<i128>() else {
            return;
        };
        let kept = match converted {
            Constant::Unsigned(kept) => i128::from(*kept),
            Constant::Signed(kept) => i128::from(*kept),
            _ => return,
        };
        if number > kept {
            let message = format!(
                "`{number}` is more than any {}: it is compared as {kept}",
                left.kind().as_str()
            );
            let help = format!("write `{kept}` if that is meant");
            self.warn(WRAPS, text, &constant.span, message, help);
        }
    }
}
