use serde_json::{Value, json};

use super::{BareTemplate, FieldOwners, Injected, Record, UnreadableRecord};
use crate::annotations::{Declaration, INJECTED, MANAGED, Mode};
use crate::duration::Seconds;
use crate::mutation::Mutation;
use crate::object::{Object, Template, set_injectable};
use crate::policy::{Policy, Resolved};
use crate::variables::Variables;

fn bare() -> Value {
    json!({
        "metadata": {"creationTimestamp": null, "labels": {"app": "shop"}},
        "spec": {
            "containers": [
                {"name": "app", "image": "shop:1", "unknownField": {"x": [1]}},
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
        Mutation::SetGracePeriod { to: Seconds::new(35), explicit: false },
        Mutation::SetReadinessProbe { container: "app".to_owned(), probe: Box::new(probe) },
    ]
}

fn variables(container: &str) -> Mutation {
    let [drain, deadline, grace_period] = [5, 25, 35].map(|seconds| Some(Seconds::new(seconds)));
    Mutation::SetVariables { container: container.to_owned(), variables: Variables { drain, deadline, grace_period } }
}

fn inject(bare: &Value, mutations: &[Mutation]) -> Value {
    let (declaration, policy) = (Declaration::default(), Policy::default());
    let undone = super::undo(Template::new(bare), None, &FieldOwners::of(Object::new(&Value::Null)));
    let resolved = Resolved::new(&declaration, Mode::Enforce, &policy, &[]);
    let fields = super::inject(&undone, mutations, &resolved);
    let mut injected = bare.clone();
    set_injectable(&mut injected, &fields);
    injected
}

fn undo(template: &Value) -> Result<BareTemplate<'_>, UnreadableRecord> {
    undo_of_owner(template, &Value::Null)
}

/// The owner wrote these fields of the pod spec with a server-side apply.
fn undo_of_owner<'a>(template: &'a Value, applied: &Value) -> Result<BareTemplate<'a>, UnreadableRecord> {
    let fields = json!({"f:spec": {"f:template": {"f:spec": applied}}});
    let object = json!({"metadata": {"managedFields": [{"operation": "Apply", "fieldsV1": fields}]}});
    let template = Template::new(template);
    Ok(super::undo(template, Record::of(template)?, &FieldOwners::of(Object::new(&object))))
}

fn injected() -> Value {
    inject(&bare(), &mutations())
}

#[test]
fn mutations_and_record_are_written_into_the_template() {
    let template = injected();
    assert_eq!(template["spec"]["terminationGracePeriodSeconds"], 35);
    assert_eq!(template["spec"]["containers"][0]["lifecycle"], json!({"preStop": {"sleep": {"seconds": 5}}}));
    let proxy = json!({"stopSignal": "SIGQUIT", "preStop": {"sleep": {"seconds": 5}}});
    assert_eq!(template["spec"]["containers"][1]["lifecycle"], proxy);
    assert_eq!(template["spec"]["containers"][0]["readinessProbe"]["tcpSocket"]["port"], 80);
    assert_eq!(template["metadata"]["labels"], json!({"app": "shop", MANAGED: "true"}));
    let record = Record::of(Template::new(&template)).unwrap().unwrap();
    assert_eq!(
        Injected::from(&record).to_string(),
        "preStop sleep 5s into app, preStop sleep 5s into proxy, readiness probe into app, grace period 30s → 35s"
    );
}

#[test]
fn undo_restores_every_field_of_the_template() {
    let injected = injected();
    let undone = undo(&injected).unwrap();
    assert!(undone.intact);
    assert_eq!(undone.template.to_string(), bare().to_string(), "including the order of the fields");
}

