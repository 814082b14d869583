//! The controller: updates workloads that the mutating webhook did not, and publishes Events.
//!
//! Every replica watches; only the replica that holds the Lease writes. The watch receives metadata only and keeps of it
//! whether Winddown's annotations changed, because in a cluster with ten thousand workloads most are not annotated. An
//! annotated workload is then read in full, as JSON.

mod apply;
mod context;
mod event_history;
mod known;
mod pacing;
mod publish;
mod reconcile;
mod related_objects;
mod reporting;
mod rollout_gate;
mod rollout_record;
mod selection;
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
