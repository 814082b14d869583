use serde_json::{Value, json};

use super::{Place, Record, inject, undo};
use crate::annotations::{Declaration, INJECTED, MANAGED};
use crate::duration::Seconds;
use crate::mutation::Mutation;
use crate::policy::Policy;

fn bare() -> Value {
    json!({
        "metadata": {"creationTimestamp": null, "labels": {"app": "shop"}},
        "spec": {
            "containers": [
                {"name": "app", "image": "shop:1", "fieldOfTomorrow": {"x": [1]}},
                {"name": "proxy", "lifecycle": {"stopSignal": "SIGQUIT"}},
            ],
            "terminationGracePeriodSeconds": 30,
        }
    })
}

fn mutations() -> Vec<Mutation> {
    let sleep = |container: &str| Mutation::SetPreStopSleep { container: container.to_owned(), sleep: Seconds::new(5) };
    let probe = serde_json::from_value(json!({"tcpSocket": {"port": 80}, "periodSeconds": 5})).unwrap();
    vec![
        sleep("app"),
        sleep("proxy"),
        Mutation::SetGracePeriod(Seconds::new(35)),
        Mutation::SetReadinessProbe { container: "app".to_owned(), probe: Box::new(probe) },
    ]
}

fn injected() -> Value {
    inject(&bare(), &mutations(), &Declaration::default(), &Policy::default())
}

fn nobodys(_: Place<'_>, _: &Value) -> bool {
    false
}

#[test]
fn what_is_injected_stands_where_it_belongs() {
    let template = injected();
    assert_eq!(template["spec"]["terminationGracePeriodSeconds"], 35);
    assert_eq!(template["spec"]["containers"][0]["lifecycle"], json!({"preStop": {"sleep": {"seconds": 5}}}));
    let proxy = json!({"stopSignal": "SIGQUIT", "preStop": {"sleep": {"seconds": 5}}});
    assert_eq!(template["spec"]["containers"][1]["lifecycle"], proxy);
    assert_eq!(template["spec"]["containers"][0]["readinessProbe"]["tcpSocket"]["port"], 80);
    assert_eq!(template["metadata"]["labels"], json!({"app": "shop", MANAGED: "true"}));
    let record = Record::of(&template).unwrap().unwrap();
    assert_eq!(
        record.in_words(),
        "preStop sleep 5s into app, preStop sleep 5s into proxy, readiness probe into app, grace period 30s → 35s"
    );
}

#[test]
fn undo_gives_back_the_template_field_for_field() {
    let undone = undo(&injected(), nobodys).unwrap();
    assert!(undone.intact);
    assert_eq!(undone.template.to_string(), bare().to_string(), "even the order of the fields");
}

#[test]
fn undo_leaves_what_somebody_changed_since() {
    for (pointer, theirs) in [
        ("/spec/terminationGracePeriodSeconds", json!(60)),
        ("/spec/containers/0/lifecycle/preStop", json!({"sleep": {"seconds": 6}})),
        ("/spec/containers/0/lifecycle/preStop", json!({"exec": {"command": ["true"]}})),
        ("/spec/containers/0/readinessProbe/periodSeconds", json!(7)),
    ] {
        let mut template = injected();
        *template.pointer_mut(pointer).unwrap() = theirs.clone();
        let undone = undo(&template, nobodys).unwrap();
        assert!(!undone.intact, "{pointer}");
        assert_eq!(undone.template.pointer(pointer), Some(&theirs), "{pointer}");
        assert_eq!(undone.template.pointer("/spec/containers/1"), bare().pointer("/spec/containers/1"));
    }
}

#[test]
fn undo_leaves_what_the_owner_wrote_down_too() {
    for (place, pointer) in [
        (Place::GracePeriod, "/spec/terminationGracePeriodSeconds"),
        (Place::PreStop("app"), "/spec/containers/0/lifecycle/preStop"),
        (Place::Readiness("app"), "/spec/containers/0/readinessProbe"),
    ] {
        let undone = undo(&injected(), |claimed, _| claimed == place).unwrap();
        assert!(!undone.intact, "{pointer}");
        assert_eq!(undone.template.pointer(pointer), injected().pointer(pointer), "{pointer}");
        assert_eq!(undone.template.pointer("/spec/containers/1"), bare().pointer("/spec/containers/1"));
    }
}

#[test]
fn undo_bears_containers_that_were_renamed_or_removed() {
    let mut template = injected();
    template["spec"]["containers"].as_array_mut().unwrap().remove(0);
    let undone = undo(&template, nobodys).unwrap();
    assert!(!undone.intact);
    assert_eq!(undone.template["spec"]["containers"], json!([bare()["spec"]["containers"][1]]));
}

#[test]
fn a_template_without_metadata_gets_it_and_loses_it_again() {
    let bare = json!({"spec": {"containers": [{"name": "app"}]}});
    let template = inject(&bare, &mutations(), &Declaration::default(), &Policy::default());
    assert!(template["metadata"]["annotations"][INJECTED].is_string());
    assert_eq!(undo(&template, nobodys).unwrap().template, bare);
}

#[test]
fn a_record_that_is_none_is_refused_and_never_trusted() {
    let good = Record::of(&injected()).unwrap().unwrap().to_string();
    for text in [
        "",
        "{}",
        "null",
        "[]",
        "{\"v\":1}",
        &good.replace("\"v\":1", "\"v\":2"),
        &good.replace("\"v\":1", "\"v\":256"),
        &good.replace("\"v\":1", "\"v\":1,\"more\":[]"),
        &good.replace("\"was\":30", "\"was\":5"),
        &good.replace("\"was\":30", "\"was\":-5"),
        &good.replace("\"set\":35", "\"set\":30"),
        &"[".repeat(200_000),
        "\u{1f4a3}",
    ] {
        let mut template = injected();
        template["metadata"]["annotations"][INJECTED] = json!(text);
        assert!(undo(&template, nobodys).is_err(), "{}", text.chars().take(40).collect::<String>());
    }
}

#[test]
fn the_fingerprint_tells_templates_apart_but_not_their_spelling() {
    let of = |bare: &Value| Record::new(bare, &Declaration::default(), &Policy::default()).to_string();
    let respelt: Value =
        serde_json::from_str(r#"{"spec":{"b":1,"a":null,"containers":["x","y"]},"metadata":{}}"#).unwrap();
    assert_eq!(of(&respelt), of(&json!({"metadata": {}, "spec": {"containers": ["x", "y"], "b": 1}})));
    for other in [
        json!({"metadata": {}, "spec": {"containers": ["y", "x"], "b": 1}}),
        json!({"metadata": {}, "spec": {"containers": ["xy"], "b": 1}}),
        json!({"metadata": {}, "spec": {"containers": ["x", "y"], "b": "1"}}),
        json!({"metadata": {"spec": {"containers": ["x", "y"], "b": 1}}}),
    ] {
        assert_ne!(of(&respelt), of(&other), "{other}");
    }
}
