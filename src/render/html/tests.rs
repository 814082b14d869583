use serde_json::{Value, json};

use super::page;
use crate::render::survey::Survey;
use crate::render::survey::tests::{container, survey, workload, workloads};
use crate::render::workload::Workload;

/// Ends every context in which it could stand.
const HOSTILE: &str = "'\"></script></style><img src=x onerror=alert(1)>&lt;";

fn html(survey: &Survey, workloads: &[Workload]) -> String {
    let mut out = Vec::new();
    page(survey, workloads, "27 November 2026", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The start tag of the workload with this name.
fn tag<'a>(page: &'a str, name: &str) -> &'a str {
    let id = format!("id=\"shop/deployment/{name}\"");
    let end = page.find(&id).unwrap();
    let start = page[..end].rfind("<details").unwrap();
    &page[start..end]
}

#[test]
fn the_page_has_the_numbers_and_every_workload() {
    let page = html(&survey(), &workloads());
    for part in [
        "<title>Shutdown audit of the cluster prod</title>",
        "Kubernetes v1.37.2 · 4 workloads in 1 namespace · 27 November 2026",
        "<p class=\"figure\">2<span class=\"of\"> of 3</span></p>",
        "SIGTERM comes at once, while new requests still arrive for up to 5s",
        "seconds: 5</ins>",
        "<code>kubectl winddown explain CODE</code>",
    ] {
        assert!(page.contains(part), "{part} is missing in:\n{page}");
    }
    assert_eq!(page.matches("<details data-workload").count(), 4);
    for (name, has) in [("misfit", "errors"), ("drops", "neither"), ("fine", "neither"), ("off", "no-budget")] {
        assert!(tag(&page, name).contains(&format!("data-has=\"{has}\"")), "{}", tag(&page, name));
    }
    assert!(tag(&page, "drops").contains("data-search=\"shop/drops deployment no prestop wait\""));
}

#[test]
fn the_filters_count_the_same_workloads_as_the_summary() {
    let both = workload("both", |it| {
        it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
        container(it)["readinessProbe"] = Value::Null;
        container(it)["command"] = json!(["npm", "start"]);
    });
    let mut all = workloads();
    all.push(both);
    let page = html(&survey(), &all);
    for part in [
        "<h2 id=\"codes\">2 errors in 2 workloads, 2 warnings in 1 workload</h2>",
        "<p class=\"figure\">3<span class=\"of\"> of 4</span></p>",
        "with errors (2)<",
        "with warnings (1)<",
        "with neither (2)<",
        "not opted in (1)<",
        "only those that can drop requests (3)<",
    ] {
        assert!(page.contains(part), "{part} is missing in:\n{page}");
    }
    assert!(tag(&page, "both").contains("data-has=\"errors warnings\""), "{}", tag(&page, "both"));
}

#[test]
fn both_shutdowns_are_drawn_and_described() {
    let page = html(&survey(), &[workload("drops", |it| container(it)["lifecycle"] = Value::Null)]);
    for part in [
        "aria-label=\"new requests arrive until 5s; app: finishes and exits from 0s to 25s; SIGKILL at 30s\"",
        "aria-label=\"new requests arrive until 5s; app: preStop from 0s to 5s, finishes and exits from 5s to 30s; \
         SIGKILL at 35s\"",
        "<rect class=\"lost\" x=\"0.0%\"",
        "<figcaption><b>Today</b> <span class=\"kill-label\">SIGKILL at 30s</span>",
        "<figcaption><b>With Winddown</b> <span class=\"kill-label\">SIGKILL at 35s</span>",
    ] {
        assert!(page.contains(part), "{part} is missing in:\n{page}");
    }
    let fine = html(&survey(), &[workload("fine", |_| ())]);
    assert!(!fine.contains("<rect class=\"lost\" x="), "{fine}");
}

#[test]
fn nothing_from_the_cluster_is_markup() {
    let mut survey = survey();
    survey.context = HOSTILE.to_owned();
    survey.namespace = Some(HOSTILE.to_owned());
    survey.selector = Some(HOSTILE.to_owned());
    survey.assumed = Some(HOSTILE.to_owned());
    survey.missing = vec![HOSTILE.to_owned()];
    let hostile = workload(HOSTILE, |it| {
        it["metadata"]["namespace"] = json!(HOSTILE);
        it["metadata"]["ownerReferences"] = json!([{"kind": HOSTILE, "name": HOSTILE, "controller": true}]);
        container(it)["name"] = json!(HOSTILE);
        container(it)["image"] = json!(HOSTILE);
        container(it)["lifecycle"] = Value::Null;
        container(it)["readinessProbe"] = Value::Null;
    });
    let page = html(&survey, &[hostile]);
    assert!(page.matches("onerror=alert").count() > 10, "it is shown as text");
    // Neither in a text nor in an attribute.
    assert!(!page.contains("<img") && !page.contains("\"></script></style>"), "{page}");
    for tag in ["<script", "</script", "<style", "</style"] {
        assert_eq!(page.matches(tag).count(), 1, "{tag}");
    }
}

#[test]
fn the_page_loads_nothing() {
    let page = html(&survey(), &workloads());
    assert!(page.contains("content=\"default-src 'none'; script-src 'sha256-"), "{page}");
    for reference in ["src=", "http-equiv=\"refresh", "url(http", "@import", "href=\"http", " style=\""] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn without_workloads_and_without_rights_it_says_so() {
    let mut survey = survey();
    survey.missing = vec!["cannot list deployments.apps in all namespaces".to_owned()];
    let page = html(&survey, &[]);
    assert!(page.contains("No Deployments, StatefulSets or DaemonSets were found."), "{page}");
    assert!(page.contains("<li>cannot list deployments.apps in all namespaces</li>"), "{page}");
}

#[test]
fn three_hundred_workloads_are_a_small_file() {
    let workloads: Vec<_> = (0..300)
        .map(|number| {
            workload(&format!("shop-{number}"), |it| {
                container(it)["lifecycle"] = Value::Null;
                container(it)["readinessProbe"] = Value::Null;
            })
        })
        .collect();
    let page = html(&survey(), &workloads);
    assert!(page.len() < 3 << 20, "{} KiB", page.len() / 1024);
}
