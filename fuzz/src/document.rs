//! An input, read as a document. The golden cases are seeds, so YAML is understood; the mutator writes JSON.

use serde_json::Value;
use winddown_core::manifest;

/// The JSON of an input, or the first workload of a manifest.
#[must_use]
pub fn read(data: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(data) {
        return Some(value);
    }
    let stream = manifest::read(std::str::from_utf8(data).ok()?);
    stream.workloads.into_iter().next().map(|manifest| manifest.object)
}

/// Writes the document into the buffer, if it fits below `most` bytes; tells how long it became.
pub fn write(document: &Value, buffer: &mut [u8], most: usize) -> Option<usize> {
    let text = document.to_string();
    (text.len() <= most).then(|| buffer[..text.len()].copy_from_slice(text.as_bytes()))?;
    Some(text.len())
}

/// How many values a document consists of.
#[must_use]
pub fn size(document: &Value) -> usize {
    1 + match document {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// The value that comes at this place where all are counted through, parents before children.
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

/// Where in the count of [`nth`] those values are that fit, which are shown with the key they stand under (as members of a
/// list, with the list's).
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
