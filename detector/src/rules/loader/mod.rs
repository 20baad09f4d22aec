//! Rule files to a ruleset: every mistake is reported, not the first. Falco: `rule_loader_reader`,
//! `rule_loader_collector` and `rule_loader_compiler`.

mod analyse;
mod build;
mod condition;
mod excepted;
mod exceptions;
mod items;
mod lists;
mod read;
mod report;
mod rule_item;
mod syntax;
mod twice;
mod versions;

use std::ops::Range;

use super::{
    Ruleset,
    diagnostic::{Diagnostic, Severity},
    text::Place,
    yaml::{self, Value},
};
pub(super) use exceptions::KEYS as EXCEPTION_KEYS;
use items::Collection;
pub(super) use read::{KINDS, keys_of};
use report::Report;
pub(super) use rule_item::LEVELS;

const FILE_READ: &str = "LOAD_ERR_FILE_READ";
pub(super) const PARSE: &str = "LOAD_ERR_YAML_PARSE";
pub(super) const SHAPE: &str = "LOAD_ERR_YAML_VALIDATE";
pub(super) const CONDITION: &str = super::checker::CONDITION;
pub(super) const OUTPUT: &str = "LOAD_ERR_COMPILE_OUTPUT";
pub(super) const VALIDATE: &str = super::checker::VALIDATE;
pub(super) const UNKNOWN_KEY: &str = "LOAD_UNKNOWN_KEY";
pub(super) const UNKNOWN_ITEM: &str = "LOAD_UNKNOWN_ITEM";
pub(super) const DEPRECATED: &str = "LOAD_DEPRECATED_ITEM";
/// Our own: the rule is valid, but nothing that is observed here can match it.
pub const INACTIVE: &str = "RULE_INACTIVE";

pub struct SourceFile {
    pub name: String,
    pub text: String,
}

/// A file that could not be read. Its text is only shown, if there is any.
pub struct Unread {
    /// Which of the files.
    pub file: usize,
    /// Bytes of its text.
    pub span: Range<usize>,
    pub message: String,
    pub help: String,
}

pub struct Loaded {
    /// `None` if any diagnostic is an error.
    pub ruleset: Option<Ruleset>,
    pub diagnostics: Vec<Diagnostic>,
}

/// What the settings say of what can be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// `fd.sip.name` and the like are given.
    pub resolve_names: bool,
}

pub fn load(files: &[SourceFile]) -> Loaded {
    load_with(files, Options::default())
}

pub fn load_with(files: &[SourceFile], options: Options) -> Loaded {
    load_read(files, &[], options)
}

/// Where some of the files could not be read: the mistakes of the others are told too.
pub fn load_read(files: &[SourceFile], unread: &[Unread], options: Options) -> Loaded {
    let mut report = Report::new(files);
    let mut collection = Collection::default();
    for (file, source) in files.iter().enumerate() {
        match unread.iter().find(|one| one.file == file) {
            None => read_file(file, source, &mut collection, &mut report),
            Some(one) => {
                let span = one.span.clone();
                let (message, help) = (one.message.clone(), one.help.clone());
                report.unread(&Place { file, span }, FILE_READ, message, help);
            }
        }
    }
    let rules = build::rules(collection, options, &mut report);
    let diagnostics = report.finish();
    let failed = diagnostics
        .iter()
        .any(|one| one.severity == Severity::Error);
    Loaded {
        ruleset: (!failed).then(|| Ruleset::new(rules)),
        diagnostics,
    }
}

fn read_file(
    file: usize,
    source: &SourceFile,
    collection: &mut Collection,
    report: &mut Report<'_>,
) {
    let documents = match yaml::parse(&source.text) {
        Ok(documents) => documents,
        Err((message, at)) => {
            let (span, help) = syntax::explained(&source.text, &message, at);
            return report.unread(&Place { file, span }, PARSE, message, help);
        }
    };
    for document in documents {
        let place = Place {
            file,
            span: document.span.clone(),
        };
        let help = "begin each item with `- rule:`, `- macro:` or `- list:`".to_owned();
        match document.value {
            Value::Sequence(items) => {
                for item in items {
                    read::item(file, &item, collection, report);
                }
            }
            Value::Null => {}
            Value::Text(_) => {
                report.error(
                    &place,
                    SHAPE,
                    "a rules file is a sequence of items, not a text",
                    help,
                );
            }
            Value::Map(_) => {
                report.error(
                    &place,
                    SHAPE,
                    "a rules file is a sequence of items, not a map",
                    help,
                );
            }
        }
    }
}
