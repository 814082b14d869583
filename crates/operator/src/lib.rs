//! The operator: admission webhooks, controller, certificates and leader election.

mod certificates;
pub mod error_chain;
mod health;
pub mod kubernetes;
mod leadership;
pub mod run;
pub mod telemetry;
mod webhook;
mod workloads;
