//! Native sidecars: init containers that run at the same time as the app.

use k8s_openapi::api::core::v1::{Container, PodSpec};

/// The native sidecars of a pod, in the order in which they start; they stop in the reverse order (KEP-753).
pub(crate) fn native_sidecars(pod: &PodSpec) -> impl DoubleEndedIterator<Item = &Container> {
    init_containers(pod).filter(|container| container.restart_policy.as_deref() == Some("Always"))
}

/// The init containers of a pod, including native sidecars.
pub(crate) fn init_containers(pod: &PodSpec) -> impl DoubleEndedIterator<Item = &Container> {
    pod.init_containers.iter().flatten()
}
