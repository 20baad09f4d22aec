//! What was probably meant where a condition does not go on: one remedy for each common habit.

use super::{
    super::{
        ast::{Modifier, Operator, Transformer},
        fields,
        spelling::{self, foreign},
    },
    is_blank,
};

fn keywords() -> impl Iterator<Item = &'static str> {
    let operators = Operator::ALL.iter().map(|one| one.as_str());
    let modifiers = Modifier::ALL.iter().map(|one| one.as_str());
    let words = operators.filter(|one| one.starts_with(char::is_alphabetic));
    ["and", "or", "not"]
        .into_iter()
        .chain(words)
        .chain(modifiers)
}

/// A keyword in capitals.
fn lower_case(word: &str) -> Option<String> {
    let lower = word.to_lowercase();
    let known = lower != word && keywords().any(|one| one == lower);
    known.then(|| format!("keywords are lower-case: write `{lower}`"))
}

/// Up to a blank, a parenthesis or a comma.
fn first_word(text: &str) -> &str {
    let ends = |one: char| is_blank(one) || "(),".contains(one);
    text.split(ends).next().unwrap_or_default()
}

fn last_word(text: &str) -> &str {
    let ends = |one: char| is_blank(one) || "(),".contains(one);
    let text = text.trim_end_matches(is_blank);
    text.rsplit(ends).next().unwrap_or_default()
}

/// An operator of another language, as it is written here.
fn instead(own: &str) -> String {
    if own == "regex" {
        return "write `regex`, or `glob` for a pattern with * and ?".to_owned();
    }
    format!("write `{own}`")
}

/// For any place where something else is expected.
pub(super) fn general(before: &str, rest: &str) -> Option<String> {
    if rest.starts_with("&&") || rest.starts_with("||") {
        return Some("write `and` and `or` in words".to_owned());
    }
    if rest.starts_with('#') {
        return Some(
            "a condition has no comments: put it on a line of its own above the item".to_owned(),
        );
    }
    if rest.starts_with('!') {
        return Some("write `not` as a word, with a blank after it".to_owned());
    }
    if rest.starts_with('[') {
        return Some("a set is written in parentheses: `in (a, b)`".to_owned());
    }
    if let Some(help) = lower_case(first_word(rest)).or_else(|| lower_case(last_word(before))) {
        return Some(help);
    }
    rest.is_empty()
        .then(|| "the condition ends too early".to_owned())
}

/// Where a check has ended and neither `and` nor `or` follows.
pub(super) fn after_check(before: &str, rest: &str) -> String {
    let last = last_word(before);
    let touches = !before.ends_with(is_blank);
    if let Some(value) = value_cut(before, rest) {
        return format!("a value with any of ( ) ' \" = , needs quotes: `{value}`");
    }
    if let Some(word) = compared(before, rest) {
        return fields::suggestion(&word).map_or_else(
            || format!("`{word}` is no field: `kubelet-detector rules fields` lists the fields"),
            |near| format!("did you mean `{near}`?"),
        );
    }
    if let Some(help) = general(before, rest) {
        return help;
    }
    if rest.starts_with(')') {
        return "this parenthesis closes nothing: leave it out, or open one before".to_owned();
    }
    if rest.starts_with(',') {
        return "several values are a set in parentheses: `in (a, b)`".to_owned();
    }
    if last == "exists" {
        return "`exists` takes no value: compare with `=`, `in` or another operator".to_owned();
    }
    let joins = matches!(first_word(rest), "and" | "or");
    if joins && before.trim_end_matches(is_blank).ends_with(')') {
        return "put a blank before the parenthesis that follows `and` or `or`".to_owned();
    }
    if rest.starts_with('(') {
        return before_parenthesis(before, last, touches);
    }
    if let Some(own) = ["=>", "=<", "=~"]
        .into_iter()
        .find(|one| last.ends_with(one))
        .and_then(foreign)
    {
        return instead(own);
    }
    if matches!(last, "and" | "or" | "not") {
        return format!("`{last}` was taken for a value: the value is missing before it");
    }
    if touches && last.starts_with(|first: char| first.is_ascii_digit()) {
        if rest.starts_with(['.', ':', '/']) {
            return "what has an order is compared with a number: an address has none".to_owned();
        }
        let more = first_word(rest);
        return format!("`{last}{more}` is no number: leave out `{more}`");
    }
    if first_word(rest) == "of" && matches!(last, "any" | "all" | "one") {
        return format!("write `{last}of` as one word");
    }
    if touches {
        return "the name of a macro has letters, digits and _ only".to_owned();
    }
    let next = first_word(rest);
    if super::operand(rest).is_ok() || next.contains('=') {
        return "join checks with `and` or `or`".to_owned();
    }
    format!(
        "a value with blanks needs quotes: \"{last} {next}\"; several values are a set: \
         `in ({last}, {next})`"
    )
}

