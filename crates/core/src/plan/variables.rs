//! The variables that tell the app in a container its budget.

use k8s_openapi::api::core::v1::Container;

use super::hooks::PlannedHook;
use crate::duration::Seconds;
use crate::policy::Resolved;
use crate::variables::Variables;

/// What they are for a container of the app.
pub(crate) fn of(hook: &PlannedHook, resolved: &Resolved<'_>, grace_period: Seconds) -> Variables {
    let (deadline, _) = resolved.deadline_of(&hook.container);
    Variables { drain: Some(hook.exposed), deadline: Some(deadline), grace_period: Some(grace_period) }
}

/// Those that the container does not set itself. What `envFrom` sets is not in the manifest.
pub(crate) fn missing(variables: Variables, container: &Container) -> Variables {
    variables.filter(|name| !container.env.iter().flatten().any(|variable| variable.name == name))
}
