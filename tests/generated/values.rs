//! Reads `values.yaml` with its comments.

use serde_json::Value;

/// A documented key of `values.yaml`.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    /// E.g. `["webhook", "securePort"]`.
    pub(crate) path: Vec<String>,
    pub(crate) description: String,
    pub(crate) default: Value,
}

impl Entry {
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }
}

/// The keys that have a comment, in order. A comment ends on the line before its key.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let values: Value = serde_saphyr::from_str(text).unwrap();
    let mut entries = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let (indent, content) = (line.len() - line.trim_start().len(), line.trim_start());
        if let Some(text) = content.strip_prefix('#') {
            comment.push(text.trim());
            continue;
        }
        let described = std::mem::take(&mut comment);
        // A list item or an empty line is no key.
        let Some((key, _)) = content.split_once(':').filter(|_| !content.starts_with('-')) else { continue };
        path.retain(|(parent, _)| *parent < indent);
        path.push((indent, key.to_owned()));
        if !described.is_empty() {
            let path: Vec<_> = path.iter().map(|(_, key)| key.clone()).collect();
            let default = path.iter().fold(&values, |value, key| &value[key]).clone();
            entries.push(Entry { path, description: described.join(" "), default });
        }
    }
    entries
}

/// Keys without a comment of their own, of a parent, or of a child.
pub(crate) fn undocumented(text: &str) -> Vec<String> {
    fn search(path: &[String], value: &Value, documented: &[Vec<String>], found: &mut Vec<String>) {
        if documented.iter().any(|known| known == path) && !path.is_empty() {
            return;
        }
        let has_documented_child = documented.iter().any(|known| known.starts_with(path) && known.len() > path.len());
        match value.as_object() {
            Some(object) if has_documented_child => {
                for (key, value) in object {
                    search(&[path, std::slice::from_ref(key)].concat(), value, documented, found);
                }
            }
            _ => found.push(path.join(".")),
        }
    }
    let documented: Vec<_> = entries(text).into_iter().map(|entry| entry.path).collect();
    let mut found = Vec::new();
    search(&[], &serde_saphyr::from_str(text).unwrap(), &documented, &mut found);
    found
}

#[test]
fn comments_describe_the_key_on_the_next_line() {
    let text = "a:\n  # First\n  # line: two\n  b: 1\n  c:\n    d: {}\n# E\ne: [x]\n\n# Unrelated\n\nf: 2\n";
    let entry = |path: &[&str], description: &str, default| Entry {
        path: path.iter().map(|&key| key.to_owned()).collect(),
        description: description.to_owned(),
        default,
    };
    let expected = [entry(&["a", "b"], "First line: two", 1.into()), entry(&["e"], "E", vec!["x"].into())];
    assert_eq!(entries(text), expected);
    assert_eq!(undocumented(text), ["a.c", "f"]);
}
