//! Annotations that workloads without any are assumed to have: a survey before adoption.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::{BUDGET, DECLARING, Declared, Issue, PREFIX, names, read};
use crate::object::Object;
use crate::sanitize::quoted;
use crate::suggestion::nearest;

/// A valid declaration as `KEY=VALUE,…`: the annotations without their prefix, which opt in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption(BTreeMap<String, String>);

/// Why a text is not an assumption.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssumptionError {
    /// A part without an equals sign.
    #[error("{} is not KEY=VALUE; write for example drain=5s,deadline=25s", quoted(.0))]
    NoValue(String),
    /// A key that is there twice.
    #[error("{} is set twice", quoted(.0))]
    Twice(String),
    /// A key that Winddown does not know.
    #[error("unknown key {}; {}", quoted(.0), hint(.0))]
    UnknownKey(String),
    /// The value cannot be read.
    #[error("{key}: {} {reason}", quoted(.value))]
    InvalidValue {
        /// The key without its prefix.
        key: String,
        /// The value, as it was written.
        value: String,
        /// The problem: the text that follows the value in the message.
        reason: String,
    },
    /// Only keys that adjust a budget.
    #[error("{0} has no effect alone; add drain, deadline, traffic or runtime")]
    NotOptedIn(String),
    /// `mode=Off`.
    #[error("mode=Off assumes nothing")]
    Off,
}

impl FromStr for Assumption {
    type Err = AssumptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut annotations: BTreeMap<String, String> = BTreeMap::new();
        let mut last: Option<String> = None;
        for part in text.split(',') {
            match (part.split_once('='), &last) {
                (Some((key, value)), _) => {
                    let key = key.trim();
                    let key = format!("{PREFIX}{}", key.strip_prefix(PREFIX).unwrap_or(key));
                    if annotations.insert(key.clone(), value.trim().to_owned()).is_some() {
                        return Err(AssumptionError::Twice(bare(&key).to_owned()));
                    }
                    last = Some(key);
                }
                // A list of containers has commas, too.
                (None, Some(key)) => {
                    if let Some(value) = annotations.get_mut(key) {
                        value.extend([",", part.trim()]);
                    }
                }
                (None, None) => return Err(AssumptionError::NoValue(part.to_owned())),
            }
        }
        let reading =
            read(&annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(), &BTreeMap::new());
        if let Some(error) = reading.issues.into_iter().find_map(AssumptionError::of) {
            return Err(error);
        }
        match reading.declared {
            Declared::Budget(_) => Ok(Self(annotations)),
            Declared::Nothing | Declared::Unreadable => Err(AssumptionError::Off),
        }
    }
}

impl Assumption {
    /// The workload with these annotations; `None` if it has annotations of Winddown of its own.
    #[must_use]
    pub fn applied_to(&self, workload: &Value) -> Option<Value> {
        let own = Object::new(workload).annotations().ok()?;
        if own.keys().any(|key| key.starts_with(PREFIX) && *key != BUDGET) {
            return None;
        }
        let mut workload = workload.clone();
        let metadata = object_at(workload.as_object_mut()?, "metadata")?;
        let annotations = object_at(metadata, "annotations")?;
        annotations.extend(self.0.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))));
        Some(workload)
    }
}

/// The object in a field; an absent one and null become an empty object.
fn object_at<'a>(fields: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let field = fields.entry(name).or_insert(Value::Null);
    if field.is_null() {
        *field = Value::Object(Map::new());
    }
    field.as_object_mut()
}

impl fmt::Display for Assumption {
    /// In the order of [`DECLARING`], for example `drain=5s,deadline=25s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_order = DECLARING.iter().filter_map(|key| self.0.get_key_value(*key));
        let written = in_order.map(|(key, value)| format!("{}={value}", bare(key)));
        f.write_str(&written.collect::<Vec<_>>().join(","))
    }
}

