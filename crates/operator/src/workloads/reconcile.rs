//! Reconciles one workload: reads and evaluates it, publishes Events, applies changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::apply::apply;
use super::context::{Context, Shared, now};
use super::publish::RETRY;
use super::related_objects::SETTLE;
use super::reporting::{report, skip};
use super::selection::Selected;
use super::watched::Watched;
use crate::error_chain::ErrorChain;
use crate::kubernetes;
use crate::policies::Standing;
use winddown_core::evaluation::{Existing, Origin, evaluate_among};
use winddown_core::kind::Kind;
use winddown_core::object::{Object, PartialObject};
use winddown_core::observation::WorkloadRef;
use winddown_core::report::{Current, Reported};
use winddown_core::shutdown_budget::Computed;

/// Delay while the labels of a namespace are not known yet.
const NAMESPACE_DELAY: Duration = Duration::from_secs(1);

pub(super) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, kubernetes::Error> {
    let start = Instant::now();
    let result = reconcile_workload(&watched, &context).await;
    context.shared.metrics.reconciliations.count(context.kind, &result, start.elapsed());
    context.forget_if_gone(&watched);
    result
}

async fn reconcile_workload(watched: &Watched, context: &Context) -> Result<Action, kubernetes::Error> {
    let Context { kind, shared, .. } = context;
    let mut standing = None;
    let result = update(watched, *kind, shared, &mut standing).await;
    // A patch that the API server refuses hides no counts of a policy.
    let known = result.is_ok() || standing.is_some();
    if let (true, Some(namespace), Some(uid)) = (known, &watched.metadata.namespace, &watched.metadata.uid) {
        let governed = &shared.cluster.governed;
        if watched.annotations.is_some() {
            governed.evaluated(uid, standing.unwrap_or_default());
        } else if let Some(standing) = shared.standing_of_unannotated(namespace) {
            governed.opted_in(uid, standing);
        } else {
            governed.forget(uid);
        }
    }
    result
}

/// Also tells what the policy means for the workload.
async fn update(
    watched: &Watched,
    kind: Kind,
    context: &Shared,
    standing: &mut Option<Standing>,
) -> Result<Action, kubernetes::Error> {
    let metadata = &watched.metadata;
    let (Some(namespace), Some(name), Some(uid)) = (&metadata.namespace, &metadata.name, &metadata.uid) else {
        return Ok(Action::await_change());
    };
    let reference = WorkloadRef { kind, namespace: namespace.clone(), name: name.clone() };
    let before = context.history.last_reported(uid, now());
    let identity = &context.identity;
    let is_operator = (kind, namespace, name) == (Kind::Deployment, &identity.namespace, &identity.deployment);
    if is_operator || metadata.deletion_timestamp.is_some() {
        return Ok(ignore(context, uid));
    }
    let unreported = before.as_ref().is_none_or(|before| *before == Reported::default());
    if watched.annotations.is_none() && unreported && !context.has_budget(&reference) {
        // Recorded so that a first annotation counts as a change.
        context.history.mark_reported(uid, Reported::default());
        return Ok(ignore(context, uid));
    }
    let Some(labelled) = context.cluster.namespace(namespace) else { return Ok(Action::requeue(NAMESPACE_DELAY)) };
    let of_namespace = context.selection.namespace(&labelled);
    if !of_namespace.by_any() {
        context.budgets.ignored(&reference, uid);
        return Ok(ignore(context, uid));
    }
    let workload = match context.workloads.read(&reference).await? {
        Some(PartialObject::Read(workload)) => workload,
        Some(PartialObject::TooLarge(error)) => {
            return Ok(earliest([skip(context, &reference, uid, metadata.generation, &error).await]));
        }
        None => return Ok(ignore(context, uid)),
    };
    let object = Object::new(&workload);
    let labels = object.labels().unwrap_or_default().into_iter();
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let selected: Selected = context.selection.workload(of_namespace, &labels);
    if !selected.by_any() {
        context.budgets.ignored(&reference, uid);
        return Ok(ignore(context, uid));
    }
    let policies = context.cluster.policies.get();
    let governing = policies.for_namespace(&labelled);
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let settles_in = created.and_then(|created: Timestamp| settles_in(created, Timestamp::now()));
    let mut unread = None;
    let related = if settles_in.is_none() {
        context.related.of(namespace).await.unwrap_or_else(|error| {
            // They only refine findings, so the workload is still updated.
            tracing::warn!(workload = %reference, error = %ErrorChain(&*error), "related objects were not read");
            unread = Some(RETRY);
            None
        })
    } else {
        None
    };
    let evaluated = evaluate_among(&workload, Existing::Unchanged, governing, Origin::ApiServer, related.as_deref());
    let evaluation = match evaluated {
        Ok(evaluation) => evaluation,
        Err(error) => return Ok(earliest([skip(context, &reference, uid, metadata.generation, &error).await])),
    };
    context.metrics.workloads.evaluated(uid, kind, namespace, name, &evaluation);
    let governed = || Standing { policy: governing.policy.name.clone(), waiting: evaluation.waiting };
    *standing = Some(evaluation.budget.as_ref().map(|_| governed()).unwrap_or_default());
    let current = Current::new(&workload, &evaluation).after(before.as_ref());
    // Without the findings that need related objects, the state is not the one to report.
    if !*context.leading.borrow() {
        if unread.is_none() {
            context.history.mark_seen_by_follower(uid, current.reported(), now());
        }
        return Ok(earliest([unread, settles_in]));
    }
    let just_created = created.is_some_and(|created| created >= context.started);
    let again = if unread.is_some() {
        unread
    } else {
        let policy = governing.policy.name.as_deref();
        // Until an injection without a declaration is removed, the budget stands for it.
        let has_state = evaluation.declared || evaluation.changes.is_empty();
        let computed = || has_state.then(|| Computed::of(&workload, &evaluation, policy));
        report(context, &reference, uid, (before, &current, just_created), computed).await
    };

    let wait = if evaluation.changes.is_empty() {
        context.workloads.release_fields(&reference, &workload).await?;
        None
    } else if !selected.mutating {
        None
    } else if object.is_controlled() {
        // Its owner would revert the patch. The webhook injects when the owner writes it.
        tracing::debug!(workload = %reference, "has a controlling owner, not patched");
        None
    } else {
        apply(context, &reference, watched, &workload, governing, &evaluation).await?
    };
    // A wait for its turn does not show that the next patch is accepted.
    if wait.is_none() {
        context.pacing.succeeded(uid);
    }
    Ok(earliest([again, settles_in, wait]))
}

/// Leaves a workload alone that is gone or that Winddown does not look at.
fn ignore(context: &Shared, uid: &str) -> Action {
    context.metrics.workloads.forget(uid);
    Action::await_change()
}

/// After the shortest of these delays; without one, at the next change.
fn earliest<const N: usize>(delays: [Option<Duration>; N]) -> Action {
    delays.into_iter().flatten().min().map_or_else(Action::await_change, Action::requeue)
}

/// How long the objects that are installed together with a new workload may still be missing.
fn settles_in(created: Timestamp, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(created)).unwrap_or_default();
    SETTLE.checked_sub(age).filter(|wait| !wait.is_zero())
}
