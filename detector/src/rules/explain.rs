//! Why a rule matches an event, or does not: the whole condition as a tree, lists and macros in
//! place, each node with its verdict and each check with the value that it looked at.

use super::{
    Rule,
    compiler::{Condition, Test},
    fields::{Argument, Context, Get, Value},
    operand::{Operand, print},
    told,
};
use crate::{event::Event, host::Host};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `and`, `or`, `not`, or the check as it can be written.
    pub text: String,
    pub verdict: bool,
    /// Of a check: what the event has; `None` if it has nothing.
    pub value: Option<String>,
    pub children: Vec<Node>,
}

impl Rule {
    /// Nothing is left out that a verdict does not need: the tree shows what else would differ.
    pub fn explain(&self, event: &Event, host: &Host) -> Node {
        node(&told::guarded(&self.whole), Context { event, host })
    }
}

fn node(condition: &Condition, context: Context<'_>) -> Node {
    let (text, value, children) = match condition {
        Condition::Constant(value) => (value.to_string(), Some(value.to_string()), Vec::new()),
        Condition::And(terms) => ("and".to_owned(), None, all(terms, context)),
        Condition::Or(terms) => ("or".to_owned(), None, all(terms, context)),
        Condition::Not(inner) => ("not".to_owned(), None, vec![node(inner, context)]),
        Condition::Test(test) => (test.written.clone(), value(test, context), Vec::new()),
    };
    Node {
        text,
        verdict: condition.matches(context),
        value,
        children,
    }
}

fn all(terms: &[Condition], context: Context<'_>) -> Vec<Node> {
    terms.iter().map(|term| node(term, context)).collect()
}

/// Both ends, or every ancestor, where the check looks at more than one value.
fn value(test: &Test, context: Context<'_>) -> Option<String> {
    let joined = |values: Vec<Value<'_>>| {
        let texts: Vec<String> = values.iter().map(print).collect();
        (!texts.is_empty()).then(|| texts.join(" | "))
    };
    match &test.left {
        Operand::Field { field, argument } => match (field.get, argument) {
            (Get::Ends(get), _) => joined(get(context).into_iter().flatten().collect()),
            (Get::Ancestors(get), Argument::None) => {
                let all = 1..=context.event.process.ancestors.len();
                joined(all.filter_map(|index| get(context, index)).collect())
            }
            (Get::Names(get), _) => get(context).map(|names| names.join(" | ")),
            _ => test.left.value(context).as_ref().map(print),
        },
        _ => test.left.value(context).as_ref().map(print),
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.indented(f, 0)
    }
}

impl Node {
    fn indented(&self, f: &mut std::fmt::Formatter<'_>, depth: usize) -> std::fmt::Result {
        let mark = if self.verdict { "true " } else { "false" };
        write!(f, "{mark} {:indent$}{}", "", self.text, indent = depth * 2)?;
        if self.children.is_empty() {
            match &self.value {
                Some(value) => write!(f, "    # {value:?}")?,
                None => f.write_str("    # no value")?,
            }
        }
        f.write_str("\n")?;
        self.children
            .iter()
            .try_for_each(|child| child.indented(f, depth + 1))
    }
}
