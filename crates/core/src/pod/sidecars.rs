//! Native sidecars: init containers that run at the same time as the app.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::field_path::FieldPath;
use crate::pod::signals::has_command;

/// The native sidecars of a pod, in the order in which they start; they stop in the reverse order (KEP-753).
pub(crate) fn native_sidecars(pod: &PodSpec) -> impl DoubleEndedIterator<Item = &Container> {
    init_containers(pod).filter(|container| container.restart_policy.as_deref() == Some("Always"))
}

/// The init containers of a pod, including native sidecars.
pub(crate) fn init_containers(pod: &PodSpec) -> impl DoubleEndedIterator<Item = &Container> {
    pod.init_containers.iter().flatten()
}

/// A container that runs when the pod is deleted: a main container or a native sidecar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running<'a> {
    pub(crate) container: &'a Container,
    /// The list that it is in: `initContainers`.
    list: &'static str,
}

impl Running<'_> {
    /// A field of the container, given with dots.
    pub(crate) fn field(&self, dotted: &'static str) -> FieldPath {
        FieldPath::pod(self.list).key(&self.container.name).join(dotted)
    }

    /// The field that the command line begins in: `command`, or `args` for the entrypoint of the image.
    pub(crate) fn command_line(&self) -> FieldPath {
        self.field(if has_command(self.container) { "command" } else { "args" })
    }
}

const INIT_CONTAINERS: &str = "initContainers";

/// The main containers in the template's order, then the native sidecars.
pub(crate) fn running(pod: &PodSpec) -> impl Iterator<Item = Running<'_>> {
    let main = pod.containers.iter().map(|container| Running { container, list: "containers" });
    main.chain(native_sidecars(pod).map(|container| Running { container, list: INIT_CONTAINERS }))
}
