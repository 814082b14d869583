//! The controller: updates workloads that the mutating webhook did not, and publishes Events.
//!
//! Every replica watches; only the replica that holds the Lease writes. In a cluster with ten thousand workloads most are
//! not annotated, so the watch keeps of each one hardly more than hashes. An annotated workload is evaluated when the watch
//! delivers it. Only if there is something to send or to wait for does a reconciliation read it again, as JSON.

mod apply;
mod changes;
mod context;
mod event_history;
mod known;
mod look;
mod pacing;
mod publish;
mod reconcile;
mod related_objects;
mod reporting;
mod rollout_gate;
mod rollout_record;
mod selection;
mod table;
#[cfg(test)]
mod tests;
mod watch;
mod watched;
mod workload_client;

pub(crate) use context::{Identity, Reporting};
pub(crate) use publish::Publisher;
pub(crate) use selection::Selection;
pub(crate) use selection::Selectors;
pub(crate) use selection::relabelling_matters;
pub(crate) use watch::run;
