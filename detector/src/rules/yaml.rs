//! YAML to a tree of text with places: the only user of the YAML crate.

use std::ops::Range;

use saphyr_parser::{Event, Parser, Span, SpannedEventReceiver};

/// Deeper files are refused.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    /// Bytes of the file.
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Sequence(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Sequence(_) | Value::Map(_) => None,
        }
    }

    /// The first of equal keys wins.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(pairs) => pairs
                .iter()
                .find(|(name, _)| name.text() == Some(key))
                .map(|(_, value)| value),
            Value::Text(_) | Value::Sequence(_) => None,
        }
    }
}

struct Builder<'a> {
    /// Byte of each character: the parser counts characters.
    bytes: &'a [usize],
    stack: Vec<(bool, usize, Vec<Node>)>,
    documents: Vec<Node>,
    too_deep: bool,
}

impl Builder<'_> {
    fn span(&self, span: &Span) -> Range<usize> {
        let byte = |index: usize| {
            self.bytes
                .get(index)
                .or(self.bytes.last())
                .copied()
                .unwrap_or_default()
        };
        byte(span.start.index())..byte(span.end.index())
    }

    fn push(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some((_, _, children)) => children.push(node),
            None => self.documents.push(node),
        }
    }
}

impl<'input> SpannedEventReceiver<'input> for Builder<'_> {
    fn on_event(&mut self, event: Event<'input>, span: Span) {
        let span = self.span(&span);
        match event {
            Event::Scalar(text, ..) => {
                self.push(Node {
                    value: Value::Text(text.into_owned()),
                    span,
                });
            }
            Event::SequenceStart(..) => self.stack.push((false, span.start, Vec::new())),
            Event::MappingStart(..) => self.stack.push((true, span.start, Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((map, start, children)) = self.stack.pop() else {
                    return;
                };
                let value = if map {
                    let mut pairs = Vec::new();
                    let mut children = children.into_iter();
                    while let (Some(key), Some(value)) = (children.next(), children.next()) {
                        pairs.push((key, value));
                    }
                    Value::Map(pairs)
                } else {
                    Value::Sequence(children)
                };
                self.push(Node {
                    value,
                    span: start..span.end.max(start),
                });
            }
            _ => {}
        }
        self.too_deep |= self.stack.len() > MAX_DEPTH;
    }
}

/// The file's documents, or the mistake and its byte.
pub fn parse(text: &str) -> Result<Vec<Node>, (String, usize)> {
    let mut bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    bytes.push(text.len());
    let mut builder = Builder {
        bytes: &bytes,
        stack: Vec::new(),
        documents: Vec::new(),
        too_deep: false,
    };
    let parsed = Parser::new_from_str(text).load(&mut builder, true);
    if let Err(error) = parsed {
        let at = bytes
            .get(error.marker().index())
            .copied()
            .unwrap_or(text.len());
        return Err((error.info().to_owned(), at));
    }
    if builder.too_deep {
        return Err((format!("nested more than {MAX_DEPTH} deep"), 0));
    }
    Ok(builder.documents)
}
