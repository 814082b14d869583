//! One workload, settled: what it should look like, and what there is to say about it.
//!
//! Webhooks, controller and command line all call [`settle`], so they can never disagree.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Map, Value, json};

use crate::annotations::{self, BUDGET, Declaration, Declared, INJECTED, MANAGED, MOST_CONTAINERS, Mode};
use crate::budget::Budget;
use crate::decode::{self, WrongField};
use crate::finding::{Code, Finding};
use crate::injection::ownership::Claims;
pub use crate::injection::ownership::Origin;
use crate::injection::{self, Bare, Record, UnreadableRecord};
use crate::kind::Kind;
use crate::plan::{self, GracePeriod};
use crate::policy::Policy;
use crate::timeline::Timeline;
use crate::workload::{Rollout, Workload};

/// What Winddown makes of a workload.
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
    /// The workload as it should be: equal to what was given where there is nothing to do.
    pub desired: Value,
}

/// Why nothing can be said about an object.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableWorkload {
    /// A part that every workload has is missing or of another type.
    #[error("{field} is not {expected}")]
    Shape {
        /// The field's path.
        field: String,
        /// What it should be, e.g. `an object`.
        expected: &'static str,
    },
    /// A part that is not as the API reference has it.
    #[error(transparent)]
    Field(#[from] WrongField),
}

impl UnreadableWorkload {
    /// The path of the field that is to be mended.
    #[must_use]
    pub fn field(&self) -> &str {
        let (Self::Shape { field, .. } | Self::Field(WrongField { field, .. })) = self;
        field
    }
}

/// What stood in the place of a workload before.
#[derive(Clone, Copy, Debug)]
pub enum Before<'a> {
    /// Nothing: it is being made, and has no pods yet. (But for those that `--cascade=orphan` left behind: nothing in the
    /// request tells of them.)
    Nothing,
    /// This one, which the request is to replace.
    Object(&'a Value),
    /// It stands there itself, and has pods.
    Itself,
}

/// Settles a workload as received, given what stood there before.
///
/// An unchanged template under an unchanged declaration is left as it stands, whatever a newer version of Winddown would
/// inject today: an upgrade of Winddown restarts nobody's pods.
pub fn settle(
    workload: &Value,
    before: Before<'_>,
    policy: &Policy,
    origin: Origin,
) -> Result<Settlement, UnreadableWorkload> {
    let kind = Kind::of(workload)
        .ok_or_else(|| UnreadableWorkload::Shape { field: "kind".to_owned(), expected: "one that Winddown plans" })?;
    let written = strings(workload, "/metadata/annotations", "metadata.annotations")?;
    let on_template = strings(workload, "/spec/template/metadata/annotations", "spec.template.metadata.annotations")?;
    let reading = annotations::read(&written, &on_template);
    let template = template(workload)?;
    let mut settlement = Settlement {
        mode: reading.mode,
        budget: None,
        timeline: None,
        findings: reading.findings,
        desired: workload.clone(),
    };
    let claims = Claims::of(workload, origin);
    let bare = match injection::undo(template, |place, standing| claims.cover(place, standing)) {
        Ok(bare) => bare,
        Err(unreadable) => {
            settlement.findings.push(Finding::new(
                Code::RecordUnreadable,
                format!("spec.template.metadata.annotations[{INJECTED}]"),
                unreadable.to_string(),
            ));
            if let UnreadableRecord::Version(_) = unreadable {
                return Ok(settlement);
            }
            Bare::without_record(template)
        }
    };
    let declaration = match reading.declared {
        Declared::Unreadable => return Ok(settlement),
        Declared::Nothing => return Ok(undone(settlement, bare)),
        Declared::Budget(declaration) => declaration,
    };

    let planned = bare_workload(kind, workload, &bare.template, claims.grace_period(&bare.template))?;
    let plan = plan::plan(&planned, &declaration, policy);
    settlement.findings.extend(plan.findings.iter().cloned());
    settlement.timeline = Some(plan.timeline.clone());
    settlement.budget = Some(plan.budget.clone());
    if reading.mode == Mode::Audit {
        return Ok(undone(settlement, bare));
    }
    if plan.findings.iter().any(Finding::is_error) {
        return Ok(settlement);
    }
    if let Some(standing) = standing_template(template, &bare, &declaration, before, policy) {
        set_template(&mut settlement.desired, standing);
        // It stands as another version may have planned it, and that one's sum stands with it.
        if budget_annotation(workload).is_none() {
            set_budget(&mut settlement.desired, Some(&plan.budget));
        }
        return Ok(settlement);
    }
    let fresh = injection::inject(&bare.template, &plan.mutations, &declaration, policy);
    // A new record alone is no reason to replace pods.
    let running = match before {
        Before::Nothing => None,
        Before::Object(before) => self::template(before).ok(),
        Before::Itself => Some(template),
    };
    let same = running.filter(|running| without_record(running) == without_record(&fresh)).cloned();
    set_template(&mut settlement.desired, same.unwrap_or(fresh));
    set_budget(&mut settlement.desired, Some(&plan.budget));
    Ok(settlement)
}

/// Nothing of ours is to be there.
fn undone(mut settlement: Settlement, bare: Bare) -> Settlement {
    if bare.record.is_some() {
        set_template(&mut settlement.desired, bare.template);
    }
    set_budget(&mut settlement.desired, None);
    settlement
}

