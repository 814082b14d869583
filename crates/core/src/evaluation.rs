//! The evaluation of one workload: its desired state and its findings.
//!
//! Webhooks, controller and command line all call [`evaluate`], so their results are the same.

mod changes;
mod difference;
mod kept;
mod limits;
mod misfit;
mod opt_in;
mod removal;
mod settled;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;

pub use changes::Changes;
pub use removal::{RemovalError, removal};

use kept::Kept;
use opt_in::OptIn;

pub use crate::injection::Origin;

use crate::annotations::{self, Declared, MODE, Mode};
use crate::budget::Budget;
use crate::decode::{InvalidField, decode};
use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Finding, Severity};
use crate::injection::{BareTemplate, FieldOwners, Injected, Record, UnreadableRecord, inject, undo};
use crate::kind::Kind;
use crate::object::{LazyObject, Object, Template, set_injectable};
use crate::plan;
use crate::plan::lanes;
use crate::plan::timeline::Timeline;
use crate::policy::{Governing, Resolved, TooSmall, ValidationActions};
use crate::related::Related;
use crate::rule::Subject;
use crate::rules;
use crate::workload::misplaced::misplaced;
use crate::workload::{GracePeriod, Rollout, Workload};

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What Winddown may change and reject.
    pub mode: Mode,
    /// Whether there is something to say about the workload: it opts in or out, valid or not, or has an error or a warning.
    pub declared: bool,
    /// The budget, if the declaration is valid.
    pub budget: Option<Budget>,
    /// The shutdown of a pod under that budget.
    pub timeline: Option<Timeline>,
    /// Whether the budget fits, so that it is injected. `validationActions` do not change that.
    pub fits: bool,
    /// All findings, in a stable order.
    pub findings: Vec<Finding>,
    /// What a misfit or a number above a limit gets.
    pub actions: ValidationActions,
    /// The fields that are currently injected in the pod template.
    pub injected: Option<Injected>,
    /// Whether policy and namespace count from the next change of its template on: the namespace opted it in or no longer does,
    /// or the template stands with other numbers.
    pub waiting: bool,
    /// The changes that lead to the desired state.
    pub changes: Changes,
}

impl Evaluation {
    /// Whether the budget text of the evaluated workload is the one that Winddown writes.
    #[must_use]
    pub fn confirms_budget_text(&self) -> bool {
        self.fits && !self.findings.iter().any(Finding::is_error) && self.changes.keeps_budget()
    }
}

/// The state that the evaluated object replaces.
#[derive(Clone, Copy, Debug)]
pub enum Existing<'a> {
    /// None: the workload is being created and has no pods. (Orphaned pods of `kubectl delete --cascade=orphan` may exist,
    /// but the request does not contain them.)
    None,
    /// This object.
    Replaced(&'a LazyObject<'a>),
    /// The workload exists in the evaluated state, with its pods.
    Unchanged,
}

impl<'a> Existing<'a> {
    /// The template that pods run already.
    fn running(self, current: Template<'a>) -> Option<Template<'a>> {
        match self {
            Self::None => None,
            Self::Replaced(old) => Object::new(old.get()?).template().ok(),
            Self::Unchanged => Some(current),
        }
    }

    /// Whether template or declaration change, or are new.
    fn changes_to(self, object: Object<'_>, template: Template<'_>) -> bool {
        !self.declares_like(object) || self.running(template).is_none_or(|old| old.value() != template.value())
    }

    /// Whether the declaration is the same as before.
    fn declares_like(self, object: Object<'_>) -> bool {
        let Self::Replaced(old) = self else { return true };
        old.get().is_none_or(|old| Object::new(old).declares_like(object))
    }
}

/// Evaluates a workload as received, given the state that it replaces.
///
/// If template and declaration are unchanged, the template is kept, even if this version of Winddown would inject other
/// values: an upgrade of Winddown restarts no pods.
pub fn evaluate<'a>(
    workload: &Value,
    existing: Existing<'_>,
    governing: impl Into<Governing<'a>>,
    origin: Origin,
) -> Result<Evaluation, InvalidField> {
    evaluate_among(workload, existing, governing, origin, None)
}