#[test]
fn undo_keeps_fields_that_were_changed_since() {
    for (pointer, theirs) in [
        ("/spec/terminationGracePeriodSeconds", json!(60)),
        ("/spec/containers/0/lifecycle/preStop", json!({"sleep": {"seconds": 6}})),
        ("/spec/containers/0/lifecycle/preStop", json!({"exec": {"command": ["true"]}})),
        ("/spec/containers/0/readinessProbe/tcpSocket/port", json!(81)),
        ("/spec/containers/0/readinessProbe", json!({})),
    ] {
        let mut template = injected();
        *template.pointer_mut(pointer).unwrap() = theirs.clone();
        let undone = undo(&template).unwrap();
        assert!(!undone.intact, "{pointer}");
        assert_eq!(undone.template.pointer(pointer), Some(&theirs), "{pointer}");
        assert_eq!(undone.template.pointer("/spec/containers/1"), bare().pointer("/spec/containers/1"));
    }
}

#[test]
fn undo_keeps_fields_that_the_owner_applied() {
    let app = |fields: Value| json!({"f:containers": {"k:{\"name\":\"app\"}": fields}});
    let sleep = json!({"f:preStop": {"f:sleep": {"f:seconds": {}}}});
    for (applied, pointer) in [
        (json!({"f:terminationGracePeriodSeconds": {}}), "/spec/terminationGracePeriodSeconds"),
        (app(json!({"f:lifecycle": sleep})), "/spec/containers/0/lifecycle/preStop"),
        (
            app(json!({"f:readinessProbe": {"f:tcpSocket": {"f:port": {}}}})),
            "/spec/containers/0/readinessProbe/tcpSocket",
        ),
    ] {
        let injected = injected();
        let undone = undo_of_owner(&injected, &applied).unwrap();
        assert!(!undone.intact, "{pointer}");
        assert_eq!(undone.template.pointer(pointer), injected.pointer(pointer), "{pointer}");
        assert_eq!(undone.template.pointer("/spec/containers/1"), bare().pointer("/spec/containers/1"));
    }
}

#[test]
fn undo_skips_containers_that_were_renamed_or_removed() {
    let mut template = injected();
    template["spec"]["containers"].as_array_mut().unwrap().remove(0);
    let undone = undo(&template).unwrap();
    assert!(!undone.intact);
    assert_eq!(undone.template["spec"]["containers"], json!([bare()["spec"]["containers"][1]]));
}

#[test]
fn metadata_that_was_created_is_removed_again() {
    let bare = json!({"spec": {"containers": [{"name": "app"}]}});
    let template = inject(&bare, &mutations());
    assert!(template["metadata"]["annotations"][INJECTED].is_string());
    assert_eq!(*undo(&template).unwrap().template, bare);
}

#[test]
fn a_text_that_is_not_a_record_is_rejected() {
    let text = |template: &Value| Record::of(Template::new(template)).unwrap().unwrap().to_string();
    let (good, exposed) = (text(&injected()), text(&inject(&bare(), &[variables("app")])));
    for text in [
        "",
        "{}",
        "null",
        "[]",
        "{\"v\":1}",
        &good.replace("\"v\":1", "\"v\":0"),
        &good.replace("\"v\":1", "\"v\":4"),
        // Only later versions have these fields.
        &good.replace("\"set\":35", "\"set\":35,\"explicit\":true"),
        &good.replace("\"made\":", "\"env\":{\"app\":{\"drain\":5}},\"made\":"),
        &exposed.replace("\"v\":3", "\"v\":1"),
        &exposed.replace("\"v\":3", "\"v\":2"),
        &exposed.replace("\"drain\":5", "\"drain\":-5"),
        &exposed.replace("\"drain\":5", "\"drain\":\"5\""),
        &exposed.replace("\"drain\":5", "\"drain\":5,\"PATH\":1"),
        &good.replace("\"v\":1", "\"v\":256"),
        &good.replace("\"v\":1", "\"v\":1,\"more\":[]"),
        &good.replace("\"was\":30", "\"was\":5"),
        &good.replace("\"was\":30", "\"was\":-5"),
        &good.replace("\"set\":35", "\"set\":30"),
        &"[".repeat(200_000),
        &good.replace("\"lifecycle\":[", &format!("\"lifecycle\":[{}", "\"x\",".repeat(1001))),
        "\u{1f4a3}",
    ] {
        let mut template = injected();
        template["metadata"]["annotations"][INJECTED] = json!(text);
        assert!(undo(&template).is_err(), "{}", text.chars().take(40).collect::<String>());
    }
}

