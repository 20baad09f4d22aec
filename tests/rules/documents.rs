//! docs/fields.md is what the catalogue says, and nothing else.

use std::fmt::Write as _;

use detector::{
    event::Part,
    rules::fields::{CATALOGUE, Field, Get, Takes, not_given},
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fields.md");

fn argument(field: &Field) -> &'static str {
    match (field.takes, field.needs_argument) {
        (Takes::Nothing, _) => "",
        (Takes::Number, true) => "[n]",
        (Takes::Number, false) => "[n]?",
        (Takes::Text, true) => "[name]",
        (Takes::Text, false) => "[name]?",
    }
}

/// The table of one field, under a heading for each family.
fn table(
    text: &mut String,
    heading: &str,
    columns: &str,
    fields: &[&Field],
    what: fn(&Field) -> String,
) {
    let mut family = "";
    for field in fields {
        let own = field.name.split('.').next().unwrap_or_default();
        if own != family {
            family = own;
            write!(text, "\n{heading} {family}\n\n{columns}\n|---|---|---|\n").unwrap();
        }
        let (name, kind) = (field.name, field.kind.as_str());
        let (argument, what) = (argument(field), what(field).replace('<', "\\<"));
        writeln!(text, "| `{name}{argument}` | {kind} | {what} |").unwrap();
    }
}

fn is_of_runtime(field: &Field) -> bool {
    field
        .told_by
        .is_some_and(|by| by.name == "container.metadata")
}

fn description(field: &Field) -> String {
    let mut what = field.description.to_owned();
    let is_tracked = field.part == Some(Part::Original);
    for (is, mark) in [
        (field.of_result, "; outcome"),
        (field.part.is_some() && !is_tracked, "; /proc"),
        (is_tracked, "; tracked"),
        (is_of_runtime(field), "; host"),
        (matches!(field.get, Get::Names(_)), "; names"),
        (field.placeholder().is_some(), "; condition"),
        (field.deprecated, "; deprecated"),
    ] {
        what.push_str(if is { mark } else { "" });
    }
    what
}

fn reason(field: &Field) -> String {
    match field.get {
        Get::Unavailable(reason) => format!("inactive: {reason}"),
        _ => "no such event has it".to_owned(),
    }
}

fn generated() -> String {
    let mut text = "\
# Fields

Written by `BLESS=1 cargo test --test rules` from the catalogue in `detector/src/rules/fields`.

`[n]`: takes a number, `[name]` a text. `?`: it can be left out; a condition on ancestors is then true if it holds for any.

| mark | meaning |
|---|---|
| outcome | only the outcome of a connect has it, and a rule that asks for it is judged then |
| /proc | read from the host's files, if a rule that is in force asks for it and the process has not ended |
| tracked | asked of the kernel's tracking of connections, if a rule that is in force asks for it and the kernel tracks the connection |
| condition | for conditions alone: an output prints `<NA>`, of the network of one end `<IPNET>` |
| names | given if the setting `resolve_names` is true |
| host | known of processes of the host; of a container only its runtime knows, which is not asked |

## Given
"
    .to_owned();
    let given: Vec<&Field> = CATALOGUE.iter().collect();
    table(
        &mut text,
        "###",
        "| field | type | what |",
        &given,
        description,
    );
    text.push_str(
        "\n## Known\n\nA rule that uses one of these loads. Where no such event has the field, in Falco \
         either, a check of it is false. Where Falco would have a value, the rule is inactive.\n",
    );
    let mut known: Vec<&Field> = not_given().collect();
    known.sort_by_key(|field| field.name);
    table(&mut text, "###", "| field | type | why |", &known, reason);
    text
}

#[test]
fn no_family_of_fields_is_told_twice() {
    let text = generated();
    let (given, known) = text.split_once("## Known").unwrap();
    for part in [given, known] {
        let mut headings: Vec<&str> = part
            .lines()
            .filter(|line| line.starts_with("### "))
            .collect();
        let count = headings.len();
        headings.sort_unstable();
        headings.dedup();
        assert_eq!(headings.len(), count, "{headings:?}");
    }
}

#[test]
fn the_list_of_fields_is_that_of_the_catalogue() {
    let generated = generated();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PATH, &generated).unwrap();
    }
    let written = std::fs::read_to_string(PATH).unwrap_or_default();
    assert_eq!(
        written, generated,
        "if that is right: BLESS=1 cargo test --test rules"
    );
}
