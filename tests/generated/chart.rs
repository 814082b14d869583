//! The parts of the chart that are generated from `values.yaml`: the table in its README, and the descriptions and
//! defaults in the schema of its values. The constraints of the schema are written by hand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::read;
use crate::values::{Entry, entries, undocumented};

pub(crate) const README: &str = "charts/winddown/README.md";
pub(crate) const SCHEMA: &str = "charts/winddown/values.schema.json";
const VALUES: &str = "charts/winddown/values.yaml";

const TABLE: &str = "| Value | Default | Description |\n| --- | --- | --- |\n";
const MAX_WIDTH: usize = 120;

/// The README with a new table.
pub(crate) fn readme() -> String {
    let readme = read(README);
    let start = readme.find("| Value | Default |").unwrap();
    let end = start + readme[start..].find("\n\n").unwrap() + 1;
    format!("{}{}{}", &readme[..start], table(&entries(&read(VALUES))), &readme[end..])
}

fn table(entries: &[Entry]) -> String {
    let mut table = TABLE.to_owned();
    for entry in entries {
        if is_section(&entry.path, entries) {
            continue;
        }
        let description = entry.description.replace('|', "\\|");
        writeln!(table, "| `{}` | {} | {description} |", entry.name(), default(&entry.default)).unwrap();
    }
    table
}

/// Whether keys below a path have entries of their own.
fn is_section(path: &[String], entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.path.len() > path.len() && entry.path.starts_with(path))
}

fn default(value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => "see `values.yaml`".to_owned(),
        Value::Object(fields) if !fields.is_empty() => "see `values.yaml`".to_owned(),
        Value::String(text) if !text.is_empty() => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// The schema with new descriptions and defaults.
pub(crate) fn schema() -> String {
    let mut schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let entries = entries(&read(VALUES));
    for entry in &entries {
        let property = entry.path.iter().try_fold(&mut schema, |schema, key| schema["properties"].get_mut(key));
        let Some(property) = property.and_then(Value::as_object_mut) else {
            panic!("{SCHEMA} has no property {}", entry.name());
        };
        describe(property, entry, is_section(&entry.path, &entries));
    }
    format!("{}\n", format_json(&schema, 0, 0))
}

/// Puts the description, and the default of a key that is no section, before the constraints.
fn describe(property: &mut Map<String, Value>, entry: &Entry, is_section: bool) {
    let constraints = std::mem::take(property).into_iter().filter(|(key, _)| key != "description" && key != "default");
    let default = (!is_section).then(|| ("default".to_owned(), entry.default.clone()));
    let description = ("description".to_owned(), entry.description.as_str().into());
    property.extend([description].into_iter().chain(default).chain(constraints));
}

/// JSON with every value on one line that fits there.
fn format_json(value: &Value, indent: usize, column: usize) -> String {
    let inline = inline_json(value);
    if column + inline.len() < MAX_WIDTH {
        return inline;
    }
    let (inner, margin) = (indent + 2, " ".repeat(indent + 2));
    let lines: Vec<_> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let start = format!("{margin}{}: ", Value::from(key.as_str()));
                let value = format_json(value, inner, start.len());
                start + &value
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| margin.clone() + &format_json(item, inner, inner)).collect(),
        _ => return inline,
    };
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    format!("{open}\n{}\n{}{close}", lines.join(",\n"), " ".repeat(indent))
}

fn inline_json(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), inline_json(value)));
            format!("{{{}}}", join(fields.collect()))
        }
        Value::Array(items) => format!("[{}]", join(items.iter().map(inline_json).collect())),
        other => other.to_string(),
    }
}

#[test]
fn every_value_has_a_comment() {
    assert_eq!(undocumented(&read(VALUES)), Vec::<String>::new());
}

#[test]
fn values_and_schema_have_the_same_keys() {
    let schema: Value = serde_json::from_str(&read(SCHEMA)).unwrap();
    let entries = entries(&read(VALUES));
    let mut in_values: BTreeSet<_> =
        entries.iter().filter(|entry| !is_section(&entry.path, &entries)).map(Entry::name).collect();
    // Set by Helm or by a parent chart, and not read by this one.
    in_values.extend(["global", "enabled"].map(str::to_owned));
    assert_eq!(properties(&schema, &[], &entries), in_values);
}

/// The properties of a schema, and in place of a section those below it.
fn properties(schema: &Value, prefix: &[String], entries: &[Entry]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = [prefix, std::slice::from_ref(key)].concat();
        if is_section(&path, entries) {
            found.extend(properties(property, &path, entries));
        } else {
            found.insert(path.join("."));
        }
    }
    found
}

#[test]
fn a_key_that_only_one_of_both_has_is_found() {
    let entries = entries("# A\na:\n  # B\n  b: 1\n# C\nc: {}\n");
    let schema =
        serde_json::json!({"properties": {"a": {"properties": {"b": {}, "x": {}}}, "c": {"properties": {"y": {}}}}});
    let found = properties(&schema, &[], &entries);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a.b", "a.x", "c"]);
}
