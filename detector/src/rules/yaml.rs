//! YAML to a tree of text with places: the only user of the YAML crate.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

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
    /// The first of what YAML has and a rules file has not. What follows is not kept.
    mistake: Option<Mistake>,
}

/// A sequence or map that has not ended.
struct Open {
    map: bool,
    start: usize,
    anchor: usize,
    children: Vec<Node>,
}

fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} deep")
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

    fn refuse(&mut self, message: impl Into<String>, at: usize) {
        self.mistake.get_or_insert_with(|| (message.into(), at));
    }

    fn open(&mut self, map: bool, start: usize, anchor: usize) {
        if self.stack.len() == MAX_DEPTH {
            self.refuse(too_deep(), start);
        }
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
                if matches!(key.value, Value::Sequence(_) | Value::Map(_)) {
                    self.refuse("a key is a text", key.span.start);
                }
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

    fn on_event(&mut self, event: Event<'_>, span: &Span) {
        if self.mistake.is_some() {
            return;
        }
        let span = self.span(span);
        match event {
            Event::DocumentStart(_) => self.anchors.clear(),
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
                let Some(node) = self.anchors.get(&anchor) else {
                    return self.refuse("an alias of no anchor before it", span.start);
                };
                self.aliased += node.size();
                if self.aliased > MAX_ALIASED {
                    let message = format!("aliases stand for more than {MAX_ALIASED} nodes");
                    return self.refuse(message, span.start);
                }
                let value = node.value.clone();
                self.push(Node { value, span });
            }
            _ => {}
        }
    }
}

/// Blanks that YAML asks for, and that Falco's parser and the people who write for it do without:
/// before a line within brackets (`]` below its key) or quotes that stands further left than the
/// block around it, and between a tab after a colon and the value.
const PADDING: usize = 64;
const MAX_PADDED: usize = 1000;
const MAX_ATTEMPTS: usize = 64;

/// What is not YAML: the message, and its byte.
pub type Mistake = (String, usize);

/// The file's documents.
pub fn parse(text: &str) -> Result<Vec<Node>, Mistake> {
    let mut padded = BTreeSet::new();
    // A quote that is not closed swallows lines: what is told is where it was opened.
    let mut quote = None;
    let mut attempts = 0;
    loop {
        let before = padded.len();
        let attempt = parse_padded(text, &padded);
        let ((message, at), within_brackets) = match attempt {
            Ok(documents) => return Ok(documents),
            Err(failure) => failure,
        };
        match message.as_str() {
            "invalid indentation in quoted scalar" => {
                padded.extend(lines_of_quote(text, at));
                quote.get_or_insert((message.clone(), at));
            }
            "':' must be followed by a valid YAML whitespace" => {
                padded.insert(at);
            }
            "invalid indentation"
            | "invalid indentation in flow construct"
            | "tab cannot be used as indentation" => {
                padded.insert(line_start(text, at));
            }
            "tabs disallowed within this context (block indentation)" if within_brackets => {
                padded.insert(line_start(text, at));
            }
            "while scanning a plain scalar, found a tab" if within_brackets => {
                padded.extend(line_of_tab(text, at, &padded));
            }
            _ => {}
        }
        attempts += 1;
        if padded.len() == before || padded.len() > MAX_PADDED || attempts > MAX_ATTEMPTS {
            return Err(quote.unwrap_or((message, at)));
        }
    }
}

fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rfind('\n').map_or(0, |end| end + 1)
}

/// Where the next line begins that a tab indents and that is not padded yet.
fn line_of_tab(text: &str, at: usize, padded: &BTreeSet<usize>) -> Option<usize> {
    let rest = text.get(at..)?;
    let mut lines = rest.match_indices('\n').map(|(end, _)| at + end + 1);
    lines.find(|line| {
        let rest = text.get(*line..).unwrap_or_default();
        rest.trim_start_matches(' ').starts_with('\t') && !padded.contains(line)
    })
}