/// The same with the objects that are related to the workload, if they are known. They change findings, but neither the
/// budget nor the changes. Rules that need them report nothing without them.
pub fn evaluate_among<'a>(
    workload: &Value,
    existing: Existing<'_>,
    governing: impl Into<Governing<'a>>,
    origin: Origin,
    related: Option<&Related>,
) -> Result<Evaluation, InvalidField> {
    let object = Object::new(workload);
    let kind = object.kind().ok_or_else(|| InvalidField::new(FieldPath::new("kind"), "is not a supported kind"))?;
    let template = object.template()?;
    let values = limits::check(workload, template)?;
    let Governing { policy, opted_in } = governing.into();
    let owners = FieldOwners::of(object);
    let (bare, unreadable) = match Record::of(template) {
        Ok(record) => (undo(template, record, &owners), None),
        Err(unreadable) => (BareTemplate::without_record(template), Some(unreadable)),
    };
    let opt_in = OptIn::of(object, template, &bare, existing, opted_in)?;
    let read = if opt_in == OptIn::No { annotations::read } else { annotations::read_opted_in };
    let reading = read(&object.annotations()?, &template.annotations()?);
    let mut findings = rules::check_annotations(&reading);
    findings.extend(unreadable.as_ref().map(rules::record_unreadable::finding));
    let is_reported = findings.iter().any(|finding| finding.severity >= Severity::Warning);
    let mut evaluation = Evaluation {
        mode: reading.mode,
        declared: is_reported || reading.mode == Mode::Off || reading.declared != Declared::Nothing,
        budget: None,
        timeline: None,
        fits: false,
        findings,
        actions: policy.validation_actions.under(object.annotation(MODE)),
        injected: bare.record.as_ref().map(Injected::from),
        waiting: opt_in == OptIn::Waiting,
        changes: Changes::default(),
    };
    if let Some(UnreadableRecord::Version(_)) = unreadable {
        return Ok(evaluation);
    }
    let declaration = match reading.declared {
        Declared::Unreadable => return Ok(evaluation),
        Declared::Nothing => return Ok(without_injection(evaluation, object, &bare)),
        Declared::Budget(declaration) => declaration,
    };

    let is_given = policy.when_grace_period_too_small == TooSmall::Deny;
    let applied = is_given.then(|| bare.with_applied_grace_period()).flatten();
    let (standing, bare) = (&bare, applied.as_ref().unwrap_or(&bare));
    let bare_template = Template::new(&bare.template);
    let explicit = bare.raised.map(|raised| GracePeriod::Explicit(Seconds::from_api(raised.was)));
    let unrecorded = owners.grace_period(bare_template, origin);
    let grace_period = explicit.unwrap_or(unrecorded);
    let mut planned = bare_workload(kind, object, bare_template, grace_period)?;
    if declaration.readiness.is_some() {
        // The declared probe completes them.
        remove_probes(&mut planned.pod, &bare.incomplete_probes);
    }
    let name = object.name().unwrap_or_default();
    let neighbours = related.map(|related| related.of(object.namespace(), kind, name, &planned.labels));
    if let Some(autoscaler) = neighbours.as_ref().and_then(|neighbours| neighbours.autoscaler) {
        planned.rollout = Rollout::read_autoscaled(kind, object.spec(), Some(autoscaler.least))?;
    }
    let resolved = Resolved::new(&declaration, reading.mode, policy, &lanes::apps(&planned.pod, &declaration));
    let unchanged = Kept::unchanged(object, template, standing, &resolved, existing);
    let raised = unchanged.and_then(|kept| kept.raised_by_earlier(policy));
    planned.grace_period = raised.map_or(planned.grace_period, GracePeriod::Explicit);
    let plan = plan::plan(&planned, &resolved);
    let related = neighbours.as_ref();
    let findings = rules::check_plan(&Subject { workload: &planned, resolved: &resolved, plan: &plan, related });
    evaluation.fits = !findings.iter().any(Finding::is_error);
    let actions = evaluation.actions;
    evaluation.findings.extend(findings.into_iter().map(|finding| actions.applied_to(finding)));
    evaluation.timeline = Some(plan.timeline);
    evaluation.budget = Some(plan.budget);
    if reading.mode == Mode::Audit || evaluation.waiting {
        return Ok(without_injection(evaluation, object, standing));
    }
    evaluation.waiting = opt_in.ends(opted_in) || unchanged.is_some_and(|kept| kept.has_other_numbers(&resolved));
    let running = existing.running(template);
    // A template that the label of its namespace opts in waits without a state.
    let remembered = Some(&declaration).filter(|_| opt_in == OptIn::No);
    // A part of a budget that does not fit is not injected. What was injected when it fitted stays until a change.
    if !evaluation.fits {
        // The record of a new workload can be the only place that says that the owner wrote a grace period or a part of a
        // probe. Without the record, the same workload would fit.
        let recorded = running.is_none() && (grace_period != unrecorded || !bare.incomplete_probes.is_empty());
        let kept = unchanged.filter(|_| running.is_some());
        let changes = match kept {
            Some(kept) => Changes::to_template(template, kept.template),
            None if !recorded && existing.changes_to(object, template) => Changes::remove(object, standing),
            None => Changes::default(),
        };
        let stored = remembered.filter(|_| kept.is_none() && origin == Origin::ApiServer);
        evaluation.changes = misfit::remember(changes, object, template, stored);
        return Ok(evaluation);
    }

    let mut fields = Value::Null;
    let kept = unchanged.or_else(|| {
        fields = inject(bare, &plan.mutations, &resolved);
        // Pods are not replaced only for a new record.
        Kept::running(running, bare, &fields, &resolved)
            .or_else(|| Kept::of_earlier_version(object, template, running, (bare, &fields), &resolved, existing))
    });
    evaluation.changes = if let Some(kept) = kept {
        let budget = evaluation.budget.clone().map(|budget| kept_budget(budget, kept, &planned, &resolved));
        Changes::to_template(template, kept.template).annotated(object, budget, kept.settled(&resolved))
    } else if let Some(misfit) = misfit::standing(object, template, standing, remembered, existing) {
        evaluation.waiting = true;
        Changes::default().annotated(object, None, Some(misfit))
    } else {
        let budget = evaluation.budget.as_ref().map(Budget::to_string);
        limits::check_injected(values, template, &fields)?;
        Changes::to_fields(template, fields).annotated(object, budget, None)
    };
    Ok(evaluation)
}

