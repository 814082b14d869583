//! What the owner of a workload writes after the injection stands, and only that remains without the annotations.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod ways_of_writing;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use ways_of_writing::{Way, with_defaults};
use winddown_core::evaluation::{Evaluation, Existing, Origin, evaluate};
use winddown_core::object::LazyObject;
use winddown_core::policy::Policy;

/// A manifest with an app and a proxy. `hook` is the app's `lifecycle`, `probe` its `readinessProbe`.
#[derive(Clone, Debug)]
struct Manifest {
    readiness: Option<&'static str>,
    hook: Value,
    probe: Value,
    grace_period: Option<i64>,
}

impl Manifest {
    fn to_json(&self, declared: bool) -> Value {
        let mut app = json!({"name": "app", "image": "shop:1", "ports": [{"containerPort": 8080, "name": "http"}]});
        for (field, value) in [("lifecycle", &self.hook), ("readinessProbe", &self.probe)] {
            if !value.is_null() {
                app[field] = value.clone();
            }
        }
        let mut pod = json!({"containers": [app, {"name": "proxy", "image": "proxy:1"}]});
        if let Some(seconds) = self.grace_period {
            pod["terminationGracePeriodSeconds"] = json!(seconds);
        }
        let mut annotations = json!({});
        if declared {
            annotations = json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"});
        }
        if let Some(readiness) = self.readiness.filter(|_| declared) {
            annotations["winddown.dev/readiness"] = json!(readiness);
        }
        let template = json!({"metadata": {"labels": {"app": "shop"}}, "spec": pod});
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop", "annotations": annotations},
            "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template},
        })
    }

    /// Whether the API server accepts it without Winddown.
    fn is_valid(&self) -> bool {
        invalid_field(&with_defaults(&self.to_json(false))).is_none()
    }
}

/// The state of the cluster.
struct Cluster {
    way: Way,
    written: Value,
    live: Value,
}

impl Cluster {
    fn create(way: Way, manifest: &Manifest) -> Self {
        let written = manifest.to_json(true);
        let live = admit(&way.create(&written), None);
        Self { way, written, live }
    }

    fn write(&mut self, manifest: Value) {
        let request = self.way.update(&self.live, &self.written, &manifest);
        self.live = admit(&request, Some(&self.live));
        self.written = manifest;
    }

    fn container(&self) -> &Value {
        &self.live["spec"]["template"]["spec"]["containers"][0]
    }

    fn pod(&self) -> &Value {
        &self.live["spec"]["template"]["spec"]
    }
}

fn evaluated(workload: &Value, existing: Existing<'_>) -> Evaluation {
    evaluate(workload, existing, &Policy::default(), Origin::ApiServer).unwrap()
}

/// What the API server stores. Another review of it changes nothing.
fn admit(request: &Value, old: Option<&Value>) -> Value {
    let request = with_defaults(request);
    let old = old.map(LazyObject::from);
    let existing = || old.as_ref().map_or(Existing::None, Existing::Replaced);
    let stored = with_defaults(&evaluated(&request, existing()).changes.apply(&request));
    assert_eq!(invalid_field(&stored), None, "request: {request:#}\nstored: {stored:#}");
    for existing in [existing(), Existing::Unchanged] {
        assert_eq!(evaluated(&stored, existing).changes.apply(&stored), stored, "it is the desired state");
    }
    stored
}

/// The hook or probe that the API server rejects.
fn invalid_field(workload: &Value) -> Option<String> {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().find_map(|container| {
        let invalid = |handler: &Value, handlers: &[&str]| {
            let fields = handler.as_object()?;
            let found: Vec<_> = handlers.iter().filter_map(|name| Some((name, fields.get(*name)?))).collect();
            let missing_port = found.iter().any(|(_, fields)| fields["port"] == 0);
            (found.len() != 1 || missing_port).then(|| handler.to_string())
        };
        invalid(&container["lifecycle"]["preStop"], &["exec", "httpGet", "sleep", "tcpSocket"])
            .or_else(|| invalid(&container["readinessProbe"], &["exec", "httpGet", "tcpSocket", "grpc"]))
    })
}

/// Whether the value contains everything that was written.
fn contains(value: &Value, written: &Value) -> bool {
    match (value, written) {
        (_, Value::Null) => true,
        (Value::Object(value), Value::Object(written)) => {
            written.iter().all(|(key, written)| contains(value.get(key).unwrap_or(&Value::Null), written))
        }
        _ => value == written,
    }
}

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

fn manifests() -> impl Strategy<Value = Manifest> {
    let grace_period = select(vec![None, None, Some(35), Some(60)]);
    (select(READINESS.to_vec()), select(hooks()), select(probes()), grace_period)
        .prop_map(|(readiness, hook, probe, grace_period)| Manifest { readiness, hook, probe, grace_period })
}

fn bare(readiness: Option<&'static str>) -> Manifest {
    Manifest { readiness, hook: Value::Null, probe: Value::Null, grace_period: None }
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
