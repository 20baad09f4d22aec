//! Which operators and transformers each type of field takes.

use super::super::{
    ast::{Operator, Transformer},
    fields::Type,
    operand::Operand,
};

pub(super) fn accepts(
    transformer: Transformer,
    arguments: &[Operand],
) -> Result<(), (String, &'static str)> {
    let kinds: Vec<Type> = arguments.iter().map(Operand::kind).collect();
    let texts = |kinds: &[Type]| kinds.iter().all(|kind| *kind == Type::Text);
    let good = match transformer {
        Transformer::Concat => kinds.len() >= 2 && texts(&kinds),
        Transformer::Join => matches!(kinds.as_slice(), [Type::Text, Type::List]),
        Transformer::Getopt => matches!(kinds.as_slice(), [Type::List, Type::Text]),
        Transformer::Len => matches!(kinds.as_slice(), [Type::Text | Type::Bytes | Type::List]),
        Transformer::B64 => matches!(kinds.as_slice(), [Type::Text | Type::Bytes | Type::List]),
        Transformer::ToLower | Transformer::ToUpper | Transformer::Basename => {
            matches!(kinds.as_slice(), [Type::Text | Type::List])
        }
    };
    if good {
        return Ok(());
    }
    let (wants, help) = match transformer {
        Transformer::Concat => (
            "two or more texts",
            "write it like `concat(proc.name, \"-\", proc.pname)`",
        ),
        Transformer::Join => (
            "a separator and a list in parentheses",
            "write it like `join(\"-\", (proc.name, fd.sport))`",
        ),
        Transformer::Getopt => (
            "a list and the known options",
            "write it like `getopt(list, \"ab:\")`",
        ),
        Transformer::Len => ("one text or list", "write it like `len(proc.name)`"),
        _ => ("one text", "only fields of type string are transformed"),
    };
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let message = format!("`{transformer}` takes {wants}, not ({})", names.join(", "));
    Err((message, help))
}

/// Falco, `filter_compare.cpp`.
pub(super) fn is_allowed(operator: Operator, kind: Type) -> bool {
    match operator {
        Operator::Exists => true,
        _ if kind == Type::Socket => false,
        Operator::In | Operator::Intersects => true,
        Operator::Equal | Operator::NotEqual => kind != Type::List,
        Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
            kind.is_number() || kind == Type::Text
        }
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            matches!(kind, Type::Text | Type::Bytes)
        }
        Operator::Icontains
        | Operator::Glob
        | Operator::Iglob
        | Operator::Pmatch
        | Operator::Regex => kind == Type::Text,
        Operator::Bcontains | Operator::BstartsWith => kind == Type::Bytes,
    }
}
