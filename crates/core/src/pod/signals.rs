//! What the app of a container gets of the stop signal, as far as the command line shows it.
//!
//! The kubelet sends the stop signal only to the first process of a container. If that process is a shell, a package manager
//! or a supervisor, the app may not receive the signal, or may be killed before its deadline. `e2e/tests/processes` compares
//! this module with real processes.

mod limits;
mod managers;
mod restarts;
mod script;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::command::{Script, program};
use super::environment::Environment;
use super::image;
use super::wrappers::{OnSigterm, Runs, Wrapper};
pub(crate) use limits::Limit;
pub(crate) use restarts::Restart;
pub(crate) use script::Fix;

/// The signal that a container gets if no other is set.
pub(crate) const SIGTERM: &str = "SIGTERM";

/// The number of programs that run each other which are looked at.
const MAX_DEPTH: usize = 8;

/// The name of `BusyBox`'s shell.
const BUSYBOX_SHELL: &str = "ash";

/// What happens to the app of a container after the stop signal. Everything is `None` if it seems to receive the signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reception {
    /// Why the app does not, or may not, receive the signal, or why the first process does not wait for the app.
    pub(crate) loss: Option<SignalLoss>,
    /// A program that kills the app after some time.
    pub(crate) limit: Option<Limit>,
    /// A program that takes SIGTERM for the request to start again.
    pub(crate) restart: Option<Restart>,
    /// The init process in front: only the container's first process ignores signals that it does not handle, so a shell
    /// behind it ends immediately.
    pub(crate) init: Option<String>,
}

/// The reason why the signal does not, or may not, reach the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignalLoss {
    /// The shell does not forward the signal.
    Shell { shell: String, fix: Fix },
    /// The program does not forward the signal.
    Program { program: String, hint: &'static str },
    /// The program ends without waiting for the app.
    Manager { manager: String, hint: &'static str },
    /// Whether the shell remains the first process depends on this.
    ShellUnclear { shell: String, depends_on: &'static str, fix: Fix },
    /// Whether the program forwards the signal depends on this.
    ManagerUnclear { manager: String, depends_on: &'static str, hint: &'static str },
}

impl SignalLoss {
    /// Whether the app is killed in any case.
    const fn is_certain(&self) -> bool {
        matches!(self, Self::Shell { .. } | Self::Program { .. } | Self::Manager { .. })
    }
}

impl Reception {
    /// Whether the first process stays until the app has exited, although it does not forward the signal.
    pub(crate) const fn outlasts_the_app(&self) -> bool {
        use SignalLoss::{Program, Shell, ShellUnclear};
        self.init.is_none() && matches!(self.loss, Some(Shell { .. } | ShellUnclear { .. } | Program { .. }))
    }

    /// What the command line of a container shows. Without a command, the entrypoint of the image runs. It is unknown, but
    /// if there are arguments that start with a program, it is an entrypoint that runs its arguments.
    pub(crate) fn of(container: &Container) -> Self {
        let environment = Environment::of(container);
        let command = container.command.iter().flatten();
        let line: Vec<_> =
            command.chain(container.args.iter().flatten()).map(|word| environment.expand(word).into_owned()).collect();
        let shown = Self::of_line(&line, container, 0);
        if has_command(container) {
            return shown;
        }
        Self { limit: Limit::shortest(shown.limit, Limit::of_image(container)), ..shown }
    }

    fn of_line(line: &[String], container: &Container, depth: usize) -> Self {
        let Some((first, arguments)) = line.split_first().filter(|_| depth < MAX_DEPTH) else {
            return Self::default();
        };
        if let Some(script) = Script::of(line) {
            return Self::of_script(script, container, depth);
        }
        let name = program(first);
        if let Some(script) = Script::of(arguments).filter(|_| name == "busybox") {
            return Self::of_script(Script { shell: BUSYBOX_SHELL, ..script }, container, depth);
        }
        let words: Vec<_> = line.iter().map(|word| Some(word.as_str())).collect();
        if let Some(wrapper) = Wrapper::of(&words) {
            return Self::behind(&wrapper, line, container, depth);
        }
        Self {
            loss: managers::loss(name, arguments),
            limit: Limit::of(first, arguments, container),
            restart: Restart::of(first, arguments, container),
            init: None,
        }
    }

    fn behind(wrapper: &Wrapper<'_>, line: &[String], container: &Container, depth: usize) -> Self {
        let program = wrapper.program.to_owned();
        if let OnSigterm::Keeps(hint) = wrapper.on_sigterm {
            return Self { loss: Some(SignalLoss::Program { program, hint }), ..Self::default() };
        }
        let inner = match wrapper.runs {
            Runs::Line(at) => Self::of_line(line.get(at..).unwrap_or_default(), container, depth + 1),
            Runs::Script(script) => Self::of_script(script, container, depth + 1),
            Runs::Unknown => Self::default(),
        };
        let limit = Limit::shortest(Limit::of_wrapper(wrapper, container), inner.limit);
        let is_init = wrapper.on_sigterm == OnSigterm::ForwardsAsInit;
        Self { limit, init: is_init.then_some(program).or(inner.init), ..inner }
    }

    fn of_script(script: Script<'_>, container: &Container, depth: usize) -> Self {
        let is_busybox = script.shell == BUSYBOX_SHELL || (script.shell == "sh" && has_busybox(container));
        let (loss, runs) = script::read(script, is_busybox, &Environment::of(container));
        let inner = runs.map(|line| Self::of_line(&line, container, depth + 1)).unwrap_or_default();
        let loss = match inner.loss {
            // However the shell behaves.
            Some(certain) if certain.is_certain() => Some(certain),
            unclear => loss.or(unclear),
        };
        Self { loss, ..inner }
    }
}

/// The stop signal of a container, without that of the image. The API server rejects `stopSignal` in a pod without
/// `spec.os.name`, or drops it (validation of `Lifecycle` in Kubernetes 1.33 to 1.37).
pub(crate) fn stop_signal<'a>(pod: &PodSpec, container: &'a Container) -> &'a str {
    declared_stop_signal(container).filter(|_| has_os(pod)).unwrap_or(SIGTERM)
}

/// `lifecycle.stopSignal`.
pub(crate) fn declared_stop_signal(container: &Container) -> Option<&str> {
    container.lifecycle.as_ref()?.stop_signal.as_deref()
}

/// Whether the pod has `os.name`.
pub(crate) fn has_os(pod: &PodSpec) -> bool {
    pod.os.as_ref().is_some_and(|os| !os.name.is_empty())
}

/// Whether a container has a command line of its own, and not only arguments for the entrypoint of its image.
pub(crate) fn has_command(container: &Container) -> bool {
    container.command.as_ref().is_some_and(|command| !command.is_empty())
}

fn has_busybox(container: &Container) -> bool {
    container.image.as_deref().is_some_and(image::has_busybox)
}

/// The value of an environment variable, with `UNKNOWN` for text that the manifest does not contain.
fn variable(container: &Container, name: &str) -> Option<String> {
    Environment::of(container).get(name).map(str::to_owned)
}

/// The value of an option in the forms `--name value` and `--name=value`.
fn option<'a>(arguments: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some((name, value)) if names.contains(&name) => return Some(value),
            _ if names.contains(&word.as_str()) => return words.next().map(String::as_str),
            _ => {}
        }
    }
    None
}
