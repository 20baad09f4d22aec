//! What is wrong in a rule file, and where.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

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
        let (excerpt, span) = lines_of(text, &self.span);
        // A line's end, or an overwriting of it: neither is to be shown.
        let excerpt = excerpt.replace('\r', " ");
        let snippet = Snippet::source(excerpt)
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
        Renderer::plain().render(&report)
    }
}

/// The whole lines of a span, and the span in them: the renderer reads all that it is given.
fn lines_of<'a>(text: &'a str, span: &Range<usize>) -> (&'a str, Range<usize>) {
    let start = (text.get(..span.start))
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1);
    let end = (text.get(span.end..))
        .and_then(|after| after.find('\n'))
        .map_or(text.len(), |at| span.end + at);
    let lines = text.get(start..end).unwrap_or_default();
    (
        lines,
        span.start.saturating_sub(start)..span.end.saturating_sub(start),
    )
}
