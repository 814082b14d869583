//! What the owner of a workload writes after the injection stands, and only that remains without the annotations.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod ways_of_writing;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use ways_of_writing::cluster::{Cluster, Manifest, admit, contains, evaluated};
use ways_of_writing::{Way, with_defaults};
use winddown_core::evaluation::Existing;

const READINESS: [Option<&str>; 5] =
    [None, Some("http:8080/health"), Some("https:http/health"), Some("tcp:8080"), Some("grpc:8080/shop")];

fn hooks() -> Vec<Value> {
    vec![
        json!(null),
        json!({}),
        json!({"postStart": {"exec": {"command": ["true"]}}}),
        json!({"preStop": {"exec": {"command": ["/bin/quiesce"]}}}),
        json!({"preStop": {"httpGet": {"path": "/quiesce", "port": 8080}}}),
        json!({"preStop": {"sleep": {"seconds": 3}}}),
        json!({"preStop": {"sleep": {"seconds": 5}}}),
        json!({"stopSignal": "SIGQUIT", "preStop": {"sleep": {"seconds": 5}}}),
    ]
}

fn probes() -> Vec<Value> {
    vec![
        json!(null),
        json!({"exec": {"command": ["/bin/ready"]}}),
        json!({"tcpSocket": {"port": 8080}}),
        json!({"tcpSocket": {"port": "http"}, "timeoutSeconds": 4}),
        json!({"grpc": {"port": 8080}}),
        json!({"grpc": {"port": 9090, "service": "shop"}, "failureThreshold": 1}),
        json!({"httpGet": {"port": 8080}}),
        json!({"httpGet": {"path": "/ready", "port": 8080}}),
        json!({"httpGet": {"path": "/health", "port": "http", "scheme": "HTTPS"}, "periodSeconds": 5}),
        json!({"httpGet": {"path": "/ready", "port": 9090, "httpHeaders": [{"name": "Host", "value": "shop"}]}}),
        // Parts, which are valid only beside the injected ones.
        json!({"httpGet": {"path": "/ready"}}),
        json!({"periodSeconds": 3}),
        json!({"failureThreshold": 1, "initialDelaySeconds": 9}),
    ]
}

fn variables() -> Vec<Value> {
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let deadline = |value| variable("WINDDOWN_DEADLINE_SECONDS", value);
    vec![
        json!(null),
        json!([]),
        json!([variable("A", "1")]),
        json!([variable("B", "$(WINDDOWN_DEADLINE_SECONDS)"), variable("A", "2")]),
        json!([deadline("25")]),
        json!([deadline("20")]),
        json!([variable("A", "1"), deadline("20"), variable("WINDDOWN_GRACE_PERIOD_SECONDS", "35")]),
    ]
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let grace_period = select(vec![None, None, Some(35), Some(60)]);
    (select(READINESS.to_vec()), select(hooks()), select(probes()), select(variables()), grace_period)
        .prop_map(|(readiness, hook, probe, env, grace_period)| Manifest { readiness, hook, probe, env, grace_period })
}

fn bare(readiness: Option<&'static str>) -> Manifest {
    Manifest { readiness, hook: Value::Null, probe: Value::Null, env: Value::Null, grace_period: None }
}

/// Whether the owner writes a value that was injected, in a way that leaves no trace of it.
fn is_hidden(way: Way, manifest: &Manifest, injected: &Value) -> bool {
    let pod = manifest.to_json(true)["spec"]["template"]["spec"].clone();
    let repeats = |written: &Value, injected: &Value| !written.is_null() && written == injected;
    let injected = |pointer: &str| injected.pointer(pointer).unwrap_or(&Value::Null);
    let probe = injected("/containers/0/readinessProbe");
    let sleep = "/containers/0/lifecycle/preStop/sleep";
    way.is_hidden()
        && (repeats(&pod["terminationGracePeriodSeconds"], injected("/terminationGracePeriodSeconds"))
            || repeats(pod.pointer(sleep).unwrap_or(&Value::Null), injected(sleep))
            || manifest.env.as_array().into_iter().flatten().any(|variable| {
                injected("/containers/0/env").as_array().is_some_and(|injected| injected.contains(variable))
            })
            || manifest.probe.as_object().into_iter().flatten().any(|(key, value)| contains(&probe[key], value)))
}

/// Whether a part of a probe can be completed with the injected probe.
fn can_be_completed(manifest: &Manifest, injected: Option<&str>) -> bool {
    manifest.is_valid()
        || match injected {
            Some(readiness) => manifest.probe.get("httpGet").is_none() || readiness.starts_with("http"),
            None => false,
        }
}

#[test]
fn a_hook_beside_the_injected_sleep_replaces_it() {
    for way in Way::ALL {
        for hook in hooks() {
            let mut cluster = Cluster::create(way, &bare(None));
            if is_hidden(way, &Manifest { hook: hook.clone(), ..bare(None) }, cluster.pod()) {
                continue;
            }
            cluster.write(Manifest { hook: hook.clone(), ..bare(None) }.to_json(true));
            let expected = match hook.get("preStop") {
                Some(pre_stop) => pre_stop.clone(),
                None => json!({"sleep": {"seconds": 5}}),
            };
            let expected = with_defaults_of_hook(&expected);
            assert_eq!(cluster.container()["lifecycle"]["preStop"], expected, "{way:?} {hook}");
        }
    }
}

