//! The diagnostics of one load, and the text of its files.

use std::{collections::HashSet, ops::Range};

use super::{
    super::{
        checker::{MACRO, Mistake},
        diagnostic::{Diagnostic, Severity},
        lines::Lines,
        text::{Place, Step, Text},
        yaml::Node,
    },
    SourceFile, VALIDATE,
};

/// What is wrong beyond this is counted, not told.
const MAX_DIAGNOSTICS: usize = 10_000;
/// Steps of the way to a mistake.
const MAX_NOTES: usize = 8;
/// How the mistake begins that a file may make of another one that was not read.
const UNDEFINED: &str = "undefined macro";

pub(super) struct Report<'a> {
    files: &'a [SourceFile],
    lines: Vec<Lines<'a>>,
    diagnostics: Vec<(Stage, Diagnostic)>,
    seen: HashSet<(&'static str, usize, Range<usize>, String)>,
    untold: usize,
    errors: usize,
    stage: Stage,
    /// The first file of which nothing is known.
    unread: Option<usize>,
}

/// What Falco does one after the other. It stops at the first mistake: all of the first stage are
/// found before any of the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Reading,
    /// What macros are.
    Macros,
    /// What macros refer to.
    References,
    Rules,
}

impl<'a> Report<'a> {
    pub(super) fn new(files: &'a [SourceFile]) -> Self {
        Self {
            files,
            lines: files.iter().map(|file| Lines::new(&file.text)).collect(),
            diagnostics: Vec::new(),
            seen: HashSet::new(),
            untold: 0,
            errors: 0,
            stage: Stage::Reading,
            unread: None,
        }
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// In the order of the files and of the places in them.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        let files = self.files;
        let file = |name: &str| files.iter().position(|file| file.name == name);
        self.diagnostics.sort_by_key(|(stage, _)| *stage);
        let ordered = self.diagnostics.into_iter().enumerate();
        let ordered = ordered.map(|(order, (_, one))| Diagnostic { order, ..one });
        let mut diagnostics: Vec<Diagnostic> = ordered.collect();
        diagnostics.sort_by_key(|one| (file(&one.file), one.span.start));
        if let Some(last) = diagnostics.last_mut()
            && self.untold > 0
        {
            let untold = self.untold;
            last.notes.push(format!("{untold} more are not shown"));
        }
        diagnostics
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

    /// Of a file of which nothing is known then.
    pub(super) fn unread(
        &mut self,
        place: &Place,
        code: &'static str,
        message: String,
        help: String,
    ) {
        self.unread.get_or_insert(place.file);
        self.error(place, code, message, help);
    }

    /// Whether a file that was not read may define what is used at a place.
    pub(super) fn may_be_defined(&self, place: &Place) -> bool {
        self.unread.is_some_and(|unread| unread < place.file)
    }

    /// Errors so far, each as often as it was found.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    pub(super) fn all_read(&self) -> bool {
        self.unread.is_none()
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
        let undefined = code == VALIDATE && message.starts_with(UNDEFINED);
        if undefined && self.may_be_defined(&place) {
            return;
        }
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

    /// A long way without its middle.
    fn notes(&self, via: &[Step]) -> Vec<String> {
        let left_out = via.len().saturating_sub(MAX_NOTES);
        // One of the notes says how many there are.
        let left_out = if left_out > 0 { left_out + 1 } else { 0 };
        let first = MAX_NOTES / 2;
        let told = |Step { what, name, place }: &Step| {
            let (file, _, line, column) = self.position(place)?;
            Some(format!(
                "through the {what} `{name}`, used at {file}:{line}:{column}"
            ))
        };
        let mut notes = Vec::new();
        for (number, step) in via.iter().enumerate() {
            if left_out > 0 && number == first {
                notes.push(format!("through {left_out} more"));
            }
            if !(first..first + left_out).contains(&number) {
                notes.extend(told(step));
            }
        }
        notes
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
        self.errors += usize::from(severity == Severity::Error);
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
        let notes = self.notes(via);
        // What a rule's condition comes upon in a macro was there before.
        let stage = match code {
            VALIDATE if via.iter().any(|step| step.what == MACRO) => Stage::References,
            _ => self.stage,
        };
        let diagnostic = Diagnostic {
            severity,
            code,
            message,
            file,
            span,
            line,
            column,
            help,
            notes,
            order: 0,
        };
        self.diagnostics.push((stage, diagnostic));
    }
}
