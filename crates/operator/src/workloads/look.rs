//! Looks at a workload: evaluates it, and reports what was found. A workload that is right needs no request for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::context::{Shared, now};
use super::publish::RETRY;
use super::related_objects::SETTLE;
use super::reporting::report_quietly;
use super::selection::Selected;
use super::table::Table;
use super::watched::Watched;
use super::workload_client::is_managed;
use crate::kubernetes::Error;
use crate::policies::Standing;
use winddown_core::decode::InvalidField;
use winddown_core::error_chain::ErrorChain;
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate_among};
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::observation::WorkloadRef;
use winddown_core::policy::{Governing, Namespace};
use winddown_core::report::{Current, Reported};
use winddown_core::shutdown_budget::Computed;

/// Delay while the labels of a namespace are not known yet.
const NAMESPACE_DELAY: Duration = Duration::from_secs(1);

/// Whether there is something to evaluate.
pub(super) enum Relevance {
    Ignored,
    /// After this delay.
    Later(Duration),
    Relevant(Subject),
}

/// A workload that Winddown may handle.
pub(super) struct Subject {
    pub(super) reference: WorkloadRef,
    pub(super) uid: String,
    pub(super) namespace: Namespace,
    of_namespace: Selected,
    /// What was last reported.
    pub(super) before: Option<Reported>,
}

impl Relevance {
    pub(super) fn of(watched: &Watched, kind: Kind, context: &Shared) -> Self {
        let metadata = &watched.metadata;
        let (Some(reference), Some(uid)) = (watched.reference(kind), metadata.uid.clone()) else {
            return Self::Ignored;
        };
        let identity = &context.identity;
        let is_operator = (kind, &reference.namespace, &reference.name)
            == (Kind::Deployment, &identity.namespace, &identity.deployment);
        if is_operator || metadata.deletion_timestamp.is_some() {
            return Self::Ignored;
        }
        let before = context.history.last_reported(&uid, now());
        let is_unreported = before.as_ref().is_none_or(|before| *before == Reported::default());
        if watched.annotations.is_none() && is_unreported && !context.has_budget(&reference) {
            return Self::Ignored;
        }
        let Some(namespace) = context.cluster.namespace(&reference.namespace) else {
            return Self::Later(NAMESPACE_DELAY);
        };
        let of_namespace = context.selection.namespace(&namespace);
        if !of_namespace.by_any() {
            context.budgets.ignored(&reference, &uid);
            return Self::Ignored;
        }
        Self::Relevant(Subject { reference, uid, namespace, of_namespace, before })
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) selected: Selected,
    pub(super) evaluation: Evaluation,
    pub(super) standing: Standing,
    pub(super) current: Current,
    pub(super) just_created: bool,
    /// The delay until the related objects, which could not be read, are read again.
    pub(super) unread: Option<Duration>,
    /// How long the objects that are installed together with the workload may still be missing.
    pub(super) settles_in: Option<Duration>,
}

impl Found {
    /// What the budget says. Until an injection without a declaration is removed, the budget stands for it.
    pub(super) fn computed(&self, workload: &Value, policy: Option<&str>) -> Option<Computed> {
        let has_state = self.evaluation.declared || self.evaluation.changes.is_empty();
        has_state.then(|| Computed::of(workload, &self.evaluation, policy))
    }
}

/// Whether related objects may take their time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Long,
    Short,
}

