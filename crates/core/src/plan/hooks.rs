//! preStop: how long each container keeps running after the pod was told to stop.
//!
//! The hooks of a pod's main containers run at the same time, so the drain is the longest of them, never the sum. Native
//! sidecars are left alone: the kubelet stops them after the main containers (KEP-753).

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, PodSpec};

use super::container_field;
use crate::annotations::Declaration;
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::mutation::Mutation;
use crate::pod::exec_sleep::{Slept, slept};

/// What the drain comes to, container by container.
pub(crate) struct Hooks {
    pub(crate) mutations: Vec<Mutation>,
    pub(crate) findings: Vec<Finding>,
    /// The drain of the pod: the longest of its containers'.
    pub(crate) longest: Seconds,
    /// The container whose own hook that is, where it is another one than what is declared.
    pub(crate) longest_from: Option<String>,
    /// Each main container and how long it sleeps, in the template's order.
    pub(crate) sleeps: Vec<Sleep>,
}

/// How long a main container keeps running before SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// Its name.
    pub(crate) container: String,
    /// How long its preStop takes, as far as anybody can tell.
    pub(crate) seconds: Seconds,
}

/// What a container has for a preStop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PreStop {
    None,
    /// `preStop.sleep.seconds: 0`, which nobody writes but to opt out.
    OptOut,
    Sleep(Seconds),
    /// A command that begins with a sleep.
    AtLeast(Seconds),
    /// A command or a request: it takes as long as it takes.
    Unknown(&'static str),
}

pub(crate) fn plan(pod: &PodSpec, declaration: &Declaration, drain: Seconds) -> Hooks {
    let mut hooks = Hooks {
        mutations: Vec::new(),
        findings: Vec::new(),
        longest: Seconds::ZERO,
        longest_from: None,
        sleeps: Vec::new(),
    };
    for container in &pod.containers {
        let field = || container_field(&container.name, "lifecycle.preStop");
        let sleep = match observe(container) {
            PreStop::None if !takes_the_sleep(container, declaration) || drain == Seconds::ZERO => Seconds::ZERO,
            PreStop::None => {
                hooks.mutations.push(Mutation::SetPreStopSleep { container: container.name.clone(), sleep: drain });
                drain
            }
            PreStop::OptOut => {
                if drain > Seconds::ZERO {
                    let message = format!("opts out of the {drain} drain with a sleep of 0");
                    hooks.findings.push(Finding::new(Code::DrainOptedOut, field(), message));
                }
                Seconds::ZERO
            }
            PreStop::Sleep(own) => {
                if own < drain {
                    let message = format!("its own preStop sleep of {own} is kept; the declared drain is {drain}");
                    hooks.findings.push(Finding::new(Code::PreStopShort, field(), message));
                }
                own
            }
            PreStop::AtLeast(own) => {
                let assumed = own.max(drain);
                let message = format!("its own exec hook is kept; it runs for at least {own}, {assumed} is assumed");
                hooks.findings.push(Finding::new(Code::PreStopUnknown, field(), message));
                assumed
            }
            PreStop::Unknown(kind) => {
                let message = format!("its own {kind} hook is kept; nobody knows how long it runs, {drain} is assumed");
                hooks.findings.push(Finding::new(Code::PreStopUnknown, field(), message));
                drain
            }
        };
        hooks.longest = hooks.longest.max(sleep);
        hooks.sleeps.push(Sleep { container: container.name.clone(), seconds: sleep });
    }
    if hooks.longest != drain {
        let own = |container: &&Container, sleep: &Sleep| {
            sleep.seconds == hooks.longest && observe(container) != PreStop::None
        };
        let mut containers = pod.containers.iter().zip(&hooks.sleeps);
        hooks.longest_from = containers.find(|(container, sleep)| own(container, sleep)).map(|(c, _)| c.name.clone());
    }
    hooks
}

/// Whether a container's hook may wait for something, so that nobody knows when its SIGTERM comes.
pub(crate) fn is_open_ended(container: &Container) -> bool {
    matches!(observe(container), PreStop::AtLeast(_) | PreStop::Unknown(_))
}

/// How long a container's own hook sleeps, as far as anybody can read it.
pub(crate) fn own_sleep(container: &Container) -> Seconds {
    match observe(container) {
        PreStop::Sleep(own) | PreStop::AtLeast(own) => own,
        PreStop::None | PreStop::OptOut | PreStop::Unknown(_) => Seconds::ZERO,
    }
}

fn takes_the_sleep(container: &Container, declaration: &Declaration) -> bool {
    declaration.containers.as_ref().is_none_or(|names| names.contains(&container.name))
}

fn observe(container: &Container) -> PreStop {
    let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    match hook {
        None => PreStop::None,
        Some(LifecycleHandler { sleep: Some(sleep), .. }) => match Seconds::from_api(sleep.seconds) {
            Seconds::ZERO => PreStop::OptOut,
            seconds => PreStop::Sleep(seconds),
        },
        Some(LifecycleHandler { exec: Some(exec), .. }) => match exec.command.as_deref().and_then(slept) {
            Some(Slept::Exactly(seconds)) => PreStop::Sleep(seconds),
            Some(Slept::AtLeast(seconds)) if seconds > Seconds::ZERO => PreStop::AtLeast(seconds),
            Some(Slept::AtLeast(_)) | None => PreStop::Unknown("exec"),
        },
        Some(LifecycleHandler { http_get: Some(_), .. }) => PreStop::Unknown("httpGet"),
        Some(LifecycleHandler { tcp_socket: Some(_), .. }) => PreStop::Unknown("tcpSocket"),
        // A kind of hook that this version does not know: still the user's, and still there.
        Some(_) => PreStop::Unknown("preStop"),
    }
}
