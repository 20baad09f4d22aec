//! What a condition may say but was probably not meant to: warnings, no mistakes.

use std::ops::Range;

use super::{
    super::{
        ast::{self, Check, Operator, Right},
        constants,
        fields::{self, Field, Type},
        operand::Operand,
        parser, spelling,
        text::Text,
    },
    Checker, Mistake,
};

const SUSPICIOUS: &str = "LOAD_COMPILE_CONDITION";
const UNSAFE_NA: &str = "LOAD_UNSAFE_NA_CHECK";
/// Our own.
const NAME_TOO_LONG: &str = "RULE_NAME_TOO_LONG";
const LIST_IN_TEXT: &str = "RULE_LIST_IN_TEXT";
const NEARLY_A_LIST: &str = "RULE_NEARLY_A_LIST";
/// TASK_COMM_LEN without its terminator.
const MAX_COMM: usize = 15;

impl Checker<'_> {
    pub(super) fn warn(
        &mut self,
        code: &'static str,
        text: &Text,
        span: &Range<usize>,
        message: String,
        help: String,
    ) {
        let warning = Mistake {
            code,
            ..self.helped(text, span, message, help)
        };
        self.warnings.push(warning);
    }

    /// The kernel cuts a thread's name (`comm`, include/linux/sched.h): no text in it is longer.
    pub(super) fn too_long(
        &mut self,
        field: &Field,
        operator: Operator,
        written: &[ast::Constant],
        text: &Text,
    ) {
        let named = matches!(field.name, "proc.name" | "proc.pname" | "proc.aname");
        let whole = matches!(
            operator,
            Operator::Equal
                | Operator::NotEqual
                | Operator::In
                | Operator::Intersects
                | Operator::StartsWith
                | Operator::EndsWith
                | Operator::Contains
                | Operator::Icontains
        );
        if !named || !whole {
            return;
        }
        for constant in written.iter().filter(|one| one.text.len() > MAX_COMM) {
            let (long, name) = (&constant.text, field.name);
            let cut = long.get(..MAX_COMM).unwrap_or(long);
            let message =
                format!("`{long}` is longer than any `{name}`: the kernel keeps {MAX_COMM} bytes");
            let help = format!("write `{cut}`, or compare `proc.exepath`");
            self.warn(NAME_TOO_LONG, text, &constant.span, message, help);
        }
    }

    /// Falco warns of it before it looks the field up; here all such fields are unknown.
    pub(super) fn unsafe_na(&mut self, check: &Check, text: &Text) {
        let (ast::Operand::Field(field), Right::Constants(constants)) = (&check.left, &check.right)
        else {
            return;
        };
        let audit = field.name.starts_with("ka.") || field.name.starts_with("jevt.");
        let compares = matches!(
            check.operator,
            Operator::Equal
                | Operator::NotEqual
                | Operator::In
                | Operator::Intersects
                | Operator::Pmatch
        );
        let Some(constant) = constants
            .iter()
            .find(|one| one.text == fields::NOT_AVAILABLE)
        else {
            return;
        };
        if audit && compares {
            let message = format!("`{}` is compared with <NA>, which it never is", field.name);
            let help = format!("write `{} exists`, or `not` before it", field.name);
            self.warn(UNSAFE_NA, text, &constant.span, message, help);
        }
    }

    /// Lists are put in place as text: within quotes that is hardly ever meant.
    pub(super) fn list_within(&mut self, constant: &ast::Constant, text: &Text) {
        if let Some(list) = text.inserted(&constant.span) {
            let list = &list.name;
            let message = format!("the list `{list}` is put in place within this text");
            let help = "give the list another name, or leave no blank beside the word".to_owned();
            self.warn(LIST_IN_TEXT, text, &constant.span, message, help);
        }
    }

    /// The list that a word without quotes is spelt like.
    pub(super) fn nearly_list(&self, constant: &ast::Constant, text: &Text) -> Option<&str> {
        let written = text.as_str().get(constant.span.clone())?;
        if written != constant.text || !text.steps(&constant.span).is_empty() {
            return None;
        }
        spelling::slip_of(written, self.lists.iter().copied())
    }

    /// A misspelt list is a text: told where it is all that is compared, or looks like a name.
    pub(super) fn nearly_lists(&mut self, left: &Operand, written: &[ast::Constant], text: &Text) {
        if left.kind() != Type::Text {
            return;
        }
        for constant in written {
            let word = &constant.text;
            if (written.len() == 1 || word.contains('_'))
                && let Some(list) = self.nearly_list(constant, text)
            {
                let message = format!("`{word}` is a text, and spelt like the list `{list}`");
                let help = format!("write `{list}`, or put the text in quotes: \"{word}\"");
                self.warn(NEARLY_A_LIST, text, &constant.span, message, help);
            }
        }
    }

    /// What is allowed but was probably not meant (Falco, `filter.cpp`).
    pub(super) fn suspicious(&mut self, operator: Operator, constant: &ast::Constant, text: &Text) {
        let written = &constant.text;
        let named = written.starts_with(|first: char| first.is_ascii_alphabetic())
            && written.contains(['.', '(']);
        if named
            && let Ok((operand, end)) = parser::operand(written)
            && end == written.len()
        {
            let field = match &operand {
                ast::Operand::Field(field) => {
                    fields::resolve(&field.name, field.argument.as_deref()).is_ok()
                }
                ast::Operand::Call(_) => true,
            };
            if field {
                let message =
                    format!("`{written}` is compared as a plain text, although it names a field");
                let help = match operand {
                    ast::Operand::Field(_) => {
                        format!("write `val({written})` to compare with the field")
                    }
                    ast::Operand::Call(_) => {
                        "write it without quotes to compare with its result".to_owned()
                    }
                };
                self.warn(SUSPICIOUS, text, &constant.span, message, help);
            }
        }
        if operator == Operator::Regex && constants::is_simple_regex(written) {
            let message = "this regex has no pattern that simpler operators do not have".to_owned();
            let help = "`=`, `startswith`, `endswith` and `contains` are faster".to_owned();
            self.warn(SUSPICIOUS, text, &constant.span, message, help);
        }
    }
}
