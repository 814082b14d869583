//! One Deployment, settled: what it should look like, and what there is to say about it.
//!
//! Webhooks, controller and command line all call [`settle`], so they can never disagree.

mod grace_period;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use grace_period::Origin;

use crate::annotations::{self, BUDGET, Declaration, Declared, INJECTED, Mode};
use crate::budget::Budget;
use crate::finding::{Code, Finding};
use crate::injection::{self, Bare, Record};
use crate::plan::{self, Plan, Timeline};
use crate::policy::Policy;
use crate::seconds::Seconds;

/// What Winddown makes of a Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// What the team lets Winddown do.
    pub mode: Mode,
    /// The sum, where something was declared that can be read.
    pub budget: Option<Budget>,
    /// The pod's last seconds under that budget.
    pub timeline: Option<Timeline>,
    /// Everything there is to say, in a stable order.
    pub findings: Vec<Finding>,
    /// The Deployment as it should be: equal to what was given where there is nothing to do.
    pub desired: Value,
}

/// Why nothing can be said about an object.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableDeployment {
    /// A part that every Deployment has is missing or of another type.
    #[error("{field} is not {expected}")]
    Shape {
        /// The field's path.
        field: String,
        /// What it should be, e.g. `an object`.
        expected: &'static str,
    },
    /// The pod template is none that these API types can read.
    #[error("spec.template.spec cannot be read: {0}")]
    PodSpec(String),
}

/// Settles a Deployment as received, given the one it replaces.
///
/// An unchanged template under an unchanged declaration is left as it stands, whatever a newer version of Winddown would
/// inject today: an upgrade of Winddown restarts nobody's pods.
pub fn settle(
    deployment: &Value,
    before: Option<&Value>,
    policy: &Policy,
    origin: Origin,
) -> Result<Settlement, UnreadableDeployment> {
    let written = strings(deployment, "/metadata/annotations", "metadata.annotations")?;
    let on_template = strings(deployment, "/spec/template/metadata/annotations", "spec.template.metadata.annotations")?;
    let reading = annotations::read(&written, &on_template);
    let template = template(deployment)?;
    let mut settlement = Settlement {
        mode: reading.mode,
        budget: None,
        timeline: None,
        findings: reading.findings,
        desired: deployment.clone(),
    };
    let bare = match injection::undo(template) {
        Ok(bare) => bare,
        Err(unreadable) => {
            settlement.findings.push(Finding::warning(
                Code::RecordUnreadable,
                format!("spec.template.metadata.annotations[{INJECTED}]"),
                format!("{unreadable}; what stands in the template counts as written by hand"),
            ));
            Bare { template: template.clone(), record: None, intact: false }
        }
    };
    let declaration = match reading.declared {
        Declared::Unreadable => return Ok(settlement),
        Declared::Nothing => {
            set_template(&mut settlement.desired, bare.template);
            set_budget(&mut settlement.desired, None);
            return Ok(settlement);
        }
        Declared::Budget(declaration) => declaration,
    };

    let pod = pod_spec(&bare.template)?;
    let grace_period = grace_period::of(&bare.template, deployment, origin);
    let plan = plan::plan(&pod, grace_period, &declaration, policy);
    settlement.findings.extend(plan.findings.iter().cloned());
    settlement.timeline = Some(plan.timeline.clone());
    settlement.budget = Some(plan.budget);
    if reading.mode == Mode::Audit {
        set_template(&mut settlement.desired, bare.template);
        set_budget(&mut settlement.desired, None);
        return Ok(settlement);
    }
    if plan.findings.iter().any(Finding::is_error) {
        return Ok(settlement);
    }
    let template = settled_template(template, &bare, &plan, &declaration, before);
    // What stands may be more than this version would ask for, and then that is the sum to show.
    let budget = Budget { grace_period: grace_period_of(&template).max(plan.budget.needed()), ..plan.budget };
    set_template(&mut settlement.desired, template);
    set_budget(&mut settlement.desired, Some(&budget));
    settlement.budget = Some(budget);
    Ok(settlement)
}