/// Evaluates a workload. `None`: its labels do not select it.
pub(super) async fn evaluate(
    subject: &Subject,
    workload: &Value,
    watched: &Watched,
    governing: Governing<'_>,
    context: &Shared,
    patience: Patience,
) -> Option<Result<Found, InvalidField>> {
    let labels = Object::new(workload).labels().unwrap_or_default().into_iter();
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let selected = context.selection.workload(subject.of_namespace, &labels);
    if !selected.by_any() {
        return None;
    }
    let created = watched.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let settles_in = created.and_then(|created| settles_in(created, Timestamp::now()));
    let mut unread = None;
    let related = if settles_in.is_none() {
        let namespace = &subject.reference.namespace;
        let read = match patience {
            Patience::Long => context.related.of(namespace).await,
            Patience::Short => context.related.of_soon(namespace).await.unwrap_or_else(|| {
                unread = Some(RETRY);
                Ok(None)
            }),
        };
        read.unwrap_or_else(|error| {
            // They only refine findings, so the workload is still updated.
            tracing::warn!(workload = %subject.reference, error = %ErrorChain(&*error), "related objects were not read");
            unread = Some(RETRY);
            None
        })
    } else {
        None
    };
    let evaluated = evaluate_among(workload, Existing::Unchanged, governing, Origin::ApiServer, related.as_deref());
    Some(evaluated.map(|evaluation| {
        let policy = || Standing { policy: governing.policy.name.clone(), waiting: evaluation.waiting };
        Found {
            selected,
            standing: evaluation.budget.as_ref().map(|_| policy()).unwrap_or_default(),
            current: Current::new(workload, &evaluation).after(subject.before.as_ref()),
            just_created: created.is_some_and(|created| created >= context.started),
            unread,
            settles_in,
            evaluation,
        }
    }))
}

/// Looks at a workload that a watch delivered. Returns whether a reconciliation is necessary, because there is something to
/// send, to read, or to wait for.
pub(super) async fn look(watched: &mut Watched, kind: Kind, context: &Shared, table: &Mutex<Table>) -> bool {
    let start = Instant::now();
    let object = watched.object.take();
    let standing = match Relevance::of(watched, kind, context) {
        Relevance::Later(_) => return true,
        Relevance::Ignored => {
            context.ignore(watched);
            Standing::default()
        }
        Relevance::Relevant(subject) => {
            let Some(object) = object.map(|object| with_kind(object, kind)) else { return true };
            let Some(standing) = settle(&subject, &object, watched, context, table).await else { return true };
            standing
        }
    };
    context.govern(watched, standing);
    let result: Result<_, Error> = Ok(Action::await_change());
    context.metrics.reconciliations.count(kind, &result, start.elapsed());
    false
}

/// Reports a workload for which there is nothing to send. `None` if there is.
async fn settle(
    subject: &Subject,
    workload: &Value,
    watched: &Watched,
    context: &Shared,
    table: &Mutex<Table>,
) -> Option<Standing> {
    let policies = context.cluster.policies.get();
    let governing = policies.for_namespace(&subject.namespace);
    let Subject { reference, uid, before, .. } = subject;
    let Some(found) = evaluate(subject, workload, watched, governing, context, Patience::Short).await else {
        context.budgets.ignored(reference, uid);
        context.ignore(watched);
        return Some(Standing::default());
    };
    let found = found.ok()?;
    let is_right = found.evaluation.changes.is_empty();
    let is_kept = !found.selected.mutating || Object::new(workload).is_controlled();
    let leads = *context.leading.borrow();
    if found.unread.is_some() || found.settles_in.is_some() {
        return None;
    }
    if leads && (if is_right { is_managed(workload) } else { !is_kept }) {
        return None;
    }
    if !claim(table, watched, workload) {
        return None;
    }
    if leads {
        let computed = || found.computed(workload, governing.policy.name.as_deref());
        let state = (before.as_ref(), &found.current, found.just_created);
        if !report_quietly(context, reference, uid, state, computed) {
            return None;
        }
        context.pacing.succeeded(uid);
    } else {
        context.history.mark_seen_by_follower(uid, found.current.reported(), now());
    }
    context.metrics.workloads.evaluated(uid, reference.kind, &reference.namespace, &reference.name, &found.evaluation);
    Some(found.standing)
}

/// Whether this is the newest version of a workload that was evaluated.
pub(super) fn claim(table: &Mutex<Table>, watched: &Watched, workload: &Value) -> bool {
    let version = workload.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    table.lock().unwrap_or_else(PoisonError::into_inner).claim(watched, version)
}

/// The items of a list have no `kind`.
fn with_kind(mut object: Value, kind: Kind) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), json!(Kind::API_VERSION));
        fields.insert("kind".to_owned(), json!(kind.as_str()));
    }
    object
}

fn settles_in(created: Timestamp, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(created)).unwrap_or_default();
    SETTLE.checked_sub(age).filter(|wait| !wait.is_zero())
}
