//! Parses only those parts of an object that are needed.
//!
//! `managedFields` and `status` are nearly half of a Deployment from the API server. Skipped parts cause no allocation.

mod fields;

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

pub use self::fields::Fields;
use crate::decode::InvalidField;
use crate::field_path::FieldPath;

/// The parts of a value to read.
#[derive(Debug)]
enum Read {
    All,
    None,
    /// These fields of an object in part, and all or none of the others. For a list, applies to each item.
    Fields {
        known: &'static [(&'static str, Read)],
        others: &'static Read,
    },
}

impl Read {
    fn field(&self, name: &str) -> &Self {
        match self {
            Self::All | Self::None => self,
            Self::Fields { known, others } => {
                known.iter().find(|(field, _)| *field == name).map_or(others, |(_, read)| read)
            }
        }
    }
}

const fn only(known: &'static [(&'static str, Read)]) -> Read {
    Read::Fields { known, others: &Read::None }
}

/// The owners of injectable fields in `managedFields`.
const OWNED_CONTAINER: Read =
    only(&[("f:lifecycle", only(&[("f:preStop", Read::All)])), ("f:readinessProbe", Read::All), ("f:env", OWNED_ENV)]);
/// The keys of the list items with the names of the variables that Winddown injects.
const OWNED_ENV: Read = only(&[
    (r#"k:{"name":"WINDDOWN_DRAIN_SECONDS"}"#, Read::All),
    (r#"k:{"name":"WINDDOWN_DEADLINE_SECONDS"}"#, Read::All),
    (r#"k:{"name":"WINDDOWN_GRACE_PERIOD_SECONDS"}"#, Read::All),
]);
const OWNED_POD: Read = only(&[
    ("f:terminationGracePeriodSeconds", Read::All),
    ("f:containers", Read::Fields { known: &[], others: &OWNED_CONTAINER }),
]);
const FIELD_MANAGER: Read = only(&[
    ("manager", Read::All),
    ("operation", Read::All),
    ("subresource", Read::All),
    ("time", Read::All),
    ("fieldsV1", only(&[("f:spec", only(&[("f:template", only(&[("f:spec", OWNED_POD)]))]))])),
]);
const OBJECT: Read = Read::Fields {
    known: &[
        ("status", Read::None),
        ("metadata", Read::Fields { known: &[("managedFields", FIELD_MANAGER)], others: &Read::All }),
    ],
    others: &Read::All,
};
/// The injectable fields of the pod spec in a manifest.
const CONTAINER: Read = only(&[
    ("name", Read::All),
    ("lifecycle", Read::All),
    ("readinessProbe", Read::All),
    ("env", only(&[("name", Read::All), ("value", Read::All)])),
]);
const POD: Read = only(&[("terminationGracePeriodSeconds", Read::All), ("containers", CONTAINER)]);
const MANIFEST: Read = only(&[("spec", only(&[("template", only(&[("spec", POD)]))]))]);

/// The maximum number of values of an object that is read: fields and list items, at any depth, without those that are
/// skipped. A value of one byte in JSON takes more than a hundred bytes of memory, and each copy of it as many.
pub const MAX_VALUES: usize = 50_000;

/// An object with too many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", InvalidField::from(*self))]
pub struct TooManyValues(usize);

impl TooManyValues {
    /// This many.
    #[must_use]
    pub fn new(values: usize) -> Self {
        Self(values)
    }
}

impl From<TooManyValues> for InvalidField {
    fn from(error: TooManyValues) -> Self {
        let TooManyValues(number) = error;
        let problem = format!("has {number} values (fields and list items), more than the limit of {MAX_VALUES}");
        Self::new(FieldPath::new("workload"), problem)
    }
}

/// Parses a workload without its status, and only the part of `managedFields` about injectable fields.
pub fn parse(text: &str) -> serde_json::Result<PartialObject> {
    read(text, &OBJECT)
}

/// The injectable fields of the pod spec in a manifest from `last-applied-configuration`.
#[must_use]
pub fn last_applied_pod_spec(text: &str) -> Option<Value> {
    let PartialObject::Read(mut manifest) = read(text, &MANIFEST).ok()? else { return None };
    Some(manifest.get_mut("spec")?.get_mut("template")?.get_mut("spec")?.take())
}

fn read(text: &str, what: &'static Read) -> serde_json::Result<PartialObject> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = PartialObject::within(&mut deserializer, what)?;
    deserializer.end()?;
    Ok(object)
}

/// A workload, possibly inside another document, parsed like in [`parse`].
#[derive(Debug)]
pub enum PartialObject {
    /// The values that are needed.
    Read(Value),
    /// It has too many, and none is kept.
    TooLarge(TooManyValues),
}

impl PartialObject {
    fn within<'de, D: Deserializer<'de>>(deserializer: D, what: &'static Read) -> Result<Self, D::Error> {
        let values = Cell::new(0);
        let value = Reader { what, values: &values, limit: MAX_VALUES, text: None }.deserialize(deserializer)?;
        let values = values.get();
        Ok(if values > MAX_VALUES { Self::TooLarge(TooManyValues(values)) } else { Self::Read(value) })
    }
}

impl<'de> Deserialize<'de> for PartialObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::within(deserializer, &OBJECT)
    }
}

/// Reads a part of a value. Beyond the limit it only counts, so that the rest of the document can still be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    what: &'static Read,
    /// How many values were read.
    values: &'a Cell<usize>,
    limit: usize,
    /// The bytes of a text that count as one more value.
    text: Option<usize>,
}