fn variable(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// The three variables, and these after them.
fn with_injected(own: &[Value]) -> Value {
    let injected = [("DRAIN", "5"), ("DEADLINE", "25"), ("GRACE_PERIOD", "35")];
    let injected = injected.map(|(name, value)| variable(&format!("WINDDOWN_{name}_SECONDS"), value));
    injected.into_iter().chain(own.iter().cloned()).collect()
}

/// A container with these variables.
fn with_env(env: Value) -> Value {
    let mut template = bare();
    template["spec"]["containers"][0]["env"] = env;
    template
}

fn env(template: &Value) -> Option<&Value> {
    template["spec"]["containers"][0].get("env")
}

#[test]
fn variables_come_first_and_undo_removes_them() {
    let own = || json!([variable("B", "$(WINDDOWN_DEADLINE_SECONDS)"), variable("A", "1")]);
    for (bare, expected) in [
        (bare(), with_injected(&[])),
        (with_env(json!([])), with_injected(&[])),
        (with_env(own()), with_injected(own().as_array().unwrap())),
    ] {
        let template = inject(&bare, &[variables("app")]);
        assert_eq!(env(&template), Some(&expected));
        let record = Record::of(Template::new(&template)).unwrap().unwrap();
        assert_eq!(Injected::from(&record).to_string(), "variables into app");
        let undone = undo(&template).unwrap();
        assert!(undone.intact);
        assert_eq!(undone.template.to_string(), bare.to_string(), "including the order of the fields");
    }
}

#[test]
fn an_injection_with_variables_has_a_version_that_earlier_readers_leave_alone() {
    let version = |mutations: &[Mutation]| {
        let template = inject(&bare(), mutations);
        let record = template["metadata"]["annotations"][INJECTED].as_str().unwrap();
        serde_json::from_str::<Value>(record).unwrap()["v"].clone()
    };
    assert_eq!(version(&mutations()), 1);
    let raise = Mutation::SetGracePeriod { to: Seconds::new(35), explicit: true };
    assert_eq!(version(std::slice::from_ref(&raise)), 2);
    assert_eq!(version(&[raise, variables("app")]), 3);
}

#[test]
fn undo_keeps_variables_of_the_owner() {
    let deadline = "WINDDOWN_DEADLINE_SECONDS";
    let template = inject(&with_env(json!([variable("A", "1")])), &[variables("app")]);
    let mut changed = template.clone();
    changed["spec"]["containers"][0]["env"][1]["value"] = json!("20");
    let undone = undo(&changed).unwrap();
    assert!(!undone.intact);
    assert_eq!(env(&undone.template), Some(&json!([variable(deadline, "20"), variable("A", "1")])));

    let key = format!("k:{}", json!({"name": deadline}));
    let applied = json!({"f:containers": {"k:{\"name\":\"app\"}": {"f:env": {key: {"f:value": {}}}}}});
    let undone = undo_of_owner(&template, &applied).unwrap();
    assert!(!undone.intact);
    assert_eq!(env(&undone.template), Some(&json!([variable(deadline, "25"), variable("A", "1")])));

    // Values that were written into the manifest.
    let written = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "app", "env": [variable(deadline, "25"), variable("A", "1")]},
    ]}}}});
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    let object = json!({"metadata": {"annotations": {key: written.to_string()}}});
    let record = Record::of(Template::new(&template)).unwrap();
    let undone = super::undo(Template::new(&template), record, &FieldOwners::of(Object::new(&object)));
    assert_eq!(env(&undone.template), Some(&json!([variable(deadline, "25"), variable("A", "1")])));
}

#[test]
fn variables_that_no_longer_come_first_are_injected_again() {
    let mut template = inject(&with_env(json!([variable("A", "1")])), &[variables("app")]);
    template["spec"]["containers"][0]["env"].as_array_mut().unwrap().rotate_right(1);
    let undone = undo(&template).unwrap();
    assert!(!undone.intact);
    assert_eq!(env(&undone.template), Some(&json!([variable("A", "1")])));
}
