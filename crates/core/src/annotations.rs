//! The annotations that a user sets on a workload, and their only parser.

mod assumption;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::str::FromStr;

use crate::catalog::runtimes::Runtime;
use crate::catalog::traffic::Traffic;
use crate::duration::Seconds;
use crate::probe_spec::ProbeSpec;

pub use assumption::{Assumption, AssumptionError};

/// The prefix of all annotation keys of Winddown.
pub const PREFIX: &str = "winddown.dev/";
/// How long traffic keeps arriving after the deletion of a pod. Opts in.
pub const DRAIN: &str = "winddown.dev/drain";
/// How long the app needs after SIGTERM. Opts in.
pub const DEADLINE: &str = "winddown.dev/deadline";
/// What sends the traffic: a preset for the drain. Opts in.
pub const TRAFFIC: &str = "winddown.dev/traffic";
/// What the app runs on: a preset for the deadline. Opts in.
pub const RUNTIME: &str = "winddown.dev/runtime";
/// The time between the deadline and SIGKILL.
pub const MARGIN: &str = "winddown.dev/margin";
/// The readiness probe to inject where a container has none.
pub const READINESS: &str = "winddown.dev/readiness";
/// The containers that get the sleep; the first one gets the probe.
pub const CONTAINERS: &str = "winddown.dev/containers";
/// How the containers of the app get their budget: [`Expose`].
pub const EXPOSE: &str = "winddown.dev/expose";
/// [`Mode`].
pub const MODE: &str = "winddown.dev/mode";
/// Written by Winddown on the workload: the budget as text.
pub const BUDGET: &str = "winddown.dev/budget";
/// Written by Winddown on the workload: that a template without a current record is as it should be. Outside the prefix, so
/// that versions that do not know it do not take it for a typo.
pub const SETTLED: &str = "state.winddown.dev/settled";
/// Written by Winddown on the pod template: what it changed there, and the previous values.
pub const INJECTED: &str = "winddown.dev/injected";
/// The label that Winddown puts on the pod template, so that managed pods can be selected.
pub const MANAGED: &str = "winddown.dev/managed";

/// The keys that a user may set.
pub const DECLARING: [&str; 9] = [DRAIN, DEADLINE, TRAFFIC, RUNTIME, MARGIN, READINESS, CONTAINERS, EXPOSE, MODE];
/// The keys that opt in by themselves.
pub const OPTING_IN: [&str; 4] = [DRAIN, DEADLINE, TRAFFIC, RUNTIME];

/// What Winddown may do to the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Inject missing fields, reject budgets that do not fit.
    #[default]
    Enforce,
    /// Compute and report; change and reject nothing.
    Audit,
    /// As if no annotation were set.
    Off,
}

/// How the containers of the app get their budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expose {
    /// With environment variables.
    Env,
}

/// The declared values. `Resolved` fills in those that are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// How long traffic keeps arriving.
    pub drain: Option<Seconds>,
    /// How long the app needs after SIGTERM.
    pub deadline: Option<Seconds>,
    /// What sends the traffic: a preset for the drain, if none is declared.
    pub traffic: Option<&'static Traffic>,
    /// What the app runs on: a preset for the deadline, if none is declared.
    pub runtime: Option<&'static Runtime>,
    /// The time between the deadline and SIGKILL.
    pub margin: Option<Seconds>,
    /// The readiness probe to inject.
    pub readiness: Option<ProbeSpec>,
    /// The containers that get the sleep, in the declared order, without duplicates; `None`: all without a preStop hook.
    pub containers: Option<Vec<String>>,
    /// How the containers of the app get their budget; `None`: not at all.
    pub expose: Option<Expose>,
}

/// The parsed annotations of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What Winddown may do.
    pub mode: Mode,
    /// The declaration.
    pub declared: Declared,
    /// Annotations that are invalid or have no effect.
    pub issues: Vec<Issue>,
}

/// Whether there is a declaration, and whether it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Nothing opts in, or mode is Off.
    Nothing,
    /// An annotation is invalid; one of the issues names it.
    Unreadable,
    /// A valid declaration.
    Budget(Declaration),
}

/// A problem with an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// Its value is invalid.
    InvalidValue {
        /// The annotation.
        key: &'static str,
        /// The value, as it was written.
        value: String,
        /// The problem: the text that follows the value in the message.
        reason: String,
    },
    /// A key with the prefix of Winddown that Winddown does not know.
    UnknownKey {
        /// The annotation.
        key: String,
    },
    /// More unknown keys than are named.
    MoreUnknownKeys {
        /// How many.
        number: usize,
    },
    /// A declaration on the pod template.
    Misplaced {
        /// The annotation.
        key: &'static str,
    },
    /// Annotations without one that opts in.
    NotOptedIn {
        /// The first of them.
        key: &'static str,
    },
}

impl Issue {
    /// Whether it makes the declaration unusable.
    fn is_error(&self) -> bool {
        matches!(self, Self::InvalidValue { .. } | Self::UnknownKey { .. } | Self::MoreUnknownKeys { .. })
    }
}

