//! A field's name and argument to the field: exact, case-sensitive, the whole text.

use std::{collections::HashMap, sync::LazyLock};

use super::{
    super::{event_types, spelling},
    CATALOGUE, Field, Takes, ancestors, known, parameters,
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

/// Fields whose argument may stand behind a dot.
const DOTTED: [&str; 4] = ["evt.arg.", "evt.rawarg.", "evt.type.is.", "thread.cgroup."];

pub(in crate::rules) fn is_dotted(name: &str) -> bool {
    DOTTED.iter().any(|dotted| name.starts_with(dotted))
}

/// What a name and an argument mean. The error is Falco's text, which `skip-if-unknown-filter`
/// looks at, and a help.
pub fn resolve(
    name: &str,
    argument: Option<&str>,
) -> Result<(&'static Field, Argument), (String, Option<String>)> {
    let unknown = |help: Option<String>| {
        let shown =
            argument.map_or_else(|| name.to_owned(), |argument| format!("{name}[{argument}]"));
        Err((format!("nonexistent field `{shown}`"), help))
    };
    if argument.is_none()
        && let Some(dotted) = DOTTED.iter().find(|dotted| name.starts_with(**dotted))
        && let Some(key) = name.strip_prefix(dotted)
    {
        let other = match *dotted {
            "evt.arg." => parameters::other(key),
            "evt.rawarg." => parameters::raw(key),
            _ => None,
        };
        return match find(name) {
            Some(field) => Ok((field, Argument::None)),
            None if let Some(field) = other => Ok((field, Argument::Key(key.to_owned()))),
            None if dotted.contains("arg.") => {
                Err((format!("unknown event argument `{key}`"), None))
            }
            None if *dotted == "evt.type.is." && !event_types::is_known(key) => {
                Err((format!("unknown event type `{key}`"), None))
            }
            None => match find(dotted.trim_end_matches('.')) {
                Some(field) => Ok((field, Argument::Key(key.to_owned()))),
                None => unknown(None),
            },
        };
    }
    let Some(field) = find(name) else {
        return unknown(suggestion(name).map(|near| format!("did you mean `{near}`?")));
    };
    match (field.takes, argument) {
        (_, None) if field.needs_argument => unknown(Some(if name == "evt.arg" {
            "name the parameter: `evt.arg.res`, `evt.arg[0]`".to_owned()
        } else {
            format!("the argument is missing: `{name}[...]`")
        })),
        (_, None) => Ok((field, Argument::None)),
        (_, Some(key)) if key.contains(']') => unknown(None),
        (_, Some(key)) if matches!(name, "evt.type.is" | "thread.cgroup") => {
            unknown(Some(format!("write it behind a dot: `{name}.{key}`")))
        }
        (Takes::Nothing, Some(_)) => unknown(Some(format!("`{name}` takes no argument"))),
        (Takes::Text, Some(key)) => Ok((field, Argument::Key(key.to_owned()))),
        (Takes::Number, Some(key)) => match key.parse() {
            Ok(index) => Ok((field, Argument::Index(index))),
            Err(_) if name == "proc.aenv" && !key.is_empty() && !is_negative(key) => {
                Ok((&ancestors::INHERITED, Argument::Key(key.to_owned())))
            }
            // Falco takes -1 for no number, and finds nothing for what is below.
            Err(_) if key == "-1" && !field.needs_argument => Ok((field, Argument::None)),
            Err(_) if is_negative(key) => Ok((field, Argument::Index(usize::MAX))),
            Err(_) if !key.is_empty() && key.bytes().all(|digit| digit.is_ascii_digit()) => {
                unknown(Some(format!(
                    "the number is too large: at most {}",
                    usize::MAX
                )))
            }
            Err(_) => unknown(Some("the argument is a number: `[1]`".to_owned())),
        },
    }
}

fn is_negative(key: &str) -> bool {
    let digits = key.strip_prefix('-').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// The field that was meant, if one is spelt alike.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let names = CATALOGUE.iter().map(|field| field.name);
    spelling::nearest(name, names.filter(|one| alike(name, one)))
}

/// Whether what stands before the dot is the same, or may be a slip: `kube.name` is not `user.name`.
fn alike(name: &str, other: &str) -> bool {
    let (Some((class, _)), Some((other, _))) = (name.split_once('.'), other.split_once('.')) else {
        return true;
    };
    class.starts_with(other) || spelling::nearest(class, [other]).is_some()
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
            ("proc.aname", Some("-1"), Some(Argument::None)),
            ("proc.aname", Some("-2"), Some(Argument::Index(usize::MAX))),
            ("evt.type.is", Some("connect"), None),
            ("proc.env", Some("A]"), None),
            ("evt.around", None, None),
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
            ("proc.env", None, Some(Argument::None)),
            ("proc.aenv", Some("2"), Some(Argument::Index(2))),
            (
                "proc.aenv",
                Some("HOME"),
                Some(Argument::Key("HOME".to_owned())),
            ),
            ("evt.rawarg.res", None, Some(Argument::None)),
            ("evt.rawarg", None, None),
            (
                "evt.type.is.connect",
                None,
                Some(Argument::Key("connect".to_owned())),
            ),
            ("evt.type.is.nosuch", None, None),
            ("thread.cgroup", None, None),
            (
                "thread.cgroup.cpu",
                None,
                Some(Argument::Key("cpu".to_owned())),
            ),
            ("thread.cgroup.cpu", Some("x"), None),
            ("container.label", None, None),
            (
                "container.label",
                Some("app"),
                Some(Argument::Key("app".to_owned())),
            ),
            ("fd.filename", Some("1"), None),
            ("fd.sprt", None, None),
            ("FD.sport", None, None),
        ] {
            let found = resolve(name, argument).ok().map(|(_, argument)| argument);
            assert_eq!(found, expected, "{name} {argument:?}");
        }
        assert_eq!(suggestion("fd.sprt"), Some("fd.sport"));
        assert_eq!(suggestion("fd.sprot"), Some("fd.sport"));
        assert_eq!(suggestion("FD.sport"), Some("fd.sport"));
        assert_eq!(suggestion("completely.different"), None);
        assert_eq!(suggestion(&"fd.sport".repeat(1 << 20)), None);
    }
}
