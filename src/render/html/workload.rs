//! One workload: a line, and below it why it drops requests, its shutdown, its findings and the changes.

use std::io;

use maud::{Markup, html};
use similar::ChangeTag;

use super::chart::charts;
use crate::render::diff::{Line, lines};
use crate::render::survey::Survey;
use crate::render::text::{changes, pluralize};
use crate::render::workload::Workload;
use winddown_core::annotations::Mode;
use winddown_core::budget::{Budget, Source};
use winddown_core::current_shutdown::CurrentShutdown;
use winddown_core::evaluation::Evaluation;
use winddown_core::finding::{Finding, Severity};
use winddown_core::object::Object;

/// Lines of a diff that are shown; a template that is replaced as a whole can have thousands.
const MAX_DIFF: usize = 300;

/// What the filters ask for. A workload with errors and warnings has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Has {
    Errors,
    Warnings,
    /// No error and no warning.
    Neither,
    /// The same, without a budget of its own or an assumed one.
    NoBudget,
}

impl Has {
    pub(super) const ALL: [Self; 4] = [Self::Errors, Self::Warnings, Self::Neither, Self::NoBudget];

    pub(super) fn of(workload: &Workload) -> Vec<Self> {
        let counted = [(Self::Errors, Severity::Error), (Self::Warnings, Severity::Warning)];
        let counted = counted.into_iter().filter(|(_, severity)| workload.count(*severity) > 0);
        let all: Vec<_> = counted.map(|(has, _)| has).collect();
        match (all.is_empty(), workload.current.is_none()) {
            (false, _) => all,
            (true, false) => vec![Self::Neither],
            (true, true) => vec![Self::NoBudget],
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Warnings => "warnings",
            Self::Neither => "neither",
            Self::NoBudget => "no-budget",
        }
    }

    /// After "Show workloads".
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Errors => "with errors",
            Self::Warnings => "with warnings",
            Self::Neither => "with neither",
            Self::NoBudget => "not opted in",
        }
    }
}

/// The class of the dot beside the name.
fn dot(workload: &Workload) -> &'static str {
    if workload.has(Severity::Error) {
        "error"
    } else if workload.has(Severity::Warning) || !workload.losses().is_empty() {
        "warning"
    } else if workload.current.is_none() {
        "unknown"
    } else {
        "fine"
    }
}

pub(super) fn entry(workload: &Workload, survey: &Survey, is_open: bool) -> io::Result<Markup> {
    let object = Object::new(&workload.object);
    let (namespace, name) = (object.namespace(), object.name().unwrap_or_default());
    let has: Vec<_> = Has::of(workload).into_iter().map(Has::as_str).collect();
    let evaluation = &workload.evaluation;
    let diff = if evaluation.changes.rolls_out() { lines(workload)? } else { Vec::new() };
    let id = format!("{namespace}/{}/{name}", workload.kind.as_str().to_lowercase());
    Ok(html! {
        details data-workload data-has=(has.join(" ")) data-namespace=(namespace) data-search=(words(workload))
            data-drops[!workload.losses().is_empty()] id=(id) open[is_open] {
            summary {
                span class={ "dot " (dot(workload)) } aria-hidden="true" {}
                h3.name { span.namespace { (namespace) "/" } (name) }
                span.kind { (workload.kind) }
                span.why { (with_code(&why(workload))) }
                span.count { (count(workload)) }
            }
            div.body {
                (origin(workload, survey))
                (losses(workload))
                @if let Some(charts) = charts(evaluation, workload.current.as_ref()) { (charts) }
                @if let Some(budget) = &evaluation.budget { (sum(budget)) }
                div.columns {
                    (findings(&evaluation.findings))
                    @if evaluation.budget.is_some() { (difference(workload, &diff)) }
                }
                p.link { a href={ "#" (id) } { "Link to this workload" } }
            }
        }
    })
}

