//! The controller: updates workloads that the mutating webhook did not, and publishes Events.
//!
//! Every replica watches; only the replica that holds the Lease writes. The watch receives metadata only and keeps of it
//! just Winddown's annotations, because in a cluster with ten thousand workloads most are not annotated. An annotated
//! workload is then read in full, as JSON.

mod apply;
mod context;
mod event_history;
mod reconcile;
mod rollout_gate;
mod watch;
mod workload_client;

pub(crate) use context::Identity;
pub(crate) use watch::run;
