//! What a check reads: a field, or a transformer's result (Falco, `sinsp_filter_transformers/`).

use std::borrow::Cow;

use super::{
    ast::Transformer,
    fields::{Argument, Context, Field, Get, Short, Type, Value, Write},
};

#[derive(Debug, Clone)]
pub enum Operand {
    Field {
        field: &'static Field,
        argument: Argument,
    },
    Constant(String),
    List(Vec<Operand>),
    Call {
        transformer: Transformer,
        arguments: Vec<Operand>,
        /// The option that `getopt(...)[x]` asks for.
        option: Option<String>,
    },
}

impl Operand {
    pub fn kind(&self) -> Type {
        match self {
            Self::Field { field, .. } => field.kind,
            Self::Constant(_) => Type::Text,
            Self::List(_) => Type::List,
            Self::Call {
                transformer,
                option,
                arguments,
            } => match transformer {
                Transformer::Len => Type::Uint64,
                Transformer::Getopt if option.is_none() => Type::List,
                Transformer::ToLower
                | Transformer::ToUpper
                | Transformer::B64
                | Transformer::Basename => match arguments.as_slice() {
                    [one] if one.kind() == Type::List => Type::List,
                    _ => Type::Text,
                },
                _ => Type::Text,
            },
        }
    }

    /// Every field that is read.
    pub fn fields(&self, each: &mut impl FnMut(&'static Field, &Argument)) {
        match self {
            Self::Field { field, argument } => each(field, argument),
            Self::Constant(_) => {}
            Self::List(items)
            | Self::Call {
                arguments: items, ..
            } => items.iter().for_each(|item| item.fields(each)),
        }
    }

    /// Nothing if any part is missing.
    pub fn value<'a>(&'a self, context: Context<'a>) -> Option<Value<'a>> {
        match self {
            Self::Field { field, argument } => match (field.get, argument) {
                (Get::One(get), _) => get(context),
                (Get::Written(get), _) => written(get, context),
                (Get::Kind(get), _) => {
                    get(context.event.kind).map(|text| Value::Text(Cow::Borrowed(text)))
                }
                (Get::Indexed(get), Argument::Index(index)) => get(context, Some(*index)),
                (Get::Indexed(get), _) => get(context, None),
                (Get::Ancestors(get), Argument::Index(index)) => get(context, *index),
                (Get::Keyed(get), Argument::Key(key)) => get(context, Some(key)),
                (Get::Keyed(get), _) => get(context, None),
                (Get::Names(get), _) => {
                    let name = get(context)?.first()?;
                    Some(Value::Text(Cow::Borrowed(name)))
                }
                _ => None,
            },
            Self::Constant(text) => Some(Value::Text(Cow::Borrowed(text))),
            Self::List(items) => {
                let values: Option<Vec<_>> = items.iter().map(|item| item.value(context)).collect();
                values.map(Value::List)
            }
            Self::Call {
                transformer,
                arguments,
                option,
            } => {
                let values: Option<Vec<_>> =
                    arguments.iter().map(|item| item.value(context)).collect();
                transform(*transformer, values?, option.as_deref())
            }
        }
    }
}

/// Apart, for the buffer is not to be on the stack of every call within a call.
#[inline(never)]
fn written<'a>(get: Write, context: Context<'_>) -> Option<Value<'a>> {
    let mut text = Short::default();
    get(context, &mut text)?;
    Some(Value::Text(Cow::Owned(text.as_str().to_owned())))
}

/// As an output would print it.
pub fn print(value: &Value<'_>) -> String {
    let mut text = String::new();
    value.push_to(&mut text);
    text
}

fn transform<'a>(
    transformer: Transformer,
    values: Vec<Value<'a>>,
    option: Option<&str>,
) -> Option<Value<'a>> {
    let owned = |text: String| Some(Value::Text(Cow::Owned(text)));
    match transformer {
        Transformer::Concat => owned(values.iter().map(print).collect()),
        Transformer::Join => {
            let [separator, Value::List(items)] = values.as_slice() else {
                return None;
            };
            let items: Vec<String> = items.iter().map(print).collect();
            owned(items.join(&print(separator)))
        }
        Transformer::Getopt => getopt(&values, option),
        Transformer::Len => {
            let length = match values.first()? {
                Value::Text(text) => text.len(),
                Value::List(items) => items.len(),
                _ => return None,
            };
            u64::try_from(length).ok().map(Value::Unsigned)
        }
        Transformer::ToLower | Transformer::ToUpper | Transformer::B64 | Transformer::Basename => {
            match values.into_iter().next()? {
                Value::Text(text) => owned(of_text(transformer, &text)?),
                Value::List(items) => {
                    let each = |item: &Value<'_>| owned(of_text(transformer, &print(item))?);
                    let items: Option<Vec<_>> = items.iter().map(each).collect();
                    items.map(Value::List)
                }
                _ => None,
            }
        }
    }
}

