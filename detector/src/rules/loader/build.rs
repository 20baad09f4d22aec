//! The collected items to rules: lists put in place, conditions parsed and checked, outputs parsed.

use std::collections::HashSet;

use super::{
    super::{
        Rule,
        analysis::Earlier,
        ast::Expression,
        checker::{Checker, Macros, Mistake},
        compiler::Condition,
        diagnostic::Severity,
        kinds::{self, Kinds},
        lexer::SyntaxError,
        output::Template,
        text::{Place, Text},
    },
    CONDITION, OUTPUT, Options, VALIDATE,
    analyse::Written,
    condition, excepted,
    items::{Collection, Mentioned, RuleItem},
    lists::Lists,
    report::{Report, Stage},
    rule_item::SYSCALL,
};

const UNKNOWN_SOURCE: &str = "LOAD_UNKNOWN_SOURCE";
const UNKNOWN_FILTER: &str = "LOAD_UNKNOWN_FILTER";
const UNUSED_MACRO: &str = "LOAD_UNUSED_MACRO";
const UNUSED_LIST: &str = "LOAD_UNUSED_LIST";
const NO_EVTTYPE: &str = "LOAD_NO_EVTTYPE";

const SHORTER: &str = "ask for fewer values, or for a network, a prefix or a glob instead of each";
/// Parts of all conditions with their macros in place: each takes memory and time.
const MAX_TOTAL: usize = 1_000_000;
const UNUSED: &str = "leave it out, or refer to it";

pub(super) fn rules(
    mut collection: Collection,
    options: Options,
    report: &mut Report<'_>,
) -> Vec<Rule> {
    let lists = collection.flattened_lists();
    let mut used_lists = HashSet::new();
    report.enter(Stage::Macros);
    let mut mentioned = std::mem::take(&mut collection.mentioned);
    for body in collection.macros.values_mut() {
        let mut text = body.text.clone();
        let mut used = HashSet::new();
        let expanded = lists.expand(&mut text, &mut used);
        if let Err(Some(message)) = &expanded {
            report.error(&body.place, CONDITION, message.clone(), SHORTER.to_owned());
        }
        if !text.as_str().is_empty() && lists.known(&used) && expanded != Err(None) {
            body.expression = condition::parse(&text, &lists, report);
        }
        if body.expression.is_none() {
            mentioned.add(body.text.as_str());
        }
        body.text = text;
        used_lists.extend(used);
    }
    report.enter(Stage::Rules);
    let list_names: Vec<&str> = lists.names().collect();
    let mut used_macros = HashSet::new();
    let mut parts = 0;
    let mut rules = Vec::new();
    let mut earlier = Earlier::default();
    for item in std::mem::take(&mut collection.rules) {
        let mut builder = Builder {
            macros: &collection.macros,
            lists: &lists,
            list_names: &list_names,
            options,
            used_lists: &mut used_lists,
            used_macros: &mut used_macros,
            mentioned: &mut mentioned,
            parts: &mut parts,
            report,
        };
        let mut written = Written::new(&item);
        if let Some((mut rule, excepted)) = builder.rule(item) {
            written.excepted = excepted;
            builder.analyse(&mut rule, &mut earlier, &written);
            rules.push(rule);
        }
    }
    report.enter(Stage::References);
    references(&collection.macros, used_macros.clone(), report);
    report.enter(Stage::Rules);
    // What an unused macro refers to is used, as Falco judges.
    for expression in collection
        .macros
        .values()
        .filter_map(|body| body.expression.as_ref())
    {
        expression.macros(&mut |inner| {
            used_macros.insert(inner.to_owned());
        });
    }
    // What was not read may use them.
    if report.all_read() {
        unused(&collection, &used_macros, &used_lists, &mentioned, report);
    }
    rules
}

fn unused(
    collection: &Collection,
    used_macros: &HashSet<String>,
    used_lists: &HashSet<usize>,
    mentioned: &Mentioned,
    report: &mut Report<'_>,
) {
    for (name, body) in &collection.macros {
        let keyword = matches!(name.as_str(), "and" | "or" | "not");
        if !used_macros.contains(name) && (keyword || !mentioned.has(name)) {
            let message = format!("the macro `{name}` is never used");
            let help = if keyword {
                format!("no condition can refer to it: `{name}` is a keyword; name it otherwise")
            } else {
                UNUSED.to_owned()
            };
            report.warning(&body.place, UNUSED_MACRO, message, help);
        }
    }
    for (index, list) in collection.lists.iter().enumerate() {
        if !list.used && !used_lists.contains(&index) && !mentioned.has(&list.name) {
            let message = format!("the list `{}` is never used", list.name);
            report.warning(&list.place, UNUSED_LIST, message, UNUSED.to_owned());
        }
    }
}

/// A macro that no rule refers to may have any fields, but no undefined macro in it and no loop.
/// Each is looked into once: put in place, a few that use each other twice would be billions.
fn references(macros: &Macros, mut visited: HashSet<String>, report: &mut Report<'_>) {
    for (name, body) in macros {
        if visited.contains(name) {
            continue;
        }
        let alone = Expression::Macro {
            name: name.to_owned(),
            span: 0..name.len(),
        };
        let mut checker = Checker::new(macros);
        checker.visited = Some(visited);
        let first = checker.check(&alone, &Text::at(name, &body.place)).err();
        visited = checker.visited.unwrap_or_default();
        let mistakes = first.into_iter().chain(checker.more);
        for mut mistake in mistakes.filter(|mistake| mistake.code == VALIDATE) {
            // The first step is the macro itself.
            mistake.via.drain(..mistake.via.len().min(1));
            report.mistake(Severity::Error, mistake);
        }
    }
}

