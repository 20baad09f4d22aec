//! The diagnostics of one load, and the text of its files.

use std::ops::Range;

use super::{
    super::{
        checker::Mistake,
        diagnostic::{Diagnostic, Severity},
        text::{Place, Text, line_and_column},
        yaml::Node,
    },
    SourceFile,
};

pub(super) struct Report<'a> {
    pub(super) files: &'a [SourceFile],
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Report<'_> {
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

    fn position(&self, place: &Place) -> Option<(String, Range<usize>, usize, usize)> {
        let file = self.files.get(place.file)?;
        let (line, column) = line_and_column(&file.text, place.span.start);
        Some((file.name.clone(), place.span.clone(), line, column))
    }

    fn push(
        &mut self,
        severity: Severity,
        place: &Place,
        code: &'static str,
        message: String,
        help: Option<String>,
        via: &[(String, Place)],
    ) {
        let Some((file, span, line, column)) = self.position(place) else {
            return;
        };
        let notes = via
            .iter()
            .filter_map(|(name, place)| {
                let (file, _, line, column) = self.position(place)?;
                Some(format!(
                    "through the macro `{name}`, used at {file}:{line}:{column}"
                ))
            })
            .collect();
        let one = Diagnostic {
            severity,
            code,
            message,
            file,
            span,
            line,
            column,
            help,
            notes,
        };
        // A macro's mistake shows in every rule that uses it: once is enough.
        let same = |other: &Diagnostic| {
            other.code == one.code
                && other.span == one.span
                && other.file == one.file
                && other.message == one.message
        };
        if !self.diagnostics.iter().any(same) {
            self.diagnostics.push(one);
        }
    }
}