fn of_text(transformer: Transformer, text: &str) -> Option<String> {
    Some(match transformer {
        Transformer::ToLower => text.to_ascii_lowercase(),
        Transformer::ToUpper => text.to_ascii_uppercase(),
        Transformer::B64 => String::from_utf8_lossy(&base64(text)?).into_owned(),
        _ => text.rsplit('/').next()?.to_owned(),
    })
}

/// RFC 4648, with two signs of padding at most; nothing if it does not decode, or bits are left over.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held) = (0u32, 0u32);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if padding > 2 || padding > 0 && digits.is_empty() {
        return None;
    }
    for digit in digits.bytes() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    (bits < 6 && held & ((1 << bits) - 1) == 0).then_some(bytes)
}

/// Letters and their arguments in order; `?` for an unknown option. Ends at `--` or at a word
/// that is no option.
fn getopt<'a>(values: &[Value<'a>], option: Option<&str>) -> Option<Value<'a>> {
    let [Value::List(words), Value::Text(known)] = values else {
        return None;
    };
    let known = known.trim_start_matches([':', '+', '-']);
    let takes = |letter: char| {
        let after = known.split_once(letter).filter(|_| letter != ':')?.1;
        Some(after.starts_with(':'))
    };
    let mut words = words.iter().map(print);
    let (mut found, mut last) = (Vec::new(), None);
    while let Some(word) = words.next() {
        let Some(letters) = word
            .strip_prefix('-')
            .filter(|rest| !rest.is_empty() && *rest != "-")
        else {
            break;
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let argument = match takes(letter) {
                None => {
                    found.push("?".to_owned());
                    continue;
                }
                Some(false) => None,
                Some(true) if rest.as_str().is_empty() => words.next(),
                Some(true) => Some(std::mem::replace(&mut rest, "".chars()).as_str().to_owned()),
            };
            if option.is_some_and(|option| option.chars().eq([letter])) {
                last = Some(argument.clone().unwrap_or_else(|| letter.to_string()));
            }
            found.push(letter.to_string());
            found.extend(argument);
        }
    }
    if option.is_some() {
        return last.map(|text| Value::Text(Cow::Owned(text)));
    }
    let text = |text: String| Value::Text(Cow::Owned(text));
    Some(Value::List(found.into_iter().map(text).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text))
    }

    #[test]
    fn texts_are_transformed() {
        for (transformer, input, expected) in [
            (Transformer::ToLower, "AbÄ", Some("abÄ")),
            (Transformer::ToUpper, "abä", Some("ABä")),
            (Transformer::Basename, "/hello/", Some("")),
            (Transformer::Basename, "a/b", Some("b")),
            (Transformer::Basename, "b", Some("b")),
            (Transformer::B64, "Y3VybA==", Some("curl")),
            (Transformer::B64, "Y3VybA", Some("curl")),
            (Transformer::B64, "Y", None),
            (Transformer::B64, "**", None),
            (Transformer::B64, "", Some("")),
            (Transformer::B64, "=", None),
            (Transformer::B64, "YWI==", Some("ab")),
            (Transformer::B64, "YWI===", None),
            (Transformer::B64, "YWJ", None),
            (Transformer::B64, "ann", None),
            (Transformer::Len, "ä", Some("2")),
        ] {
            let found = transform(transformer, vec![text(input)], None);
            let found = found.as_ref().map(print);
            assert_eq!(found.as_deref(), expected, "{transformer} {input}");
        }
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        let words = |line: &'static str| Value::List(line.split(' ').map(text).collect());
        for (line, known, option, expected) in [
            ("-a -b x y", "ab:", None, "(a,b,x)"),
            ("-ab x -- -c", "ab:c", None, "(a,b,x)"),
            ("-bx -q", "b:", None, "(b,x,?)"),
            ("-b x -b y", "b:", Some("b"), "y"),
            ("-a", "a", Some("a"), "a"),
            ("file -a", "a", None, "()"),
        ] {
            let found = getopt(&[words(line), text(known)], option).unwrap();
            assert_eq!(print(&found), expected, "{line}");
        }
        assert_eq!(getopt(&[words("-a"), text("ab:")], Some("b")), None);
    }
}
