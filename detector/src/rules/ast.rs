//! A condition as written: macros by name, constants as text, every node with its place. Printing
//! a tree gives a condition that parses to the same tree.

use std::{fmt, ops::Range};

pub type Span = Range<usize>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Macro { name: String, span: Span },
    Check(Box<Check>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub left: Operand,
    pub operator: Operator,
    /// Of the operator.
    pub span: Span,
    pub modifier: Option<Modifier>,
    pub right: Right,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// After `exists`.
    Nothing,
    /// One constant, or those in parentheses.
    Constants(Vec<Constant>),
    /// `val(field)`, or a transformer's result.
    Operand(Operand),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    pub text: String,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    Field(FieldReference),
    Call(Call),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReference {
    pub name: String,
    /// `[...]`; an empty argument is not the same as none.
    pub argument: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub transformer: Transformer,
    pub arguments: Vec<Argument>,
    /// `getopt(...)[x]`.
    pub argument: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    Operand(Operand),
    /// A quoted text or a number.
    Constant(Constant),
    List(Vec<Argument>),
}

impl Operand {
    pub fn span(&self) -> &Span {
        match self {
            Self::Field(field) => &field.span,
            Self::Call(call) => &call.span,
        }
    }
}

/// Words that are chosen from a table.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// `==` is written `=` here.
    Operator {
        Exists = "exists",
        Equal = "=",
        NotEqual = "!=",
        Less = "<",
        LessEqual = "<=",
        Greater = ">",
        GreaterEqual = ">=",
        In = "in",
        Intersects = "intersects",
        Pmatch = "pmatch",
        Contains = "contains",
        Icontains = "icontains",
        Bcontains = "bcontains",
        StartsWith = "startswith",
        BstartsWith = "bstartswith",
        EndsWith = "endswith",
        Glob = "glob",
        Iglob = "iglob",
        Regex = "regex",
    }
}

impl Operator {
    pub fn parse(text: &str) -> Option<Self> {
        if text == "==" {
            return Some(Self::Equal);
        }
        let known = |operator: &&Self| operator.as_str() == text;
        Self::ALL.iter().find(known).copied()
    }

    /// Takes a set without a modifier.
    pub fn is_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::Pmatch)
    }

    /// Takes a number, and no modifier.
    pub fn is_order(self) -> bool {
        matches!(
            self,
            Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }
}

words! {
    /// How many elements of the set must satisfy the operator.
    Modifier { OneOf = "oneof", AnyOf = "anyof", AllOf = "allof" }
}

words! {
    Transformer {
        ToLower = "tolower",
        ToUpper = "toupper",
        B64 = "b64",
        Basename = "basename",
        Len = "len",
        Join = "join",
        Concat = "concat",
        Getopt = "getopt",
    }
}

/// Always in quotes, so that no text is taken for anything else.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '\n', '\r', '\t']) {
        let (plain, special) = rest.split_at(at);
        f.write_str(plain)?;
        f.write_str(match special.as_bytes().first() {
            Some(b'"') => "\\\"",
            Some(b'\n') => "\\n",
            Some(b'\r') => "\\r",
            Some(b'\t') => "\\t",
            _ => "\\x5C",
        })?;
        rest = special.get(1..).unwrap_or_default();
    }
    f.write_str(rest)?;
    f.write_str("\"")
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    separator: &str,
    mut each: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        each(f, item)?;
    }
    Ok(())
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (terms, separator) = match self {
            Self::And(terms) => (terms, " and "),
            Self::Or(terms) => (terms, " or "),
            Self::Not(inner) if matches!(**inner, Self::And(_) | Self::Or(_)) => {
                return write!(f, "not {inner}");
            }
            Self::Not(inner) => return write!(f, "not ({inner})"),
            Self::Macro { name, .. } => return f.write_str(name),
            Self::Check(check) => return write!(f, "{check}"),
        };
        f.write_str("(")?;
        separated(f, terms, separator, |f, term| write!(f, "{term}"))?;
        f.write_str(")")
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.operator)?;
        if let Some(modifier) = self.modifier {
            write!(f, " {modifier}")?;
        }
        match &self.right {
            Right::Nothing => Ok(()),
            Right::Operand(Operand::Field(field)) => write!(f, " val({field})"),
            Right::Operand(operand) => write!(f, " {operand}"),
            Right::Constants(constants) => {
                f.write_str(" ")?;
                let number =
                    |constant: &&Constant| self.operator.is_order() && !constant.text.is_empty();
                if let Some(constant) = constants.first().filter(number) {
                    return f.write_str(&constant.text);
                }
                let set = self.operator.is_list() || self.modifier.is_some();
                if set {
                    f.write_str("(")?;
                }
                separated(f, constants, ", ", |f, constant| quote(f, &constant.text))?;
                f.write_str(if set { ")" } else { "" })
            }
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(f, "{field}"),
            Self::Call(call) => write!(f, "{call}"),
        }
    }
}

impl fmt::Display for FieldReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        bracketed(f, self.argument.as_deref())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.transformer)?;
        separated(f, &self.arguments, ", ", |f, one| write!(f, "{one}"))?;
        f.write_str(")")?;
        bracketed(f, self.argument.as_deref())
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => write!(f, "{operand}"),
            Self::Constant(constant) => quote(f, &constant.text),
            Self::List(items) => {
                f.write_str("(")?;
                separated(f, items, ", ", |f, item| write!(f, "{item}"))?;
                f.write_str(")")
            }
        }
    }
}

fn bracketed(f: &mut fmt::Formatter<'_>, argument: Option<&str>) -> fmt::Result {
    let Some(argument) = argument else {
        return Ok(());
    };
    f.write_str("[")?;
    let plain = |character: char| !(character.is_whitespace() || "[]\"'".contains(character));
    if !argument.is_empty() && argument.chars().all(plain) {
        f.write_str(argument)?;
    } else {
        quote(f, argument)?;
    }
    f.write_str("]")
}

impl Expression {
    /// The macros that are referred to.
    pub fn macros(&self, each: &mut impl FnMut(&str)) {
        match self {
            Self::And(terms) | Self::Or(terms) => terms.iter().for_each(|term| term.macros(each)),
            Self::Not(inner) => inner.macros(each),
            Self::Macro { name, .. } => each(name),
            Self::Check(_) => {}
        }
    }
}