/// The operator at the end of a text.
fn operator_before(text: &str) -> Option<Operator> {
    let text = text.trim_end_matches(is_blank);
    let word = last_word(text);
    let symbol = word.rfind(|one| !SYMBOLS.contains(one));
    let symbol = symbol.map_or(word, |at| word.get(at + 1..).unwrap_or_default());
    Operator::parse(word).or_else(|| Operator::parse(symbol))
}

const SYMBOLS: &str = "=<>!";

/// In quotes, a value without any that ends at a sign which needs them.
fn value_cut(before: &str, rest: &str) -> Option<String> {
    if !rest.starts_with(['=', '\'', '"']) {
        return None;
    }
    let last = last_word(before);
    if !before.ends_with(last) {
        return None;
    }
    let start = last
        .rfind(|one| SYMBOLS.contains(one))
        .map_or(0, |at| at + 1);
    let value = last.get(start..).filter(|value| !value.is_empty())?;
    operator_before(before.get(..before.len() - value.len())?)?;
    let whole = format!("{value}{}", first_word(rest));
    let quote = if whole.contains('"') { '\'' } else { '"' };
    (!whole.contains(quote)).then(|| format!("{quote}{whole}{quote}"))
}

/// A word that is compared and was taken for a macro: it was meant for a field.
fn compared(before: &str, rest: &str) -> Option<String> {
    let touches = !before.ends_with(is_blank);
    let more = if touches {
        rest.split([' ', '=', '<', '>', '!']).next()?
    } else {
        ""
    };
    let compared = rest.get(more.len()..)?.trim_start_matches(is_blank);
    let first = first_word(compared);
    let symbols = first.split(|one| !SYMBOLS.contains(one)).next()?;
    Operator::parse(first).or_else(|| Operator::parse(symbols))?;
    let last = last_word(before);
    if operator_before(before.trim_end_matches(is_blank).strip_suffix(last)?).is_some() {
        return None;
    }
    let word = format!("{last}{more}");
    let named = |one: char| one.is_ascii_alphanumeric() || ".-_".contains(one);
    (!last.is_empty() && word.chars().all(named)).then_some(word)
}

fn before_parenthesis(before: &str, last: &str, touches: bool) -> String {
    let transformers = || Transformer::ALL.iter().map(|one| one.as_str());
    if Modifier::ALL.iter().any(|one| one.as_str() == last) {
        let start = before.trim_end_matches(is_blank);
        let set = last_word(start.get(..start.len() - last.len()).unwrap_or_default());
        if Operator::parse(set).is_some_and(Operator::is_list) {
            return format!("`{set}` takes no modifier: write `{set} (...)`");
        }
        return format!("put a blank after `{last}`");
    }
    let start = before.trim_end_matches(is_blank);
    let start = start.strip_suffix(last).unwrap_or_default();
    if Operator::parse(last).is_some_and(Operator::is_list)
        && let Some(first) = operator_before(start)
    {
        let start = start.trim_end_matches(is_blank);
        let left = last_word(start.strip_suffix(first.as_str()).unwrap_or_default());
        return match first {
            Operator::NotEqual => format!("write `not {left} {last} (...)`"),
            _ => format!("write `{left} {last} (...)`"),
        };
    }
    if last == "val" {
        return "`val()` stands on the right of an operator only".to_owned();
    }
    if transformers().any(|one| one == last) && !touches {
        return format!("write `{last}(` without a blank");
    }
    match spelling::nearest(last, transformers()) {
        Some(near) if touches => format!("did you mean `{near}(`?"),
        _ if touches => format!(
            "transformers are {}",
            transformers().collect::<Vec<_>>().join(" ")
        ),
        _ => "join checks with `and` or `or`; a set follows `in`".to_owned(),
    }
}

