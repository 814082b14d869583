//! The table and the text of a small cluster.

use serde_json::{Value, json};

use super::tests::{container, survey, workload};
use super::{Survey, sort, table, text};
use crate::golden::{check, text_of};
use crate::render::screen::Screen;
use crate::render::text::each;
use crate::render::workload::Workload;
use winddown_core::finding::Code;

/// Annotations of its own, in another namespace.
fn declared(it: &mut Value, namespace: &str, annotations: Value) {
    it["metadata"]["namespace"] = json!(namespace);
    it["metadata"]["annotations"] = annotations;
}

fn pod(it: &mut Value) -> &mut Value {
    &mut it["spec"]["template"]["spec"]
}

/// Errors, warnings, workloads with and without annotations, and some that lose requests.
fn workloads() -> Vec<Workload> {
    let mut workloads = vec![
        workload("checkout", |it| {
            declared(it, "shop", json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "40s"}));
            pod(it)["terminationGracePeriodSeconds"] = json!(40);
        }),
        workload("web", |it| {
            container(it)["lifecycle"] = Value::Null;
            container(it)["readinessProbe"] = Value::Null;
        }),
        workload("cart", |it| {
            declared(it, "shop", json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"}));
            pod(it)["terminationGracePeriodSeconds"] = json!(35);
            container(it)["command"] = json!(["npm", "start"]);
        }),
        workload("search", |it| {
            declared(it, "search", json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "20s"}));
        }),
        workload("etcd", |it| {
            it["kind"] = json!("StatefulSet");
            let owner = json!({"kind": "Etcd", "name": "main", "controller": true});
            it["metadata"]["ownerReferences"] = json!([owner]);
        }),
        workload("mailer", |it| {
            it["metadata"]["namespace"] = json!("billing");
            let container = container(it).as_object_mut().unwrap();
            container.retain(|field, _| ["name", "image"].contains(&field.as_str()));
        }),
        workload("legacy", |it| declared(it, "billing", json!({"winddown.dev/mode": "Off"}))),
    ];
    sort(&mut workloads);
    workloads
}

/// Names and annotations of another user.
fn hostile() -> Vec<Workload> {
    let name = "checkout-payment-gateway-".repeat(10);
    let mut workloads = vec![
        workload(&name, |it| container(it)["lifecycle"] = Value::Null),
        workload("a\u{1b}[31m\nb", |it| {
            container(it)["name"] = json!("app\u{9b}2K");
            container(it)["lifecycle"] = Value::Null;
            it["metadata"]["ownerReferences"] = json!([{"kind": "E\r", "name": "x\u{7}", "controller": true}]);
        }),
    ];
    sort(&mut workloads);
    workloads
}

fn table(survey: &Survey, workloads: &[Workload], width: Option<usize>) -> String {
    let screen = Screen { width, ..Screen::plain() };
    text_of(|out| table::table(survey, workloads, &screen, out))
}

fn details(survey: &Survey, workloads: &[Workload]) -> String {
    text_of(|out| text::text(survey, workloads, &Screen::plain().styles, out))
}

#[test]
fn the_table_of_a_terminal_of_a_narrow_one_and_of_a_pipe() {
    check("audit/table", &table(&survey(), &workloads(), Some(120)));
    check("audit/narrow", &table(&survey(), &workloads(), Some(80)));
    check("audit/pipe", &table(&survey(), &workloads(), None));
}

#[test]
fn the_details_of_each_workload() {
    check("audit/text", &details(&survey(), &workloads()));
    let mut web = workloads();
    web.retain(|workload| workload.title() == "Deployment shop/web");
    check("audit/workload", &text_of(|out| each(&web, &Screen::plain().styles, out)));
}

#[test]
fn a_cluster_in_which_nothing_loses_requests() {
    let survey = Survey { namespace: Some("shop".to_owned()), ..survey() };
    check("audit/nothing-found", &table(&survey, &[workload("fine", |_| ())], None));
}

#[test]
fn long_names_and_control_characters_keep_the_lines_apart() {
    let mut survey = survey();
    survey.context = "prod\u{1b}]0;x\u{7}\n".to_owned();
    survey.withheld = vec![Code::NoPodDuringRollout];
    let (workloads, width) = (hostile(), Some(120));
    check("audit/hostile", &format!("{}\n{}", table(&survey, &workloads, width), details(&survey, &workloads)));
}