/// Where the lines of a quoted text begin, after the one that has the opening quote.
fn lines_of_quote(text: &str, at: usize) -> Vec<usize> {
    let characters = text.char_indices().skip_while(|(start, _)| *start < at);
    let mut characters = characters.peekable();
    let Some((_, quote)) = characters.next() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    while let Some((start, character)) = characters.next() {
        match character {
            '\n' => lines.push(start + 1),
            '\\' if quote == '"' => {
                if let Some((start, '\n')) = characters.next() {
                    lines.push(start + 1);
                }
            }
            '\'' if quote == '\'' && characters.next_if(|(_, next)| *next == '\'').is_some() => {}
            _ if character == quote => break,
            _ => {}
        }
    }
    lines
}

/// With blanks put in at these bytes. A failure tells whether it is within brackets.
fn parse_padded(text: &str, padded: &BTreeSet<usize>) -> Result<Vec<Node>, (Mistake, bool)> {
    let mut bytes = Vec::with_capacity(text.len() + padded.len() * PADDING);
    let mut source = String::with_capacity(bytes.capacity());
    for (at, character) in text.char_indices() {
        if padded.contains(&at) {
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
        mistake: None,
    };
    // Event by event: to load a document the parser would call itself, as deep as the file goes.
    let parsed = Parser::new_from_str(&source)
        .try_for_each(|event| event.map(|(event, span)| builder.on_event(event, &span)));
    if let Err(error) = parsed {
        let at = bytes
            .get(error.marker().index())
            .copied()
            .unwrap_or(text.len());
        // The parser's own bound lies beyond ours; it reads ahead of what it tells.
        if error.info() == "recursion limit exceeded" {
            builder.refuse(too_deep(), at);
            return Err((builder.mistake.unwrap_or_default(), false));
        }
        let opened = builder.stack.last().and_then(|open| text.get(open.start..));
        let within_brackets = opened.is_some_and(|text| text.starts_with(['[', '{']));
        return Err(((error.info().to_owned(), at), within_brackets));
    }
    if let Some(mistake) = builder.mistake {
        return Err((mistake, false));
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
    fn blanks_that_falcos_parser_does_without_are_put_in() {
        for (text, value) in [
            ("- a: 'x\n\ny'\n  b: c\n", "x\ny"),
            ("- a: 'it''s\n- x\n# y'\n  b: c\n", "it's - x # y"),
            ("- a: \"x\\\ny \\\" z\nw\"\n  b: c\n", "xy \" z w"),
            ("- a: 'x\n\ty'\n  b: c\n", "x y"),
            ("- a:\tx\n  b: c\n", "x"),
            ("- a :\t\tx\t\n  b: c\n", "x"),
        ] {
            let documents = parse(text).unwrap();
            let Value::Sequence(items) = &documents[0].value else {
                panic!("{documents:?}")
            };
            assert_eq!(items[0].get("a").unwrap().text(), Some(value), "{text}");
            assert_eq!(items[0].get("b").unwrap().text(), Some("c"), "{text}");
        }
        for text in [
            "- a: [\n\tb,\n\tc\n\t]\n",
            "- a: [\n\tb\n\t, c\n\t# d\n\t]\n",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (wrong, at) in [
            ("- a: 'x\n- b: 'y'\n", 5),
            ("- a: x\n\tb: c\n", 5),
            ("- [a]: b\n", 2),
        ] {
            assert_eq!(parse(wrong).unwrap_err().1, at, "{wrong}");
        }
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        for (depth, open, close, expected) in [
            (65, "[", "]", 64),
            (65, "[\n", "]", 128),
            (100_000, "- ", "x", 128),
            // Within brackets the parser reads ahead.
            (1000, "[", "]", 255),
        ] {
            let deep = open.repeat(depth) + &close.repeat(depth);
            let (message, at) = parse(&deep).unwrap_err();
            let told = (message.as_str(), at);
            assert_eq!(
                told,
                ("nested more than 64 deep", expected),
                "{depth} {open}"
            );
        }
        for text in ["- &a x\n---\n- *a\n", "- &a [*a]\n"] {
            let (_, at) = parse(text).unwrap_err();
            assert_eq!(Some(at), text.find('*'), "{text}");
        }
        let mut bomb = "- &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            let below = level - 1;
            bomb.push_str(&format!("- &a{level} [*a{below}, *a{below}]\n"));
        }
        let (message, at) = parse(&bomb).unwrap_err();
        assert_eq!(message, "aliases stand for more than 100000 nodes");
        // An alias of level n stands for 2^(n+2) - 1 nodes.
        assert_eq!(Some(at), bomb.rfind("*a13"));
    }
}
