//! Winddown on a real API server and on a real cluster.

pub mod api_server;
pub mod chart;
pub mod credentials;
pub mod operator_process;
pub mod tethered;
pub mod tools;
pub mod until;