/// Reads the annotations of a workload and those of its pod template, which may only have the record.
#[must_use]
pub fn read(workload: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>) -> Reading {
    read_in(workload, template, false)
}

/// The same for a workload that its namespace opted in.
#[must_use]
pub fn read_opted_in(workload: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>) -> Reading {
    read_in(workload, template, true)
}

fn read_in(workload: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>, by_namespace: bool) -> Reading {
    let mut issues = Vec::new();
    let mode = value(workload, MODE, &mut issues).unwrap_or_default();
    if mode == Mode::Off {
        return Reading { mode, declared: Declared::Nothing, issues };
    }
    issues.extend(unknown_keys(workload));
    issues.extend(misplaced_keys(workload, template));
    let declaration = Declaration {
        drain: value(workload, DRAIN, &mut issues),
        deadline: value(workload, DEADLINE, &mut issues),
        traffic: value(workload, TRAFFIC, &mut issues),
        runtime: value(workload, RUNTIME, &mut issues),
        margin: value(workload, MARGIN, &mut issues),
        readiness: value(workload, READINESS, &mut issues),
        containers: value(workload, CONTAINERS, &mut issues).map(|ContainerNames(names)| names),
        expose: value(workload, EXPOSE, &mut issues),
    };
    let opted_in = by_namespace || OPTING_IN.iter().any(|key| workload.contains_key(key));
    if !opted_in && let Some(key) = DECLARING.into_iter().find(|key| workload.contains_key(key)) {
        issues.push(Issue::NotOptedIn { key });
    }
    let declared = if issues.iter().any(Issue::is_error) {
        Declared::Unreadable
    } else if opted_in {
        Declared::Budget(declaration)
    } else {
        Declared::Nothing
    };
    Reading { mode, declared, issues }
}

fn value<T: FromStr<Err: Display>>(
    annotations: &BTreeMap<&str, &str>,
    key: &'static str,
    issues: &mut Vec<Issue>,
) -> Option<T> {
    let text = annotations.get(key)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            issues.push(Issue::InvalidValue { key, value: (*text).to_owned(), reason: error.to_string() });
            None
        }
    }
}

/// The keys that a user may set, without the prefix.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DECLARING.iter().filter_map(|known| known.strip_prefix(PREFIX))
}

/// The maximum number of unknown keys that are named: a workload can have thousands of annotations.
const MAX_UNKNOWN_KEYS: usize = 16;

fn unknown_keys(annotations: &BTreeMap<&str, &str>) -> Vec<Issue> {
    let mut unknown =
        annotations.keys().filter(|key| key.starts_with(PREFIX) && **key != BUDGET && !DECLARING.contains(*key));
    let named = unknown.by_ref().take(MAX_UNKNOWN_KEYS).map(|key| Issue::UnknownKey { key: (*key).to_owned() });
    let mut issues: Vec<_> = named.collect();
    let number = unknown.count();
    if number > 0 {
        issues.push(Issue::MoreUnknownKeys { number });
    }
    issues
}

/// The declarations on the template, except those that stand on the workload with the same value as well: Kustomize's
/// `commonAnnotations` writes to both.
fn misplaced_keys(workload: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>) -> Vec<Issue> {
    let only_here = template.iter().filter(|(key, value)| workload.get(*key) != Some(value));
    let known = |(key, _): (&&str, &&str)| DECLARING.into_iter().find(|known| known == key);
    only_here.filter_map(known).map(|key| Issue::Misplaced { key }).collect()
}

/// The maximum number of containers. A workload with more is not evaluated, because some checks take quadratic time.
pub(crate) const MAX_CONTAINERS: usize = 1000;

/// Container names, separated by commas.
struct ContainerNames(Vec<String>);

impl FromStr for ContainerNames {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.split(',').nth(MAX_CONTAINERS).is_some() {
            return Err("names more than 1000 containers");
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err("is not a list of container names; write one like app,proxy");
        }
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Err("names a container twice");
        }
        Ok(Self(names))
    }
}

impl FromStr for Expose {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "env" { Ok(Self::Env) } else { Err("is not a way to tell the app its budget; write env") }
    }
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Enforce" => Ok(Self::Enforce),
            "Audit" => Ok(Self::Audit),
            "Off" => Ok(Self::Off),
            _ => Err("is not a mode; write Enforce, Audit or Off"),
        }
    }
}

impl fmt::Display for Declaration {
    /// The canonical form in one line, to compare declarations.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Option<Seconds>| value.map(|value| value.to_string());
        let parts = [
            ("drain", seconds(self.drain)),
            ("deadline", seconds(self.deadline)),
            ("traffic", self.traffic.map(|traffic| traffic.name.clone())),
            ("runtime", self.runtime.map(|runtime| runtime.name.clone())),
            ("margin", seconds(self.margin)),
            ("readiness", self.readiness.as_ref().map(ProbeSpec::to_string)),
            ("expose", self.expose.map(|Expose::Env| "env".to_owned())),
            // Last, because a record is searched for it there.
            ("containers", self.containers.as_ref().map(|names| names.join(","))),
        ];
        let written: Vec<_> = parts.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))).collect();
        f.write_str(&written.join(" "))
    }
}

#[cfg(test)]
mod tests;
