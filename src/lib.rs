//! Winddown: Kubernetes Deployments that shut down without dropping a request.

pub mod annotations;
pub mod budget;
pub mod commands;
pub mod finding;
pub mod injection;
pub mod manifest;
pub mod patch;
pub mod plan;
pub mod policy;
pub mod readiness;
pub mod report;
pub mod review;
pub mod seconds;
pub mod settlement;
pub mod verdict;
