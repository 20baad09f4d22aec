//! The codes of what is told of a configuration: they keep their meaning.

use crate::rules::diagnostic::Severity;

/// A file that cannot be read.
pub const FILE_READ: &str = "CONFIG_FILE_READ";
/// What is no YAML, or no `key=value`.
pub const SYNTAX: &str = "CONFIG_SYNTAX";
/// A key that is not known.
pub const UNKNOWN_KEY: &str = "CONFIG_UNKNOWN_KEY";
/// A key that is needed and not there.
pub const MISSING_KEY: &str = "CONFIG_MISSING_KEY";
/// A value that cannot be taken.
pub const VALUE: &str = "CONFIG_VALUE";
/// A secret where others can read it.
pub const SECRET: &str = "CONFIG_SECRET";
/// What a sink names cannot be used: a file, a secret, a certificate.
pub const SINK: &str = "CONFIG_SINK";
/// What a sink names is not there, and may come; a warning.
pub const NOT_THERE: &str = "CONFIG_NOT_THERE";
/// Something that has no effect; a warning.
pub const NOT_USED: &str = "CONFIG_NOT_USED";

pub(super) fn severity(code: &str) -> Severity {
    match code {
        NOT_USED | NOT_THERE => Severity::Warning,
        _ => Severity::Error,
    }
}
