//! What is told of a rule that is valid: that nothing observed can match it, or that it is probably
//! not meant so.

use std::collections::HashSet;

use super::{
    super::{
        Rule,
        analysis::{self, Earlier},
        checker::Checker,
        compiler::Condition,
        parser,
        text::{Place, Text},
    },
    INACTIVE,
    build::Builder,
    items::RuleItem,
};

const ELSEWHERE: &str = "nothing need be done if another detector judges it; `rules fields` lists \
                         what is known here";

/// Values of exceptions that are tried one by one where all together leave nothing of a rule.
const MAX_TRIED: usize = 256;

/// What the condition of a rule is made of, and where its name stands.
pub(super) struct Written {
    place: Place,
    /// Without exceptions; empty if there are none.
    condition: Text,
    /// Each value of the exceptions.
    pub(super) excepted: Vec<(Place, Text)>,
}

impl Written {
    pub(super) fn new(item: &RuleItem) -> Self {
        let condition = if item.exceptions.is_empty() {
            Text::default()
        } else {
            item.condition.clone()
        };
        Self {
            place: item.place.clone(),
            condition,
            excepted: Vec::new(),
        }
    }
}

impl Builder<'_, '_> {
    /// A rule that never matches is inactive, told or not.
    pub(super) fn analyse(&mut self, rule: &mut Rule, earlier: &mut Earlier, written: &Written) {
        let never = analysis::contradiction(&rule.whole);
        self.tell(rule, never.as_deref(), earlier, written);
        if never.is_some() {
            rule.kinds.inactive = never;
        }
    }

    fn tell(&mut self, rule: &Rule, never: Option<&str>, earlier: &mut Earlier, written: &Written) {
        let place = &written.place;
        if rule.enabled && self.exceptions(rule, never, written) {
            return;
        }
        let name = &rule.name;
        if rule.enabled
            && let Some(reason) = never
        {
            let message = format!("the rule `{name}` never matches: {reason}");
            let help = "look at macros, lists and exceptions that it brings together".to_owned();
            return self.report.warning(place, analysis::NEVER, message, help);
        }
        self.inactive(rule, place);
        if !rule.enabled || rule.inactive().is_some() {
            return;
        }
        if let Some(other) = earlier.shadows(rule) {
            let message = format!("whatever the rule `{name}` matches, `{other}` matches first");
            let help = "put the narrower rule first, or set `rule_matching` to all".to_owned();
            let report = &mut self.report;
            return report.warning(place, analysis::SHADOWED, message, help);
        }
        if let Some(check) = analysis::trusts_name(&rule.whole) {
            let message =
                format!("the rule `{name}` trusts a name that any process can take: {check}");
            let help = "ask for `proc.exepath` or `proc.exe_ino` too".to_owned();
            let report = &mut self.report;
            report.advice(place, analysis::TRUSTS_NAME, message, help);
        }
    }

    fn inactive(&mut self, rule: &Rule, place: &Place) {
        let name = &rule.name;
        let whole = rule.kinds.inactive.iter();
        let whole = whole.map(|reason| format!("the rule `{name}` is inactive: {reason}"));
        let parts = rule
            .kinds
            .partly
            .iter()
            .map(|reason| format!("the rule `{name}` is inactive for some events: {reason}"));
        for message in whole.chain(parts) {
            self.report
                .warning(place, INACTIVE, message, ELSEWHERE.to_owned());
        }
    }

    /// Values that except more than they say; whether one of them leaves nothing of the rule.
    fn exceptions(&mut self, rule: &Rule, never: Option<&str>, written: &Written) -> bool {
        if written.excepted.is_empty() {
            return false;
        }
        let values: Vec<(&Place, Condition)> = written
            .excepted
            .iter()
            .filter_map(|(place, text)| Some((place, self.alone(text)?)))
            .collect();
        let mut told = false;
        for (place, value) in &values {
            if let Some((message, help)) = analysis::widens(value) {
                told = true;
                self.report
                    .warning(place, analysis::WIDENS, message, help.to_owned());
            }
        }
        if never.is_none() {
            return false;
        }
        let Some(rest) = self.alone(&written.condition) else {
            return told;
        };
        if analysis::contradiction(&rest).is_some() {
            return false;
        }
        for (place, value) in values.into_iter().take(MAX_TRIED) {
            let left = Condition::And(vec![rest.clone(), Condition::Not(Box::new(value))]);
            if let Some(reason) = analysis::contradiction(&left) {
                let name = &rule.name;
                let message = format!("this excepts all that the rule `{name}` matches: {reason}");
                let help = "name less than the rule asks for, or leave this value out".to_owned();
                self.report.warning(place, analysis::WIDENS, message, help);
                return true;
            }
        }
        told
    }

    /// A part of a condition that was found good as a whole: what is told of it was told then.
    fn alone(&self, text: &Text) -> Option<Condition> {
        let mut text = text.clone();
        self.lists.expand(&mut text, &mut HashSet::new()).ok()?;
        let expression = parser::parse(text.as_str()).ok()?;
        Checker::new(self.macros).check(&expression, &text).ok()
    }
}
