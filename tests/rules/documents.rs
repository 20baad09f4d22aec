//! docs/fields.md is what the catalogue says, and nothing else.

use std::fmt::Write as _;

use detector::rules::fields::{CATALOGUE, Get};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fields.md");

fn generated() -> String {
    let mut text = "\
# Fields

Written by `BLESS=1 cargo test --test rules` from the catalogue in `detector/src/rules/fields`.

`[n]`: takes a number. `[n]?`: may take one; without it, a condition on ancestors is true if it holds for any. \
outcome: only the outcome of a connect has it, and a rule that asks for it is judged then.
"
    .to_owned();
    let mut family = "";
    for field in CATALOGUE.iter() {
        let own = field.name.split('.').next().unwrap_or_default();
        if own != family {
            family = own;
            write!(
                text,
                "\n## {family}\n\n| field | type | what |\n|---|---|---|\n"
            )
            .unwrap();
        }
        let argument = match field.get {
            Get::Indexed(_) if field.name == "evt.arg" => "[n]",
            Get::Indexed(_) | Get::Ancestors(_) => "[n]?",
            _ => "",
        };
        let mut what = field.description.replace('<', "\\<");
        if field.of_result {
            what.push_str("; outcome");
        }
        if field.deprecated {
            what.push_str("; deprecated");
        }
        let (name, kind) = (field.name, field.kind.as_str());
        writeln!(text, "| `{name}{argument}` | {kind} | {what} |").unwrap();
    }
    text
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
