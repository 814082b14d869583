//! The operator: admission webhooks, controller, certificates and leader election.

mod budgets;
mod certificates;
mod cluster;
mod custom_resource;
#[cfg(test)]
mod fake_api_server;
mod health;
pub mod kubernetes;
mod leadership;
mod listing;
pub mod metrics;
mod namespaces;
mod observation;
mod plain_http;
mod policies;
pub mod run;
pub mod telemetry;
mod trimming;
mod webhook;
mod workloads;

pub use winddown_allocator::limit_unused_memory;
