//! Single fields of a workload, for a caller that reads the rest in its own way.

use std::cell::Cell;

use super::{OBJECT, Read, Reader};

/// Reads single fields of a workload, all of them within one limit of values.
#[derive(Debug)]
pub struct Fields {
    values: Cell<usize>,
    limit: usize,
}

/// In [`Fields`], a text counts as one more value for each of these bytes.
const TEXT: usize = 64;

impl Fields {
    /// With room for this many values.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { values: Cell::new(0), limit }
    }

    /// Reads the field at this path as [`parse`] does; `None` for one that is not read. Beyond the limit, the value is not
    /// complete.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<Reader<'_>> {
        match path.iter().fold(&OBJECT, |what, name| what.field(name)) {
            Read::None => None,
            what => Some(Reader { what, values: &self.values, limit: self.limit, text: Some(TEXT) }),
        }
    }

    /// Counts a value that is read elsewhere, with this number of bytes.
    pub fn count(&self, bytes: usize) {
        self.values.set(self.values.get().saturating_add(1 + bytes / TEXT));
    }

    /// Whether everything so far was read.
    #[must_use]
    pub fn fit(&self) -> bool {
        self.values.get() <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed as _;
    use serde_json::json;

    use super::{Fields, TEXT};

    #[test]
    fn single_fields_share_one_limit() {
        let fields = Fields::new(6);
        let read = |path: &[&str], text: &str| {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            fields.at(path).map(|reader| reader.deserialize(&mut deserializer).unwrap())
        };
        let managed = r#"[{"manager":"helm","fieldsV1":{"f:status":[1,2,3,4,5,6]}}]"#;
        let expected = json!([{"manager": "helm", "fieldsV1": {}}]);
        assert_eq!(read(&["metadata", "managedFields"], managed), Some(expected));
        assert_eq!(read(&["status"], "[1,2,3,4,5,6]"), None);
        fields.count(0);
        assert!(!read(&["spec"], "1").unwrap().is_null() && fields.fit());
        read(&["spec"], "1");
        assert!(!fields.fit());
        let long = Fields::new(6);
        long.count(7 * TEXT);
        assert!(!long.fit());
    }
}
