//! What a team writes on its Deployment, and the only parser of it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use crate::finding::{Code, Finding};
use crate::policy::Policy;
use crate::readiness::Readiness;
use crate::seconds::Seconds;

/// Every key of ours starts with this.
pub const PREFIX: &str = "winddown.dev/";
/// How long traffic keeps arriving after the pod was told to stop. Opts in.
pub const DRAIN: &str = "winddown.dev/drain";
/// How long the app needs after SIGTERM. Opts in.
pub const DEADLINE: &str = "winddown.dev/deadline";
/// Slack between the app's own deadline and SIGKILL.
pub const MARGIN: &str = "winddown.dev/margin";
/// The readiness probe to inject where a container has none.
pub const READINESS: &str = "winddown.dev/readiness";
/// Which containers take the sleep, and (the first) the probe.
pub const CONTAINERS: &str = "winddown.dev/containers";
/// [`Mode`].
pub const MODE: &str = "winddown.dev/mode";
/// Written by Winddown on the Deployment: the budget in words.
pub const BUDGET: &str = "winddown.dev/budget";
/// Written by Winddown on the pod template: what it changed there, and what stood there before.
pub const INJECTED: &str = "winddown.dev/injected";
/// The label that Winddown puts on the pod template, so that managed pods can be selected.
pub const MANAGED: &str = "winddown.dev/managed";

const DECLARING: [&str; 6] = [DRAIN, DEADLINE, MARGIN, READINESS, CONTAINERS, MODE];

/// What Winddown may do to the Deployment.
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
    /// Slack before SIGKILL.
    pub margin: Option<Seconds>,
    /// The readiness probe to inject.
    pub readiness: Option<Readiness>,
    /// The containers that take the sleep, in the order named, none twice; `None` means every one without a preStop.
    pub containers: Option<Vec<String>>,
}

impl Declaration {
    /// What it comes to under a policy: nothing is left out any more.
    #[must_use]
    pub fn resolved(&self, policy: &Policy) -> Self {
        Self {
            drain: Some(self.drain.unwrap_or(policy.drain)),
            deadline: Some(self.deadline.unwrap_or(policy.deadline)),
            margin: Some(self.margin.unwrap_or(policy.margin)),
            ..self.clone()
        }
    }
}

/// What the annotations of a Deployment say.
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
    /// Neither drain nor deadline is there, or mode is Off.
    Nothing,
    /// Something is there that cannot be read; an [`Severity::Error`](crate::finding::Severity::Error) says what.
    Unreadable,
    /// A promise to keep.
    Budget(Declaration),
}

/// Reads the annotations of a Deployment and those of its pod template (where only our record belongs).
#[must_use]
pub fn read(deployment: &BTreeMap<&str, &str>, template: &BTreeMap<&str, &str>) -> Reading {
    let mut findings = Vec::new();
    let mode = value(deployment, MODE, &mut findings).unwrap_or_default();
    if mode == Mode::Off {
        return Reading { mode, declared: Declared::Nothing, findings };
    }
    findings.extend(unknown_keys(deployment));
    findings.extend(misplaced_keys(template));
    let declaration = Declaration {
        drain: value(deployment, DRAIN, &mut findings),
        deadline: value(deployment, DEADLINE, &mut findings),
        margin: value(deployment, MARGIN, &mut findings),
        readiness: value(deployment, READINESS, &mut findings),
        containers: value(deployment, CONTAINERS, &mut findings).map(|Names(names)| names),
    };
    let opted_in = [DRAIN, DEADLINE].iter().any(|key| deployment.contains_key(key));
    if !opted_in && let Some(key) = DECLARING.iter().find(|key| deployment.contains_key(*key)) {
        findings.push(Finding::warning(
            Code::NotOptedIn,
            field(key),
            format!("{key} does nothing alone: declare {DRAIN} or {DEADLINE}"),
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

/// The path of an annotation on the Deployment, as the API server would name it.
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
            findings.push(Finding::error(Code::InvalidAnnotation, field(key), format!("{} {error}", quoted(text))));
            None
        }
    }
}

fn unknown_keys(annotations: &BTreeMap<&str, &str>) -> Vec<Finding> {
    annotations
        .keys()
        .filter(|key| key.starts_with(PREFIX) && **key != BUDGET && !DECLARING.contains(*key))
        .map(|key| {
            let hint = match nearest(key) {
                Some(known) => format!("did you mean {known}?"),
                None if *key == INJECTED => "Winddown keeps it on the pod template".to_owned(),
                None => {
                    let known: Vec<_> = DECLARING.iter().filter_map(|known| known.strip_prefix(PREFIX)).collect();
                    format!("{PREFIX} knows {}", known.join(", "))
                }
            };
            Finding::error(Code::UnknownAnnotation, field(key), format!("nothing reads this annotation; {hint}"))
        })
        .collect()
}

fn misplaced_keys(template: &BTreeMap<&str, &str>) -> Vec<Finding> {
    let misplaced = template.keys().filter(|key| DECLARING.contains(*key));
    misplaced
        .map(|key| {
            Finding::warning(
                Code::MisplacedAnnotation,
                format!("spec.template.metadata.annotations[{key}]"),
                "does nothing on the pod template: write it on the Deployment's own metadata",
            )
        })
        .collect()
}

/// The known key that somebody who wrote `key` most likely meant: at most two edits away.
fn nearest(key: &str) -> Option<&'static str> {
    let written = key.strip_prefix(PREFIX).filter(|name| name.len() <= 20)?;
    DECLARING
        .iter()
        .filter_map(|known| Some((edits(written, known.strip_prefix(PREFIX)?), *known)))
        .filter(|(edits, _)| *edits <= 2)
        .min()
        .map(|(_, known)| known)
}

/// Edit distance in which swapping two neighbours is one edit, as typing goes.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substitute.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
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
