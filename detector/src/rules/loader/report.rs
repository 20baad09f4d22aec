//! The diagnostics of one load, and the text of its files.

use std::{collections::HashSet, ops::Range};

use super::{
    super::{
        checker::Mistake,
        diagnostic::{Diagnostic, Severity},
        text::{Lines, Place, Step, Text},
        yaml::Node,
    },
    SourceFile,
};

/// What is wrong beyond this is counted, not told.
const MAX_DIAGNOSTICS: usize = 10_000;

pub(super) struct Report<'a> {
    files: &'a [SourceFile],
    lines: Vec<Lines<'a>>,
    diagnostics: Vec<Diagnostic>,
    seen: HashSet<(&'static str, usize, Range<usize>, String)>,
    untold: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(files: &'a [SourceFile]) -> Self {
        Self {
            files,
            lines: files.iter().map(|file| Lines::new(&file.text)).collect(),
            diagnostics: Vec::new(),
            seen: HashSet::new(),
            untold: 0,
        }
    }

    /// In the order of the files and of the places in them.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        let files = self.files;
        let file = |name: &str| files.iter().position(|file| file.name == name);
        (self.diagnostics).sort_by_key(|one| (file(&one.file), one.span.start));
        if let Some(last) = self.diagnostics.last_mut()
            && self.untold > 0
        {
            let untold = self.untold;
            last.notes.push(format!("{untold} more are not shown"));
        }
        self.diagnostics
    }

    /// The scalar's text, each byte with its place in the file.
    pub(super) fn text(&self, file: usize, node: &Node) -> Option<Text> {
        let source = self.files.get(file).map_or("", |file| file.text.as_str());
        node.text()
            .map(|text| Text::aligned(text, file, source, node.span.clone()))
    }

    pub(super) fn error(
        &mut self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.push(
            Severity::Error,
            place,
            code,
            message.into(),
            help.into(),
            &[],
        );
    }

    pub(super) fn warning(
        &mut self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.push(
            Severity::Warning,
            place,
            code,
            message.into(),
            help.into(),
            &[],
        );
    }

    pub(super) fn advice(
        &mut self,
        place: &Place,
        code: &'static str,
        message: String,
        help: String,
    ) {
        self.push(Severity::Advice, place, code, message, Some(help), &[]);
    }

    pub(super) fn mistake(&mut self, severity: Severity, mistake: Mistake) {
        let Mistake {
            code,
            message,
            place,
            help,
            via,
        } = mistake;
        self.push(severity, &place, code, message, help, &via);
    }

    /// For a message that speaks of another place.
    pub(super) fn told(&self, place: &Place) -> String {
        let position = self.position(place);
        position.map_or_else(String::new, |(file, _, line, _)| format!("{file}:{line}"))
    }

    fn position(&self, place: &Place) -> Option<(String, Range<usize>, usize, usize)> {
        let file = self.files.get(place.file)?;
        let (line, column) = (self.lines.get(place.file)?).line_and_column(place.span.start);
        Some((file.name.clone(), place.span.clone(), line, column))
    }

    fn push(
        &mut self,
        severity: Severity,
        place: &Place,
        code: &'static str,
        message: String,
        help: Option<String>,
        via: &[Step],
    ) {
        let Some((file, span, line, column)) = self.position(place) else {
            return;
        };
        // A macro's mistake shows in every rule that uses it: once is enough.
        let key = (code, place.file, place.span.clone(), message.clone());
        if !self.seen.insert(key) {
            return;
        }
        // An error is never left out: what has none is put in force.
        if self.diagnostics.len() >= MAX_DIAGNOSTICS {
            self.untold += 1;
            if severity != Severity::Error {
                return;
            }
            self.diagnostics.pop();
        }
        let notes = via
            .iter()
            .filter_map(|Step { what, name, place }| {
                let (file, _, line, column) = self.position(place)?;
                Some(format!(
                    "through the {what} `{name}`, used at {file}:{line}:{column}"
                ))
            })
            .collect();
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            message,
            file,
            span,
            line,
            column,
            help,
            notes,
        });
    }
}
