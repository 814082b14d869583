//! Generates Deployments as an API server returns them, and annotations for them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use winddown_core::catalog::runtimes::Runtime;
use winddown_core::catalog::traffic::Traffic;

pub(crate) type Annotations = BTreeMap<String, String>;

/// A Deployment without a declaration, with fields that are not in the API.
pub(crate) fn deployment() -> impl Strategy<Value = Value> {
    let grace_period = prop_oneof![3 => Just(30_i64), 2 => 0_i64..200];
    let containers = prop::collection::vec(container(), 1..4);
    let init_containers = prop::collection::vec(init_container(), 0..3);
    (containers, init_containers, grace_period, fields(), fields()).prop_map(
        |(containers, init, grace_period, in_pod, in_template)| {
            let name = |prefix: &'static str| {
                move |(at, mut fields): (usize, Value)| {
                    fields["name"] = json!(format!("{prefix}{at}"));
                    fields
                }
            };
            let mut pod = in_pod;
            pod["containers"] = containers.into_iter().enumerate().map(name("c")).collect();
            pod["initContainers"] = init.into_iter().enumerate().map(name("i")).collect();
            pod["terminationGracePeriodSeconds"] = json!(grace_period);
            let mut template = json!({"metadata": {"labels": {"app": "a"}}, "spec": pod});
            template["metadata"]["annotations"] = in_template;
            for value in template["metadata"]["annotations"].as_object_mut().unwrap().values_mut() {
                *value = json!(value.to_string());
            }
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "d", "annotations": {"example.com/team": "t"}},
                "spec": {"template": template},
            })
        },
    )
}

/// Hooks that use the variables, and hooks of unknown duration.
const HOOKS: [&str; 7] = [
    "sleep $WINDDOWN_DRAIN_SECONDS",
    "sleep $((WINDDOWN_DRAIN_SECONDS * 2))",
    "sleep $((WINDDOWN_DRAIN_SECONDS - 2))",
    "echo $WINDDOWN_DRAIN_SECONDS; sleep 3",
    "sleep $WINDDOWN_DEADLINE_SECONDS",
    "sleep 2; /drain.sh",
    "sleep $((WINDDOWN_DRAIN_SECONDS + 1)); exit 1",
];

fn container() -> impl Strategy<Value = Value> {
    let hook = prop_oneof![
        4 => Just(None),
        2 => (0_i64..60).prop_map(|seconds| Some(json!({"preStop": {"sleep": {"seconds": seconds}}}))),
        1 => Just(Some(json!({"preStop": {"exec": {"command": ["x"]}}, "postStart": {"exec": {"command": ["y"]}}}))),
        2 => select(HOOKS.to_vec()).prop_map(|script| Some(json!({"preStop": {"exec": {"command": ["sh", "-c", script]}}}))),
        1 => Just(Some(json!({"stopSignal": "SIGQUIT"}))),
        1 => Just(Some(json!({}))),
    ];
    let probe = prop_oneof![3 => Just(None), 1 => Just(Some(json!({"tcpSocket": {"port": 1}, "probeOfTomorrow": 2})))];
    let ports = prop_oneof![Just(json!([])), Just(json!([{"containerPort": 3000, "name": "web"}]))];
    (fields(), hook, probe, ports, proxy(), settings(), variables()).prop_map(
        |(mut container, hook, probe, ports, proxy, settings, variables)| {
            container["ports"] = ports;
            extend(&mut container, settings);
            if let Some(variables) = variables {
                let env = container.as_object_mut().unwrap().entry("env").or_insert(json!([]));
                env.as_array_mut().unwrap().extend(variables);
            }
            extend(&mut container, proxy);
            if let Some(hook) = hook {
                container["lifecycle"] = hook;
            }
            if let Some(probe) = probe {
                container["readinessProbe"] = probe;
            }
            container
        },
    )
}

