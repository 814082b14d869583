//! Reading only those parts of an object that are looked at.
//!
//! Nearly half of a Deployment as the API server sends it is `managedFields` and `status`. What is left out here costs no
//! allocation.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Which parts of a value are read.
enum Read {
    All,
    None,
    /// Of an object: these fields in part, and all or none of the others. A list is read item by item.
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

/// Of the field managers: who owns the fields that Winddown may inject.
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
/// Of a manifest: the fields of the pod spec that Winddown may inject.
const CONTAINER: Read =
    only(&[("name", Read::All), ("lifecycle", only(&[("preStop", Read::All)])), ("readinessProbe", Read::All)]);
const POD: Read = only(&[("terminationGracePeriodSeconds", Read::All), ("containers", CONTAINER)]);
const MANIFEST: Read = only(&[("spec", only(&[("template", only(&[("spec", POD)]))]))]);

/// Parses a workload without its status, and of its `managedFields` only what says who owns the fields that Winddown may
/// inject.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    read(text, &OBJECT)
}

/// The fields of the pod spec that Winddown may inject, as a manifest in `last-applied-configuration` has them.
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

impl<'de> DeserializeSeed<'de> for &Read {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Read::All => serde::Deserialize::deserialize(deserializer),
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

    // A scalar where an object was expected: kept, so that whoever looks at it can say what is wrong.
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
    fn status_and_unused_field_managers_are_left_out_and_everything_else_is_kept() {
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
    fn other_shapes_are_kept_as_they_are() {
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
    fn of_the_last_applied_configuration_only_the_injectable_fields_are_read() {
        let text =
            r#"{"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"app","image":"x"}],"volumes":[]}}}}"#;
        assert_eq!(last_applied_pod_spec(text), Some(json!({"containers": [{"name": "app"}]})));
        for text in ["", "{", "{}", "[]", r#"{"spec":{"template":7}}"#] {
            assert_eq!(last_applied_pod_spec(text).filter(Value::is_object), None, "{text}");
        }
    }
}
