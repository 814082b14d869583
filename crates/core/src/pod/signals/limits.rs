//! Programs that kill the app some time after the stop signal.

use std::fmt;

use k8s_openapi::api::core::v1::Container;

use super::super::command::program;
use super::super::shell::duration;
use super::super::wrappers::Wrapper;
use super::{has_busybox, option, variable};
use crate::duration::Seconds;

/// How long a program lets the app run after the stop signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The program.
    pub(crate) program: String,
    /// Until it kills the app.
    pub(crate) after: Milliseconds,
    /// The setting in a file that the manifest does not show.
    pub(crate) file: Option<&'static str>,
    /// How to change it.
    change: Change,
}

/// A duration with fractions of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Milliseconds(u64);

/// How to change the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// There is no setting.
    Instead(&'static str),
    /// An environment variable or an option, with its unit.
    Set(&'static str, Unit),
}

/// The unit of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// A program with a limit: milliseconds, where they can be set, and what else can be said about it.
struct Known {
    names: &'static [&'static str],
    after: u64,
    variable: Option<&'static str>,
    options: &'static [&'static str],
    unit: Unit,
    file: Option<&'static str>,
    change: Change,
}

const KNOWN: Known = Known {
    names: &[],
    after: 0,
    variable: None,
    options: &[],
    unit: Unit::Seconds,
    file: None,
    change: Change::Instead("run the app directly"),
};

/// pm2, nodemon and supervisord were measured; the page of `WrapperKillsEarly` has the sources of the others.
const PROGRAMS: &[Known] = &[
    Known {
        names: &["pm2-runtime", "pm2-docker"],
        after: 1600,
        // pm2-runtime ignores --kill-timeout.
        variable: Some("PM2_KILL_TIMEOUT"),
        unit: Unit::Milliseconds,
        file: Some("kill_timeout"),
        change: Change::Set("PM2_KILL_TIMEOUT", Unit::Milliseconds),
        ..KNOWN
    },
    Known { names: &["nodemon"], after: 10_000, ..KNOWN },
    Known {
        names: &["supervisord"],
        after: 10_000,
        file: Some("stopwaitsecs"),
        change: Change::Set("stopwaitsecs", Unit::Seconds),
        ..KNOWN
    },
    Known {
        names: &["/init"],
        after: 3000,
        variable: Some(S6_OVERLAY),
        unit: Unit::Milliseconds,
        change: Change::Set(S6_OVERLAY, Unit::Milliseconds),
        ..KNOWN
    },
    Known {
        names: &["foreman"],
        after: 5000,
        options: &["-t", "--timeout"],
        change: Change::Set("--timeout", Unit::Seconds),
        ..KNOWN
    },
    Known { names: &["honcho"], after: 5000, ..KNOWN },
    Known {
        names: &["overmind"],
        after: 5000,
        variable: Some("OVERMIND_TIMEOUT"),
        options: &["-t", "--timeout"],
        change: Change::Set("OVERMIND_TIMEOUT", Unit::Seconds),
        ..KNOWN
    },
    Known {
        names: &["hivemind"],
        after: 5000,
        variable: Some("HIVEMIND_TIMEOUT"),
        options: &["-t", "--timeout"],
        change: Change::Set("HIVEMIND_TIMEOUT", Unit::Seconds),
        ..KNOWN
    },
];

const S6_OVERLAY: &str = "S6_KILL_GRACETIME";

impl Limit {
    /// The limit of a program; `first` is its path.
    pub(super) fn of(first: &str, arguments: &[String], container: &Container) -> Option<Self> {
        let is_it = |name: &&&str| if name.starts_with('/') { **name == first } else { **name == program(first) };
        let (known, name) = PROGRAMS.iter().find_map(|known| Some((known, known.names.iter().find(is_it)?)))?;
        let shown = if *name == "/init" { "s6-overlay" } else { name };
        known.limit(shown, arguments, container)
    }

    /// The limit of a program that runs another. Those of `BusyBox`, and Alpine's `doas`, are replaced by the command.
    pub(super) fn of_wrapper(wrapper: &Wrapper<'_>, container: &Container) -> Option<Self> {
        let (after, change) = match wrapper.program {
            "su" | "doas" | "timeout" if has_busybox(container) => return None,
            "su" | "runuser" | "doas" => {
                (2000, Change::Instead("use gosu, su-exec or setpriv, which the app replaces"))
            }
            "timeout" => {
                let kill_after = wrapper.values(&["k", "kill-after"]).last().and_then(duration)?;
                let kill_after = u64::try_from(kill_after.as_millis()).ok().filter(|after| *after > 0)?;
                (kill_after, Change::Set("--kill-after", Unit::Seconds))
            }
            _ => return None,
        };
        Some(Self { program: wrapper.program.to_owned(), after: Milliseconds(after), file: None, change })
    }

    /// The limit of s6-overlay as the entry point of the image: the manifest shows it only by its variable.
    pub(super) fn of_image(container: &Container) -> Option<Self> {
        variable(container, S6_OVERLAY)?;
        Self::of("/init", &[], container)
    }

    /// The limit that ends first.
    pub(super) fn shortest(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).min_by_key(|limit| limit.after)
    }

    /// Whether the app is killed before it had that time.
    pub(crate) fn is_before(&self, deadline: Seconds) -> bool {
        self.after < Milliseconds::from(deadline)
    }

    /// How to give the app that time.
    pub(crate) fn hint(&self, deadline: Seconds) -> String {
        match self.change {
            Change::Instead(hint) => hint.to_owned(),
            Change::Set(setting, Unit::Seconds) => format!("set {setting} to {}", deadline.as_i64()),
            Change::Set(setting, Unit::Milliseconds) => format!("set {setting} to {}", Milliseconds::from(deadline).0),
        }
    }
}

impl Known {
    /// `None` if the manifest sets it to a value that it does not contain.
    fn limit(&self, name: &str, arguments: &[String], container: &Container) -> Option<Limit> {
        let set = || self.variable.and_then(|name| variable(container, name));
        let set = option(arguments, self.options).map(str::to_owned).or_else(set);
        let set = set.map(|value| value.parse::<u32>()).transpose().ok()?.map(u64::from);
        let after = match self.unit {
            Unit::Seconds => set.map(|seconds| seconds * 1000),
            Unit::Milliseconds => set,
        };
        Some(Limit {
            program: name.to_owned(),
            after: Milliseconds(after.unwrap_or(self.after)),
            // A setting in the manifest has precedence, as far as that is known.
            file: self.file.filter(|_| after.is_none()),
            change: self.change,
        })
    }
}

impl From<Seconds> for Milliseconds {
    fn from(seconds: Seconds) -> Self {
        Self(seconds.as_i64().unsigned_abs() * 1000)
    }
}

impl fmt::Display for Milliseconds {
    /// In seconds, for example `1.6s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{seconds}s");
        }
        write!(f, "{seconds}.{}s", format!("{rest:03}").trim_end_matches('0'))
    }
}
