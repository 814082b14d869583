//! Support code for the end-to-end tests: a local API server, access to the kind cluster, load generation and the demo.

pub mod api_server;
pub mod article;
mod audit_log;
pub mod budgets;
pub mod chart;
pub mod cluster;
pub mod command;
mod credentials;
pub mod demo;
pub mod environment;
mod load;
pub mod matrix;
pub mod operator_process;
pub mod pid_namespace;
pub mod processes;
pub mod progress;
pub mod prometheus;
pub mod release;
mod report;
pub mod rollout;
pub mod rollouts;
pub mod suite;
mod supervised_process;
pub mod tools;
pub mod variant;
pub mod wait;
