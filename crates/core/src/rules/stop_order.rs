//! In which order the containers of a pod stop. Main containers stop independently of each other, each when its own hook is
//! over; native sidecars stop after all of them, one after the other, in what is left of the grace period (KEP-753).

use k8s_openapi::api::core::v1::Container;

use super::Subject;
use crate::catalog::sidecars::{self, Sidecar, Wait};
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::plan::{container_field, hooks, names};
use crate::pod::ports;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    proxies_first(subject).into_iter().chain(native_last(subject)).collect()
}

/// Proxies that run as main containers and are told to stop while the app may still need them.
fn proxies_first(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = subject.workload.pod.containers.iter().zip(subject.sleeps);
    let known = containers.map(|(container, sleep)| (container, sleep.seconds, Sidecar::of(container)));
    let (proxies, others): (Vec<_>, Vec<_>) = known.partition(|(.., proxy)| proxy.is_some());
    let needed_until = |proxy: &Sidecar| {
        let served = others
            .iter()
            .filter(|(container, ..)| !proxy.is_helped_by(container) && !ports::is_only_watched(container));
        Some(served.map(|(_, sleep, _)| *sleep).max()?.plus(subject.budget.deadline))
    };
    let finding = |(container, sleep, proxy): (&Container, Seconds, Option<&'static Sidecar>)| {
        let proxy = proxy?;
        let until = needed_until(proxy)?;
        let (told, wait) = match proxy.wait(container, subject.workload) {
            _ if hooks::is_open_ended(container) => return None,
            Some(Wait::Somehow) => return None,
            Some(Wait::For(wait)) => (format!(" and waits {wait}"), wait),
            None => (String::new(), Seconds::ZERO),
        };
        (sleep.plus(wait) < until).then(|| {
            let message = format!(
                "is told to stop at {sleep}{told}, the app may need it until {until}; {} {}: make it a native sidecar (an \
                 init container with restartPolicy Always)",
                proxy.name, proxy.on_sigterm
            );
            Finding::new(Code::SidecarStopsFirst, container_field(&container.name, "lifecycle.preStop"), message)
        })
    };
    proxies.into_iter().filter_map(finding).collect()
}