/// Where an operator is expected after a field.
pub(super) fn operator(field: &str, rest: &str) -> String {
    if rest.is_empty() {
        return format!("say what of it: `{field} exists`, `{field} = ...`");
    }
    if rest.starts_with('[') && !field.ends_with(']') {
        return format!("an argument follows its field without a blank: `{field}[...]`");
    }
    let word = first_word(rest);
    if word == "!~" {
        return format!("write `not {field} regex ...`");
    }
    if let Some(inner) = word
        .strip_prefix('!')
        .or_else(|| (word == "not").then_some(""))
    {
        let inner = if inner.is_empty() {
            first_word(
                rest.get(word.len()..)
                    .unwrap_or_default()
                    .trim_start_matches(is_blank),
            )
        } else {
            inner
        };
        return format!("write `not {field} {inner} ...`");
    }
    let symbol = |one: char| "=<>!~".contains(one);
    let symbols: &str = word.split(|one| !symbol(one)).next().unwrap_or_default();
    let known = foreign(word).or_else(|| foreign(symbols));
    if let Some(own) = known {
        return instead(own);
    }
    if let Some(help) = lower_case(word).or_else(|| general("", rest)) {
        return help;
    }
    if let Some(whole) = Operator::ALL.iter().find(|one| one.as_str() == word) {
        return format!("a blank is missing after `{whole}`");
    }
    let words: Vec<&str> = Operator::ALL.iter().map(|one| one.as_str()).collect();
    if let Some(help) = spelling::did_you_mean(word, words.iter().copied()) {
        return help;
    }
    if matches!(word, "and" | "or") || rest.starts_with(')') {
        return format!("say what of it: `{field} exists`, `{field} = ...`");
    }
    format!("write one of {}", words.join(" "))
}

/// Where the value of an operator is expected.
pub(super) fn value(operator: Operator, rest: &str) -> Option<String> {
    let sign = format!("{operator}{}", first_word(rest));
    if let Some(own) = foreign(&sign).or_else(|| (sign == "==").then_some("=")) {
        return Some(instead(own));
    }
    if rest.starts_with('=') {
        return foreign(&format!("={sign}")).map(instead);
    }
    if rest.starts_with('(') && !operator.is_list() {
        return Some(format!(
            "a set follows `in`, or a modifier: `in (a, b)`, `{operator} anyof (a, b)`"
        ));
    }
    if rest.starts_with(',') || rest.starts_with(')') {
        return Some("write a value; an empty one is \"\"".to_owned());
    }
    None
}

/// Where a number is expected after `<` and the like.
pub(super) fn number(operator: Operator, rest: &str) -> String {
    value(operator, rest).unwrap_or_else(|| {
        format!("`{operator}` compares with a number, `val(field)` or a transformer")
    })
}

/// Where a set is expected after `in` and the like.
pub(super) fn set(operator: Operator, rest: &str) -> String {
    match first_word(rest) {
        _ if rest.starts_with(['[', '{']) => {
            format!("a set is written in parentheses: `{operator} (a, b)`")
        }
        "" => format!("write `{operator} (a, b)`"),
        word if rest
            .get(word.len()..)
            .is_some_and(|more| more.starts_with(',')) =>
        {
            format!("put the set in parentheses: `{operator} ({word}, ...)`")
        }
        word => format!("write `{operator} ({word})`"),
    }
}

/// Within a set, where neither a comma nor its end follows.
pub(super) fn within_set(rest: &str) -> Option<String> {
    general("", rest).or_else(|| {
        Some(if rest.starts_with('(') {
            "a set holds values only; one with parentheses needs quotes".to_owned()
        } else {
            "put a comma between values, and quotes around one with blanks or any of ( ) ' \" = ,"
                .to_owned()
        })
    })
}
