//! Winddown: Kubernetes Deployments that shut down without dropping a request.

pub mod policy;
pub mod review;
pub mod seconds;

#[cfg(feature = "operator")]
pub mod admission;
#[cfg(feature = "operator")]
pub mod certificates;
pub mod cli;
pub mod commands;
#[cfg(feature = "operator")]
pub mod controller;
pub mod error_chain;
#[cfg(feature = "operator")]
pub mod health;
#[cfg(feature = "operator")]
pub mod kubernetes;
#[cfg(feature = "operator")]
pub mod operator;
#[cfg(feature = "operator")]
pub mod telemetry;