fn native_last(subject: &Subject<'_>) -> Option<Finding> {
    let last_started_first: Vec<_> = sidecars::native(&subject.workload.pod).rev().collect();
    let budget = subject.budget;
    let left = budget.grace_period.minus(budget.drain.plus(budget.deadline));
    let stop = match last_started_first.len() {
        0 => return None,
        1 => "stops after the app",
        _ => "stop after the app, one after the other",
    };
    // A sum that does not fit is said already.
    (left > Seconds::ZERO).then(|| {
        let message = format!("{} {stop}, in what is left of the grace period: {left}", names(last_started_first));
        Finding::new(Code::NativeSidecarsStopLast, "spec.template.spec.initContainers", message)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{NativeSidecarsStopLast, SidecarStopsFirst};
    use crate::rules::tests::{fires, pod, silent};

    fn beside_the_app(sidecar: Value) -> Value {
        pod(|pod| pod["containers"].as_array_mut().unwrap().push(sidecar))
    }

    #[test]
    fn a_proxy_that_stops_with_the_app_cuts_it_off() {
        for sidecar in [
            json!({"name": "istio-proxy", "image": "auto"}),
            json!({"name": "db", "image": "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.11.0"}),
            json!({"name": "cloudsql-proxy", "image": "registry:5000/mirror@sha256:0"}),
            json!({"name": "mesh", "image": "envoyproxy/envoy:v1.30"}),
        ] {
            let (field, message) = fires(&beside_the_app(sidecar.clone()), SidecarStopsFirst);
            let name = sidecar["name"].as_str().unwrap();
            assert_eq!(field, format!("spec.template.spec.containers[{name}].lifecycle.preStop"));
            assert!(message.starts_with("is told to stop at 10s, the app may need it until 30s; "), "{message}");
        }
    }

    #[test]
    fn a_proxy_that_waits_for_the_app_does_not() {
        let proxy = |fields: Value| {
            let mut proxy = json!({"name": "cloud-sql-proxy", "image": "cloud-sql-proxy:2"});
            proxy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            beside_the_app(proxy)
        };
        let hook = |hook: Value| proxy(json!({"lifecycle": {"preStop": hook}}));
        fires(&hook(json!({"sleep": {"seconds": 29}})), SidecarStopsFirst);
        silent(&hook(json!({"sleep": {"seconds": 30}})), SidecarStopsFirst);
        silent(&hook(json!({"exec": {"command": ["wait-for-app"]}})), SidecarStopsFirst);
        silent(&proxy(json!({"args": ["--max-sigterm-delay=30s", "db"]})), SidecarStopsFirst);
        let (_, message) = fires(&proxy(json!({"args": ["--min-sigterm-delay", "19s", "db"]})), SidecarStopsFirst);
        assert!(
            message.starts_with("is told to stop at 10s and waits 19s, the app may need it until 30s; "),
            "{message}"
        );
        silent(&proxy(json!({"args": ["--min-sigterm-delay", "20s", "db"]})), SidecarStopsFirst);
        silent(&proxy(json!({"env": [{"name": "CSQL_PROXY_MIN_SIGTERM_DELAY", "value": "30s"}]})), SidecarStopsFirst);
    }

    #[test]
    fn a_proxy_is_told_by_an_annotation_too() {
        let mut mesh = beside_the_app(json!({"name": "istio-proxy", "image": "auto"}));
        fires(&mesh, SidecarStopsFirst);
        let config = json!({"proxy.istio.io/config": "terminationDrainDuration: 30s\n"});
        mesh["spec"]["template"]["metadata"]["annotations"] = config;
        silent(&mesh, SidecarStopsFirst);
    }

    #[test]
    fn what_is_alone_or_no_proxy_cuts_nobody_off() {
        silent(&pod(|pod| pod["containers"] = json!([{"name": "envoy", "image": "envoy:1"}])), SidecarStopsFirst);
        silent(&beside_the_app(json!({"name": "log", "image": "fluent-bit:3"})), SidecarStopsFirst);
        let gateway =
            json!([{"name": "envoy", "image": "envoy:1"}, {"name": "shutdown-manager", "image": "gateway:1"}]);
        silent(&pod(|pod| pod["containers"] = gateway), SidecarStopsFirst);
        let watched = json!([
            {"name": "edge", "image": "envoyproxy/envoy:v1.30", "ports": [{"containerPort": 8080}]},
            {"name": "stats", "image": "statsd-exporter:1", "ports": [{"containerPort": 9102, "name": "metrics"}]},
        ]);
        silent(&pod(|pod| pod["containers"] = watched), SidecarStopsFirst);
        let native = json!([{"name": "istio-proxy", "image": "proxyv2:1", "restartPolicy": "Always"}]);
        silent(&pod(|pod| pod["initContainers"] = native), SidecarStopsFirst);
    }

    #[test]
    fn native_sidecars_share_what_is_left() {
        let init = json!([
            {"name": "migrate", "image": "migrate:1"},
            {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"},
            {"name": "logs", "image": "logs:1", "restartPolicy": "Always"},
        ]);
        let (field, message) = fires(&pod(|pod| pod["initContainers"] = init), NativeSidecarsStopLast);
        assert_eq!(field, "spec.template.spec.initContainers");
        let expected = "logs, mesh stop after the app, one after the other, in what is left of the grace period: 5s";
        assert_eq!(message, expected);
    }

    #[test]
    fn ordinary_init_containers_are_long_gone() {
        let init = json!([{"name": "migrate", "image": "migrate:1"}]);
        silent(&pod(|pod| pod["initContainers"] = init), NativeSidecarsStopLast);
    }
}
