//! The `ShutdownPolicy` resource, and its conversion into a [`Policy`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(feature = "schema")]
use super::schema;
use super::{InvalidPolicy, Policy, Selection, TooSmall, ValidationAction, ValidationActions, Written};
use crate::decode::{InvalidField, decode};
use crate::duration::Seconds;
use crate::field_path::{FieldPath, Segment};
use crate::sanitize::truncated;
use crate::selector::Selector;

/// A cluster-scoped `ShutdownPolicy` of `winddown.dev/v1alpha1`, as far as a policy depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShutdownPolicy {
    /// Name and age.
    pub metadata: PolicyMetadata,
    /// The policy.
    pub spec: ShutdownPolicySpec,
    /// What the operator reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ShutdownPolicyStatus>,
}

/// The metadata on which the rank of a policy depends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyMetadata {
    /// The name.
    pub name: String,
    /// When it was stored; absent in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Time>,
}

/// Defaults, limits and validation actions for the workloads of the selected namespaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = schema::with_limits))]
#[serde(rename_all = "camelCase")]
pub struct ShutdownPolicySpec {
    /// The namespaces that the policy is for. Absent or empty: all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::selector"))]
    pub namespace_selector: Option<LabelSelector>,
    /// Of several policies for a namespace, the one with the highest priority counts, as a whole. Default 0. Among the same
    /// priorities the oldest policy counts, then the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // Kubernetes 1.30 does not check the format.
    #[cfg_attr(feature = "schema", schemars(range(min = i32::MIN, max = i32::MAX)))]
    pub priority: Option<i32>,
    /// Values that a workload's annotations, its own settings and presets do not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// The largest numbers that a workload may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What a budget that does not fit or exceeds a limit gets: Deny rejects the request, Warn warns the client, Audit adds an
    /// audit annotation. Deny and Warn may not be used together. It does not change what is injected.
    #[cfg_attr(feature = "schema", schemars(transform = schema::actions))]
    pub validation_actions: Vec<ValidationAction>,
    /// What an explicit terminationGracePeriodSeconds gets that is smaller than drain + deadline + margin: Deny (default)
    /// treats it as validationActions says, Raise raises it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_grace_period_too_small: Option<TooSmall>,
}

/// Values that a workload does not set. An absent one is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// How long traffic keeps arriving. Built in: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(transform = schema::duration))]
    pub drain: Option<String>,
    /// How long the app needs after SIGTERM. Built in: 25s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(transform = schema::duration))]
    pub deadline: Option<String>,
    /// The time between the deadline and SIGKILL. Built in: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(transform = schema::duration))]
    pub margin: Option<String>,
    /// The timing of readiness probes that Winddown injects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
}

/// The timing of an injected readiness probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Built in: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_PERIOD)))]
    pub period_seconds: Option<i32>,
    /// Built in: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_FAILURE_THRESHOLD)))]
    pub failure_threshold: Option<i32>,
}

/// The largest numbers that a workload may have. An absent one is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Of terminationGracePeriodSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(transform = schema::duration))]
    pub grace_period: Option<String>,
    /// Of the drain, from an annotation, a preset or a preStop hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(transform = schema::duration))]
    pub drain: Option<String>,
}

/// What the operator reports about a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShutdownPolicyStatus {
    /// The generation that the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted: the policy can be used. Effective: it counts for at least one namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::conditions"))]
    pub conditions: Vec<Condition>,
    /// The number of namespaces that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<i32>,
    /// The number of workloads that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<i32>,
    /// How many of them have a template with other numbers, and follow at its next change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<i32>,
}

/// The largest `periodSeconds` of an injected probe.
const MAX_PERIOD: i32 = 3600;
/// The largest `failureThreshold` of an injected probe.
const MAX_FAILURE_THRESHOLD: i32 = 100;

/// The API group of `ShutdownPolicy`.
pub const GROUP: &str = "winddown.dev";
/// The version of its API.
pub const VERSION: &str = "v1alpha1";
/// Its kind.
pub const KIND: &str = "ShutdownPolicy";

impl Policy {
    /// The policy of a `ShutdownPolicy` in JSON. Its status is not read.
    pub fn read(resource: &Value) -> Result<Self, InvalidPolicy> {
        let part = |name: &'static str| {
            let missing = || InvalidField::new(FieldPath::new(name), "is not an object");
            resource.get(name).filter(|part| part.is_object()).ok_or_else(missing)
        };
        let metadata = decode(part("metadata")?, FieldPath::new("metadata"))?;
        let spec = decode(part("spec")?, FieldPath::new("spec"))?;
        Self::try_from(&ShutdownPolicy { metadata, spec, status: None })
    }

    /// The same for a file, where a field that does not exist is a typo. In a cluster, it may be of a newer version.
    pub fn read_strictly(resource: &Value) -> Result<Self, InvalidPolicy> {
        let api_version = resource.get("apiVersion").and_then(Value::as_str);
        if api_version.and_then(|text| text.split_once('/')) != Some((GROUP, VERSION)) {
            let problem = format!("is not {GROUP}/{VERSION}");
            return Err(InvalidField::new(FieldPath::new("apiVersion"), problem).into());
        }
        let policy = Self::read(resource)?;
        let spec = resource.get("spec").unwrap_or(&Value::Null);
        let read: ShutdownPolicySpec = decode(spec, FieldPath::new("spec"))?;
        let known = serde_json::to_value(read).unwrap_or_default();
        match unknown_field(spec, &known, &FieldPath::new("spec")) {
            Some(field) => Err(InvalidField::new(field, "is not a field of a ShutdownPolicy").into()),
            None => Ok(policy),
        }
    }
}

