//! What the configuration adds to the outputs of rules (Falco, `append_output` of falco.yaml).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{Rule, Ruleset, lexer::SyntaxError},
    Builder, ISO8601, Source, TIME, Template,
    builder::{Warnings, is_time},
    parse,
};

/// What Falco's container plugin suggests, in its order.
const SUGGESTED: [&str; 6] = [
    "container.id",
    "container.name",
    "container.image.repository",
    "container.image.tag",
    "k8s.pod.name",
    "k8s.ns.name",
];

/// One addition, and the rules that get it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Append {
    #[serde(rename = "match")]
    pub which: Which,
    /// Follows the output after a blank.
    pub extra_output: String,
    pub extra_fields: Vec<Extra>,
    /// `container_id=%container.id` and the like follow the output.
    pub suggested_output: bool,
}

/// Every part that is given must fit; nothing given fits every rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    pub source: String,
    /// All of them.
    pub tags: Vec<String>,
    /// The whole name.
    pub rule: String,
}

/// More fields beside those of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "an element of `extra_fields` is the name of a field, or {\"name\": \"text with %fields\"}"
)]
pub enum Extra {
    /// A field, with its type.
    Field(String),
    /// Texts by the names that they get.
    Texts(BTreeMap<String, String>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("`{text}`, which is to be appended to outputs, does not compile: {message}")]
    Text { text: String, message: String },
    #[error("the extra field `{name}` is not known: {message}")]
    Field { name: String, message: String },
}

/// The way that the outputs of all rules are completed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs {
    pub append: Vec<Append>,
    /// `evt.time.iso8601` is among the fields, not `evt.time`.
    pub iso8601: bool,
}

fn told(error: SyntaxError) -> String {
    match error.help {
        Some(help) => format!("{}: {help}", error.message),
        None => error.message,
    }
}

fn template(text: &str) -> Result<(Template, Warnings), AppendError> {
    Template::part(text).map_err(|mistakes| AppendError::Text {
        text: text.to_owned(),
        message: told(mistakes.first),
    })
}

/// The name alone, with its argument.
fn field(name: &str, warnings: &mut Warnings) -> Result<Source, AppendError> {
    let refused = |message| AppendError::Field {
        name: name.to_owned(),
        message,
    };
    let token = parse::token(name, 0, warnings).map_err(|error| refused(told(error)))?;
    if !matches!(&token.named, parse::Named::Field(written) if written == name) {
        let message = "write the name of one field, or {\"name\": \"text with %fields\"}";
        return Err(refused(message.to_owned()));
    }
    Ok(if is_time(name) {
        Source::Time
    } else {
        Source::Operand(token.operand)
    })
}

impl Append {
    /// Whether it can be appended to any output; what is deprecated of it.
    pub fn check(&self) -> Result<Vec<String>, AppendError> {
        let (_, mut warnings) = template(&self.extra_output)?;
        for extra in &self.extra_fields {
            extra.each(|_, _| (), &mut warnings)?;
        }
        let text = |(warning, _)| format!("{warning} (append_output)");
        Ok(warnings.into_iter().map(text).collect())
    }

    fn is_for(&self, rule: &Rule) -> bool {
        let Which {
            source,
            tags,
            rule: name,
        } = &self.which;
        (source.is_empty() || *source == rule.source)
            && (name.is_empty() || *name == rule.name)
            && tags.iter().all(|tag| rule.tags.contains(tag))
    }
}

impl Extra {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Field(name) => vec![name],
            Self::Texts(texts) => texts.keys().map(String::as_str).collect(),
        }
    }

    fn each(
        &self,
        mut found: impl FnMut(&str, Source),
        warnings: &mut Warnings,
    ) -> Result<(), AppendError> {
        match self {
            Self::Field(name) => found(name, field(name, warnings)?),
            Self::Texts(texts) => {
                for (name, text) in texts {
                    let (template, deprecated) = template(text)?;
                    warnings.extend(deprecated);
                    found(name, Source::Message(template));
                }
            }
        }
        Ok(())
    }
}

impl Ruleset {
    /// Completes the output of every rule.
    pub fn with_outputs(mut self, outputs: &Outputs) -> Result<Self, AppendError> {
        for rule in &mut self.rules {
            let fitting: Vec<&Append> = outputs
                .append
                .iter()
                .filter(|one| one.is_for(rule))
                .collect();
            if !fitting.is_empty() || outputs.iso8601 {
                rule.template = completed(&rule.template, &fitting, outputs.iso8601)?;
            }
        }
        Ok(self)
    }
}

fn completed(
    template: &Template,
    appends: &[&Append],
    iso8601: bool,
) -> Result<Template, AppendError> {
    let mut text = template.written.clone();
    for append in appends {
        if !append.extra_output.is_empty() {
            text = format!("{text} {}", append.extra_output);
        }
        if append.suggested_output {
            for name in SUGGESTED {
                text = format!("{text} {}=%{name}", name.replace('.', "_"));
            }
        }
    }
    let extras = || appends.iter().flat_map(|append| &append.extra_fields);
    let taken: Vec<&str> = extras().flat_map(Extra::names).collect();
    let mut builder = Builder::new(if iso8601 { ISO8601 } else { TIME }, &taken);
    builder.text(&text).map_err(|mistakes| AppendError::Text {
        text: text.clone(),
        message: told(mistakes.first),
    })?;
    for extra in extras() {
        // Told when the configuration was checked.
        let mut warnings = Vec::new();
        extra.each(|name, source| builder.set(name, source), &mut warnings)?;
    }
    Ok(builder.finish(template.written.clone()).0)
}