/// Text in which words between backticks are code.
pub(super) fn with_code(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// What the search looks at, in lower case.
fn words(workload: &Workload) -> String {
    let object = Object::new(&workload.object);
    let name = format!("{}/{} {}", object.namespace(), object.name().unwrap_or_default(), workload.kind);
    let codes = workload.evaluation.findings.iter().map(|finding| finding.code.as_str().to_owned());
    let causes = workload.losses().iter().map(|loss| loss.cause.in_words().to_owned());
    let all: Vec<_> = [name].into_iter().chain(workload.owner()).chain(codes).chain(causes).collect();
    all.join(" ").to_lowercase()
}

/// The line next to the name: why requests are dropped, or the worst finding.
fn why(workload: &Workload) -> String {
    let findings = &workload.evaluation.findings;
    let worst =
        |severity| findings.iter().find(|finding| finding.severity == severity).map(|finding| finding.code.title());
    let causes: Vec<_> = workload.losses().iter().map(|loss| loss.cause.in_words()).collect();
    let causes = (!causes.is_empty()).then(|| causes.join(", "));
    let title = worst(Severity::Error).map(str::to_owned).or(causes).or(worst(Severity::Warning).map(str::to_owned));
    title.unwrap_or_else(|| match (&workload.current, workload.evaluation.mode) {
        (_, Mode::Off) => "mode Off".to_owned(),
        (None, _) => "not opted in".to_owned(),
        (Some(CurrentShutdown { takes_requests: None, .. }), _) => "no port; the Services could not be read".to_owned(),
        (Some(current), _) if current.takes_requests == Some(false) => {
            "no Service and no port: takes no requests".to_owned()
        }
        _ => "nothing found".to_owned(),
    })
}

fn count(workload: &Workload) -> String {
    let of = |severity: Severity| match workload.count(severity) {
        0 => None,
        number => Some(pluralize(number, severity.as_str())),
    };
    let counts: Vec<_> = [Severity::Error, Severity::Warning].into_iter().filter_map(of).collect();
    counts.join(", ")
}

/// Where the budget is from, and who owns the workload.
fn origin(workload: &Workload, survey: &Survey) -> Markup {
    html! {
        @if let (Some(_), Some(assumed)) = (&workload.assumed, &survey.assumed) {
            p.note { "No annotations of Winddown. Assumed: " code { (assumed) } }
        }
        @if let Some(owner) = workload.owner() {
            p.note { (owner) " controls it, so the numbers belong in that object." }
        }
        @if workload.current.is_none() && workload.evaluation.findings.is_empty() {
            @if workload.evaluation.mode == Mode::Off {
                p { "Its mode is Off, so Winddown leaves it as it is." }
            } @else {
                p { "Nothing is known about its shutdown, because it declares neither a drain nor a deadline." }
            }
        }
    }
}

fn losses(workload: &Workload) -> Markup {
    html! {
        @if let Some(current) = &workload.current {
            @if !current.losses.is_empty() {
                h4 { "A rollout can drop requests today" }
                dl.losses {
                    @for loss in &current.losses { dt { (loss.cause.in_words()) } dd { (loss.message) } }
                }
            } @else if current.takes_requests == Some(false) {
                p { "It takes no requests: no Service selects its pods, and no app lists a port." }
            } @else if current.takes_requests.is_none() {
                p { "Whether it takes requests is unknown: no app lists a port, and the Services could not be read." }
            }
        }
    }
}

/// drain + deadline + margin = what is needed, of the grace period.
fn sum(budget: &Budget) -> Markup {
    let parts = [
        ("drain", budget.drain, &budget.drain_from),
        ("deadline", budget.deadline, &budget.deadline_from),
        ("margin", budget.margin, &budget.margin_from),
    ];
    html! {
        p.sum class=[(!budget.fits()).then_some("misfit")] {
            @for (at, (name, seconds, source)) in parts.into_iter().enumerate() {
                @if at > 0 { span.sign { "+" } }
                span.part { b { (seconds) } " " (name) @if *source != Source::Declared { small { (source.in_words()) } } }
            }
            span.sign { "=" }
            span.part { b { (budget.sum()) } " needed" }
            span.sign { @if budget.fits() { "≤" } @else { ">" } }
            span.part { b { (budget.grace_period) } " grace period" }
        }
        @if let Some(helper) = &budget.longest_helper {
            p.note { (helper.container) " needs " @if helper.at_least { "at least " } (helper.needs) }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            div.findings {
                h4 { (pluralize(findings.len(), "finding")) }
                ul {
                    @for finding in findings {
                        li class=(finding.severity.as_str()) {
                            p { span.severity { (finding.severity.as_str()) } " " code.code { (finding.code.as_str()) } }
                            p { (finding.problem) }
                            @if let Some(hint) = &finding.hint { p.hint { "→ " (hint) } }
                            p.field { code { (finding.field) } }
                        }
                    }
                }
            }
        }
    }
}

fn difference(workload: &Workload, diff: &[Line]) -> Markup {
    html! {
        div.changes {
            h4 { @if workload.assumed.is_some() { "With these annotations, Winddown would change" } @else { "Winddown would change" } }
            @if diff.is_empty() && !workload.evaluation.fits {
                p { "Nothing: with an error, nothing is injected." }
            } @else if diff.is_empty() {
                p { (unchanged(&workload.evaluation)) }
            } @else {
                @if let Some(changes) = changes(&workload.evaluation) { p { (changes) } }
                (text_of(diff))
            }
        }
    }
}

/// Why the pods of a workload without errors stay as they are.
fn unchanged(evaluation: &Evaluation) -> &'static str {
    match evaluation.mode {
        Mode::Audit => "Nothing: its mode is Audit, so Winddown only reports.",
        Mode::Off => "Nothing: its mode is Off.",
        Mode::Enforce if evaluation.waiting => "Nothing before its template changes next.",
        Mode::Enforce => "Nothing: its pods are as they should be.",
    }
}

fn text_of(diff: &[Line]) -> Markup {
    let (shown, rest) = diff.split_at(diff.len().min(MAX_DIFF));
    html! {
            pre tabindex="0" {
                @for line in shown {
                    @match line {
                        Line::Header(text) => span.hunk { (text) },
                        Line::Text(ChangeTag::Equal, text) => (text),
                        Line::Text(ChangeTag::Insert, text) => ins { (text) },
                        Line::Text(ChangeTag::Delete, text) => del { (text) },
                    }
                    "\n"
                }
                @if !rest.is_empty() { "and " (rest.len()) " more lines\n" }
            }
    }
}
