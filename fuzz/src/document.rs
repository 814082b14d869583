//! Parsing of fuzz inputs. The golden cases are used as seeds, so YAML is accepted; the mutator writes JSON.

use serde_json::Value;
use winddown_core::manifest;

/// Parses JSON, or the first workload of a YAML manifest.
#[must_use]
pub fn read(data: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(data) {
        return Some(value);
    }
    let stream = manifest::read(std::str::from_utf8(data).ok()?);
    stream.workloads.into_iter().next().map(|manifest| manifest.object)
}

/// Writes the document to the buffer and returns its length in bytes; none if it has more than `most` bytes.
pub fn write(document: &Value, buffer: &mut [u8], most: usize) -> Option<usize> {
    let text = document.to_string();
    (text.len() <= most).then(|| buffer[..text.len()].copy_from_slice(text.as_bytes()))?;
    Some(text.len())
}

/// The number of values in a document.
#[must_use]
pub fn size(document: &Value) -> usize {
    1 + match document {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// The value with this index; parents come before their children.
pub fn nth<'a>(document: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(document);
    }
    *at -= 1;
    match document {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, at)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, at)),
        _ => None,
    }
}

/// The indexes, as in [`nth`], of the values for which `fits` is true. Its first argument is the key of the value; for an
/// item of a list, the key of the list.
pub fn places(document: &Value, fits: impl Fn(&str, &Value) -> bool) -> Vec<usize> {
    let all = keyed("", document);
    all.into_iter().enumerate().filter(|(_, (key, value))| fits(key, value)).map(|(at, _)| at).collect()
}

/// All values of a document, parents before children, with their keys.
#[must_use]
pub fn keyed<'a>(key: &'a str, document: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let mut all = vec![(key, document)];
    match document {
        Value::Array(items) => items.iter().for_each(|item| all.extend(keyed(key, item))),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| all.extend(keyed(key, value))),
        _ => {}
    }
    all
}
