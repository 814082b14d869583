//! What the schema of a `ShutdownPolicy` has beyond its types. Kubernetes 1.30 compiles these rules; their cost is estimated from
//! the longest values, so each text and list has a limit.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::Policy;

const RULES: &str = "x-kubernetes-validations";

/// A duration of GEP-2257 in whole seconds, at most 30 days.
pub(super) fn duration(schema: &mut Schema) {
    schema.insert("type".to_owned(), json!("string"));
    schema.insert("pattern".to_owned(), json!("^([0-9]{1,5}(h|m|s|ms)){1,4}$"));
    schema.insert("maxLength".to_owned(), json!(28));
    let whole = "duration(self).getMilliseconds() % 1000 == 0";
    let rules = json!([
        {"rule": whole, "message": "must be whole seconds"},
        {"rule": "duration(self) <= duration('720h')", "message": "must be at most 720h (30 days)"},
    ]);
    schema.insert(RULES.to_owned(), rules);
}

/// A set that is not empty.
pub(super) fn actions(schema: &mut Schema) {
    schema.insert("minItems".to_owned(), json!(1));
    schema.insert("maxItems".to_owned(), json!(3));
    schema.insert("x-kubernetes-list-type".to_owned(), json!("set"));
    let rule = "!('Deny' in self && 'Warn' in self)";
    let message = "Deny and Warn may not be used together in validationActions";
    schema.insert(RULES.to_owned(), json!([{"rule": rule, "message": message}]));
}

/// The defaults must be possible under the limits. An absent default is built in.
pub(super) fn with_limits(schema: &mut Schema) {
    let Policy { drain, deadline, margin, .. } = Policy::default();
    let number = |name: &str, built_in| {
        format!("duration(has(self.defaults) && has(self.defaults.{name}) ? self.defaults.{name} : '{built_in}')")
    };
    let [drain, deadline, margin] =
        [("drain", drain), ("deadline", deadline), ("margin", margin)].map(|(name, value)| number(name, value));
    let limited = |limit: &str, sum: &str| {
        format!("!has(self.limits) || !has(self.limits.{limit}) || {sum} <= duration(self.limits.{limit})")
    };
    let rules = json!([
        {
            "rule": limited("gracePeriod", &format!("{drain} + {deadline} + {margin}")),
            "message": "defaults.drain + defaults.deadline + defaults.margin must not be more than limits.gracePeriod; absent \
                        defaults are 5s, 25s and 5s",
        },
        {
            "rule": limited("drain", &drain),
            "message": "defaults.drain must not be more than limits.drain; an absent default is 5s",
        },
    ]);
    schema.insert(RULES.to_owned(), rules);
}

/// A label selector with as many requirements as [`Selector`](crate::selector::Selector) has at most. The one of the API has no
/// limits, and accepts operators that do not exist.
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    let text = |longest: u32| json!({"type": "string", "maxLength": longest});
    let needs_values = "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : \
                        !has(self.values) || size(self.values) == 0";
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have.",
                "type": "object", "maxProperties": 50, "additionalProperties": text(63),
            },
            "matchExpressions": {
                "description": "Requirements that all must be met.",
                "type": "array", "maxItems": 50, "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": text(317),
                        "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                        "values": {
                            "type": "array", "maxItems": 50, "x-kubernetes-list-type": "atomic", "items": text(63),
                        },
                    },
                    RULES: [{
                        "rule": needs_values,
                        "message": "values must be set for In and NotIn, and only for these",
                    }],
                },
            },
        },
    })
}

/// Conditions with the limits that the Go type has.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 8, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"type": "string", "maxLength": 32768},
            },
        },
    })
}
