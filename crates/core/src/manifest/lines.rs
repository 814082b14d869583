//! Maps field paths to line numbers.

use std::collections::HashMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{Event, Parser};

use crate::field_path::{FieldPath, Segment};

/// The line of an object and of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The line where it starts, from 1. A field starts at its key.
    line: usize,
    /// Its fields and items; `None` for a scalar.
    parts: Option<Rc<Parts>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    fields: Vec<(String, Lines)>,
    items: Vec<Lines>,
    /// The value of its field `name`, the key of an item in a list.
    name: Option<String>,
}

/// The maximum depth of nested `<<`. Real manifests need less, and each `<<` may refer to several objects.
const MERGES: usize = 4;

impl Lines {
    /// The lines of a document that starts on this line of its file. Unreadable parts have the first line.
    pub(crate) fn of(document: &str, first: usize) -> Self {
        let mut reader = Reader::default();
        for next in Parser::new_from_str(document) {
            let Ok((event, span)) = next else { break };
            if reader.take(event, span.start.line() + first - 1) {
                break;
            }
        }
        reader.root.unwrap_or(Self { line: first, parts: None })
    }

    /// The line where the object starts.
    #[must_use]
    pub fn first(&self) -> usize {
        self.line
    }

    /// The line of a field, or of its nearest existing parent.
    #[must_use]
    pub fn of_field(&self, path: &FieldPath) -> usize {
        let mut here = self;
        for segment in path.segments() {
            match here.below(segment) {
                Some(next) => here = next,
                None => break,
            }
        }
        here.line
    }

    /// An item of the list in a field.
    pub(crate) fn item(&self, field: &str, at: usize) -> Option<&Self> {
        self.field(field, MERGES)?.parts.as_ref()?.items.get(at)
    }

    fn below(&self, segment: &Segment) -> Option<&Self> {
        let items = || self.parts.iter().flat_map(|parts| &parts.items);
        match segment {
            Segment::Field(name) => self.field(name, MERGES),
            Segment::Index(index) => items().nth(*index),
            Segment::Key(key) => {
                let named = |item: &&Self| item.parts.as_ref().is_some_and(|parts| parts.name.as_deref() == Some(key));
                self.field(key, MERGES).or_else(|| items().find(named))
            }
        }
    }

    fn field(&self, key: &str, merges: usize) -> Option<&Self> {
        let fields = &self.parts.as_ref()?.fields;
        let own = fields.iter().find(|(name, _)| name == key).map(|(_, lines)| lines);
        if own.is_some() || merges == 0 {
            return own;
        }
        let others = fields.iter().filter(|(name, _)| name == "<<").map(|(_, lines)| lines);
        others
            .flat_map(|lines| std::iter::once(lines).chain(lines.parts.iter().flat_map(|parts| &parts.items)))
            .find_map(|lines| lines.field(key, merges - 1))
    }
}

/// Builds the lines from the events of the parser.
#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Option<Rc<Parts>>>,
    root: Option<Lines>,
}

/// A list or an object that is not complete.
struct Open {
    line: usize,
    parts: Parts,
    anchor: usize,
    is_list: bool,
    /// The key of the next value.
    key: Option<(String, usize)>,
}

impl Reader {
    /// Returns whether the document ended with this event.
    fn take(&mut self, event: Event<'_>, line: usize) -> bool {
        match event {
            Event::MappingStart(_, anchor, _) => self.begin(line, anchor, false),
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, true),
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Open { line, parts, anchor, .. }) = self.open.pop() {
                    let parts = Some(Rc::new(parts));
                    if anchor != 0 {
                        self.anchors.insert(anchor, parts.clone());
                    }
                    self.put(Lines { line, parts }, None);
                }
            }
            Event::Scalar(text, ..) => self.put(Lines { line, parts: None }, Some(&text)),
            Event::Alias(anchor) => {
                let parts = self.anchors.get(&anchor).cloned().flatten();
                self.put(Lines { line, parts }, None);
            }
            Event::DocumentEnd => return true,
            _ => {}
        }
        false
    }

    fn begin(&mut self, line: usize, anchor: usize, is_list: bool) {
        self.open.push(Open { line, parts: Parts::default(), anchor, is_list, key: None });
    }

    /// Adds a complete node: a value, an item, or the key of the next value. `text` is the text of a scalar.
    fn put(&mut self, node: Lines, text: Option<&str>) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        if open.is_list {
            open.parts.items.push(node);
        } else if let Some((key, line)) = open.key.take() {
            if key == "name" {
                open.parts.name = text.map(str::to_owned);
            }
            open.parts.fields.push((key, Lines { line, ..node }));
        } else {
            open.key = Some((text.unwrap_or_default().to_owned(), node.line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldPath, Lines, Segment};

    const DEPLOYMENT: &str = "\
metadata:
  name: shop
  annotations:
    winddown.dev/drain: 5s
spec:
  template:
    spec:
      containers:
      - name: proxy
        image: proxy:1
      - image: shop:1
        lifecycle:
          preStop: {sleep: {seconds: 5}}
        name: app
";

    #[test]
    fn a_field_has_the_line_of_its_key() {
        for (path, line) in [
            (FieldPath::annotation("winddown.dev/drain"), 4),
            (FieldPath::container("app", "lifecycle.preStop"), 13),
            (FieldPath::container("proxy", ""), 9),
            (FieldPath::pod("containers").push(Segment::Index(1)), 11),
        ] {
            assert_eq!(Lines::of(DEPLOYMENT, 1).of_field(&path), line, "{path}");
            assert_eq!(Lines::of(DEPLOYMENT, 41).of_field(&path), line + 40, "{path}");
        }
    }

    #[test]
    fn a_missing_field_has_the_line_of_its_nearest_parent() {
        for (path, line) in [
            (FieldPath::pod("terminationGracePeriodSeconds"), 7),
            (FieldPath::container("app", "readinessProbe"), 11),
            (FieldPath::container("db", "lifecycle"), 8),
            (FieldPath::annotation("example.com/a]b].c"), 3),
            (FieldPath::new("status"), 1),
            (FieldPath::default(), 1),
        ] {
            assert_eq!(Lines::of(DEPLOYMENT, 1).of_field(&path), line, "{path}");
        }
    }

    #[test]
    fn fields_of_json_have_lines() {
        let text = "{\n  \"spec\": {\n    \"items\": [\n      {\"name\": \"a\"},\n      {\n        \"name\": \"b\"\n      }\n    ]\n  }\n}\n";
        let lines = Lines::of(text, 1);
        let line = |item: &str, field| lines.of_field(&FieldPath::new("spec.items").key(item).join(field));
        assert_eq!((line("a", ""), line("b", "name")), (4, 6));
    }

    #[test]
    fn aliases_and_merge_keys_have_the_lines_of_their_anchors() {
        let text = "base: &base\n  image: a\n  deep: {x: 1}\nuse: *base\nmerged:\n  <<: [*base]\n  own: 1\n";
        let lines = Lines::of(text, 1);
        for (path, line) in [("use", 4), ("use.image", 2), ("merged.deep.x", 3), ("merged.own", 7), ("merged.no", 5)] {
            assert_eq!(lines.of_field(&FieldPath::new(path)), line, "{path}");
        }
    }

    #[test]
    fn an_unreadable_document_has_its_first_line() {
        for text in ["", "a: [", "*unknown", &"[".repeat(100_000), "? {a: b}\n: c\n", "- - - a"] {
            assert_eq!(
                Lines::of(text, 7).of_field(&FieldPath::new("a.b")),
                7,
                "{}",
                text.chars().take(9).collect::<String>()
            );
        }
    }
}
