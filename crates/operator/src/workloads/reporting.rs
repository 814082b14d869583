//! Reports the state of a workload: in its `ShutdownBudget`, from which the Events follow, or, without the CRD, as Events.
//!
//! It counts as reported when that is done, so that nothing is lost if the CRD turns out to be absent.

use std::error::Error as StdError;
use std::time::Duration;

use serde_json::json;

use super::context::{Shared, now};
use winddown_core::error_chain::ErrorChain;
use winddown_core::observation::WorkloadRef;
use winddown_core::report::{self, Current, Reported};
use winddown_core::shutdown_budget::Computed;

/// What was reported before, the state now, and whether the workload was just created.
type State<'a> = (Option<&'a Reported>, &'a Current, bool);

/// Reports an evaluation. Returns the delay after which to try again.
pub(super) async fn report(
    context: &Shared,
    workload: &WorkloadRef,
    uid: &str,
    state: State<'_>,
    computed: impl FnOnce() -> Option<Computed>,
) -> Option<Duration> {
    if !report_quietly(context, workload, uid, state, computed) {
        let (before, current, just_created) = state;
        let events = report::events(before, current, just_created);
        let again = context.publisher.publish(workload, uid, events).await;
        if again.is_some() {
            return again;
        }
        context.history.mark_reported(uid, current.reported());
    }
    None
}

/// Reports an evaluation without a request of its own. `false`: there are Events to publish, and nothing was reported.
pub(super) fn report_quietly(
    context: &Shared,
    workload: &WorkloadRef,
    uid: &str,
    (before, current, just_created): State<'_>,
    computed: impl FnOnce() -> Option<Computed>,
) -> bool {
    if context.budgets.installed_is_unknown() {
        // All workloads are looked at again when it is known.
        return true;
    }
    if context.budgets.available() {
        // One without a declaration before is like a new one.
        let is_new = before.map_or(just_created, |before| *before == Reported::default());
        let reported = (current.reported(), is_new);
        if computed().is_some_and(|computed| !context.budgets.evaluated(workload, uid, computed, reported)) {
            return true;
        }
    } else if !report::events(before, current, just_created).is_empty() {
        return false;
    }
    context.history.mark_reported(uid, current.reported());
    true
}

/// Reports a workload that cannot be evaluated, and leaves it as it is. Returns the delay after which to try again.
pub(super) async fn skip(
    context: &Shared,
    workload: &WorkloadRef,
    uid: &str,
    generation: Option<i64>,
    error: &(impl StdError + Sync + 'static),
) -> Option<Duration> {
    let problem = ErrorChain(error).to_string();
    tracing::warn!(%workload, error = problem, "skipped, unchanged");
    context.metrics.workloads.not_evaluated(uid);
    let (event, state) = report::not_evaluated(context.history.last_reported(uid, now()).as_ref(), &problem);
    if !*context.leading.borrow() {
        context.history.mark_seen_by_follower(uid, state, now());
        return None;
    }
    if context.budgets.installed_is_unknown() {
        return None;
    }
    if context.budgets.available() {
        let metadata = json!({"name": workload.name, "generation": generation});
        let known = json!({"kind": workload.kind.as_str(), "metadata": metadata});
        let computed = Computed::not_evaluated(&known, &problem);
        if !context.budgets.evaluated(workload, uid, computed, (state.clone(), false)) {
            return None;
        }
    } else {
        let again = context.publisher.publish(workload, uid, event.into_iter().collect()).await;
        if again.is_some() {
            return again;
        }
    }
    context.history.mark_reported(uid, state);
    None
}
