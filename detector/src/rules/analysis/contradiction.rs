//! Conditions that no event satisfies: terms that exclude each other, by the values that they list,
//! the numbers that they admit, or how a text begins and ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        ast::Operator,
        compiler::{Condition, Test},
        fields::{Argument, Get, Type, Value},
        operand::Operand,
        predicate::{Constant, Predicate, Set},
    },
    Terms, key, tests,
};

/// Terms that list values, and checks that are tried with the values of one of them: longer
/// conditions are looked through in part, so that the time stays within their length.
const MAX_LISTS: usize = 64;
const MAX_TRIED: usize = 1 << 18;

/// What has one value at a time: a field, and the argument to it. A network is asked of an address.
type Subject = (&'static str, Argument);

/// Two terms that exclude each other.
pub(in super::super) fn contradiction(condition: &Condition) -> Option<String> {
    let terms = Terms::of(condition);
    let known = Known {
        required: Terms::keys(&terms.required),
        refused: Terms::keys(&terms.refused),
    };
    for refused in &terms.refused {
        if known.decided(refused, None) == Some(true) {
            let text = key(refused);
            return Some(format!("`{text}` is required, and `not ({text})` too"));
        }
    }
    let by_values = terms
        .required
        .iter()
        .filter_map(|one| Some((one, values(one)?)))
        .take(MAX_LISTS)
        .find_map(|(one, (subject, values))| by_values(one, &subject, &values, &terms, &known));
    by_values
        .or_else(|| by_numbers(&terms))
        .or_else(|| by_ends(&terms))
}

/// The terms, as they are written.
struct Known {
    required: BTreeSet<String>,
    refused: BTreeSet<String>,
}

impl Known {
    /// The verdict if the subject has this value; none if other things decide.
    fn decided(
        &self,
        condition: &Condition,
        given: Option<(&Subject, &Value<'_>)>,
    ) -> Option<bool> {
        match condition {
            Condition::Constant(value) => Some(*value),
            Condition::Not(inner) => self.decided(inner, given).map(|value| !value),
            Condition::And(terms) | Condition::Or(terms) => {
                let all = matches!(condition, Condition::And(_));
                let mut whole = Some(all);
                for term in terms {
                    match self.decided(term, given) {
                        Some(value) if value != all => return Some(!all),
                        Some(_) => {}
                        None => whole = None,
                    }
                }
                whole
            }
            Condition::Test(test) => {
                if let Some((subject, value)) = given
                    && single(test).as_ref() == Some(subject)
                    && let Some(value) = test.predicate.decided(value)
                {
                    return Some(value);
                }
                if self.required.contains(&test.written) {
                    return Some(true);
                }
                self.refused.contains(&test.written).then_some(false)
            }
        }
    }
}

/// Every value that a term admits is excluded by another.
fn by_values(
    one: &Condition,
    subject: &Subject,
    values: &[Value<'_>],
    terms: &Terms<'_>,
    known: &Known,
) -> Option<String> {
    let written = key(one);
    if values.is_empty() {
        return Some(format!("`{written}` is false of every event"));
    }
    let asks = |other: &&&Condition| mentions(other, subject);
    let required: Vec<&Condition> = terms.required.iter().filter(asks).copied().collect();
    let refused: Vec<&Condition> = terms.refused.iter().filter(asks).copied().collect();
    let alone = required.len() < 2 && refused.is_empty();
    let mut checks = 0_usize;
    for other in required.iter().chain(&refused) {
        other.tests(&mut |_| checks += 1);
    }
    if alone || checks.saturating_mul(values.len()) > MAX_TRIED {
        return None;
    }
    let mut others: Vec<(String, bool)> = Vec::new();
    for value in values {
        let given = Some((subject, value));
        let excludes =
            |other: &Condition, expected: bool| known.decided(other, given) == Some(!expected);
        let unmet = required.iter().find(|other| excludes(other, true));
        let met = || refused.iter().find(|other| excludes(other, false));
        let other = match unmet {
            Some(other) => (key(other), true),
            None => (key(met()?), false),
        };
        if !others.contains(&other) {
            others.push(other);
        }
    }
    Some(match others.as_slice() {
        [(other, true)] if *other == written => format!("`{written}` is false of every event"),
        [(other, true)] => format!("`{written}` and `{other}` are never both true"),
        [(other, false)] => {
            format!("`{written}` is never true without `{other}`, which is excluded")
        }
        _ => {
            let all: Vec<String> = others
                .iter()
                .map(|(other, _)| format!("`{other}`"))
                .collect();
            format!("`{written}` leaves nothing beside {}", all.join(", "))
        }
    })
}

fn mentions(condition: &Condition, subject: &Subject) -> bool {
    let mut found = false;
    condition.tests(&mut |test| found |= single(test).as_ref() == Some(subject));
    found
}

/// One end of what a number may be, and the check that sets it.
type End<'c> = Option<(i128, &'c Test, bool)>;

/// The narrowest ends that are set for one number; of checks that ask for a value, and of all.
#[derive(Default)]
struct Ends<'c> {
    low: [End<'c>; 2],
    high: [End<'c>; 2],
}

impl<'c> Ends<'c> {
    fn narrow(&mut self, low: i128, high: i128, test: &'c Test, required: bool) {
        let asked = usize::from(!required);
        for end in self.low.iter_mut().skip(asked) {
            if end.is_none_or(|(held, ..)| low > held) {
                *end = Some((low, test, required));
            }
        }
        for end in self.high.iter_mut().skip(asked) {
            if end.is_none_or(|(held, ..)| high < held) {
                *end = Some((high, test, required));
            }
        }
    }

    /// Without a value of the field `not` is true: one of the two asks for a value.
    fn apart(&self) -> Option<String> {
        let [asked_low, low] = &self.low;
        let [asked_high, high] = &self.high;
        [(asked_low, high), (low, asked_high)]
            .into_iter()
            .find_map(|(low, high)| {
                let ((low, one, first), (high, other, second)) = ((*low)?, (*high)?);
                let words = |test: &Test, required: bool| {
                    let not = if required { "" } else { "not " };
                    format!("{not}{}", test.written)
                };
                let (one, other) = (words(one, first), words(other, second));
                (low > high).then(|| format!("`{one}` and `{other}` are never both true"))
            })
    }
}

/// Ranges of one number that have none in common.
fn by_numbers(terms: &Terms<'_>) -> Option<String> {
    let mut numbers: BTreeMap<String, Ends<'_>> = BTreeMap::new();
    let mut add = |test, required: bool, low: i128, high: i128| {
        if let Some(subject) = single(test) {
            let ends = numbers.entry(format!("{subject:?}")).or_default();
            ends.narrow(low, high, test, required);
        }
    };
    for test in tests(&terms.required) {
        if let Some((low, high)) = range(test) {
            add(test, true, low, high);
        }
    }
    for test in tests(&terms.refused) {
        match range(test) {
            Some((low, i128::MAX)) => add(test, false, i128::MIN, low - 1),
            Some((i128::MIN, high)) => add(test, false, high + 1, i128::MAX),
            _ => {}
        }
    }
    numbers.values().find_map(Ends::apart)
}

/// The numbers that a test admits.
fn range(test: &Test) -> Option<(i128, i128)> {
    single(test)?;
    let Predicate::Compare(operator, constant) = &test.predicate else {
        return None;
    };
    let number = match constant {
        Constant::Signed(number) => i128::from(*number),
        Constant::Unsigned(number) => i128::from(*number),
        _ => return None,
    };
    Some(match operator {
        Operator::Less => (i128::MIN, number - 1),
        Operator::LessEqual => (i128::MIN, number),
        Operator::Greater => (number + 1, i128::MAX),
        Operator::GreaterEqual => (number, i128::MAX),
        _ => return None,
    })
}

/// Texts that would have to begin, or to end, in two ways: the longest says how.
fn by_ends(terms: &Terms<'_>) -> Option<String> {
    let mut longest: BTreeMap<String, (&Test, &str)> = BTreeMap::new();
    for test in tests(&terms.required) {
        let Some((operator, text)) = end(test) else {
            continue;
        };
        let ends = |longer: &str, shorter: &str| match operator {
            Operator::StartsWith => longer.starts_with(shorter),
            _ => longer.ends_with(shorter),
        };
        let subject = format!("{operator} {:?}", single(test)?);
        let (other, known) = longest.entry(subject).or_insert((test, text));
        if !ends(text, known) && !ends(known, text) {
            let (one, other) = (&other.written, &test.written);
            return Some(format!("`{one}` and `{other}` are never both true"));
        }
        if text.len() > known.len() {
            (*other, *known) = (test, text);
        }
    }
    None
}

/// How a test wants its text to begin or to end.
fn end(test: &Test) -> Option<(Operator, &str)> {
    single(test)?;
    match &test.predicate {
        Predicate::Compare(
            operator @ (Operator::StartsWith | Operator::EndsWith),
            Constant::Text(text),
        ) => Some((*operator, text)),
        _ => None,
    }
}

/// A field with one value at a time, and the argument to it.
fn single(test: &Test) -> Option<Subject> {
    let Operand::Field { field, argument } = &test.left else {
        return None;
    };
    match (field.get, argument) {
        (Get::Ends(_) | Get::Names(_), _) | (Get::Ancestors(_), Argument::None) => return None,
        // An empty list is in every set.
        _ if field.kind == Type::List => return None,
        _ => {}
    }
    let name = match field.name {
        "fd.cnet" => "fd.cip",
        "fd.snet" => "fd.sip",
        "fd.lnet" => "fd.lip",
        "fd.rnet" => "fd.rip",
        name => name,
    };
    Some((name, argument.clone()))
}

/// All values for which a term is true, where they are listed.
fn values(condition: &Condition) -> Option<(Subject, Vec<Value<'_>>)> {
    match condition {
        Condition::Test(test) => Some((single(test)?, listed(&test.predicate)?)),
        // A list that is written out.
        Condition::Or(terms) => {
            let mut terms = terms.iter().map(values);
            let (subject, mut all) = terms.next()??;
            for term in terms {
                let (other, more) = term?;
                if other != subject {
                    return None;
                }
                all.extend(more);
            }
            Some((subject, all))
        }
        _ => None,
    }
}

fn listed(predicate: &Predicate) -> Option<Vec<Value<'_>>> {
    fn texts<'t>(texts: impl Iterator<Item = &'t String>) -> Vec<Value<'t>> {
        texts.map(|text| Value::Text(text.into())).collect()
    }
    Some(match predicate {
        Predicate::Compare(Operator::Equal, constant) => vec![value(constant)?],
        Predicate::Many(many) if many.operator == Operator::Equal => {
            many.constants.iter().map(value).collect::<Option<_>>()?
        }
        Predicate::In(set) | Predicate::Intersects(set) => match set {
            Set::Few(constants) => constants.iter().map(value).collect::<Option<_>>()?,
            Set::FewTexts { texts: all, .. } => texts(all.iter()),
            Set::Texts { texts: all, .. } => {
                let mut sorted: Vec<&String> = all.iter().collect();
                sorted.sort();
                texts(sorted.into_iter())
            }
            Set::Signed(all) => all.iter().map(|one| Value::Signed(*one)).collect(),
            Set::Unsigned(all) => all.iter().map(|one| Value::Unsigned(*one)).collect(),
            Set::Ips(all) => all.iter().map(|one| Value::Ip(*one)).collect(),
            Set::Nets(_) => return None,
        },
        _ => return None,
    })
}

fn value(constant: &Constant) -> Option<Value<'_>> {
    Some(match constant {
        Constant::Text(text) => Value::Text(text.into()),
        Constant::Signed(number) => Value::Signed(*number),
        Constant::Unsigned(number) => Value::Unsigned(*number),
        Constant::Double(number) => Value::Double(*number),
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Ip(ip) => Value::Ip(*ip),
        Constant::Net(_) | Constant::Glob(_) | Constant::Regex(_) => return None,
    })
}
