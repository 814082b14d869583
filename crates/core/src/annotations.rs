//! What a team writes on its workload, and the only parser of it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use crate::catalog::runtimes::Runtime;
use crate::catalog::traffic::Traffic;
use crate::duration::Seconds;
use crate::probe_spec::ProbeSpec;

/// Every key of ours starts with this.
pub const PREFIX: &str = "winddown.dev/";
/// How long traffic keeps arriving after the pod was told to stop. Opts in.
pub const DRAIN: &str = "winddown.dev/drain";
/// How long the app needs after SIGTERM. Opts in.
pub const DEADLINE: &str = "winddown.dev/deadline";
/// What brings the traffic: a preset that proposes the drain. Opts in.
pub const TRAFFIC: &str = "winddown.dev/traffic";
/// What the app runs on: a preset that proposes the deadline. Opts in.
pub const RUNTIME: &str = "winddown.dev/runtime";
/// Slack between the app's own deadline and SIGKILL.
pub const MARGIN: &str = "winddown.dev/margin";
/// The readiness probe to inject where a container has none.
pub const READINESS: &str = "winddown.dev/readiness";
/// Which containers take the sleep, and (the first) the probe.
pub const CONTAINERS: &str = "winddown.dev/containers";
/// [`Mode`].
pub const MODE: &str = "winddown.dev/mode";
/// Written by Winddown on the workload: the budget in words.
pub const BUDGET: &str = "winddown.dev/budget";
/// Written by Winddown on the pod template: what it changed there, and what stood there before.
pub const INJECTED: &str = "winddown.dev/injected";
/// The label that Winddown puts on the pod template, so that managed pods can be selected.
pub const MANAGED: &str = "winddown.dev/managed";

/// What a team may write.
pub const DECLARING: [&str; 8] = [DRAIN, DEADLINE, TRAFFIC, RUNTIME, MARGIN, READINESS, CONTAINERS, MODE];
/// What declares a promise by itself.
pub const OPTING_IN: [&str; 4] = [DRAIN, DEADLINE, TRAFFIC, RUNTIME];

/// What Winddown may do to the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Inject what is missing, deny what cannot fit.
    #[default]
    Enforce,
    /// Compute and report; change and deny nothing.
    Audit,
    /// As if nothing were declared.
    Off,
}

/// A team's promise, as written: what is left out is the policy's to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// How long traffic keeps arriving.
    pub drain: Option<Seconds>,
    /// How long the app needs after SIGTERM.
    pub deadline: Option<Seconds>,
    /// What brings the traffic; proposes the drain where none is written.
    pub traffic: Option<&'static Traffic>,
    /// What the app runs on; proposes the deadline where none is written.
    pub runtime: Option<&'static Runtime>,
    /// Slack before SIGKILL.
    pub margin: Option<Seconds>,
    /// The readiness probe to inject.
    pub readiness: Option<ProbeSpec>,
    /// The containers that take the sleep, in the order named, none twice; `None` means every one without a preStop.
    pub containers: Option<Vec<String>>,
}

/// The annotations of a workload as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What Winddown may do.
    pub mode: Mode,
    /// What was declared.
    pub declared: Declared,
    /// What is wrong with the annotations, or has no effect.
    pub issues: Vec<Issue>,
}

/// Whether something was declared, and can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// No annotation opts in, or mode is Off.
    Nothing,
    /// An annotation cannot be read: one of the issues says which.
    Unreadable,
    /// A declaration.
    Budget(Declaration),
}

/// Something that is wrong with an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// Its value cannot be read.
    InvalidValue {
        /// The annotation.
        key: &'static str,
        /// The value, as it was written.
        value: String,
        /// What is wrong with it, as what follows the value in a sentence.
        reason: String,
    },
    /// A key with our prefix that is none of ours.
    UnknownKey {
        /// The annotation.
        key: String,
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
    /// Whether the declaration cannot be trusted.
    fn is_error(&self) -> bool {
        matches!(self, Self::InvalidValue { .. } | Self::UnknownKey { .. })
    }
}

/// Reads the annotations of a workload and those of its pod template, where only our record belongs.
#[must_use]
pub fn read(workload: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>) -> Reading {
    let mut issues = Vec::new();
    let mode = value(workload, MODE, &mut issues).unwrap_or_default();
    if mode == Mode::Off {
        return Reading { mode, declared: Declared::Nothing, issues };
    }
    issues.extend(unknown_keys(workload));
    issues.extend(misplaced_keys(template));
    let declaration = Declaration {
        drain: value(workload, DRAIN, &mut issues),
        deadline: value(workload, DEADLINE, &mut issues),
        traffic: value(workload, TRAFFIC, &mut issues),
        runtime: value(workload, RUNTIME, &mut issues),
        margin: value(workload, MARGIN, &mut issues),
        readiness: value(workload, READINESS, &mut issues),
        containers: value(workload, CONTAINERS, &mut issues).map(|ContainerNames(names)| names),
    };
    let opted_in = OPTING_IN.iter().any(|key| workload.contains_key(key));
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

/// The keys that a team may write, without the prefix.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DECLARING.iter().filter_map(|known| known.strip_prefix(PREFIX))
}

fn unknown_keys(annotations: &BTreeMap<&str, &str>) -> Vec<Issue> {
    let unknown =
        annotations.keys().filter(|key| key.starts_with(PREFIX) && **key != BUDGET && !DECLARING.contains(*key));
    unknown.map(|key| Issue::UnknownKey { key: (*key).to_owned() }).collect()
}

fn misplaced_keys(template: &BTreeMap<&str, &str>) -> Vec<Issue> {
    let known = |key: &&str| DECLARING.into_iter().find(|known| known == key);
    template.keys().filter_map(known).map(|key| Issue::Misplaced { key }).collect()
}

/// More containers than any real pod has. Beyond it a workload is not evaluated, because checks take quadratic time.
pub(crate) const MAX_CONTAINERS: usize = 1000;

/// Container names, separated by commas.
struct ContainerNames(Vec<String>);

impl FromStr for ContainerNames {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.len() > MAX_CONTAINERS {
            return Err("names more containers than a pod can sensibly have");
        }
        if names.iter().any(String::is_empty) {
            return Err("is not a list of container names; write one like app,proxy");
        }
        if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
            return Err("names a container twice");
        }
        Ok(Self(names))
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
    /// One canonical line, by which two declarations can be compared long after they were written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Option<Seconds>| value.map(|value| value.to_string());
        let parts = [
            ("drain", seconds(self.drain)),
            ("deadline", seconds(self.deadline)),
            ("traffic", self.traffic.map(|traffic| traffic.name.clone())),
            ("runtime", self.runtime.map(|runtime| runtime.name.clone())),
            ("margin", seconds(self.margin)),
            ("readiness", self.readiness.as_ref().map(ProbeSpec::to_string)),
            ("containers", self.containers.as_ref().map(|names| names.join(","))),
        ];
        let written: Vec<_> = parts.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))).collect();
        f.write_str(&written.join(" "))
    }
}

#[cfg(test)]
mod tests;
