//! What is wrong in a rule file, and where.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::excerpt::{Excerpt, excerpt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
    /// Not a mistake: told when rules are looked into, not when they are put in force.
    Advice,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Falco's code, such as `LOAD_ERR_COMPILE_CONDITION`.
    pub code: &'static str,
    pub message: String,
    pub file: String,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    pub column: usize,
    pub help: Option<String>,
    /// The way from the rule to the place.
    pub notes: Vec<String>,
    /// In which order Falco, which stops at the first, would find it.
    pub order: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            message,
            file,
            line,
            column,
            ..
        } = self;
        write!(f, "{file}:{line}:{column}: {code}: {message}")?;
        self.help
            .as_ref()
            .map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl Diagnostic {
    /// One object: what a program that reads the mistakes needs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "severity": self.severity.as_str(),
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "start": self.span.start,
            "end": self.span.end,
            "help": self.help,
            "notes": self.notes,
        })
    }

    /// With the excerpt, underlined.
    pub fn full(&self, text: &str) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Advice => Level::INFO.with_name(self.severity.as_str()),
        };
        let Excerpt { text: shown, span } = excerpt(text, &self.span);
        let column = column_in(&shown, span.start);
        // A line's end, or an overwriting of it: neither is to be shown.
        let snippet = Snippet::source(shown.replace('\r', " "))
            .line_start(self.line)
            .path(&self.file)
            .annotation(AnnotationKind::Primary.span(span));
        let title = level.primary_title(&self.message).id(self.code);
        let group: Group<'_> = if text.is_empty() {
            title.element(Origin::path(&self.file))
        } else {
            title.element(snippet)
        };
        let mut report = vec![group];
        for note in &self.notes {
            report.push(Group::with_title(Level::NOTE.secondary_title(note)));
        }
        if let Some(help) = &self.help {
            report.push(Group::with_title(Level::HELP.secondary_title(help)));
        }
        let rendered = Renderer::plain().render(&report);
        if column == self.column {
            return rendered;
        }
        // The renderer tells the column in what it is given.
        let place = |column: usize| format!(":{}:{column}\n", self.line);
        rendered.replacen(&place(column), &place(self.column), 1)
    }
}

/// From 1.
fn column_in(lines: &str, at: usize) -> usize {
    let before = lines.get(..at).unwrap_or_default();
    before.chars().count() + 1
}
