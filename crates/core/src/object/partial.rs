//! Parses only those parts of an object that are needed.
//!
//! `managedFields` and `status` are nearly half of a Deployment from the API server. Skipped parts cause no allocation.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The parts of a value to read.
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
    only(&[("f:lifecycle", only(&[("f:preStop", Read::All)])), ("f:readinessProbe", Read::All)]);
const OWNED_POD: Read = only(&[
    ("f:terminationGracePeriodSeconds", Read::All),
    ("f:containers", Read::Fields { known: &[], others: &OWNED_CONTAINER }),
]);
const FIELD_MANAGER: Read = only(&[
    ("manager", Read::All),
    ("operation", Read::All),
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
const CONTAINER: Read =
    only(&[("name", Read::All), ("lifecycle", only(&[("preStop", Read::All)])), ("readinessProbe", Read::All)]);
const POD: Read = only(&[("terminationGracePeriodSeconds", Read::All), ("containers", CONTAINER)]);
const MANIFEST: Read = only(&[("spec", only(&[("template", only(&[("spec", POD)]))]))]);

/// Parses a workload without its status, and only the part of `managedFields` about injectable fields.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    read(text, &OBJECT)
}

/// The injectable fields of the pod spec in a manifest from `last-applied-configuration`.
#[must_use]
pub fn last_applied_pod_spec(text: &str) -> Option<Value> {
    let mut manifest = read(text, &MANIFEST).ok()?;
    Some(manifest.get_mut("spec")?.get_mut("template")?.get_mut("spec")?.take())
}

fn read(text: &str, what: &Read) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = what.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A workload inside another document, parsed like in [`parse`].
#[derive(Debug)]
pub struct PartialObject(pub Value);

impl<'de> Deserialize<'de> for PartialObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        (&OBJECT).deserialize(deserializer).map(Self)
    }
}

impl<'de> DeserializeSeed<'de> for &Read {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Read::All => Value::deserialize(deserializer),
            Read::None => deserializer.deserialize_ignored_any(IgnoredAny).map(|IgnoredAny| Value::Null),
            Read::Fields { .. } => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for &Read {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match self.field(&key) {
                Read::None => drop(map.next_value::<IgnoredAny>()?),
                read => drop(fields.insert(key, map.next_value_seed(read)?)),
            }
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
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
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{last_applied_pod_spec, parse};

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
        object["metadata"]["managedFields"] = json!([{"manager": "helm", "operation": "Apply", "fieldsV1": fields}]);
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
}
