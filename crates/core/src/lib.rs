//! The decisions of Winddown.
//!
//! ```text
//! pod deleted
//! |
//! |-- drain ---|----------- deadline ------------|- margin --|
//! preStop sleep  SIGTERM: the app                  slack       SIGKILL
//! endpoints and  finishes open requests
//! balancers      and exits
//! drop the pod
//!
//! drain + deadline + margin <= terminationGracePeriodSeconds
//! ```
//!
//! All functions are synchronous and depend only on their arguments: no clock, no files, no environment, no network. The
//! webhooks, the controller and the command line call the same [`evaluation::evaluate`]. Modules depend only on modules
//! further to the right, or next to them:
//!
//! ```text
//! review, report -> evaluation -> rules, injection -> plan -> policy -> annotations -> catalog -> pod, workload
//!     -> budget, field_path -> duration
//! observation -> injection, plan
//! shutdown_budget -> report, observation
//! current_shutdown -> evaluation, related
//! ```

pub mod annotations;
pub mod budget;
pub mod catalog;
pub mod current_shutdown;
pub mod decode;
pub mod drill;
pub mod duration;
pub mod error_chain;
pub mod evaluation;
pub mod field_path;
pub mod finding;
pub mod fingerprint;
pub mod injection;
pub mod kind;
pub mod manifest;
pub mod measurement;
pub mod mutation;
pub mod object;
pub mod observation;
pub mod pacing;
pub mod patch;
pub mod plan;
mod pod;
pub mod policy;
pub mod probe_spec;
pub mod related;
pub mod report;
pub mod review;
pub mod rollout;
mod rule;
pub mod rules;
pub mod sanitize;
mod selector;
pub mod shutdown_budget;
pub mod suggestion;
pub mod variables;
pub mod workload;
