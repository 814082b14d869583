//! The preStop hook of a container, and its duration if the manifest shows it.

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::exec_sleep::{ExecSleep, exec_sleep};
use crate::duration::Seconds;

/// The preStop hook of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreStop {
    None,
    /// `preStop.sleep.seconds: 0`, the user's opt-out.
    OptOut,
    Sleep(Seconds),
    /// A command that begins with a sleep.
    AtLeast(Seconds),
    /// A command or a request of unknown duration; its handler's name.
    Unknown(&'static str),
}

impl PreStop {
    pub(crate) fn of(container: &Container) -> Self {
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        match hook {
            None => Self::None,
            Some(LifecycleHandler { sleep: Some(sleep), .. }) => match Seconds::from_api(sleep.seconds) {
                Seconds::ZERO => Self::OptOut,
                seconds => Self::Sleep(seconds),
            },
            Some(LifecycleHandler { exec: Some(exec), .. }) => match exec.command.as_deref().and_then(exec_sleep) {
                Some(ExecSleep::Exactly(seconds)) => Self::Sleep(seconds),
                Some(ExecSleep::AtLeast(seconds)) if seconds > Seconds::ZERO => Self::AtLeast(seconds),
                Some(ExecSleep::AtLeast(_)) | None => Self::Unknown("exec"),
            },
            Some(LifecycleHandler { http_get: Some(_), .. }) => Self::Unknown("httpGet"),
            Some(LifecycleHandler { tcp_socket: Some(_), .. }) => Self::Unknown("tcpSocket"),
            // A handler that this version does not know is also set by the user.
            Some(_) => Self::Unknown("preStop"),
        }
    }

    /// Whether the hook may run for longer than the manifest shows.
    pub(crate) fn is_open_ended(self) -> bool {
        matches!(self, Self::AtLeast(_) | Self::Unknown(_))
    }

    /// The minimum duration.
    pub(crate) fn at_least(self) -> Seconds {
        match self {
            Self::Sleep(seconds) | Self::AtLeast(seconds) => seconds,
            Self::None | Self::OptOut | Self::Unknown(_) => Seconds::ZERO,
        }
    }
}
