//! Checks of the event's type: from these Falco derives which events a rule is about.

use super::{
    super::{
        ast::{self, Check, Operator},
        constants,
        fields::Field,
        operand::Operand,
        text::Text,
    },
    Checked, Checker,
};

impl Checker<'_> {
    /// Falco derives a rule's event types from these checks, and from a transformer's result cannot.
    pub(super) fn transformed_type(
        &self,
        left: &Operand,
        check: &Check,
        text: &Text,
    ) -> Checked<()> {
        let derives = matches!(
            check.operator,
            Operator::Exists | Operator::Equal | Operator::NotEqual | Operator::In
        );
        match (derives, typed(left), left) {
            (true, Some(name), Operand::Call { .. }) => {
                let message = format!("`{name}` takes no transformer");
                let help = "compare the field itself, with `icontains` or `iglob` if case is not \
                            to matter";
                Err(self.helped(text, check.left.span(), message, help.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Its names are known, transformed or not.
    pub(super) fn event_types(
        &self,
        left: &Operand,
        written: &[ast::Constant],
        text: &Text,
    ) -> Checked<()> {
        if alone(left).is_none_or(|field| field.name != "evt.type") {
            return Ok(());
        }
        written.iter().try_for_each(|constant| {
            constants::event_type(&constant.text)
                .map_err(|refusal| self.refused(constant, refusal, text))
        })
    }
}

/// The field that is compared, or whose transformed value is.
fn alone(operand: &Operand) -> Option<&'static Field> {
    match operand {
        Operand::Field { field, .. } => Some(field),
        Operand::Call { arguments, .. } => match arguments.as_slice() {
            [one] => alone(one),
            _ => None,
        },
        Operand::Constant(_) | Operand::List(_) => None,
    }
}

/// The event's type, if it is part of what is compared; not within a list, as in Falco.
pub(super) fn typed(operand: &Operand) -> Option<&'static str> {
    match operand {
        Operand::Field { field, .. } => {
            matches!(field.name, "evt.type" | "syscall.type").then_some(field.name)
        }
        Operand::Call { arguments, .. } => arguments.iter().find_map(typed),
        Operand::Constant(_) | Operand::List(_) => None,
    }
}
