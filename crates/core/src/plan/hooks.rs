//! The preStop hook of each main container.
//!
//! Every main container without a hook gets the sleep, helpers as well: a proxy that stops while traffic still arrives
//! takes the app's connections with it. Native sidecars get none: the kubelet stops them after the main containers
//! (KEP-753).

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, PodSpec};

use crate::duration::Seconds;
use crate::pod::hooks::PreStop;
use crate::policy::Resolved;
use crate::variables::NAMES;

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
    /// What its variable says: the duration, except for a hook that computes another one from it.
    pub(crate) exposed: Seconds,
}

/// The hook of each main container, in the template's order.
pub(crate) fn plan(pod: &PodSpec, resolved: &Resolved<'_>) -> Vec<PlannedHook> {
    let planned = |container: &Container| {
        let drain = resolved.drain;
        let with_drain = |seconds: Seconds| PreStop::of(&with_variables(container, resolved, seconds), pod);
        let own = with_drain(drain);
        let injected = own == PreStop::None && takes_the_sleep(container, resolved) && drain > Seconds::ZERO;
        let duration = if injected { drain } else { own.assumed(drain) };
        // Otherwise the hook would be evaluated with one number and run with another.
        let is_consistent = injected || with_drain(duration).assumed(drain) == duration;
        let exposed = if is_consistent { duration } else { drain };
        PlannedHook { container: container.name.clone(), own, duration, injected, exposed }
    };
    pod.containers.iter().map(planned).collect()
}

fn takes_the_sleep(container: &Container, resolved: &Resolved<'_>) -> bool {
    resolved.declaration.containers.as_ref().is_none_or(|names| names.contains(&container.name))
}

/// The container with the variables that its hook will see, if they are injected. The grace period follows from the hook, so its
/// value is not known yet.
fn with_variables<'a>(container: &'a Container, resolved: &Resolved<'_>, drain: Seconds) -> Cow<'a, Container> {
    let has_command =
        container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref()?.exec.as_ref()).is_some();
    if !has_command || resolved.declaration.expose.is_none() || !resolved.is_app(&container.name) {
        return Cow::Borrowed(container);
    }
    let mut seen = container.clone();
    let own = seen.env.take().unwrap_or_default();
    let values = [Some(drain), Some(resolved.deadline_of(&container.name).0), None];
    let injected = NAMES.into_iter().zip(values).filter(|(name, _)| own.iter().all(|own| own.name != *name));
    let variable = |(name, value): (&str, Option<Seconds>)| EnvVar {
        name: name.to_owned(),
        value: value.map(|value| value.as_i64().to_string()),
        value_from: value.is_none().then(EnvVarSource::default),
    };
    seen.env = Some(injected.map(variable).chain(own.iter().cloned()).collect());
    Cow::Owned(seen)
}
