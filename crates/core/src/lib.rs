//! What Winddown decides.
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
//! Everything here is a synchronous function of its arguments: no clock, no files, no environment, no network. Webhooks,
//! controller and command line call the same [`evaluation::evaluate`]. Dependencies point one way:
//!
//! ```text
//! review, report → evaluation → rules → plan → {pod, catalog, workload} → {annotations, policy} → duration
//!                             → injection → object
//! ```

pub mod annotations;
pub mod budget;
pub mod catalog;
pub mod decode;
pub mod duration;
pub mod evaluation;
pub mod field_path;
pub mod finding;
pub mod fingerprint;
pub mod injection;
pub mod kind;
pub mod manifest;
pub mod mutation;
pub mod object;
pub mod patch;
pub mod plan;
mod pod;
pub mod policy;
pub mod probe_spec;
pub mod report;
pub mod review;
pub mod rollout;
pub mod rules;
pub mod sanitize;
pub mod suggestion;
pub mod timeline;
pub mod workload;
