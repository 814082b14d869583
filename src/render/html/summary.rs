//! What is above and below the list of workloads: the numbers, what is missing, search and filters.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::legend;
use super::workload::{Has, with_code};
use crate::render::survey::Survey;
use crate::render::survey::overview::{Count, Overview};
use crate::render::survey::text::findings;
use crate::render::text::pluralize;
use crate::render::workload::Workload;
use winddown_core::object::Object;

/// Codes that are shown at once.
const FIRST_CODES: usize = 10;

/// What was looked at, and when.
pub(super) fn header(survey: &Survey, overview: &Overview, date: &str) -> Markup {
    let name = if survey.context.is_empty() { "cluster" } else { &survey.context };
    html! {
        header.top {
            p.eyebrow { "Shutdown audit" }
            h1 { (name) @if let Some(namespace) = &survey.namespace { " / " (namespace) } }
            p.meta {
                "Kubernetes " (survey.kubernetes) " · " (pluralize(overview.workloads, "workload"))
                @if survey.namespace.is_none() { " in " (pluralize(overview.namespaces, "namespace")) }
                @if let Some(selector) = &survey.selector { " with " code { (selector) } }
                " · " (date)
            }
        }
    }
}

/// How many workloads can drop requests, why, and what was found.
pub(super) fn numbers(survey: &Survey, overview: &Overview) -> Markup {
    html! {
        @if !survey.missing.is_empty() { (missing(survey)) }
        @if overview.evaluated > 0 {
            section.figures aria-labelledby="requests" {
                div.headline {
                    p.figure { (overview.can_drop_requests) span.of { " of " (overview.take_requests) } }
                    h2 #requests { (sentence(overview)) }
                    (assumption(survey, overview))
                }
                @if !overview.causes.is_empty() {
                    div.causes {
                        h3 { "Why" }
                        ul.counts {
                            @for (cause, count) in &overview.causes {
                                li {
                                    span.number { (count) } span.label { (cause.in_words()) }
                                    (share(*count, overview.take_requests))
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !overview.codes.is_empty() { (codes(survey, overview)) }
    }
}

/// What follows `12 of 30`.
fn sentence(overview: &Overview) -> &'static str {
    match overview.take_requests {
        0 => "no workload takes requests",
        1 => "workload that takes requests can drop requests during a rollout today",
        _ => "workloads that take requests can drop requests during a rollout today",
    }
}

/// A bar that is as long as its share.
fn share(count: usize, all: usize) -> Markup {
    let tenths = (count * 1000).checked_div(all).unwrap_or(0);
    html! {
        svg.share width="100%" height="4" aria-hidden="true" {
            rect.share-all width="100%" height="4" {}
            rect.share-part width=(format!("{}.{}%", tenths / 10, tenths % 10)) height="4" {}
        }
    }
}

fn assumption(survey: &Survey, overview: &Overview) -> Markup {
    html! {
        @if let (Some(assumed), 1..) = (&survey.assumed, overview.assumed) {
            p.note {
                (pluralize(overview.assumed, "workload"))
                " without annotations: their budget is assumed as " code { (assumed) }
                ". New requests arrive for the drain after a pod is deleted, and open ones take up to the deadline. "
                "Findings about them are about these numbers; " code.flag { "--assume" } " sets others."
            }
        }
        @if overview.would_change > 0 {
            p.note {
                "Winddown would change the pods of " (pluralize(overview.would_change, "workload")) "; each one below has its diff."
            }
        }
        @if overview.owned > 0 {
            p.note {
                (pluralize(overview.owned, "workload"))
                " controlled by another object, such as that of an operator: the numbers belong in that object."
            }
        }
        p.note {
            "An app that goes on accepting connections for long enough after SIGTERM drops fewer; that cannot be seen from outside."
        }
    }
}

fn missing(survey: &Survey) -> Markup {
    html! {
        section.missing aria-labelledby="missing" {
            h2 #missing { "Not everything could be read" }
            ul { @for line in &survey.missing { li { (line) } } }
            @if !survey.withheld.is_empty() {
                @let codes: Vec<_> = survey.withheld.iter().map(|code| code.as_str()).collect();
                p { "Withheld, because they need these objects: " (codes.join(", ")) }
            }
        }
    }
}

fn codes(survey: &Survey, overview: &Overview) -> Markup {
    let (first, rest) = overview.codes.split_at(overview.codes.len().min(FIRST_CODES));
    html! {
        section aria-labelledby="codes" {
            h2 #codes { (findings(overview)) }
            p.note { "By the number of workloads. The reason and the fix of each: " code { (survey.program) " explain CODE" } }
            (list(first))
            @if !rest.is_empty() {
                details.more { summary { (rest.len()) " more" } (list(rest)) }
            }
        }
    }
}

fn list(codes: &[Count]) -> Markup {
    html! {
        ul.codes {
            @for Count { code, severity, workloads } in codes {
                li {
                    span.number { (workloads) }
                    span class={ "dot " (severity.as_str()) } aria-hidden="true" {}
                    span { span.hidden-text { (severity.as_str()) " " } code { (code.as_str()) } }
                    span.title { (with_code(code.title())) }
                }
            }
        }
    }
}

/// Search and filters, which need JavaScript, and the legend.
pub(super) fn controls(workloads: &[Workload]) -> Markup {
    let mut namespaces: BTreeMap<&str, usize> = BTreeMap::new();
    for workload in workloads {
        *namespaces.entry(Object::new(&workload.object).namespace()).or_default() += 1;
    }
    let number = |has: Has| workloads.iter().filter(|workload| Has::of(workload).contains(&has)).count();
    let drops = workloads.iter().filter(|workload| !workload.losses().is_empty()).count();
    html! {
        h2 #workloads { "Workloads" }
        form.controls #controls role="search" hidden {
            label.search { span { "Search" } input #search type="search" autocomplete="off" placeholder="name, kind or code"; }
            label { span { "Namespace" }
                select #namespace {
                    option value="" { "all " (namespaces.len()) }
                    @for (namespace, count) in &namespaces { option value=(namespace) { (namespace) " (" (count) ")" } }
                }
            }
            fieldset {
                legend { "Show workloads" }
                @for has in Has::ALL {
                    label { input type="checkbox" name="has" value=(has.as_str()) checked; (has.in_words()) " (" (number(has)) ")" }
                }
                label { input #drops type="checkbox"; "only those that can drop requests (" (drops) ")" }
            }
            p.shown { output #shown for="search namespace drops" { (pluralize(workloads.len(), "workload")) }
                button #open type="button" { "Open all" } button #close type="button" { "Close all" }
            }
        }
        (legend())
        @if workloads.is_empty() { p { "No Deployments, StatefulSets or DaemonSets were found." } }
    }
}

pub(super) fn footer(survey: &Survey) -> Markup {
    html! {
        footer {
            p {
                "Written by " code { (survey.program) " audit" } " " (env!("CARGO_PKG_VERSION"))
                ". It read the cluster with the rights of its user, changed nothing, and needs nothing installed. "
                "This page loads nothing."
            }
        }
    }
}
