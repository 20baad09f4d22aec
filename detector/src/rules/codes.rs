//! The codes of diagnostics: Falco's, and with `RULE_` our own. None is renamed or used anew.

/// Every code, with what Falco writes beside it: a label of errors, a sentence of warnings.
pub const CODES: &[(&str, &str)] = &[
    ("LOAD_ERR_FILE_READ", "File read error"),
    ("LOAD_ERR_YAML_PARSE", "YAML parse error"),
    (
        "LOAD_ERR_YAML_VALIDATE",
        "Error validating internal structure of YAML file",
    ),
    ("LOAD_ERR_COMPILE_CONDITION", "Error compiling condition"),
    ("LOAD_ERR_COMPILE_OUTPUT", "Error compiling output"),
    (
        "LOAD_ERR_VALIDATE",
        "Error validating rule/macro/list/exception objects",
    ),
    ("LOAD_UNKNOWN_SOURCE", "The rule's source is not known"),
    (
        "LOAD_UNSAFE_NA_CHECK",
        "A field is compared with <NA>, which it never is",
    ),
    (
        "LOAD_NO_EVTTYPE",
        "The condition matches too many event types",
    ),
    (
        "LOAD_UNKNOWN_FILTER",
        "The rule asks for a field that is not known",
    ),
    ("LOAD_UNUSED_MACRO", "The macro is not used"),
    ("LOAD_UNUSED_LIST", "The list is not used"),
    ("LOAD_UNKNOWN_ITEM", "The item is of no known kind"),
    ("LOAD_UNKNOWN_KEY", "The key is not known"),
    ("LOAD_DEPRECATED_ITEM", "The item is deprecated"),
    ("LOAD_APPEND_NO_VALUES", "The exception appends no values"),
    (
        "LOAD_EXCEPTION_NAME_NOT_UNIQUE",
        "The exception's name is used twice",
    ),
    (
        "LOAD_INVALID_MACRO_NAME",
        "The macro's name cannot be referred to",
    ),
    (
        "LOAD_INVALID_LIST_NAME",
        "The list's name cannot be referred to",
    ),
    (
        "LOAD_COMPILE_CONDITION",
        "The condition is probably not what was meant",
    ),
    (
        "RULE_INACTIVE",
        "Nothing that is observed can match the rule",
    ),
    (
        "RULE_KEY_TWICE",
        "A key is written twice, and the first counts",
    ),
    ("RULE_EXCEPTION_KEY", "A key of an exception is not known"),
    ("RULE_EXCEPTION_VALUE", "A value of an exception is no text"),
    (
        "RULE_EXCEPTION_WIDENS",
        "An exception excepts more than it says",
    ),
    (
        "RULE_LIST_IN_TEXT",
        "A list is put in place within a quoted text",
    ),
    (
        "RULE_NEARLY_A_LIST",
        "A word of a set is spelt like the name of a list",
    ),
    ("RULE_NEVER_MATCHES", "The condition is never true"),
    (
        "RULE_SHADOWED",
        "An earlier rule matches whatever this one matches",
    ),
    (
        "RULE_NAME_TOO_LONG",
        "The name is longer than the kernel keeps",
    ),
    (
        "RULE_VALUE_WRAPS",
        "A number is too large for its field and cut to its bits",
    ),
    (
        "RULE_TRUSTS_NAME",
        "A process is let off for a name that it chooses itself",
    ),
];

pub(super) fn label(code: &str) -> &'static str {
    let known = CODES.iter().find(|(known, _)| *known == code);
    known.map_or("", |(_, label)| label)
}