/// The first field that reading left out.
fn unknown_field(written: &Value, read: &Value, path: &FieldPath) -> Option<FieldPath> {
    match written {
        Value::Object(fields) => fields.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
            let path = path.clone().push(Segment::Field(truncated(name, 80).into_owned().into()));
            match read.get(name) {
                Some(read) => unknown_field(value, read, &path),
                None => Some(path),
            }
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| unknown_field(item, read.get(index)?, &path.clone().push(Segment::Index(index)))),
        _ => None,
    }
}

impl TryFrom<&ShutdownPolicy> for Policy {
    type Error = InvalidPolicy;

    fn try_from(ShutdownPolicy { metadata, spec, .. }: &ShutdownPolicy) -> Result<Self, InvalidPolicy> {
        let built_in = Self::default();
        let Defaults { drain, deadline, margin, readiness } = spec.defaults.clone().unwrap_or_default();
        let Limits { grace_period: limit, drain: drain_limit } = spec.limits.clone().unwrap_or_default();
        let Readiness { period_seconds, failure_threshold } = readiness.unwrap_or_default();
        let written = Written { drain: drain.is_some(), deadline: deadline.is_some(), margin: margin.is_some() };
        let drain = duration("spec.defaults.drain", drain.as_deref())?;
        let deadline = duration("spec.defaults.deadline", deadline.as_deref())?;
        let margin = duration("spec.defaults.margin", margin.as_deref())?;
        let selector = spec.namespace_selector.clone().unwrap_or_default();
        let policy = Self {
            name: Some(name(&metadata.name)?),
            drain: drain.unwrap_or(built_in.drain),
            deadline: deadline.unwrap_or(built_in.deadline),
            margin: margin.unwrap_or(built_in.margin),
            written,
            readiness_period: number("spec.defaults.readiness.periodSeconds", period_seconds, MAX_PERIOD)?
                .unwrap_or(built_in.readiness_period),
            readiness_failure_threshold: number(
                "spec.defaults.readiness.failureThreshold",
                failure_threshold,
                MAX_FAILURE_THRESHOLD,
            )?
            .unwrap_or(built_in.readiness_failure_threshold),
            limits: super::Limits {
                grace_period: duration("spec.limits.gracePeriod", limit.as_deref())?,
                drain: duration("spec.limits.drain", drain_limit.as_deref())?,
            },
            validation_actions: ValidationActions::new(&spec.validation_actions)?,
            when_grace_period_too_small: spec.when_grace_period_too_small.unwrap_or_default(),
            selection: Selection {
                namespaces: Selector::read(&selector).ok_or(InvalidPolicy::Selector)?,
                priority: spec.priority.unwrap_or_default(),
                created: metadata.creation_timestamp.clone(),
            },
        };
        policy.check_limits()?;
        Ok(policy)
    }
}

impl Policy {
    fn check_limits(&self) -> Result<(), InvalidPolicy> {
        let &Self { drain, deadline, margin, limits, .. } = self;
        let sum = self.sum();
        if let Some(limit) = limits.drain.filter(|limit| drain > *limit) {
            return Err(InvalidPolicy::DrainAboveLimit { drain, limit });
        }
        match limits.grace_period.filter(|limit| sum > *limit) {
            Some(limit) => Err(InvalidPolicy::DefaultsAboveLimit { drain, deadline, margin, sum, limit }),
            None => Ok(()),
        }
    }
}

/// The name of a cluster-scoped object, which texts contain.
fn name(name: &str) -> Result<String, InvalidPolicy> {
    let character = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    let valid = (1..=253).contains(&name.len()) && name.bytes().all(character);
    if valid { Ok(name.to_owned()) } else { Err(InvalidPolicy::Name) }
}

fn duration(field: &'static str, text: Option<&str>) -> Result<Option<Seconds>, InvalidPolicy> {
    let Some(text) = text else { return Ok(None) };
    let invalid = |problem| InvalidPolicy::Duration { field, value: truncated(text, 80).into_owned(), problem };
    text.parse().map(Some).map_err(invalid)
}

