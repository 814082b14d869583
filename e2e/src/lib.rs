//! Winddown on a real API server and on a real cluster.

pub mod api_server;
pub mod arm;
pub mod audit_log;
pub mod chart;
pub mod cluster;
pub mod command;
pub mod credentials;
pub mod demo;
pub mod error_chain;
pub mod load;
pub mod narrator;
pub mod operator_process;
pub mod release;
pub mod report;
pub mod rollout;
pub mod tethered;
pub mod tools;
pub mod until;
