//! Short hashes, to compare templates and texts.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The hash of a JSON value. It does not depend on the order of keys, and a null field equals an absent one.
#[must_use]
pub fn of_json(value: &Value) -> String {
    let mut fed = Vec::with_capacity(4096);
    feed(&mut fed, value);
    digits(&fed)
}

/// The hash of several texts.
#[must_use]
pub fn of_texts(texts: &[&str]) -> String {
    digits(&fed(texts))
}

/// The same as a number.
#[must_use]
pub fn number_of_texts(texts: &[&str]) -> u64 {
    let digest = Sha256::digest(fed(texts));
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn fed(texts: &[&str]) -> Vec<u8> {
    let mut fed = Vec::new();
    for text in texts {
        length(&mut fed, text.len());
        fed.extend_from_slice(text.as_bytes());
    }
    fed
}

/// The hash of any value, which is the same in this process only.
#[must_use]
pub fn in_process(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The first eight bytes in lower-case hexadecimal digits.
fn digits(fed: &[u8]) -> String {
    let bytes = Sha256::digest(fed);
    bytes[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}

/// Each value is preceded by its type and length, so that different templates have different bytes.
fn feed(fed: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            begin(fed, b'{', fields.len());
            for (key, value) in fields {
                length(fed, key.len());
                fed.extend_from_slice(key.as_bytes());
                feed(fed, value);
            }
        }
        Value::Array(items) => {
            begin(fed, b'[', items.len());
            for item in items {
                feed(fed, item);
            }
        }
        Value::String(text) => {
            begin(fed, b'"', text.len());
            fed.extend_from_slice(text.as_bytes());
        }
        scalar => {
            let text = scalar.to_string();
            begin(fed, b'=', text.len());
            fed.extend_from_slice(text.as_bytes());
        }
    }
}

fn begin(fed: &mut Vec<u8>, kind: u8, items: usize) {
    fed.push(kind);
    length(fed, items);
}

/// As 64 bits on all platforms, because replicas of different architectures read the same record.
fn length(fed: &mut Vec<u8>, length: usize) {
    fed.extend_from_slice(&(length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{number_of_texts, of_json, of_texts};

    #[test]
    fn the_hash_depends_on_the_content_and_not_on_the_notation() {
        let spelling: Value =
            serde_json::from_str(r#"{"spec":{"b":1,"a":null,"containers":["x","y"]},"metadata":{}}"#).unwrap();
        let same = json!({"metadata": {}, "spec": {"containers": ["x", "y"], "b": 1}});
        assert_eq!(of_json(&spelling), of_json(&same));
        for other in [
            json!({"metadata": {}, "spec": {"containers": ["y", "x"], "b": 1}}),
            json!({"metadata": {}, "spec": {"containers": ["xy"], "b": 1}}),
            json!({"metadata": {}, "spec": {"containers": ["x", "y"], "b": "1"}}),
            json!({"metadata": {"spec": {"containers": ["x", "y"], "b": 1}}}),
        ] {
            assert_ne!(of_json(&spelling), of_json(&other), "{other}");
        }
    }

    #[test]
    fn the_hash_depends_on_the_boundaries_of_texts() {
        assert_ne!(of_texts(&["ab", "c"]), of_texts(&["a", "bc"]));
        assert_eq!(of_texts(&["ab", "c"]), format!("{:016x}", number_of_texts(&["ab", "c"])));
    }
}