/// The template as it should be: as it stands, as it stood before, or newly injected.
fn settled_template(
    template: &Value,
    bare: &Bare,
    plan: &Plan,
    declaration: &Declaration,
    before: Option<&Value>,
) -> Value {
    let standing = bare.record.as_ref().filter(|_| bare.intact);
    if standing.is_some_and(|record| record.was_made_for(&bare.template, declaration)) {
        return template.clone();
    }
    let before = before.and_then(|before| before.pointer("/spec/template"));
    let bare_before = before.and_then(|before| injection::undo(before).ok());
    let unchanged = bare_before.as_ref().map(|before| before.template == bare.template);
    // Sent without the record, as by `kubectl replace` of the original manifest: the same template still.
    if let (Some(before), Some(Bare { record: Some(record), intact: true, .. })) = (before, &bare_before)
        && record.was_made_for(&bare.template, declaration)
    {
        return before.clone();
    }
    let fresh = injection::inject(&bare.template, &plan.mutations, declaration);
    let same_effect = standing
        .is_some_and(|record| Record::of(&fresh).ok().flatten().is_some_and(|fresh| record.has_same_effect_as(&fresh)));
    // A new record alone is no reason to replace pods; where they are replaced anyway, it is brought up to date.
    if same_effect && unchanged.unwrap_or(true) { template.clone() } else { fresh }
}

fn grace_period_of(template: &Value) -> Seconds {
    let seconds = template.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    seconds.map_or(plan::DEFAULT_GRACE_PERIOD, Seconds::from_api)
}

fn template(deployment: &Value) -> Result<&Value, UnreadableDeployment> {
    deployment
        .pointer("/spec/template")
        .filter(|template| template.is_object())
        .ok_or(UnreadableDeployment::Shape { field: "spec.template".to_owned(), expected: "an object" })
}

fn pod_spec(template: &Value) -> Result<PodSpec, UnreadableDeployment> {
    let spec = template
        .get("spec")
        .filter(|spec| spec.is_object())
        .ok_or_else(|| UnreadableDeployment::Shape { field: "spec.template.spec".to_owned(), expected: "an object" })?;
    let pod = PodSpec::deserialize(spec).map_err(|error| UnreadableDeployment::PodSpec(error.to_string()))?;
    // The API types read a missing name as an empty one; nothing could be said to such a container.
    if pod.containers.is_empty() || pod.containers.iter().any(|container| container.name.is_empty()) {
        return Err(UnreadableDeployment::PodSpec("it needs containers, each with a name".to_owned()));
    }
    Ok(pod)
}

/// A map of strings, empty where it is absent or null.
fn strings<'a>(
    deployment: &'a Value,
    pointer: &str,
    field: &str,
) -> Result<BTreeMap<&'a str, &'a str>, UnreadableDeployment> {
    let fields = match deployment.pointer(pointer) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(UnreadableDeployment::Shape { field: field.to_owned(), expected: "an object" }),
    };
    fields
        .iter()
        .map(|(key, value)| {
            let value = value.as_str().ok_or_else(|| UnreadableDeployment::Shape {
                field: format!("{field}[{}]", key.chars().take(80).collect::<String>()),
                expected: "a string (quote it)",
            })?;
            Ok((key.as_str(), value))
        })
        .collect()
}

fn set_template(deployment: &mut Value, template: Value) {
    if let Some(place) = deployment.pointer_mut("/spec/template") {
        *place = template;
    }
}

fn set_budget(deployment: &mut Value, budget: Option<&Budget>) {
    let Some(metadata) = deployment.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match budget {
        Some(budget) => {
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(BUDGET.to_owned(), Value::String(budget.to_string()));
            }
        }
        None => {
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
                && annotations.shift_remove(BUDGET).is_some()
                && annotations.is_empty()
            {
                metadata.shift_remove("annotations");
            }
        }
    }
}

/// The budget annotation of a Deployment, where Winddown wrote one.
#[must_use]
pub fn budget_annotation(deployment: &Value) -> Option<&str> {
    deployment.pointer("/metadata/annotations").and_then(Value::as_object).and_then(annotation_text)
}

fn annotation_text(annotations: &Map<String, Value>) -> Option<&str> {
    annotations.get(BUDGET).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
