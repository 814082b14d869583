//! Short hashes, by which two things are recognised as the same.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The hash of a JSON value: the same whatever the order of the keys and whether absent fields are written as null.
#[must_use]
pub fn of_json(value: &Value) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, value);
    digits(hash)
}

/// The hash of several texts.
#[must_use]
pub fn of_texts(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        length(&mut hash, text.len());
        hash.update(text);
    }
    digits(hash)
}

/// The first eight bytes in lower-case hexadecimal digits.
fn digits(hash: Sha256) -> String {
    let bytes = hash.finalize();
    bytes[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}

/// Every value is preceded by its kind and length, so that no two templates feed the same bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            begin(hash, b'{', fields.len());
            for (key, value) in fields {
                length(hash, key.len());
                hash.update(key);
                feed(hash, value);
            }
        }
        Value::Array(items) => {
            begin(hash, b'[', items.len());
            for item in items {
                feed(hash, item);
            }
        }
        Value::String(text) => {
            begin(hash, b'"', text.len());
            hash.update(text);
        }
        scalar => {
            let text = scalar.to_string();
            begin(hash, b'=', text.len());
            hash.update(text);
        }
    }
}

fn begin(hash: &mut Sha256, kind: u8, items: usize) {
    hash.update([kind]);
    length(hash, items);
}

/// In 64 bits on every platform: a record is read by replicas of another architecture.
fn length(hash: &mut Sha256, length: usize) {
    hash.update((length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{of_json, of_texts};

    #[test]
    fn templates_differ_in_content_and_not_in_spelling() {
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
    fn texts_are_kept_apart() {
        assert_ne!(of_texts(&["ab", "c"]), of_texts(&["a", "bc"]));
        assert_eq!(of_texts(&["ab", "c"]).len(), 16);
    }
}
