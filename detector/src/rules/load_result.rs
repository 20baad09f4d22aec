//! What was found in rule files, in the shape that `falco -V` writes with `json_output` (Falco,
//! `falco_load_result.cpp`).

use serde_json::{Value, json};

use super::{
    Diagnostic, SourceFile,
    diagnostic::Severity,
    loader::{CONDITION, OUTPUT, SHAPE},
};

/// Falco's cut of a line.
const MAX_SNIPPET: usize = 160;

pub fn falco(files: &[SourceFile], diagnostics: &[Diagnostic]) -> Value {
    let results: Vec<Value> = files.iter().map(|file| of(file, diagnostics)).collect();
    json!({ "falco_load_results": results })
}

fn of(file: &SourceFile, diagnostics: &[Diagnostic]) -> Value {
    let of_severity = |severity: Severity| {
        diagnostics
            .iter()
            .filter(|one| one.file == file.name && one.severity == severity)
            .map(|one| entry(one, file))
            .collect::<Vec<Value>>()
    };
    let errors = of_severity(Severity::Error);
    let shaped = |one: &Diagnostic| one.file == file.name && one.code == SHAPE;
    json!({
        "name": file.name,
        "successful": errors.is_empty(),
        "schema_valid": !diagnostics.iter().any(shaped),
        "schema_warnings": [],
        "errors": errors,
        "warnings": of_severity(Severity::Warning),
    })
}

fn entry(one: &Diagnostic, file: &SourceFile) -> Value {
    let item = match one.code {
        CONDITION => "condition expression",
        OUTPUT => "rule output",
        _ => "rules content item",
    };
    let location = |kind: &str, name: &str, line: usize, column: usize, offset: usize| {
        json!({
            "item_type": kind,
            "item_name": "",
            "position": { "name": name, "line": line, "column": column, "offset": offset },
        })
    };
    let message = match &one.help {
        Some(help) => format!("{}: {help}", one.message),
        None => one.message.clone(),
    };
    json!({
        "code": one.code,
        "codedesc": label(one.code),
        "message": message,
        "context": {
            "locations": [
                location("rules content", &file.name, 0, 0, 0),
                location(item, &file.name, one.line - 1, one.column - 1, one.span.start),
            ],
            "snippet": snippet(one, &file.text),
        },
    })
}

/// The line, and a mark under the column.
fn snippet(one: &Diagnostic, text: &str) -> String {
    let line = text.lines().nth(one.line - 1).unwrap_or_default();
    // A place far into a long line: the part around it.
    let skipped = one.column.saturating_sub(MAX_SNIPPET / 2);
    let cut: String = line.chars().skip(skipped).take(MAX_SNIPPET).collect();
    let before = (one.column - 1).saturating_sub(skipped);
    format!("{cut}\n{:before$}^\n", "")
}

fn label(code: &str) -> &'static str {
    match code {
        "LOAD_ERR_FILE_READ" => "File read error",
        "LOAD_ERR_YAML_PARSE" => "YAML parse error",
        "LOAD_ERR_YAML_VALIDATE" => "Error validating internal structure of YAML file",
        "LOAD_ERR_COMPILE_CONDITION" => "Error compiling condition",
        "LOAD_ERR_COMPILE_OUTPUT" => "Error compiling output",
        "LOAD_ERR_VALIDATE" => "Error validating rule/macro/list/exception objects",
        "LOAD_UNKNOWN_SOURCE" => "The rule's source is not known",
        "LOAD_NO_EVTTYPE" => "The condition matches too many event types",
        "LOAD_UNKNOWN_FILTER" => "The rule asks for a field that is not known",
        "LOAD_UNUSED_MACRO" => "The macro is not used",
        "LOAD_UNUSED_LIST" => "The list is not used",
        "LOAD_UNKNOWN_ITEM" => "The item is of no known kind",
        "LOAD_UNKNOWN_KEY" => "The key is not known",
        "LOAD_DEPRECATED_ITEM" => "The item is deprecated",
        "LOAD_APPEND_NO_VALUES" => "The exception appends no values",
        "LOAD_EXCEPTION_NAME_NOT_UNIQUE" => "The exception's name is used twice",
        "LOAD_INVALID_MACRO_NAME" => "The macro's name cannot be referred to",
        "LOAD_INVALID_LIST_NAME" => "The list's name cannot be referred to",
        "LOAD_COMPILE_CONDITION" => "The condition is probably not what was meant",
        "RULE_INACTIVE" => "Nothing that is observed can match the rule",
        "RULE_NEVER_MATCHES" => "The condition is never true",
        "RULE_SHADOWED" => "An earlier rule matches whatever this one matches",
        "RULE_NAME_TOO_LONG" => "The name is longer than the kernel keeps",
        _ => "",
    }
}
