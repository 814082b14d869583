//! What really happened when a pod stopped.
//!
//! ```text
//! watch of pods and slices -> Observer::see -> Stop -> History::admit -> Summary, checkpoint, ShutdownKilled
//! ```
//!
//! The operator's observation task calls this module: every replica feeds an [`Observer`], and the leader admits its stops
//! to the [`History`] of each workload, which it stores in the status of the `ShutdownBudget`. Like the rest of the core,
//! it has no clock: each event comes with the reading of the observer's own monotonic clock.
//!
//! Facts about the API, from the sources of Kubernetes 1.30 to 1.37 (`docs/observed-shutdowns.md` has what a cluster
//! reported):
//!
//! - A deletion sets `deletionTimestamp` to the request plus the grace period. The kubelet's last write before the removal
//!   sets the grace period to 0, and from 1.33 on also the timestamp to that moment. So the time of the request is read only
//!   from an event with a grace period of more than 0 (`rest/delete.go`, `BeforeDelete`).
//! - The kubelet writes a terminal phase together with the last statuses of all containers, 1 to 3 s before the removal.
//!   `finishedAt` has whole seconds of the node's clock (`kubelet.go`, `SyncTerminatingPod`).
//! - The exit code does not tell what ended a container: 137 is also an OOM kill, a `kill -9`, and the kubelet's placeholder
//!   for a lost status. The time decides.

mod api_clock;
mod carried;
mod cause;
mod ends;
mod histogram;
mod history;
mod ledger;
mod nodes;
mod observer;
mod outcome;
mod recommendation;
mod siblings;
mod stop;
mod timestamp;
mod tracked;
mod view;
mod workload_ref;

pub use carried::carried_hash;
pub use cause::Cause;
pub use histogram::{Histogram, Scale};
pub use history::{CheckpointError, History, Shutdowns, Summary, Totals};
#[cfg(feature = "schema")]
pub(crate) use history::{LONGEST_LINE, MAX_CHECKPOINT, SHOWN};
pub use ledger::Ledger;
pub use observer::{Counts, Event, MAX_PODS, Observer};
pub use outcome::{Outcome, Promise, Unseen};
pub use recommendation::Recommendation;
pub use stop::{ContainerStop, End, Stop};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use view::{
    Condition, ContainerState, ContainerStatus, ContainerView, Endpoint, EndpointConditions, EndpointSliceView,
    Lifecycle, PodSpecView, PodStatusView, PodView, PreStop, Running, Sleep, Target, Terminated,
};
pub use workload_ref::WorkloadRef;

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;
