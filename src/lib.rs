//! Winddown: Kubernetes Deployments that shut down without dropping a request.

pub mod policy;
pub mod review;
pub mod seconds;