fn with_defaults_of_hook(hook: &Value) -> Value {
    let lifecycle = json!({"lifecycle": {"preStop": hook}, "name": "app"});
    let workload = json!({"spec": {"template": {"spec": {"containers": [lifecycle]}}}});
    with_defaults(&workload)["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"].clone()
}

#[test]
fn a_probe_of_the_owner_has_the_defaults_of_the_api_and_not_the_injected_numbers() {
    for way in Way::ALL {
        for readiness in READINESS {
            for probe in probes() {
                let manifest = Manifest { probe: probe.clone(), ..bare(readiness) };
                if !manifest.is_valid() || probe.is_null() {
                    continue;
                }
                let mut cluster = Cluster::create(way, &bare(readiness));
                if is_hidden(way, &manifest, cluster.pod()) {
                    continue;
                }
                cluster.write(manifest.to_json(true));
                let expected = with_defaults(&manifest.to_json(false));
                let expected = &expected["spec"]["template"]["spec"]["containers"][0]["readinessProbe"];
                let found = &cluster.container()["readinessProbe"];
                // In a handler that was edited and not applied, the values that were not named stay.
                let merged =
                    way.is_hidden() && contains(found, &probe) && found["periodSeconds"] == expected["periodSeconds"];
                assert!(found == expected || merged, "{way:?} {readiness:?} {probe}: {found}");
            }
        }
    }
}

