//! YAML to a tree of text with places: the only user of the YAML crate.

use std::{collections::HashMap, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver};

/// Deeper files are refused.
const MAX_DEPTH: usize = 64;
/// Nodes that aliases may add: a few lines can otherwise stand for billions.
const MAX_ALIASED: usize = 100_000;

#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    /// Bytes of the file.
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing, `~` or `null`, without quotes.
    Null,
    Text(String),
    Sequence(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Nodes within, itself included.
    fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Text(_) => 1,
            Value::Sequence(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(pairs) => {
                let size = |(key, value): &(Self, Self)| key.size() + value.size();
                1 + pairs.iter().map(size).sum::<usize>()
            }
        }
    }

    /// The first of equal keys wins.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(pairs) => pairs
                .iter()
                .find(|(name, _)| name.text() == Some(key))
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

struct Builder<'a> {
    /// Byte of each character: the parser counts characters.
    bytes: &'a [usize],
    stack: Vec<Open>,
    documents: Vec<Node>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    too_deep: bool,
}

/// A sequence or map that has not ended.
struct Open {
    map: bool,
    start: usize,
    anchor: usize,
    children: Vec<Node>,
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

    fn open(&mut self, map: bool, start: usize, anchor: usize) {
        self.stack.push(Open {
            map,
            start,
            anchor,
            children: Vec::new(),
        });
    }

    fn close(&mut self, ended: &Range<usize>) {
        let Some(open) = self.stack.pop() else {
            return;
        };
        // A block ends where the next one begins: what stands in it ends before.
        let last = open.children.last().map(|last| last.span.end);
        let end = last.filter(|_| ended.is_empty()).unwrap_or(ended.end);
        let value = if open.map {
            let mut pairs = Vec::new();
            let mut children = open.children.into_iter();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        } else {
            Value::Sequence(open.children)
        };
        let span = open.start..end.max(open.start);
        self.anchored(open.anchor, Node { value, span });
    }

    /// 0 is no anchor.
    fn anchored(&mut self, anchor: usize, node: Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.push(node);
    }

    fn push(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some(open) => open.children.push(node),
            None => self.documents.push(node),
        }
    }
}

impl<'input> SpannedEventReceiver<'input> for Builder<'_> {
    fn on_event(&mut self, event: Event<'input>, span: Span) {
        let span = self.span(&span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let null = matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let value = if plain && null {
                    Value::Null
                } else {
                    Value::Text(text.into_owned())
                };
                self.anchored(anchor, Node { value, span });
            }
            Event::SequenceStart(anchor, _) => self.open(false, span.start, anchor),
            Event::MappingStart(anchor, _) => self.open(true, span.start, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.close(&span),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor);
                self.aliased += node.map_or(1, Node::size);
                let copied = node.filter(|_| self.aliased <= MAX_ALIASED).cloned();
                let value = copied.map_or(Value::Null, |node| node.value);
                self.push(Node { value, span });
            }
            _ => {}
        }
        self.too_deep |= self.stack.len() > MAX_DEPTH;
    }
}

/// Lines within brackets that stand further left than the block around them: YAML forbids it,
/// Falco's parser takes it, and people write it (`]` below its key).
const MAX_PADDED: usize = 64;
const PADDING: usize = 64;

/// The file's documents, or the mistake and its byte.
pub fn parse(text: &str) -> Result<Vec<Node>, (String, usize)> {
    let mut padded = Vec::new();
    loop {
        match parse_padded(text, &padded) {
            Err((message, at)) if is_left_of_block(&message) && padded.len() < MAX_PADDED => {
                let before = text.get(..at).unwrap_or_default();
                let line = before.rfind('\n').map_or(0, |end| end + 1);
                if padded.contains(&line) {
                    return Err((message, at));
                }
                padded.push(line);
            }
            parsed => return parsed,
        }
    }
}

fn is_left_of_block(message: &str) -> bool {
    matches!(
        message,
        "invalid indentation" | "invalid indentation in flow construct"
    )
}

/// With more indentation on the lines that begin at these bytes.
fn parse_padded(text: &str, lines: &[usize]) -> Result<Vec<Node>, (String, usize)> {
    let mut bytes = Vec::with_capacity(text.len() + lines.len() * PADDING);
    let mut source = String::with_capacity(bytes.capacity());
    for (at, character) in text.char_indices() {
        if lines.contains(&at) {
            bytes.extend(std::iter::repeat_n(at, PADDING));
            source.extend(std::iter::repeat_n(' ', PADDING));
        }
        bytes.push(at);
        source.push(character);
    }
    bytes.push(text.len());
    let mut builder = Builder {
        bytes: &bytes,
        stack: Vec::new(),
        documents: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        too_deep: false,
    };
    let parsed = Parser::new_from_str(&source).load(&mut builder, true);
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
    if builder.aliased > MAX_ALIASED {
        let message = format!("aliases stand for more than {MAX_ALIASED} nodes");
        return Err((message, 0));
    }
    Ok(builder.documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_texts_and_aliases() {
        let documents = parse("- a: &x [1, '']\n  b: *x\n  c:\n  d: '~'\n---\n").unwrap();
        let Value::Sequence(items) = &documents[0].value else {
            panic!("{documents:?}")
        };
        let get = |key| items[0].get(key).unwrap();
        assert!(matches!(&get("b").value, Value::Sequence(both) if both.len() == 2));
        assert!(matches!(get("c").value, Value::Null));
        assert_eq!(get("d").text(), Some("~"));
        assert!(matches!(documents[1].value, Value::Null));
    }

    #[test]
    fn brackets_may_stand_left_of_the_block_around_them() {
        let text = "- list: a\n  items: [\n    b,\n c\n  ]\n- list: d\n  items: [\n  ]\n";
        let documents = parse(text).unwrap();
        let Value::Sequence(items) = &documents[0].value else {
            panic!("{documents:?}")
        };
        let inner = items[0].get("items").unwrap();
        assert!(matches!(&inner.value, Value::Sequence(both) if both.len() == 2));
        assert!(items[1].get("items").is_some());
        for wrong in [
            "- a: 1\n b: 2\n",
            "- a: [1\n- b: 2\n",
            "- a: 'x\n  b: 1\n",
            "a:\n  b\n c: d\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        assert!(parse(&"[".repeat(1000)).is_err());
        let mut bomb = "- &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            let below = level - 1;
            bomb.push_str(&format!("- &a{level} [*a{below}, *a{below}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }
}
