//! Programs that take SIGTERM for the request to start again: the container does not end until SIGKILL.

use k8s_openapi::api::core::v1::Container;

use super::super::command::program;
use super::variable;

/// A program that starts again on SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// uWSGI reloads its workers, unless `die-on-term` is set.
    Uwsgi {
        /// Whether the setting may be in a configuration file.
        has_file: bool,
    },
    /// systemd executes itself again. SIGRTMIN+3 stops it.
    Systemd,
}

impl Restart {
    /// `first` is the path of the program.
    pub(super) fn of(first: &str, arguments: &[String], container: &Container) -> Option<Self> {
        match first {
            "/sbin/init" | "/usr/sbin/init" => return Some(Self::Systemd),
            _ if program(first) == "systemd" => return Some(Self::Systemd),
            _ if program(first) == "uwsgi" => {}
            _ => return None,
        }
        // uWSGI accepts `--die-on-term`, `-die-on-term=true`, and any option as a variable.
        let dies =
            |word: &String| word.trim_start_matches('-').starts_with("die-on-term") || word.contains("unix_signal:15 ");
        let is_set = |value: String| !matches!(value.as_str(), "" | "0" | "false" | "no");
        if arguments.iter().any(dies) || variable(container, "UWSGI_DIE_ON_TERM").is_some_and(is_set) {
            return None;
        }
        let file = |word: &String| {
            let end = word.rsplit('.').next().unwrap_or_default();
            matches!(end, "ini" | "xml" | "yaml" | "yml" | "json" | "conf") || word.starts_with("--emperor")
        };
        let has_file = arguments.iter().any(file)
            || ["UWSGI_INI", "UWSGI_YAML", "UWSGI_JSON", "UWSGI_XML"]
                .iter()
                .any(|name| variable(container, name).is_some());
        Some(Self::Uwsgi { has_file })
    }

    /// The name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Uwsgi { .. } => "uWSGI",
            Self::Systemd => "systemd",
        }
    }
}