#[test]
fn the_rest_of_the_injected_probe_completes_what_the_owner_writes_of_it() {
    for way in [Way::ClientSideApply, Way::ServerSideApply] {
        for (readiness, part, completed, without_annotations) in [
            (
                "https:8080/health",
                json!({"periodSeconds": 3}),
                json!({"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 3, "failureThreshold": 1}),
                json!({"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 3, "failureThreshold": 3}),
            ),
            (
                "https:8080/health",
                json!({"httpGet": {"path": "/ready"}}),
                json!({"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 10, "failureThreshold": 3}),
                json!({"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 10, "failureThreshold": 3}),
            ),
            (
                "tcp:8080",
                json!({"failureThreshold": 2}),
                json!({"tcpSocket": {"port": 8080}, "periodSeconds": 5, "failureThreshold": 2}),
                json!({"tcpSocket": {"port": 8080}, "periodSeconds": 10, "failureThreshold": 2}),
            ),
        ] {
            let mut cluster = Cluster::create(way, &bare(Some(readiness)));
            let injected = cluster.pod().clone();
            let manifest = Manifest { probe: part.clone(), ..bare(Some(readiness)) };
            cluster.write(manifest.to_json(true));
            assert!(
                contains(&cluster.container()["readinessProbe"], &completed),
                "{way:?} {part}: {}",
                cluster.container()
            );
            let mut removed = Cluster { way, written: cluster.written.clone(), live: cluster.live.clone() };
            removed.write(manifest.to_json(false));
            let found = &removed.container()["readinessProbe"];
            assert!(contains(found, &without_annotations), "{way:?} {part}: {found}");
            // The owner takes it back.
            cluster.write(bare(Some(readiness)).to_json(true));
            assert_eq!(cluster.pod(), &injected, "{way:?} {part}");
        }
    }
}

#[test]
fn a_variable_of_the_owner_replaces_the_injected_one_and_the_others_stay() {
    let name = |kind: &str| format!("WINDDOWN_{kind}_SECONDS");
    let names = |cluster: &Cluster| {
        let variables = cluster.container()["env"].as_array().unwrap().iter();
        variables.map(|variable| variable["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for way in Way::ALL {
        let mut cluster = Cluster::create(way, &bare(None));
        let injected = cluster.pod().clone();
        assert_eq!(names(&cluster), [name("DRAIN"), name("DEADLINE"), name("GRACE_PERIOD")]);
        let own = json!({"name": name("DEADLINE"), "value": "20"});
        cluster.write(Manifest { env: json!([own, {"name": "A", "value": "1"}]), ..bare(None) }.to_json(true));
        assert_eq!(names(&cluster), [&name("DRAIN"), &name("GRACE_PERIOD"), &name("DEADLINE"), "A"], "{way:?}");
        assert_eq!(cluster.container()["env"][2], own);
        if way != Way::Patch {
            cluster.write(bare(None).to_json(true));
            assert_eq!(cluster.pod(), &injected, "{way:?}");
        }
    }
}

#[test]
fn a_last_applied_configuration_that_server_side_apply_has_replaced_does_not_count() {
    let old = Manifest { grace_period: Some(30), ..bare(None) };
    let new = bare(None);
    let mut moved = Way::ServerSideApply.create(&new.to_json(true));
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    moved["metadata"]["annotations"][key] = json!(old.to_json(true).to_string());
    let mut larger = moved.clone();
    larger["metadata"]["annotations"]["winddown.dev/deadline"] = json!("25s");
    assert_eq!(admit(&larger, None)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 35);
    larger["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert_eq!(evaluated(&with_defaults(&larger), Existing::None).budget.unwrap().grace_period.as_i64(), 30);
}

#[test]
fn a_rollback_restores_an_injected_template_whatever_the_last_manifest_says() {
    for probe in probes() {
        for hook in hooks() {
            let own = Manifest { hook: hook.clone(), probe: probe.clone(), ..bare(Some("http:8080/health")) };
            if !own.is_valid() {
                continue;
            }
            let mut cluster = Cluster::create(Way::ClientSideApply, &bare(Some("http:8080/health")));
            let injected = cluster.live["spec"]["template"].clone();
            cluster.write(own.to_json(true));
            let mut rolled_back = cluster.live.clone();
            rolled_back["spec"]["template"] = injected.clone();
            let live = admit(&rolled_back, Some(&cluster.live));
            // Where the last manifest contains an injected value, it counts as the owner's.
            let app = &injected["spec"]["containers"][0];
            let repeats = |written: &Value, injected: &Value| !written.is_null() && contains(injected, written);
            let hook_repeats = hook == json!({}) || repeats(&hook["preStop"], &app["lifecycle"]["preStop"]);
            if !hook_repeats && !repeats(&probe, &app["readinessProbe"]) {
                assert_eq!(live["spec"]["template"], injected, "{hook} {probe}");
            }
        }
    }
}

#[test]
fn several_managers_of_one_probe_all_keep_their_numbers() {
    let mut cluster = Cluster::create(Way::ServerSideApply, &bare(Some("http:8080/health")));
    for (manager, field, value) in [("a", "periodSeconds", 5), ("b", "timeoutSeconds", 2)] {
        let app = json!({"k:{\"name\":\"app\"}": {"f:readinessProbe": {format!("f:{field}"): {}}}});
        let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": app}}}});
        let entry = json!({"manager": manager, "operation": "Apply", "fieldsV1": fields});
        cluster.live["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
        cluster.live["spec"]["template"]["spec"]["containers"][0]["readinessProbe"][field] = json!(value);
    }
    let mut removed = admit(&cluster.live, Some(&cluster.live));
    removed["metadata"]["annotations"] = json!({});
    let removed = admit(&removed, Some(&cluster.live));
    let probe = &removed["spec"]["template"]["spec"]["containers"][0]["readinessProbe"];
    let expected = json!({"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3, "httpGet": {"port": 8080}});
    assert!(contains(probe, &expected), "{probe}");
}

#[test]
fn a_hook_that_the_owner_adds_and_removes_again_leaves_the_injected_template_and_no_settled_state() {
    let mut cluster = Cluster::create(Way::ClientSideApply, &bare(None));
    let injected = cluster.live.clone();
    let own = Manifest { hook: json!({"preStop": {"sleep": {"seconds": 5}}}), ..bare(None) };
    for manifest in [own, bare(None)] {
        cluster.write(manifest.to_json(true));
        assert_eq!(cluster.live["spec"], injected["spec"]);
    }
    assert_eq!(cluster.live, injected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_the_owner_writes_stands_and_the_rest_goes_with_the_annotations(
        way in select(Way::ALL.to_vec()),
        readiness in select(READINESS.to_vec()),
        manifests in prop::collection::vec(manifests(), 1..4),
    ) {
        let mut cluster = Cluster::create(way, &bare(readiness));
        let injected = cluster.pod().clone();
        let mut last = bare(readiness);
        // A second patch would add to the first.
        let writes = if way == Way::Patch { 1 } else { manifests.len() };
        for manifest in manifests.into_iter().take(writes) {
            let manifest = Manifest { readiness, ..manifest };
            if !can_be_completed(&manifest, readiness) {
                continue;
            }
            if is_hidden(way, &manifest, &injected) {
                continue;
            }
            // A part cannot be completed once the owner's own probe has replaced the injected one.
            if !manifest.is_valid() && last.probe != Value::Null {
                continue;
            }
            cluster.write(manifest.to_json(true));
            prop_assert!(contains(cluster.container(), &json!({"lifecycle": manifest.hook, "readinessProbe": manifest.probe})), "{}", cluster.container());
            for variable in manifest.env.as_array().into_iter().flatten() {
                let found = cluster.container()["env"].as_array().unwrap().iter().filter(|found| found["name"] == variable["name"]);
                prop_assert_eq!(found.collect::<Vec<_>>(), [variable]);
            }
            if let Some(seconds) = manifest.grace_period {
                prop_assert_eq!(&cluster.pod()["terminationGracePeriodSeconds"], &json!(seconds));
            }
            last = manifest;
        }
        cluster.write(last.to_json(false));
        let template = &cluster.live["spec"]["template"];
        prop_assert!(template["metadata"] == json!({"labels": {"app": "shop"}}), "{}", template);
        if !way.is_hidden() && last.is_valid() {
            prop_assert_eq!(template, &with_defaults(&last.to_json(false))["spec"]["template"]);
        }
    }
}
