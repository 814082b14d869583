//! What a team writes on its workload, and the only parser of it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use crate::budget::Source;
use crate::catalog::presets::{Runtime, Traffic};
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::policy::Policy;
use crate::probe_spec::Readiness;
use crate::suggestion::nearest;

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
    pub readiness: Option<Readiness>,
    /// The containers that take the sleep, in the order named, none twice; `None` means every one without a preStop.
    pub containers: Option<Vec<String>>,
}

impl Declaration {
    /// The drain, and where it comes from.
    #[must_use]
    pub fn drain(&self, policy: &Policy) -> (Seconds, Source) {
        let preset = self.traffic.map(|traffic| (traffic.drain, traffic.name.as_str()));
        pick(self.drain, preset, policy.drain)
    }

    /// The deadline, and where it comes from.
    #[must_use]
    pub fn deadline(&self, policy: &Policy) -> (Seconds, Source) {
        let preset = self.runtime.and_then(|runtime| Some((runtime.deadline?, runtime.name.as_str())));
        pick(self.deadline, preset, policy.deadline)
    }

    /// What it comes to under a policy, in numbers alone: nothing is left out any more.
    #[must_use]
    pub fn resolved(&self, policy: &Policy) -> Self {
        Self {
            drain: Some(self.drain(policy).0),
            deadline: Some(self.deadline(policy).0),
            traffic: None,
            runtime: None,
            margin: Some(self.margin.unwrap_or(policy.margin)),
            ..self.clone()
        }
    }
}

fn pick(written: Option<Seconds>, preset: Option<(Seconds, &str)>, default: Seconds) -> (Seconds, Source) {
    match (written, preset) {
        (Some(written), _) => (written, Source::Declared),
        (None, Some((proposed, name))) => (proposed, Source::Preset(name.to_owned())),
        (None, None) => (default, Source::Default),
    }
}

/// What the annotations of a workload say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Who may do what.
    pub mode: Mode,
    /// What was declared.
    pub declared: Declared,
    /// What is wrong with the annotations or odd about them.
    pub findings: Vec<Finding>,
}

/// Whether, and how readably, something was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Nothing that opts in is there, or mode is Off.
    Nothing,
    /// Something is there that cannot be read; an [`Severity::Error`](crate::finding::Severity::Error) says what.
    Unreadable,
    /// A promise to keep.
    Budget(Declaration),
}

/// Reads the annotations of a workload and those of its pod template (where only our record belongs).
#[must_use]
pub fn read(workload: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>) -> Reading {
    let mut findings = Vec::new();
    let mode = value(workload, MODE, &mut findings).unwrap_or_default();
    if mode == Mode::Off {
        return Reading { mode, declared: Declared::Nothing, findings };
    }
    findings.extend(unknown_keys(workload));
    findings.extend(misplaced_keys(template));
    let declaration = Declaration {
        drain: value(workload, DRAIN, &mut findings),
        deadline: value(workload, DEADLINE, &mut findings),
        traffic: value(workload, TRAFFIC, &mut findings),
        runtime: value(workload, RUNTIME, &mut findings),
        margin: value(workload, MARGIN, &mut findings),
        readiness: value(workload, READINESS, &mut findings),
        containers: value(workload, CONTAINERS, &mut findings).map(|Names(names)| names),
    };
    let opted_in = OPTING_IN.iter().any(|key| workload.contains_key(key));
    if !opted_in && let Some(key) = DECLARING.iter().find(|key| workload.contains_key(*key)) {
        findings.push(Finding::new(
            Code::NotOptedIn,
            field(key),
            format!(
                "{key} does nothing alone: declare {DRAIN} or {DEADLINE}, or let {TRAFFIC} or {RUNTIME} propose them"
            ),
        ));
    }
    let declared = if findings.iter().any(Finding::is_error) {
        Declared::Unreadable
    } else if opted_in {
        Declared::Budget(declaration)
    } else {
        Declared::Nothing
    };
    Reading { mode, declared, findings }
}

/// The path of an annotation on the workload, as the API server would name it.
#[must_use]
pub fn field(key: &str) -> String {
    format!("metadata.annotations[{key}]")
}

fn value<T: FromStr<Err: Display>>(
    annotations: &BTreeMap<&str, &str>,
    key: &str,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    let text = annotations.get(key)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            findings.push(Finding::new(Code::InvalidAnnotation, field(key), format!("{} {error}", quoted(text))));
            None
        }
    }
}

/// The keys that a team may write, without the prefix.
fn names() -> impl Iterator<Item = &'static str> {
    DECLARING.iter().filter_map(|known| known.strip_prefix(PREFIX))
}

fn unknown_keys(annotations: &BTreeMap<&str, &str>) -> Vec<Finding> {
    annotations
        .keys()
        .filter(|key| key.starts_with(PREFIX) && **key != BUDGET && !DECLARING.contains(*key))
        .map(|key| {
            let hint = match key.strip_prefix(PREFIX).and_then(|name| nearest(name, names())) {
                Some(known) => format!("did you mean {PREFIX}{known}?"),
                None if *key == INJECTED => "Winddown keeps it on the pod template".to_owned(),
                None => format!("{PREFIX} knows {}", names().collect::<Vec<_>>().join(", ")),
            };
            Finding::new(Code::UnknownAnnotation, field(key), format!("nothing reads this annotation; {hint}"))
        })
        .collect()
}

fn misplaced_keys(template: &BTreeMap<&str, &str>) -> Vec<Finding> {
    let misplaced = template.keys().filter(|key| DECLARING.contains(*key));
    misplaced
        .map(|key| {
            Finding::new(
                Code::MisplacedAnnotation,
                format!("spec.template.metadata.annotations[{key}]"),
                "does nothing on the pod template: write it on the metadata of the workload itself",
            )
        })
        .collect()
}

/// A value as it may stand in a message: escaped, and cut where it would drown the rest.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let shown: String = text.chars().take(LONGEST).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{cut}")
}

/// Far more than anybody runs in a pod; what is beyond is not looked at, for looking takes time that grows with the square.
pub(crate) const MOST_CONTAINERS: usize = 1000;

/// Container names, separated by commas.
struct Names(Vec<String>);

impl FromStr for Names {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.len() > MOST_CONTAINERS {
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
            ("readiness", self.readiness.as_ref().map(Readiness::to_string)),
            ("containers", self.containers.as_ref().map(|names| names.join(","))),
        ];
        let written: Vec<_> = parts.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))).collect();
        f.write_str(&written.join(" "))
    }
}

#[cfg(test)]
mod tests;
