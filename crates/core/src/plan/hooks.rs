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
    /// What its variable says. An app may rely on that, so of an unknown duration it is the certain part; except
    /// if the hook itself refers to the variable: then it is the drain.
    pub(crate) exposed: Seconds,
}

/// The hook of each main container, in the template's order.
pub(crate) fn plan(pod: &PodSpec, resolved: &Resolved<'_>) -> Vec<PlannedHook> {
    let planned = |container: &Container| {
        let (seen, drain) = (with_variables(container, resolved), resolved.drain);
        let own = PreStop::of(&seen, pod);
        let injected = own == PreStop::None && takes_the_sleep(container, resolved) && drain > Seconds::ZERO;
        let duration = if injected { drain } else { own.assumed(drain) };
        let is_used = uses(container, NAMES[0], resolved) && own.failure().is_none();
        let exposed = if injected || is_used { drain } else { own.at_least() };
        PlannedHook { container: container.name.clone(), own, duration, injected, exposed }
    };
    pod.containers.iter().map(planned).collect()
}

fn takes_the_sleep(container: &Container, resolved: &Resolved<'_>) -> bool {
    resolved.declaration.containers.as_ref().is_none_or(|names| names.contains(&container.name))
}

/// The container with the variables that its hook will see, if the command of the hook refers to one that is injected. The
/// grace period follows from the hook, so its value is not known yet.
fn with_variables<'a>(container: &'a Container, resolved: &Resolved<'_>) -> Cow<'a, Container> {
    if !NAMES.iter().any(|name| uses(container, name, resolved)) {
        return Cow::Borrowed(container);
    }
    let mut seen = container.clone();
    let own = seen.env.take().unwrap_or_default();
    let values = [Some(resolved.drain), Some(resolved.deadline_of(&container.name).0), None];
    let injected = NAMES.into_iter().zip(values).filter(|(name, _)| own.iter().all(|own| own.name != *name));
    let variable = |(name, value): (&str, Option<Seconds>)| EnvVar {
        name: name.to_owned(),
        value: value.map(|value| value.as_i64().to_string()),
        value_from: value.is_none().then(EnvVarSource::default),
    };
    seen.env = Some(injected.map(variable).chain(own.iter().cloned()).collect());
    Cow::Owned(seen)
}

/// Whether the command of its hook contains the name of this variable, and the variable is injected.
fn uses(container: &Container, name: &str, resolved: &Resolved<'_>) -> bool {
    let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref()?.exec.as_ref());
    let mut words = hook.and_then(|exec| exec.command.as_ref()).into_iter().flatten();
    resolved.declaration.expose.is_some()
        && words.any(|word| word.contains(name))
        && container.env.iter().flatten().all(|own| own.name != name)
        && resolved.is_app(&container.name)
}
