//! A field's name and argument to the field: exact, case-sensitive, the whole text.

use std::{collections::HashMap, sync::LazyLock};

use super::{CATALOGUE, Field, Get, known};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    None,
    Index(usize),
    Key(String),
}

static INDEX: LazyLock<HashMap<&'static str, &'static Field>> = LazyLock::new(|| {
    CATALOGUE
        .iter()
        .chain(known::FIELDS.iter())
        .map(|field| (field.name, field))
        .collect()
});

/// By its whole name; also fields that only Falco has.
pub fn find(name: &str) -> Option<&'static Field> {
    INDEX.get(name).copied()
}

/// What a name and an argument mean. The error is Falco's text, which `skip-if-unknown-filter`
/// looks at, and a help.
pub fn resolve(
    name: &str,
    argument: Option<&str>,
) -> Result<(&'static Field, Argument), (String, Option<String>)> {
    if let Some(parameter) = name
        .strip_prefix("evt.arg.")
        .or_else(|| name.strip_prefix("evt.rawarg."))
    {
        if argument.is_none()
            && let Some(field) = find(name)
        {
            return Ok((field, Argument::None));
        }
        if argument.is_none() && known::PARAMETERS.contains(&parameter) {
            return Ok((&known::PARAMETER, Argument::Key(parameter.to_owned())));
        }
        return Err((format!("unknown event argument `{parameter}`"), None));
    }
    let unknown = |help: Option<String>| {
        let shown =
            argument.map_or_else(|| name.to_owned(), |argument| format!("{name}[{argument}]"));
        Err((format!("nonexistent field `{shown}`"), help))
    };
    let Some(field) = find(name) else {
        return unknown(suggestion(name).map(|near| format!("did you mean `{near}`?")));
    };
    let index = argument.map(str::parse::<usize>);
    match (field.get, argument, index) {
        (Get::Indexed(_), None, _) if name == "evt.arg" => unknown(Some(
            "name the parameter: `evt.arg.res`, `evt.arg[0]`".to_owned(),
        )),
        (Get::Unavailable(_) | Get::Absent, Some(key), _) => {
            Ok((field, Argument::Key(key.to_owned())))
        }
        (_, None, _) => Ok((field, Argument::None)),
        (Get::Indexed(_) | Get::Ancestors(_), _, Some(Ok(index))) => {
            Ok((field, Argument::Index(index)))
        }
        (Get::Indexed(_) | Get::Ancestors(_), ..) => {
            unknown(Some("the argument is a number: `[1]`".to_owned()))
        }
        _ => unknown(Some(format!("`{name}` takes no argument"))),
    }
}

/// The field that was meant, if one is spelt alike.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let near = CATALOGUE
        .iter()
        .map(|field| (distance(&name, field.name), field.name))
        .min()?;
    (near.0 <= 3).then_some(near.1)
}

/// Levenshtein's.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.bytes().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let best = (diagonal + usize::from(a != b))
                .min(before + 1)
                .min(*slot + 1);
            diagonal = std::mem::replace(slot, best);
            before = best;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        for (name, argument, expected) in [
            ("proc.aname", None, Some(Argument::None)),
            ("proc.aname", Some("2"), Some(Argument::Index(2))),
            ("proc.aname", Some("x"), None),
            ("proc.aname", Some(""), None),
            ("proc.name", Some("1"), None),
            ("evt.arg", None, None),
            ("evt.arg", Some("0"), Some(Argument::Index(0))),
            ("evt.arg.res", None, Some(Argument::None)),
            (
                "evt.arg.flags",
                None,
                Some(Argument::Key("flags".to_owned())),
            ),
            ("evt.arg.nope", None, None),
            (
                "proc.env",
                Some("HOME"),
                Some(Argument::Key("HOME".to_owned())),
            ),
            ("fd.sprt", None, None),
            ("FD.sport", None, None),
        ] {
            let found = resolve(name, argument).ok().map(|(_, argument)| argument);
            assert_eq!(found, expected, "{name} {argument:?}");
        }
        assert_eq!(suggestion("fd.sprt"), Some("fd.sport"));
        assert_eq!(suggestion("completely.different"), None);
    }
}