/// The template as it stands, or as it stood before, where neither it nor the declaration changed since it was settled.
fn standing_template(
    template: &Value,
    bare: &Bare,
    declaration: &Declaration,
    before: Before<'_>,
    policy: &Policy,
) -> Option<Value> {
    let settled = |settled: &Bare| {
        let made_for_this = |record: &Record| record.was_made_for(&bare.template, declaration, policy);
        settled.intact && settled.record.as_ref().is_some_and(made_for_this)
    };
    if settled(bare) {
        return Some(template.clone());
    }
    // Sent without the record, as by `kubectl replace` of the original manifest: the same template still.
    let Before::Object(before) = before else { return None };
    let (template_before, bare_before) = bare_of(before)?;
    // Its record may be older than itself: then it was changed past the webhook, and is not what is sent now.
    let of_itself = bare_before.record.as_ref()?.was_made_for(&bare_before.template, declaration, policy);
    (settled(&bare_before) && of_itself).then(|| template_before.clone())
}

fn bare_of(workload: &Value) -> Option<(&Value, Bare)> {
    let template = template(workload).ok()?;
    let claims = Claims::of(workload, Origin::ApiServer);
    Some((template, injection::undo(template, |place, standing| claims.cover(place, standing)).ok()?))
}

/// Whether changing the one into the other replaces pods for more than label and record.
#[must_use]
pub fn replaces_pods(workload: &Value, desired: &Value) -> bool {
    let pods = |workload: &Value| template(workload).ok().map(without_record);
    pods(workload) != pods(desired)
}

/// The template but for label and record: what pods run by.
fn without_record(template: &Value) -> Value {
    let mut template = template.clone();
    for (map, key) in [("annotations", INJECTED), ("labels", MANAGED)] {
        let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) else { break };
        if let Some(fields) = metadata.get_mut(map).and_then(Value::as_object_mut) {
            fields.shift_remove(key);
            if fields.is_empty() {
                metadata.shift_remove(map);
            }
        }
    }
    template
}

fn template(workload: &Value) -> Result<&Value, UnreadableWorkload> {
    let no_object = |field: &str| UnreadableWorkload::Shape { field: field.to_owned(), expected: "an object" };
    let template = workload.pointer("/spec/template").filter(|template| template.is_object());
    let template = template.ok_or_else(|| no_object("spec.template"))?;
    // It has to hold label and record.
    match template.get("metadata") {
        None | Some(Value::Null | Value::Object(_)) => Ok(template),
        Some(_) => Err(no_object("spec.template.metadata")),
    }
}

fn bare_workload(
    kind: Kind,
    workload: &Value,
    template: &Value,
    grace_period: GracePeriod,
) -> Result<Workload, UnreadableWorkload> {
    let spec = workload.get("spec").unwrap_or(&Value::Null);
    let owned = |pointer: &str, field: &str| -> Result<BTreeMap<String, String>, UnreadableWorkload> {
        let map = strings(template, pointer, field)?;
        Ok(map.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    };
    Ok(Workload {
        kind,
        rollout: Rollout::read(kind, spec)?,
        annotations: owned("/metadata/annotations", "spec.template.metadata.annotations")?,
        labels: owned("/metadata/labels", "spec.template.metadata.labels")?,
        pod: pod_spec(template)?,
        grace_period,
    })
}

fn pod_spec(template: &Value) -> Result<PodSpec, UnreadableWorkload> {
    let spec = template
        .get("spec")
        .filter(|spec| spec.is_object())
        .ok_or_else(|| UnreadableWorkload::Shape { field: "spec.template.spec".to_owned(), expected: "an object" })?;
    let pod: PodSpec = decode::read(spec, "spec.template.spec")?;
    let wrong = |reason| WrongField { field: "spec.template.spec.containers".to_owned(), reason };
    if pod.containers.len() > MOST_CONTAINERS {
        return Err(wrong(format!("there are more than {MOST_CONTAINERS} of them")).into());
    }
    // The API types read a missing name as an empty one; nothing could be said to such a container, and of two namesakes
    // the wrong one could be changed.
    let names: BTreeSet<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    if names.is_empty() || names.contains("") || names.len() < pod.containers.len() {
        return Err(wrong("each needs a name of its own, and there has to be one".to_owned()).into());
    }
    Ok(pod)
}

/// A map of strings, empty where it is absent or null. The API server reads null as an empty string.
fn strings<'a>(
    workload: &'a Value,
    pointer: &str,
    field: &str,
) -> Result<BTreeMap<&'a str, &'a str>, UnreadableWorkload> {
    let fields = match workload.pointer(pointer) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(UnreadableWorkload::Shape { field: field.to_owned(), expected: "an object" }),
    };
    fields
        .iter()
        .map(|(key, value)| {
            let text = if value.is_null() { Some("") } else { value.as_str() };
            let value = text.ok_or_else(|| UnreadableWorkload::Shape {
                field: format!("{field}[{}]", key.chars().take(80).flat_map(char::escape_debug).collect::<String>()),
                expected: "a string (quote it)",
            })?;
            Ok((key.as_str(), value))
        })
        .collect()
}

fn set_template(workload: &mut Value, template: Value) {
    if let Some(place) = workload.pointer_mut("/spec/template") {
        *place = template;
    }
}

fn set_budget(workload: &mut Value, budget: Option<&Budget>) {
    let Some(metadata) = workload.get_mut("metadata").and_then(Value::as_object_mut) else { return };
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

/// The budget annotation of a workload, where Winddown wrote one.
#[must_use]
pub fn budget_annotation(workload: &Value) -> Option<&str> {
    workload.pointer("/metadata/annotations").and_then(Value::as_object).and_then(annotation_text)
}

fn annotation_text(annotations: &Map<String, Value>) -> Option<&str> {
    annotations.get(BUDGET).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