/// An init container or a native sidecar.
fn init_container() -> impl Strategy<Value = Value> {
    let sidecar = prop_oneof![
        Just(json!({})),
        Just(json!({"restartPolicy": "Always"})),
        (0_i64..60).prop_map(
            |seconds| json!({"restartPolicy": "Always", "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}})
        ),
    ];
    (fields(), sidecar, proxy()).prop_map(|(mut container, sidecar, proxy)| {
        extend(&mut container, sidecar);
        extend(&mut container, proxy);
        container
    })
}

/// The image and arguments of a known proxy, or none.
fn proxy() -> impl Strategy<Value = Value> {
    let waiting = (select(vec!["min", "max"]), 0_u32..60).prop_map(
        |(limit, seconds)| json!({"image": "cloud-sql-proxy:2", "args": [format!("--{limit}-sigterm-delay={seconds}s")]}),
    );
    prop_oneof![4 => Just(json!({})), 1 => waiting, 1 => select(vec!["envoy:1", "linkerd-proxy:1"]).prop_map(|image| json!({"image": image}))]
}

fn extend(container: &mut Value, fields: Value) {
    if let (Some(container), Value::Object(fields)) = (container.as_object_mut(), fields) {
        container.extend(fields);
    }
}

/// A command or a variable with the shutdown timeout of a runtime.
fn settings() -> impl Strategy<Value = Value> {
    let time = "[0-9]{1,3}(s|m|)";
    prop_oneof![
        4 => Just(json!({})),
        1 => time.prop_map(|time| json!({"args": ["gunicorn", format!("--graceful-timeout={time}")]})),
        1 => time.prop_map(|time| json!({"env": [{"name": "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "value": time}]})),
        1 => time.prop_map(|time| json!({
            "command": ["sh", "-c", "exec uwsgi --worker-reload-mercy $(TIME)"],
            "env": [{"name": "TIME", "value": time}],
        })),
    ]
}

/// Variables of the owner, or no list of them. Some have the names of those that Winddown injects.
fn variables() -> impl Strategy<Value = Option<Vec<Value>>> {
    let name = select(vec![
        "A",
        "WINDDOWN_DRAIN_SECONDS",
        "WINDDOWN_DEADLINE_SECONDS",
        "WINDDOWN_GRACE_PERIOD_SECONDS",
        "WINDDOWN_OF_TOMORROW",
    ]);
    let value = prop_oneof![
        2 => select(vec!["0", "5", "25", "30", "35", "$(WINDDOWN_DEADLINE_SECONDS)"]).prop_map(|value| json!({"value": value})),
        1 => Just(json!({"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})),
        1 => Just(json!({})),
    ];
    let variable = (name, value).prop_map(|(name, mut variable)| {
        variable["name"] = json!(name);
        variable
    });
    prop_oneof![3 => Just(None), 2 => prop::collection::vec(variable, 0..4).prop_map(Some)]
}

/// Fields of a newer version of the API.
fn fields() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!({"nested": [1, {"deep": "x"}]})),
    ];
    prop::collection::vec(("ofTomorrow[A-Z]{1,3}", value), 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

/// A declaration that can be read. It does not always fit.
pub(crate) fn annotations() -> impl Strategy<Value = Annotations> {
    let seconds = || prop::option::of((0_u32..120).prop_map(|seconds| format!("{seconds}s")));
    let readiness = prop::option::of(select(vec!["http:web/health", "http:3000/", "tcp:99", "grpc:web/s"]));
    let names = prop::option::of(select(vec!["c0", "c0,c1", "c1"]));
    let mode = prop::option::of(select(vec!["Enforce", "Enforce", "Audit", "Off"]));
    let traffic = prop::option::of(select(Traffic::all().iter().map(|preset| &*preset.name).collect::<Vec<_>>()));
    let expose = prop::option::of(Just("env"));
    let runtime = prop::option::of(select(Runtime::all().iter().map(|preset| &*preset.name).collect::<Vec<_>>()));
    (seconds(), seconds(), seconds(), traffic, runtime, readiness, names, expose, mode).prop_map(
        |(drain, deadline, margin, traffic, runtime, readiness, names, expose, mode)| {
            let own = |value: Option<&str>| value.map(str::to_owned);
            [
                ("drain", drain),
                ("deadline", deadline),
                ("margin", margin),
                ("traffic", own(traffic)),
                ("runtime", own(runtime)),
                ("readiness", own(readiness)),
                ("containers", own(names)),
                ("expose", own(expose)),
                ("mode", own(mode)),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((format!("winddown.dev/{key}"), value?)))
            .collect()
        },
    )
}

/// The Deployment with these annotations.
pub(crate) fn declaring(deployment: &Value, annotations: &Annotations) -> Value {
    let mut deployment = deployment.clone();
    for (key, value) in annotations {
        deployment["metadata"]["annotations"][key] = json!(value);
    }
    deployment
}

/// Removes all annotations of Winddown from the Deployment's metadata, as a user would.
pub(crate) fn undeclaring(deployment: &Value) -> Value {
    let mut deployment = deployment.clone();
    let annotations = deployment["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| !key.starts_with("winddown.dev/"));
    deployment
}

/// Malformed, very long or deeply nested text.
pub(crate) fn malformed_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9hms.\\-+ ]{0,30}",
        "(http|https|tcp|grpc|exec):[a-z0-9]{0,8}(/.{0,8})?",
        r#"\{"v":1,"template":"x","declared":"","(gracePeriod|preStop|readiness|lifecycle|env|madeEnv|made)":.{0,20}\}"#,
        Just("9".repeat(300_000)),
        Just("\u{202e}\u{0}\u{1f4a3}".repeat(50)),
        Just("[".repeat(10_000)),
    ]
}
