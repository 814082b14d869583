//! Winddown: Kubernetes workloads that shut down without dropping a request.
//!
//! ```text
//! 0            D                        D+T        D+T+M ≤ G
//! |-- drain ---|------- deadline -------|- margin -|
//! preStop sleep  SIGTERM: the app        slack      SIGKILL
//! endpoints and  refuses new work,
//! balancers      finishes old work,
//! forget the pod exits 0
//! ```
//!
//! A pure core decides, a thin shell fetches and applies. What decides is synchronous, knows no client and no clock, and
//! builds with `--no-default-features`. Dependencies point one way:
//!
//! ```text
//! main → cli → commands → operator → {admission, controller} → {review, report, patch, verdict}
//!      → settlement → {plan, injection} → {policy, annotations} → {presets, budget, readiness, finding} → seconds
//! ```
//!
//! [`settlement::settle`] is the one function that webhooks, controller and command line all call.

// The core.
pub mod annotations;
pub mod budget;
pub mod finding;
pub mod injection;
pub mod manifest;
pub mod nearest;
pub mod patch;
pub mod plan;
pub mod policy;
pub mod presets;
pub mod readiness;
pub mod report;
pub mod review;
pub mod rollout;
pub mod seconds;
pub mod settlement;
pub mod typed;
pub mod verdict;
pub mod workload;

// What the binary is asked, and where it says what went wrong.
pub mod cli;
pub mod commands;
pub mod error_chain;

// The shell.
#[cfg(feature = "operator")]
pub mod admission;
#[cfg(feature = "operator")]
pub mod certificates;
#[cfg(feature = "operator")]
pub mod controller;
#[cfg(feature = "operator")]
pub mod health;
#[cfg(feature = "operator")]
pub mod kubernetes;
#[cfg(feature = "operator")]
pub mod operator;
#[cfg(feature = "operator")]
pub mod telemetry;
