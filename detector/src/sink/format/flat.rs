//! The fields of an output for a store that has one mapping for all documents.

use std::{borrow::Cow, collections::HashSet};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::alert::{Field, Value};

/// No mapping refuses them, whatever was indexed before: values are texts, for one field may be a
/// number here and a text there, and a dot in a name would make `proc.pid` an object as soon as there
/// is a `proc.pid.ts`.
pub(super) struct Flat<'a>(pub(super) &'a [Field<'a>]);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut taken = HashSet::with_capacity(self.0.len());
        for field in self.0 {
            let Some(value) = &field.value else { continue };
            let name = unlike(flat(field.name.as_str()), &taken);
            map.serialize_key(&name)?;
            match value {
                Value::List(items) => {
                    map.serialize_value(&items.iter().map(printed).collect::<Vec<_>>())?;
                }
                value => map.serialize_value(&printed(value))?,
            }
            taken.insert(name);
        }
        map.end()
    }
}

fn flat(name: &str) -> String {
    let plain = |next: char| next.is_alphanumeric() || matches!(next, '_' | '[' | ']');
    let name: String = name
        .chars()
        .map(|next| if plain(next) { next } else { '_' })
        .collect();
    if name.is_empty() {
        "_".to_owned()
    } else {
        name
    }
}

/// A document has a key once.
fn unlike(name: String, taken: &HashSet<String>) -> String {
    if !taken.contains(&name) {
        return name;
    }
    // One more than are taken: one of them is free.
    (2..=taken.len() + 2)
        .map(|number| format!("{name}_{number}"))
        .find(|other| !taken.contains(other))
        .unwrap_or(name)
}

fn printed<'a>(value: &'a Value<'_>) -> Cow<'a, str> {
    if let Value::Text(text) = value {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    value.push_to(&mut text);
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Name;

    #[test]
    fn no_name_makes_an_object_and_none_comes_twice() {
        let names = [
            "proc.pid",
            "proc.pid.ts",
            "proc.env[a.b]",
            "proc.env[a_b]",
            "proc.env[a-b]",
            "",
            "_",
            "missing",
        ]
        .map(Name::new);
        let fields: Vec<Field<'_>> = names
            .iter()
            .map(|name| Field {
                name,
                value: (name.as_str() != "missing").then_some(Value::Unsigned(u64::MAX)),
            })
            .collect();
        let value = serde_json::to_value(Flat(&fields)).unwrap();
        let found: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(
            found,
            [
                "proc_pid",
                "proc_pid_ts",
                "proc_env[a_b]",
                "proc_env[a_b]_2",
                "proc_env[a_b]_3",
                "_",
                "__2"
            ]
        );
        assert_eq!(value["proc_pid"], "18446744073709551615");
    }

    #[test]
    fn lists_stay_lists() {
        let name = Name::new("list");
        let items = vec![Value::Text("a".into()), Value::Bool(true)];
        let fields = [Field {
            name: &name,
            value: Some(Value::List(items)),
        }];
        let text = serde_json::to_string(&Flat(&fields)).unwrap();
        assert_eq!(text, r#"{"list":["a","true"]}"#);
    }
}
