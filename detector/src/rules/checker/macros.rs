//! Macros put in place: which of them a condition sees, and what is wrong where it sees none.

use std::ops::Range;

use super::{
    super::{
        ast::Expression,
        compiler::Condition,
        fields, spelling,
        text::{Step, Text},
    },
    Checked, Checker, MACRO, MAX_DEPTH, Macro, Mistake, VALIDATE,
};

impl<'a> Checker<'a> {
    pub(super) fn macro_body(
        &mut self,
        name: &str,
        span: &Range<usize>,
        text: &Text,
    ) -> Checked<Condition> {
        let body = self.seen(name, span, text)?;
        self.used.push(name.to_owned());
        let Some(expression) = self.inside(name, body) else {
            self.broken = true;
            return Ok(Condition::Constant(false));
        };
        let outer = self.enter(name, span, text);
        let checked = self.check(expression, &body.text);
        self.stack.truncate(outer);
        checked
    }

    /// Nothing of a macro that was visited, or whose own syntax error is reported where it stands.
    fn inside(&mut self, name: &str, body: &'a Macro) -> Option<&'a Expression> {
        let deep = self.depth == MAX_DEPTH;
        let new = (self.visited.as_mut()).is_none_or(|all| deep || all.insert(name.to_owned()));
        body.expression.as_ref().filter(|_| new)
    }

    /// How many steps led to it.
    fn enter(&mut self, name: &str, span: &Range<usize>, text: &Text) -> usize {
        let outer = self.stack.len();
        self.stack.extend(text.steps(span));
        self.stack.push(Step {
            what: MACRO,
            name: name.to_owned(),
            place: text.place(span),
        });
        outer
    }

    fn undefined(&self, name: &str, span: &Range<usize>, text: &Text, help: String) -> Mistake {
        Mistake {
            code: VALIDATE,
            ..self.helped(text, span, format!("undefined macro `{name}`"), help)
        }
    }

    /// The macro, if what is being put in place sees it.
    fn seen(&self, name: &str, span: &Range<usize>, text: &Text) -> Checked<&'a Macro> {
        let undefined = |help: String| Err(self.undefined(name, span, text, help));
        let Some(body) = self.macros.get(name) else {
            return undefined(self.meant(name, span, text));
        };
        if body.file > text.place(span).file {
            return undefined("it is defined in a later file: load that file first".to_owned());
        }
        let macros = || self.stack.iter().filter(|open| open.what == MACRO);
        if macros().any(|open| open.name == name) {
            let mut way: Vec<&str> = macros().map(|open| open.name.as_str()).collect();
            way.push(name);
            let help = format!("{}: one of them must do without", way.join(" uses "));
            let message = format!("reference loop in macro `{name}`");
            return Err(Mistake {
                code: VALIDATE,
                ..self.helped(text, span, message, help)
            });
        }
        let outer = macros()
            .next_back()
            .and_then(|outer| self.macros.get(&outer.name));
        if outer.is_some_and(|outer| body.position >= outer.visibility) {
            return undefined("a macro sees only the macros that stand before it".to_owned());
        }
        Ok(body)
    }

    /// What a name that is no macro was probably to be.
    fn meant(&self, name: &str, span: &Range<usize>, text: &Text) -> String {
        if let Some(list) = text.steps(span).last() {
            let list = &list.name;
            return format!("a list stands for its items: write `proc.name in ({list})`");
        }
        let field = name.replacen('_', ".", 1);
        if fields::find(&field).is_some() {
            return format!("did you mean the field `{field}`?");
        }
        let file = text.place(span).file;
        let known = self.macros.iter().filter(|(_, body)| body.file <= file);
        spelling::did_you_mean(name, known.map(|(known, _)| known.as_str())).unwrap_or_else(|| {
            format!("define `- macro: {name}`, or write a check such as `proc.name = {name}`")
        })
    }
}