fn number(field: &'static str, value: Option<i32>, most: i32) -> Result<Option<i32>, InvalidPolicy> {
    match value {
        Some(value) if !(1..=most).contains(&value) => Err(InvalidPolicy::Number { field, value, most }),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Policy, ShutdownPolicy};

    fn read(spec: &Value) -> Result<Policy, String> {
        Policy::read(&json!({"metadata": {"name": "web"}, "spec": spec})).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_policy_is_read_and_written() {
        let spec = json!({
            "namespaceSelector": {"matchLabels": {"tier": "web"}},
            "priority": 100,
            "defaults": {
                "drain": "15s", "deadline": "1m", "margin": "5s",
                "readiness": {"periodSeconds": 3, "failureThreshold": 2},
            },
            "limits": {"gracePeriod": "5m", "drain": "1m"},
            "validationActions": ["Warn", "Audit"],
            "whenGracePeriodTooSmall": "Raise",
        });
        let policy = read(&spec).unwrap();
        assert_eq!(policy.name.as_deref(), Some("web"));
        assert_eq!([policy.drain, policy.deadline, policy.margin].map(super::Seconds::as_i64), [15, 60, 5]);
        assert_eq!((policy.readiness_period, policy.readiness_failure_threshold), (3, 2));
        assert_eq!(policy.limits.grace_period.map(super::Seconds::as_i64), Some(300));
        let actions = [super::ValidationAction::Audit, super::ValidationAction::Warn];
        assert_eq!(Ok(policy.validation_actions), super::ValidationActions::new(&actions));
        let resource = json!({"metadata": {"name": "web"}, "spec": spec});
        let typed: ShutdownPolicy = serde_json::from_value(resource.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), resource);
    }

    #[test]
    fn an_absent_value_is_built_in() {
        let policy = read(&json!({"validationActions": ["Deny"]})).unwrap();
        assert_eq!(policy, Policy { name: Some("web".to_owned()), ..Policy::default() });
    }

    #[test]
    fn what_a_hand_wrote_wrong_is_named() {
        for (spec, message) in [
            (json!({}), "spec cannot be read: missing field `validationActions`"),
            (json!([]), "spec is not an object"),
            (json!({"validationActions": []}), "spec.validationActions is empty; write Deny, Warn or Audit"),
            (
                json!({"validationActions": ["Deny", "Warn"]}),
                "spec.validationActions has both Deny and Warn; write one of them",
            ),
            (
                json!({"validationActions": ["deny"]}),
                "spec.validationActions[0] cannot be read: unknown variant `deny`, expected one of `Deny`, `Warn`, `Audit`",
            ),
            (
                json!({"validationActions": ["Deny"], "defaults": {"drain": "5"}}),
                "spec.defaults.drain \"5\" is not a duration; write one like 5s or 1m30s",
            ),
            (
                json!({"validationActions": ["Deny"], "limits": {"gracePeriod": "721h"}}),
                "spec.limits.gracePeriod \"721h\" exceeds the maximum of 720h (30 days)",
            ),
            (
                json!({"validationActions": ["Deny"], "defaults": {"drain": 5}}),
                "spec.defaults.drain cannot be read: invalid type: integer `5`, expected a string",
            ),
            (
                json!({"validationActions": ["Deny"], "defaults": {"readiness": {"periodSeconds": 0}}}),
                "spec.defaults.readiness.periodSeconds is 0; it must be from 1 to 3600",
            ),
            (
                json!({"validationActions": ["Deny"], "priority": 3_000_000_000_u32}),
                "spec.priority cannot be read: invalid value: integer `3000000000`, expected i32",
            ),
            (
                json!({"validationActions": ["Deny"], "limits": {"gracePeriod": "30s"}}),
                "drain 5s + deadline 25s + margin 5s of spec.defaults = 35s, more than spec.limits.gracePeriod 30s",
            ),
            (
                json!({"validationActions": ["Deny"], "defaults": {"drain": "20s"}, "limits": {"drain": "10s"}}),
                "the drain 20s of spec.defaults is more than spec.limits.drain 10s",
            ),
            (
                json!({"validationActions": ["Deny"], "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}),
                "spec.namespaceSelector is not a label selector with at most 100 requirements",
            ),
        ] {
            assert_eq!(read(&spec).unwrap_err(), message);
        }
        let typo = json!({"drian": "5s"});
        let metadata = json!({"name": "web"});
        for (api_version, defaults, problem) in [
            ("winddown.dev/v1alpha1", json!({"drain": "5s"}), None),
            ("winddown.dev/v1alpha1", typo.clone(), Some("spec.defaults.drian is not a field of a ShutdownPolicy")),
            ("winddown.dev/v1", json!({}), Some("apiVersion is not winddown.dev/v1alpha1")),
        ] {
            let spec = json!({"validationActions": ["Deny"], "defaults": defaults});
            let resource = json!({"apiVersion": api_version, "metadata": metadata, "spec": spec});
            let error = Policy::read_strictly(&resource).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), problem);
        }
        assert!(read(&json!({"validationActions": ["Deny"], "defaults": typo})).is_ok(), "in a cluster");
        for name in ["", "Web", "a b", &"a".repeat(254)] {
            let resource = json!({"metadata": {"name": name}, "spec": {"validationActions": ["Deny"]}});
            assert_eq!(Policy::read(&resource).unwrap_err().to_string(), "metadata.name is not a DNS subdomain name");
        }
        for resource in [json!(null), json!({}), json!({"metadata": 5}), json!({"metadata": {"name": "web"}})] {
            Policy::read(&resource).unwrap_err();
        }
    }
}
