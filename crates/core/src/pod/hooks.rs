//! The preStop hook of a container: how long it runs, as far as the manifest shows it, and whether it works at all.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler, PodSpec};

use super::command::{is_shell, program};
use super::handlers::{self, Port};
use super::image::{Shell, has_no_bash, shell};
use super::shell::Variables;
use super::shell::effect::{Effect, Failure, Status};
use super::shell::interpreter::command_line;
use crate::catalog::endpoints::Endpoint;
use crate::duration::Seconds;

/// The preStop hook of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreStop {
    None,
    /// `preStop.sleep.seconds: 0`, the user's opt-out.
    OptOut,
    /// It only waits.
    Sleep(Seconds),
    /// A command or a request whose duration the manifest does not show.
    Open {
        /// The handler's name.
        handler: &'static str,
        at_least: Seconds,
        /// The hook's own time limit.
        at_most: Option<Seconds>,
    },
    /// It tells the app to stop, so that the drain ends, whatever the hook does afterwards.
    EndsDrain {
        after: Seconds,
        /// Otherwise it may do so later, or not at all.
        exactly: bool,
        /// Whether it tells the first process of the container.
        to_first: bool,
    },
    /// It fails, so that the kubelet sends the stop signal immediately.
    Fails {
        after: Seconds,
        why: Failure,
    },
}

impl PreStop {
    /// The hook of a container of this pod.
    pub(crate) fn of(container: &Container, pod: &PodSpec) -> Self {
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        match hook {
            None => Self::None,
            Some(hook) if handlers(hook) > 1 => Self::fails(Failure::SeveralHandlers),
            Some(LifecycleHandler { sleep: Some(sleep), .. }) => match Seconds::from_api(sleep.seconds) {
                Seconds::ZERO => Self::OptOut,
                seconds => Self::Sleep(seconds),
            },
            Some(LifecycleHandler { exec: Some(exec), .. }) => match exec.command.as_deref().unwrap_or_default() {
                [first, ..] if is_missing(program(first), container) => Self::fails(Failure::NoShell),
                line => Self::of_command(&command_line(line, &Variables::of(container))),
            },
            Some(LifecycleHandler { http_get: Some(request), .. }) => Self::of_request(request, container, pod),
            Some(LifecycleHandler { tcp_socket: Some(_), .. }) => Self::fails(Failure::TcpSocket),
            Some(_) => Self::fails(Failure::NoHandler),
        }
    }

    const fn fails(why: Failure) -> Self {
        Self::Fails { after: Seconds::ZERO, why }
    }

    fn of_command(effect: &Effect) -> Self {
        let (at_least, at_most) =
            (Seconds::rounded_up_to_max(effect.time.least), effect.time.most.map(Seconds::rounded_up_to_max));
        match effect.status {
            _ if let Some(signal) = effect.signal => Self::EndsDrain {
                after: Seconds::rounded_up_to_max(signal.after),
                exactly: signal.exactly,
                to_first: signal.to_first,
            },
            Status::Fails(why) if effect.time.is_exact() => Self::Fails { after: at_least, why },
            _ if at_most == Some(at_least) => Self::Sleep(at_least),
            _ => Self::Open { handler: "exec", at_least, at_most },
        }
    }

    /// The kubelet sends GET, and does not look at the status of the answer (`pkg/kubelet/lifecycle/handlers.go`).
    fn of_request(request: &HTTPGetAction, container: &Container, pod: &PodSpec) -> Self {
        let has_host = handlers::host(request.host.as_ref()).is_some();
        let port = match handlers::port(&request.port) {
            Port::Number(port) => Some(port),
            Port::Name(name) => {
                let mut ports = container.ports.iter().flatten();
                ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
            }
        };
        if pod.host_network == Some(true) && !has_host {
            Self::fails(Failure::HostNetwork)
        } else if port.is_none() {
            Self::fails(Failure::UnknownPort)
        } else if let Some(endpoint) = Endpoint::at(request.path.as_deref().unwrap_or_default(), port) {
            Self::fails(Failure::NeedsPost(&endpoint.of))
        } else {
            Self::Open { handler: "httpGet", at_least: Seconds::ZERO, at_most: None }
        }
    }

    /// Whether it certainly stops the app itself, so that the app needs no SIGTERM.
    pub(crate) const fn stops_the_app(self) -> bool {
        matches!(self, Self::EndsDrain { exactly: true, to_first: false, .. })
    }

    /// Why it fails.
    pub(crate) const fn failure(self) -> Option<Failure> {
        match self {
            Self::Fails { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Whether the hook may run for longer than the manifest shows.
    pub(crate) fn is_open_ended(self) -> bool {
        matches!(self, Self::Open { .. } | Self::EndsDrain { exactly: false, .. })
    }

    /// The minimum time until the stop signal.
    pub(crate) fn at_least(self) -> Seconds {
        match self {
            Self::Sleep(seconds) => seconds,
            Self::Open { at_least, .. } => at_least,
            Self::EndsDrain { after, .. } | Self::Fails { after, .. } => after,
            Self::None | Self::OptOut => Seconds::ZERO,
        }
    }

    /// The time until the stop signal: if it is unknown, this drain, within the limits of the hook.
    pub(crate) fn assumed(self, drain: Seconds) -> Seconds {
        match self {
            Self::Open { at_least, at_most, .. } => drain.min(at_most.unwrap_or(drain)).max(at_least),
            Self::EndsDrain { after, exactly: false, .. } => drain.max(after),
            _ => self.at_least(),
        }
    }
}

/// The number of its handlers. The API server accepts one.
fn handlers(hook: &LifecycleHandler) -> usize {
    let LifecycleHandler { exec, http_get, sleep, tcp_socket } = hook;
    [exec.is_some(), http_get.is_some(), sleep.is_some(), tcp_socket.is_some()].into_iter().filter(|is| *is).count()
}

/// Whether the image has no program of that name; it is a shell or a basic program.
fn is_missing(needed: &str, container: &Container) -> bool {
    let lacks = |image| (needed == "bash" && has_no_bash(image)) || (is_basic(needed) && shell(image) == Shell::Absent);
    container.image.as_deref().is_some_and(lacks)
}

/// Whether an image without a shell does not have this program.
pub(crate) fn is_basic(name: &str) -> bool {
    is_shell(name)
        || matches!(name, "sleep" | "busybox" | "env" | "timeout" | "kill" | "pkill" | "killall" | "curl" | "wget")
}