pub(super) struct Builder<'b, 'a> {
    pub(super) macros: &'b Macros,
    pub(super) lists: &'b Lists,
    list_names: &'b [&'b str],
    options: Options,
    used_lists: &'b mut HashSet<usize>,
    used_macros: &'b mut HashSet<String>,
    mentioned: &'b mut Mentioned,
    /// Of the conditions so far.
    parts: &'b mut usize,
    pub(super) report: &'b mut Report<'a>,
}

impl Builder<'_, '_> {
    /// With each value of its exceptions.
    fn rule(&mut self, item: RuleItem) -> Option<(Rule, Vec<(Place, Text)>)> {
        if item.source != SYSCALL {
            let message = format!(
                "the source `{}` is not known: the rule is skipped",
                item.source
            );
            let help = "only rules of the source `syscall` are judged here".to_owned();
            self.report
                .warning(&item.place, UNKNOWN_SOURCE, message, help);
            self.mention(&item);
            return None;
        }
        let template = self.template(&item);
        let condition = self.condition(&item);
        if condition.is_none() {
            self.mention(&item);
        }
        let ((condition, excepted), template) = (condition?, template?);
        let priority = item.priority?;
        if item.warn_evttypes && kinds::admits_others(&condition) {
            let message = "the condition does not say which event types it is about";
            let help = "begin it with `evt.type = connect and`".to_owned();
            self.report.warning(&item.place, NO_EVTTYPE, message, help);
        }
        let kinds = Kinds::new(&condition, self.options);
        let rule = Rule {
            name: item.name,
            desc: item.desc.as_str().to_owned(),
            condition: item.condition.as_str().to_owned(),
            priority,
            source: item.source,
            tags: item.tags.into_iter().collect(),
            enabled: item.enabled,
            asks_result: kinds.connect.asks_result() || template.asks_result(),
            whole: condition,
            kinds,
            template,
        };
        Some((rule, excepted))
    }

    /// An error, or with `skip-if-unknown-filter` a warning, if it is about what may be unknown:
    /// whether the rule is skipped.
    fn mistake(&mut self, item: &RuleItem, mut mistake: Mistake) -> bool {
        let unknown = [
            "nonexistent field",
            "invalid formatting token",
            "unknown event type",
            "unknown filter:",
        ];
        let skips = unknown.iter().any(|text| mistake.message.contains(text));
        if item.skip_if_unknown_filter && skips {
            mistake.code = UNKNOWN_FILTER;
            mistake.message.push_str(": the rule is skipped");
            self.report.mistake(Severity::Warning, mistake);
            return true;
        }
        self.report.mistake(Severity::Error, mistake);
        false
    }

    fn mention(&mut self, item: &RuleItem) {
        self.mentioned.add(item.condition.as_str());
        let values = item.exceptions.iter().flat_map(|one| &one.values);
        values.for_each(|value| value.texts(&mut |text| self.mentioned.add(text.as_str())));
    }

    fn condition(&mut self, item: &RuleItem) -> Option<(Condition, Vec<(Place, Text)>)> {
        let joined = excepted::join(&item.condition, &item.exceptions);
        let refused = !joined.refused.is_empty();
        for (message, place, help) in joined.refused {
            self.report.error(&place, VALIDATE, message, help);
        }
        let mut text = joined.condition;
        let mut used = HashSet::new();
        let expanded = self.lists.expand(&mut text, &mut used);
        let known = self.lists.known(&used);
        self.used_lists.extend(used);
        if let Err(message) = expanded {
            if let Some(message) = message {
                let help = SHORTER.to_owned();
                self.report.error(&item.place, CONDITION, message, help);
            }
            return None;
        }
        // That there are too many was told before.
        if !known || *self.parts > MAX_TOTAL {
            return None;
        }
        let expression = condition::parse(&text, self.lists, self.report)?;
        let mut checker = Checker::new(self.macros);
        checker.lists = self.list_names;
        let checked = checker.check(&expression, &text);
        let Checker {
            warnings,
            more,
            used,
            broken,
            parts,
            ..
        } = checker;
        *self.parts += parts;
        self.used_macros.extend(used);
        for warning in warnings {
            self.report.mistake(Severity::Warning, warning);
        }
        if *self.parts > MAX_TOTAL {
            let message =
                format!("with their macros the conditions have more than {MAX_TOTAL} parts");
            let help = "a macro that uses another twice doubles it, a regex counts as many: use \
                        fewer";
            let help = help.to_owned();
            self.report.error(&item.place, CONDITION, message, help);
            return None;
        }
        match checked {
            Ok(condition) => (!broken && !refused).then_some((condition, joined.values)),
            Err(mistake) => {
                // Falco looks at the first alone to tell whether the rule is skipped.
                if !self.mistake(item, mistake) {
                    for other in more {
                        self.report.mistake(Severity::Error, other);
                    }
                }
                None
            }
        }
    }

    fn template(&mut self, item: &RuleItem) -> Option<Template> {
        let text: &Text = &item.output;
        match Template::parse(text.as_str()) {
            Ok((template, warnings)) => {
                for (message, span) in warnings {
                    let place = text.place(&span);
                    let help = "leave it out".to_owned();
                    self.report
                        .warning(&place, super::DEPRECATED, message, help);
                }
                Some(template)
            }
            Err(mistakes) => {
                let placed = |error: SyntaxError| Mistake {
                    code: OUTPUT,
                    message: error.message,
                    place: text.place(&error.span),
                    help: error.help,
                    via: Vec::new(),
                };
                // Falco looks at the first alone, as in a condition.
                if !self.mistake(item, placed(mistakes.first)) {
                    for other in mistakes.more {
                        self.report.mistake(Severity::Error, placed(other));
                    }
                }
                None
            }
        }
    }
}
