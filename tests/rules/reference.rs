//! The rule language as plainly as it can be said: the tree is walked, every field is read anew and
//! every constant is compared by itself. What the compiled rules are held against.

use std::net::IpAddr;

use detector::rules::{
    ast::{
        Argument as Written, Call, Check, Constant, Expression, FieldReference, Modifier, Operand,
        Operator, Right, Transformer,
    },
    fields::{self, Argument, Context, Get, Short, Type, Value},
};

pub(crate) fn holds(expression: &Expression, context: Context<'_>) -> bool {
    match expression {
        Expression::And(terms) => terms.iter().all(|term| holds(term, context)),
        Expression::Or(terms) => terms.iter().any(|term| holds(term, context)),
        Expression::Not(inner) => !holds(inner, context),
        Expression::Macro { name, .. } => panic!("no macros here, found {name}"),
        Expression::Check(one) => check(one, context),
    }
}

/// A value, or both ends of a connection, or every ancestor.
enum Read<'a> {
    One(Option<Value<'a>>),
    Any(Vec<Value<'a>>),
    Ends(Vec<Value<'a>>),
}

fn field<'a>(written: &FieldReference, context: Context<'a>) -> (Type, Read<'a>) {
    let (field, argument) = fields::resolve(&written.name, written.argument.as_deref()).unwrap();
    let read = match (field.get, argument) {
        (Get::One(get), _) => Read::One(get(context)),
        (Get::Written(get), _) => {
            let mut text = Short::default();
            let written = get(context, &mut text);
            Read::One(written.map(|()| Value::Text(text.as_str().to_owned().into())))
        }
        (Get::Kind(get), _) => {
            Read::One(get(context.event.kind).map(|text| Value::Text(text.into())))
        }
        (Get::Indexed(get), Argument::Index(index)) => Read::One(get(context, Some(index))),
        (Get::Indexed(get), _) => Read::One(get(context, None)),
        (Get::Ancestors(get), Argument::Index(index)) => Read::One(get(context, index)),
        (Get::Ancestors(get), _) => {
            Read::Any((1..).map_while(|index| get(context, index)).collect())
        }
        (Get::Ends(get), _) => Read::Ends(get(context).into_iter().flatten().collect()),
        _ => Read::One(None),
    };
    (field.kind, read)
}

fn check(check: &Check, context: Context<'_>) -> bool {
    let (kind, read) = match &check.left {
        Operand::Field(written) => field(written, context),
        Operand::Call(written) => {
            let value = call(written, context);
            let kind = match written.transformer {
                Transformer::Len => Type::Uint64,
                _ => Type::Text,
            };
            (kind, Read::One(value))
        }
    };
    let right = match &check.right {
        Right::Nothing => {
            return match read {
                Read::One(value) => value.is_some(),
                Read::Any(values) | Read::Ends(values) => !values.is_empty(),
            };
        }
        Right::Operand(right) => {
            let other = match right {
                Operand::Field(written) => match field(written, context).1 {
                    Read::One(other) => other,
                    _ => panic!("not to be compared with"),
                },
                Operand::Call(written) => call(written, context),
            };
            let (Read::One(Some(value)), Some(other)) = (read, other) else {
                return false;
            };
            return compare(&value, check.operator, &other);
        }
        Right::Constants(constants) => constants,
    };
    let (operator, modifier) = (check.operator, check.modifier);
    let one = |value: &Value<'_>, constant: &Constant| against(value, kind, operator, constant);
    match read {
        Read::One(None) => false,
        Read::One(Some(value)) => counted(operator, modifier, right, |c| one(&value, c)),
        // Of the ancestors one satisfies the whole check.
        Read::Any(values) => values
            .iter()
            .any(|value| counted(operator, modifier, right, |c| one(value, c))),
        // An end that differs is not enough: no end may be equal.
        Read::Ends(values) => counted(operator, modifier, right, |c| {
            let differs = operator == Operator::NotEqual;
            if differs {
                values.iter().all(|value| one(value, c))
            } else {
                values.iter().any(|value| one(value, c))
            }
        }),
    }
}

fn counted(
    operator: Operator,
    modifier: Option<Modifier>,
    constants: &[Constant],
    holds: impl Fn(&Constant) -> bool,
) -> bool {
    let count = constants.iter().filter(|one| holds(one)).count();
    match modifier {
        Some(Modifier::OneOf) => count == 1,
        Some(Modifier::AllOf) => count > 0 && count == constants.len(),
        Some(Modifier::AnyOf) => count > 0,
        None if operator.is_list() => count > 0,
        None => count == 1,
    }
}

fn against(value: &Value<'_>, kind: Type, operator: Operator, constant: &Constant) -> bool {
    let text = constant.text.as_str();
    let constant = match kind {
        Type::Text => Value::Text(text.into()),
        Type::Bool => Value::Bool(text == "true"),
        Type::Int64 => Value::Signed(text.parse().unwrap()),
        Type::Ip => Value::Ip(text.parse().unwrap()),
        Type::Net => {
            let Value::Ip(ip) = value else { return false };
            return within(*ip, text) == (operator != Operator::NotEqual);
        }
        _ => Value::Unsigned(text.parse().unwrap()),
    };
    compare(value, operator, &constant)
}

fn within(ip: IpAddr, net: &str) -> bool {
    let (first, bits) = net.split_once('/').unwrap();
    let bits: u32 = bits.parse().unwrap();
    let same = |one: u128, other: u128, width: u32| {
        bits == 0 || one >> (width - bits) == other >> (width - bits)
    };
    match (ip, first.parse().unwrap()) {
        (IpAddr::V4(ip), IpAddr::V4(first)) => {
            same(u32::from(ip).into(), u32::from(first).into(), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(first)) => same(ip.into(), first.into(), 128),
        _ => false,
    }
}

fn compare(value: &Value<'_>, operator: Operator, other: &Value<'_>) -> bool {
    use std::cmp::Ordering;
    let ordered = |order: Ordering| match operator {
        Operator::Equal | Operator::In | Operator::Intersects => order == Ordering::Equal,
        Operator::NotEqual => order != Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::LessEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        Operator::GreaterEqual => order != Ordering::Less,
        _ => false,
    };
    match (value, other) {
        (Value::Text(text), Value::Text(other)) => {
            let (text, other) = (text.as_ref(), other.as_ref());
            match operator {
                Operator::Contains => text.contains(other),
                Operator::Icontains => text
                    .to_ascii_lowercase()
                    .contains(&other.to_ascii_lowercase()),
                Operator::StartsWith => text.starts_with(other),
                Operator::EndsWith => text.ends_with(other),
                Operator::Glob => glob(text, other),
                Operator::Iglob => glob(&text.to_ascii_lowercase(), &other.to_ascii_lowercase()),
                Operator::Pmatch => path_within(text, other),
                _ => ordered(text.as_bytes().cmp(other.as_bytes())),
            }
        }
        (Value::Signed(number), Value::Signed(other)) => ordered(number.cmp(other)),
        (Value::Unsigned(number), Value::Unsigned(other)) => ordered(number.cmp(other)),
        (Value::Bool(value), Value::Bool(other)) => ordered(value.cmp(other)),
        (Value::Ip(ip), Value::Ip(other)) => (ip == other) == (operator != Operator::NotEqual),
        _ => false,
    }
}

/// `*` and `?` alone.
fn glob(text: &str, pattern: &str) -> bool {
    let bytes = |text: &str| -> Vec<u8> { text.bytes().collect() };
    glob_bytes(&bytes(text), &bytes(pattern))
}

fn glob_bytes(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, first) => first.is_none(),
        (Some((b'*', rest)), _) => (0..=text.len()).any(|at| glob_bytes(&text[at..], rest)),
        (Some((one, rest)), Some((first, after))) => {
            (*one == b'?' || one == first) && glob_bytes(after, rest)
        }
        (Some(_), None) => false,
    }
}