impl Reader<'_> {
    fn fits(self) -> bool {
        self.values.get() <= self.limit
    }

    fn text(self, value: impl Into<String> + AsRef<str>) -> Value {
        if let Some(bytes) = self.text {
            self.values.set(self.values.get() + value.as_ref().len() / bytes);
        }
        if self.fits() { Value::String(value.into()) } else { Value::Null }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.values.set(self.values.get() + 1);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match self.what.field(&key) {
                Read::None => drop(map.next_value::<IgnoredAny>()?),
                what => {
                    let value = map.next_value_seed(Self { what, ..self })?;
                    if self.fits() {
                        fields.insert(key, value);
                    }
                }
            }
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            if self.fits() {
                items.push(item);
            }
        }
        Ok(Value::Array(items))
    }

    // A scalar instead of an object is kept, so that later checks can report it.
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.text(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(self.text(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_VALUES, PartialObject, TooManyValues, last_applied_pod_spec};

    fn parse(text: &str) -> serde_json::Result<Value> {
        super::parse(text).map(|object| match object {
            PartialObject::Read(value) => value,
            PartialObject::TooLarge(error) => panic!("{error}"),
        })
    }

    #[test]
    fn only_the_status_and_unused_managed_fields_are_left_out() {
        let container =
            json!({"f:image": {}, "f:lifecycle": {".": {}, "f:preStop": {"f:sleep": {}}}, "f:readinessProbe": {}});
        let pod = json!({"f:containers": {"k:{\"name\":\"app\"}": container}, "f:terminationGracePeriodSeconds": {}, "f:volumes": {}});
        let fields =
            json!({"f:metadata": {"f:labels": {}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": pod}}});
        let mut object = json!({
            "kind": "Deployment",
            "metadata": {
                "name": "shop",
                "managedFields": [{"manager": "helm", "operation": "Apply", "time": "now", "fieldsV1": fields}],
            },
            "spec": {"template": {"spec": {"x": [1, -2, 0.5, true, null, "text", {}]}}},
            "status": {"replicas": 3},
        });
        let read = parse(&object.to_string()).unwrap();
        object.as_object_mut().unwrap().remove("status");
        let pod = json!({
            "f:containers": {"k:{\"name\":\"app\"}": {"f:lifecycle": {"f:preStop": {"f:sleep": {}}}, "f:readinessProbe": {}}},
            "f:terminationGracePeriodSeconds": {},
        });
        let fields = json!({"f:spec": {"f:template": {"f:spec": pod}}});
        object["metadata"]["managedFields"] =
            json!([{"manager": "helm", "operation": "Apply", "time": "now", "fieldsV1": fields}]);
        assert_eq!(read, object);
    }

    #[test]
    fn values_of_other_types_are_kept() {
        for value in [
            json!(null),
            json!([1, "x"]),
            json!({"metadata": 5}),
            json!({"metadata": null}),
            json!({"metadata": {"managedFields": {"operation": 7}}}),
            json!({"metadata": {"managedFields": ["x", 0.5, false]}}),
        ] {
            assert_eq!(parse(&value.to_string()).unwrap(), value);
        }
        for text in ["", "{", "{}x", "{\"status\": {]}", &"[".repeat(100_000), &"{\"spec\":".repeat(100_000)] {
            assert!(parse(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn only_injectable_fields_of_the_last_applied_configuration_are_read() {
        let text =
            r#"{"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"app","image":"x"}],"volumes":[]}}}}"#;
        assert_eq!(last_applied_pod_spec(text), Some(json!({"containers": [{"name": "app"}]})));
        for text in ["", "{", "{}", "[]", r#"{"spec":{"template":7}}"#] {
            assert_eq!(last_applied_pod_spec(text).filter(Value::is_object), None, "{text}");
        }
    }

    /// An object with this number of values: the object, its spec, the list and the items.
    fn with_values(number: usize, item: &str) -> String {
        format!("{{\"spec\":{{\"x\":[{}]}}}}", vec![item; number - 3].join(","))
    }

    #[test]
    fn an_object_with_too_many_values_is_counted_and_not_kept() {
        let too_many = |text: &str| match super::parse(text).unwrap() {
            PartialObject::Read(value) => panic!("{} bytes were read", value.to_string().len()),
            PartialObject::TooLarge(TooManyValues(number)) => number,
        };
        for item in ["\"\"", "{}", "[]", "0", "null", "true"] {
            assert!(parse(&with_values(MAX_VALUES, item)).unwrap()["spec"]["x"].is_array(), "{item}");
            assert_eq!(too_many(&with_values(MAX_VALUES + 1, item)), MAX_VALUES + 1, "{item}");
        }
        assert_eq!(too_many(&with_values(1_000_000, "\"\"")), 1_000_000);
        let keys = (0..100_000).map(|key| format!("\"{key}\":1")).collect::<Vec<_>>().join(",");
        assert_eq!(too_many(&format!("{{\"metadata\":{{{keys}}}}}")), 100_002);
        assert!(
            super::parse(&with_values(MAX_VALUES + 1, "0").replace("]}}", "]}")).is_err(),
            "invalid after the limit"
        );
    }

    #[test]
    fn skipped_values_do_not_count() {
        let many = vec!["{}"; 2 * MAX_VALUES].join(",");
        for object in [
            format!("{{\"status\":[{many}]}}"),
            format!("{{\"metadata\":{{\"managedFields\":[{{\"fieldsV1\":{{\"f:status\":[{many}]}}}}]}}}}"),
        ] {
            assert!(parse(&object).is_ok());
        }
    }

    #[test]
    fn a_last_applied_configuration_with_too_many_values_is_not_read() {
        let text = |items: usize| {
            let items = vec!["[]"; items].join(",");
            format!("{{\"spec\":{{\"template\":{{\"spec\":{{\"terminationGracePeriodSeconds\":[{items}]}}}}}}}}")
        };
        assert!(last_applied_pod_spec(&text(1000)).is_some());
        assert_eq!(last_applied_pod_spec(&text(MAX_VALUES)), None);
    }
}