impl AssumptionError {
    /// `None` for an issue that comes with another one, or that only the pod template can have.
    fn of(issue: Issue) -> Option<Self> {
        match issue {
            Issue::UnknownKey { key } => Some(Self::UnknownKey(bare(&key).to_owned())),
            Issue::InvalidValue { key, value, reason } => {
                Some(Self::InvalidValue { key: bare(key).to_owned(), value, reason })
            }
            Issue::NotOptedIn { key } => Some(Self::NotOptedIn(bare(key).to_owned())),
            _ => None,
        }
    }
}

/// A key without its prefix.
fn bare(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

fn hint(key: &str) -> String {
    match nearest(key, names()) {
        Some(known) => format!("did you mean {known}?"),
        None => format!("known keys: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Assumption;

    fn assumption(text: &str) -> Assumption {
        text.parse().unwrap()
    }

    #[test]
    fn the_keys_are_those_of_the_annotations_without_their_prefix() {
        for (text, canonical) in [
            ("drain=5s,deadline=25s", "drain=5s,deadline=25s"),
            ("traffic=alb-ip, runtime=spring-boot", "traffic=alb-ip,runtime=spring-boot"),
            ("drain=5s,margin=10s,mode=Audit", "drain=5s,margin=10s,mode=Audit"),
            ("drain=5s,readiness=http:3000/health?a=b", "drain=5s,readiness=http:3000/health?a=b"),
            ("containers=app,proxy,drain=5s", "drain=5s,containers=app,proxy"),
        ] {
            assert_eq!(assumption(text).to_string(), canonical);
        }
    }

    #[test]
    fn what_is_no_declaration_is_one_error() {
        for (text, message) in [
            ("", "\"\" is not KEY=VALUE; write for example drain=5s,deadline=25s"),
            ("5s,deadline=25s", "\"5s\" is not KEY=VALUE; write for example drain=5s,deadline=25s"),
            ("drian=5s", "unknown key \"drian\"; did you mean drain?"),
            ("drain=5s,drain=6s", "\"drain\" is set twice"),
            ("a\nb=1,a\nb=2", "\"a\\nb\" is set twice"),
            ("margin=5s", "margin has no effect alone; add drain, deadline, traffic or runtime"),
            ("drain=5s,mode=Off", "mode=Off assumes nothing"),
        ] {
            assert_eq!(text.parse::<Assumption>().map_err(|error| error.to_string()), Err(message.to_owned()));
        }
        for (text, start) in [
            ("drain=5", "drain: \"5\" "),
            ("drain=", "drain: \"\" "),
            ("traffic=alb", "traffic: \"alb\" "),
            ("colour=red", "unknown key \"colour\"; known keys: drain, "),
            ("drain=5s,25s", "drain: \"5s,25s\" "),
        ] {
            let error = text.parse::<Assumption>().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn only_workloads_without_annotations_of_winddown_get_it() {
        let with = |annotations: Value| json!({"metadata": {"name": "a", "annotations": annotations}});
        let expected = json!({"winddown.dev/deadline": "25s", "winddown.dev/drain": "5s"});
        let applied = |workload: &Value| assumption("drain=5s,deadline=25s").applied_to(workload);
        for workload in
            [json!({}), json!({"metadata": null}), json!({"metadata": {}}), with(Value::Null), with(json!({}))]
        {
            assert_eq!(applied(&workload).unwrap()["metadata"]["annotations"], expected, "{workload}");
        }
        let kept = applied(&with(json!({"team": "web", "winddown.dev/budget": "old"}))).unwrap();
        assert_eq!(kept["metadata"]["annotations"].as_object().map(serde_json::Map::len), Some(4));
        for own in ["drain", "margin", "mode", "drian"] {
            assert_eq!(applied(&with(json!({format!("winddown.dev/{own}"): "Off"}))), None, "{own}");
        }
        for unusable in [json!(5), json!({"metadata": 5}), with(json!(5))] {
            assert_eq!(applied(&unusable), None);
        }
    }
}
