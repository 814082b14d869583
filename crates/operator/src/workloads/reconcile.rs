//! Reconciles one workload: reads and evaluates it, publishes Events, applies changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;

use super::apply::apply;
use super::context::{Context, Shared, now};
use super::look::{Found, Patience, Relevance, Subject, claim, evaluate};
use super::reporting::{report, skip};
use super::watched::Watched;
use crate::kubernetes;
use crate::policies::Standing;
use winddown_core::object::{Object, PartialObject};

pub(super) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, kubernetes::Error> {
    let start = Instant::now();
    let result = reconcile_workload(&watched, &context).await;
    context.shared.metrics.reconciliations.count(context.kind, &result, start.elapsed());
    context.forget_if_gone(&watched);
    result
}

async fn reconcile_workload(watched: &Watched, context: &Context) -> Result<Action, kubernetes::Error> {
    let mut standing = None;
    let result = update(watched, context, &mut standing).await;
    // A patch that the API server refuses hides no counts of a policy.
    if result.is_ok() || standing.is_some() {
        context.shared.govern(watched, standing.unwrap_or_default());
    }
    result
}

/// Also tells what the policy means for the workload.
async fn update(
    watched: &Watched,
    Context { kind, shared: context, table }: &Context,
    standing: &mut Option<Standing>,
) -> Result<Action, kubernetes::Error> {
    let metadata = &watched.metadata;
    let subject = match Relevance::of(watched, *kind, context) {
        Relevance::Ignored => return Ok(ignore(context, watched)),
        Relevance::Later(delay) => return Ok(Action::requeue(delay)),
        Relevance::Relevant(subject) => subject,
    };
    let Subject { reference, uid, before, .. } = &subject;
    let workload = match context.workloads.read(reference).await? {
        Some(PartialObject::Read(workload)) => workload,
        Some(PartialObject::TooLarge(error)) => {
            return Ok(earliest([skip(context, reference, uid, metadata.generation, &error).await]));
        }
        None => return Ok(ignore(context, watched)),
    };
    let policies = context.cluster.policies.get();
    let governing = policies.for_namespace(&subject.namespace);
    let found = match evaluate(&subject, &workload, watched, governing, context, Patience::Long).await {
        Some(Ok(found)) => found,
        Some(Err(error)) => return Ok(earliest([skip(context, reference, uid, metadata.generation, &error).await])),
        None => {
            context.budgets.ignored(reference, uid);
            return Ok(ignore(context, watched));
        }
    };
    if !claim(table, watched, &workload) {
        // Whatever there is to do about the newer version follows.
        return Ok(Action::await_change());
    }
    let Found { selected, evaluation, unread, settles_in, .. } = &found;
    context.metrics.workloads.evaluated(uid, *kind, &reference.namespace, &reference.name, evaluation);
    *standing = Some(found.standing.clone());
    // Without the findings that need related objects, the state is not the one to report.
    if !*context.leading.borrow() {
        if unread.is_none() {
            context.history.mark_seen_by_follower(uid, found.current.reported(), now());
        }
        return Ok(earliest([*unread, *settles_in]));
    }
    let again = if unread.is_some() {
        *unread
    } else {
        let computed = || found.computed(&workload, governing.policy.name.as_deref());
        report(context, reference, uid, (before.as_ref(), &found.current, found.just_created), computed).await
    };

    let wait = if evaluation.changes.is_empty() {
        context.workloads.release_fields(reference, &workload).await?;
        None
    } else if !selected.mutating {
        None
    } else if Object::new(&workload).is_controlled() {
        // Its owner would revert the patch. The webhook injects when the owner writes it.
        tracing::debug!(workload = %reference, "has a controlling owner, not patched");
        None
    } else {
        apply(context, reference, watched, &workload, governing, evaluation).await?
    };
    // A wait for its turn does not show that the next patch is accepted.
    if wait.is_none() {
        context.pacing.succeeded(uid);
    }
    Ok(earliest([again, *settles_in, wait]))
}

fn ignore(context: &Shared, watched: &Watched) -> Action {
    context.ignore(watched);
    Action::await_change()
}

/// After the shortest of these delays; without one, at the next change.
fn earliest<const N: usize>(delays: [Option<Duration>; N]) -> Action {
    delays.into_iter().flatten().min().map_or_else(Action::await_change, Action::requeue)
}