fn path_within(path: &str, outer: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (path, outer) = (parts(path), parts(outer));
    outer.len() <= path.len() && outer.iter().zip(&path).all(|(one, part)| glob(part, one))
}

fn call<'a>(written: &Call, context: Context<'a>) -> Option<Value<'a>> {
    let values: Option<Vec<Value<'a>>> = written
        .arguments
        .iter()
        .map(|one| argument(one, context))
        .collect();
    let values = values?;
    let text = |text: String| Some(Value::Text(text.into()));
    match (written.transformer, values.as_slice()) {
        (Transformer::ToLower, [one]) => text(shown(one).to_ascii_lowercase()),
        (Transformer::ToUpper, [one]) => text(shown(one).to_ascii_uppercase()),
        (Transformer::Basename, [one]) => text(shown(one).rsplit('/').next()?.to_owned()),
        (Transformer::Len, [one]) => Some(Value::Unsigned(shown(one).len() as u64)),
        (Transformer::Concat, all) => text(all.iter().map(shown).collect()),
        (Transformer::Join, [separator, Value::List(items)]) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            text(items.join(&shown(separator)))
        }
        (other, _) => panic!("{other} is not generated"),
    }
}

fn argument<'a>(written: &Written, context: Context<'a>) -> Option<Value<'a>> {
    match written {
        Written::Constant(constant) => Some(Value::Text(constant.text.clone().into())),
        Written::List(items) => {
            let items: Option<Vec<_>> = items.iter().map(|one| argument(one, context)).collect();
            items.map(Value::List)
        }
        Written::Operand(Operand::Field(written)) => match field(written, context).1 {
            Read::One(value) => value,
            _ => panic!("not to be transformed"),
        },
        Written::Operand(Operand::Call(written)) => call(written, context),
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Double(_) | Value::List(_) => panic!("not shown in a text"),
    }
}
