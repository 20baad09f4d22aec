//! A condition as written: macros by name, constants as text, every node with its place.

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Macro { name: String, span: Range<usize> },
    Check(Check),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub field: String,
    pub field_span: Range<usize>,
    pub operator: Operator,
    /// One constant, or those of `in`.
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub text: String,
    /// A quoted value never names a list.
    pub quoted: bool,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Exists,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Contains,
    StartsWith,
    EndsWith,
}

impl Operator {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "exists" => Self::Exists,
            "=" | "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterEqual,
            "in" => Self::In,
            "contains" => Self::Contains,
            "startswith" => Self::StartsWith,
            "endswith" => Self::EndsWith,
            _ => return None,
        })
    }
}
