//! The preStop hook of each main container.
//!
//! Every main container without a hook gets the sleep, helpers as well: a proxy that stops while traffic still arrives
//! takes the app's connections with it. Native sidecars get none: the kubelet stops them after the main containers
//! (KEP-753).

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::duration::Seconds;
use crate::pod::hooks::PreStop;
use crate::policy::Resolved;

/// The hook of a main container after the plan is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedHook {
    /// The container's name.
    pub(crate) container: String,
    /// The container's own hook.
    pub(crate) own: PreStop,
    /// How long the container runs before its stop signal; an assumption if its existing hook does not show it.
    pub(crate) duration: Seconds,
    /// Whether to inject a sleep of that duration.
    pub(crate) injected: bool,
}

/// The hook of each main container, in the template's order.
pub(crate) fn plan(pod: &PodSpec, resolved: &Resolved<'_>) -> Vec<PlannedHook> {
    let planned = |container: &Container| {
        let (own, drain) = (PreStop::of(container, pod), resolved.drain);
        let injected = own == PreStop::None && takes_the_sleep(container, resolved) && drain > Seconds::ZERO;
        let duration = if injected { drain } else { own.assumed(drain) };
        PlannedHook { container: container.name.clone(), own, duration, injected }
    };
    pod.containers.iter().map(planned).collect()
}

fn takes_the_sleep(container: &Container, resolved: &Resolved<'_>) -> bool {
    resolved.declaration.containers.as_ref().is_none_or(|names| names.contains(&container.name))
}
