//! The numbers, the order and the formats of a survey; `workload` is also for the tests of the page.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Overview, Survey, sarif, sort, table, text};
use crate::render::screen::Screen;
use crate::render::workload::{Source, Workload};
use winddown_core::annotations::Assumption;
use winddown_core::current_shutdown::{CurrentShutdown, LossCause};
use winddown_core::evaluation::{Existing, Origin, evaluate_among};
use winddown_core::finding::Code;
use winddown_core::object::Object;
use winddown_core::policy::Policy;
use winddown_core::related::Related;

pub(crate) const ASSUMED: &str = "drain=5s,deadline=25s";

/// A Deployment of a cluster that waits before SIGTERM and has a probe, after a change.
pub(crate) fn workload(name: &str, change: impl FnOnce(&mut Value)) -> Workload {
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": "1b6c"},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [{
                "name": "app",
                "image": "shop:1",
                "ports": [{"containerPort": 8080}],
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 5, "failureThreshold": 1},
            }],
        }}},
    });
    change(&mut object);
    let assumption: Assumption = ASSUMED.parse().unwrap();
    let assumed = assumption.applied_to(&object);
    let (subject, related) = (assumed.as_ref().unwrap_or(&object), Related::default());
    let policy = Policy::default();
    let evaluation = evaluate_among(subject, Existing::Unchanged, &policy, Origin::ApiServer, Some(&related)).unwrap();
    let current = CurrentShutdown::of(&Object::new(&object), &evaluation, Some(&related));
    let assumed = assumed.map(|_| Rc::new(assumption));
    let kind = Object::new(&object).kind().unwrap();
    Workload { source: Source::Cluster, kind, object, assumed, evaluation, current }
}

pub(crate) fn survey() -> Survey {
    Survey {
        context: "prod".to_owned(),
        kubernetes: "v1.37.2".to_owned(),
        namespace: None,
        selector: None,
        assumed: Some(ASSUMED.to_owned()),
        missing: Vec::new(),
        withheld: Vec::new(),
        program: "kubectl winddown",
    }
}

pub(crate) fn container(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]["containers"][0]
}

/// An error, a loss, a workload in order, and one that opts out.
pub(crate) fn workloads() -> Vec<Workload> {
    let mut workloads = vec![
        workload("off", |it| it["metadata"]["annotations"] = json!({"winddown.dev/mode": "Off"})),
        workload("fine", |_| ()),
        workload("drops", |it| container(it)["lifecycle"] = Value::Null),
        workload("misfit", |it| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20)),
    ];
    sort(&mut workloads);
    workloads
}

fn text_of(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn errors_come_first_then_losses_then_the_rest() {
    let names: Vec<_> = workloads().iter().map(Workload::title).collect();
    let expected = ["misfit", "drops", "fine", "off"].map(|name| format!("Deployment shop/{name}"));
    assert_eq!(names, expected);
}

#[test]
fn the_numbers_are_those_of_the_workloads() {
    let overview = Overview::of(&workloads());
    assert_eq!((overview.workloads, overview.namespaces, overview.evaluated, overview.assumed), (4, 1, 3, 3));
    assert_eq!((overview.take_requests, overview.can_drop_requests), (3, 2));
    assert_eq!(overview.causes, [(LossCause::NoWait, 1), (LossCause::KilledEarly, 1)]);
    assert_eq!((overview.errors, overview.codes[0].code), (1, Code::BudgetDoesNotFit));
}

#[test]
fn the_table_says_why_and_what_is_next() {
    let table = text_of(|out| table::table(&survey(), &workloads(), &Screen::plain(), out));
    let lines: Vec<_> = table.lines().collect();
    let expected = "\
NAMESPACE/NAME  KIND        FROM     NEEDS  GRACE  ERRORS  WARNINGS  DROPS  WHY
shop/misfit     Deployment  assumed    35s    20s       1         0  yes    BudgetDoesNotFit: drain 5s + deadline 25s + ";
    assert!(table.starts_with(expected), "{table}");
    let words: Vec<_> = lines[2].split_whitespace().collect();
    let expected = ["shop/drops", "Deployment", "assumed", "35s", "30s", "0", "0", "yes", "no", "preStop", "wait"];
    assert_eq!(words, expected);
    assert!(lines[4].ends_with("-      mode Off"), "{table}");
    let expected = "\
4 workloads in 1 namespace of the cluster prod (v1.37.2)
3 workloads have no annotations; assumed: drain=5s,deadline=25s
2 of 3 workloads with requests can drop requests during a rollout today
      1  no preStop wait
      1  SIGKILL before the deadline
1 error in 1 workload, 0 warnings
      1  error    BudgetDoesNotFit  drain + deadline + margin is more than the grace period.
Winddown would change the pods of 2 workloads
Next: kubectl winddown explain BudgetDoesNotFit
";
    assert!(table.ends_with(expected), "{table}");
}

#[test]
fn no_line_of_the_table_is_wider_than_the_terminal() {
    for width in [80, 120, 200] {
        let screen = Screen { width: Some(width), ..Screen::plain() };
        let table = text_of(|out| table::table(&survey(), &workloads(), &screen, out));
        for line in table.lines().take(5) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn the_details_contain_the_losses_and_the_owner() {
    let owned = workload("db", |it| {
        let owner = json!({"kind": "Etcd", "name": "main", "controller": true});
        it["metadata"]["ownerReferences"] = json!([owner]);
        container(it)["lifecycle"] = Value::Null;
    });
    let text = text_of(|out| text::text(&survey(), &[owned], &Screen::plain().styles, out));
    for part in [
        "Deployment shop/db, assumed drain=5s,deadline=25s\n",
        "  today: a rollout can drop requests\n    no preStop wait: app: SIGTERM comes at once, ",
        "  changes: preStop sleep 5s into app, grace period 30s → 35s\n",
        "  owner: Etcd main controls it",
        "1 workload is controlled by another object",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn json_has_the_numbers_and_no_lines_of_files() {
    let document: Value = serde_json::from_str(&text_of(|out| super::json(&survey(), &workloads(), out))).unwrap();
    assert_eq!(document["summary"]["causes"], json!({"NoWait": 1, "KilledEarly": 1}));
    assert_eq!(document["context"], "prod");
    let first = &document["workloads"][0];
    assert_eq!((&first["name"], &first["today"]["losses"][0]["cause"]), (&json!("misfit"), &json!("KilledEarly")));
    assert!(first.get("file").is_none() && first["findings"][0].get("line").is_none(), "{first}");
}

#[test]
fn sarif_says_which_object_and_what_is_missing() {
    let mut survey = survey();
    survey.missing.push("cannot list services".to_owned());
    let document: Value = serde_json::from_str(&text_of(|out| sarif(&survey, &workloads(), out))).unwrap();
    let run = &document["runs"][0];
    let location = &run["results"][0]["locations"][0];
    assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], "shop/Deployment/misfit");
    assert!(location.get("physicalLocation").is_none());
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    let message = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    assert_eq!(message, "cannot list services");
}
