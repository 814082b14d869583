//! What Winddown decides.

pub mod annotations;
pub mod budget;
pub mod catalog;
pub mod decode;
pub mod duration;
pub mod evaluation;
pub mod finding;
pub mod injection;
pub mod kind;
pub mod manifest;
pub mod mutation;
pub mod patch;
pub mod plan;
mod pod;
pub mod policy;
pub mod probe_spec;
pub mod report;
pub mod review;
pub mod rollout;
mod rules;
pub mod suggestion;
pub mod timeline;
pub mod workload;