/// The text of the budget of a kept template, which another version or policy may have injected, with other numbers.
fn kept_budget(budget: Budget, kept: Kept<'_>, planned: &Workload, resolved: &Resolved<'_>) -> String {
    let earlier = kept.numbers.map(|numbers| resolved.with_numbers(numbers));
    let earlier = earlier.filter(|earlier| earlier != resolved);
    settled::text_for(earlier.map_or(budget, |earlier| plan::plan(planned, &earlier).budget), kept.template)
}

/// The desired state without injected fields.
fn without_injection(mut evaluation: Evaluation, object: Object<'_>, bare: &BareTemplate<'_>) -> Evaluation {
    evaluation.changes = Changes::remove(object, bare);
    evaluation
}

/// The template with the injected fields.
fn with_fields(bare: &BareTemplate<'_>, fields: &Value) -> Value {
    let mut template = bare.template.clone().into_owned();
    set_injectable(&mut template, fields);
    template
}

fn bare_workload(
    kind: Kind,
    object: Object<'_>,
    template: Template<'_>,
    grace_period: GracePeriod,
) -> Result<Workload, InvalidField> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Ok(Workload {
        kind,
        rollout: Rollout::read(kind, object.spec())?,
        annotations: template.annotations()?.into_iter().map(owned).collect(),
        labels: template.labels()?.into_iter().map(owned).collect(),
        pod: pod_spec(template)?,
        grace_period,
        misplaced: misplaced(object.value()),
    })
}

fn remove_probes(pod: &mut PodSpec, containers: &[String]) {
    let named = |container: &&mut Container| containers.contains(&container.name);
    pod.containers.iter_mut().filter(named).for_each(|container| container.readiness_probe = None);
}

fn pod_spec(template: Template<'_>) -> Result<PodSpec, InvalidField> {
    let pod: PodSpec = decode(template.pod_spec()?, FieldPath::new("spec.template.spec"))?;
    // The API types read a missing name as an empty one. If two containers have the same name, the wrong one could be
    // changed.
    let names: BTreeSet<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    if names.is_empty() || names.contains("") || names.len() < pod.containers.len() {
        let problem = "must have at least one container, each with a unique name";
        return Err(InvalidField::new(FieldPath::pod("containers"), problem));
    }
    Ok(pod)
}

#[cfg(test)]
mod tests;
