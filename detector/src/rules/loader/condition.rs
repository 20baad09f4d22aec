//! The text of a condition to its tree. A mistake is told at its place, which may be in a list.

use super::{
    super::{
        ast::Expression, checker::Mistake, diagnostic::Severity, lexer::SyntaxError, parser,
        text::Text,
    },
    CONDITION,
    lists::Lists,
    report::Report,
};

const OWN_QUOTES: &str = "an item with blanks or any of ( ) ' \" = , needs quotes of its own, within \
                          those of YAML: '\"...\"'";

/// The tree of a condition, or the mistake reported at its place.
pub(super) fn parse(text: &Text, lists: &Lists, report: &mut Report<'_>) -> Option<Expression> {
    let error = match parser::parse(text.as_str()) {
        Ok(expression) => return Some(expression),
        Err(error) => error,
    };
    let mistake = of_item(text, &error, lists).unwrap_or_else(|| of_condition(text, error));
    report.mistake(Severity::Error, mistake);
    None
}

fn of_condition(text: &Text, error: SyntaxError) -> Mistake {
    let span = error.span;
    let via = text.steps(&span);
    let before = span.start.checked_sub(1).map(|last| last..span.start);
    let list = before.and_then(|last| text.steps(&last).pop());
    let help = match list {
        Some(_) if !via.is_empty() => Some(OWN_QUOTES.to_owned()),
        Some(list) => Some(format!("`{0}` is a list: write `in ({0})`", list.name)),
        None => error.help,
    };
    Mistake {
        code: CONDITION,
        message: error.message,
        place: text.place(&span),
        help,
        via,
    }
}

/// What is told of a condition whose mistake is an item of a list that was put in place there.
fn of_item(text: &Text, error: &SyntaxError, lists: &Lists) -> Option<Mistake> {
    if !text.steps(&error.span).is_empty() {
        return None;
    }
    let via = text.way_to(|list| lists.wrong(list).is_some())?;
    let list = &via.last()?.name;
    let wrong = lists.wrong(list)?;
    let item = &wrong.item;
    let (message, help) = if item.is_empty() {
        let help = "write '\"\"' for the empty text, or leave it out";
        (format!("an item of the list `{list}` is empty"), help)
    } else {
        let message = format!("the item `{item}` of the list `{list}` is no value");
        (message, OWN_QUOTES)
    };
    Some(Mistake {
        code: CONDITION,
        message,
        place: wrong.place.clone(),
        help: Some(help.to_owned()),
        via,
    })
}
