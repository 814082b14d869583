//! The ports that probes and hooks ask. A name has to be that of one of the container's own ports, else the kubelet asks
//! nobody; a number need not be listed anywhere, but where others are, it may be a slip.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Container;

use super::Subject;
use crate::annotations::quoted;
use crate::finding::{Code, Finding};
use crate::plan::{container_field, init_containers};
use crate::pod::handlers::{Port, requests};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let pod = &subject.workload.pod;
    // The containers of a pod share their network: another one may serve that number.
    let ports =
        pod.containers.iter().chain(init_containers(pod)).flat_map(|container| container.ports.iter().flatten());
    let listed: BTreeSet<_> = ports.map(|port| port.container_port).collect();
    let asked = pod.containers.iter().flat_map(|container| {
        requests(container)
            .into_iter()
            .filter(|request| request.host.is_none())
            .map(move |request| (container, request))
    });
    asked
        .filter_map(|(container, request)| {
            let (code, message) = match request.port {
                Port::Name(name) => (Code::ProbePortUndeclared, unresolved(container, name)?),
                Port::Number(number) => (Code::ProbePortUnlisted, unlisted(container, number, &listed)?),
            };
            Some(Finding::new(code, container_field(&container.name, &format!("{}.port", request.field)), message))
        })
        .collect()
}

fn unresolved(container: &Container, name: &str) -> Option<String> {
    const SHOWN: usize = 5;
    let named: Vec<_> = container.ports.iter().flatten().filter_map(|port| port.name.as_deref()).collect();
    if named.contains(&name) {
        return None;
    }
    let there = match named.get(..SHOWN).unwrap_or(&named) {
        [] => "none of them has a name".to_owned(),
        shown => format!("there are {}", shown.join(", ")),
    };
    Some(format!("no port of this container is named {}, so nobody is asked; {there}", quoted(name)))
}

fn unlisted(container: &Container, number: i32, listed: &BTreeSet<i32>) -> Option<String> {
    let lists_others = container.ports.iter().flatten().next().is_some();
    (lists_others && !listed.contains(&number))
        .then(|| format!("port {number} is not listed by any container; list it, or ask one that is"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{ProbePortUndeclared, ProbePortUnlisted};
    use crate::rules::tests::{container, fires, pod, silent};

    fn asking(place: &str, action: Value) -> Value {
        container(|app| {
            app["ports"] = json!([{"containerPort": 8080, "name": "web"}, {"containerPort": 9100}]);
            match place.strip_prefix("lifecycle.") {
                Some(hook) => app["lifecycle"] = json!({hook: action}),
                None => app[place] = action,
            }
        })
    }

    #[test]
    fn a_name_that_no_port_has_asks_nobody() {
        for place in ["readinessProbe", "livenessProbe", "startupProbe", "lifecycle.preStop", "lifecycle.postStart"] {
            let (field, message) = fires(&asking(place, json!({"httpGet": {"port": "wbe"}})), ProbePortUndeclared);
            assert_eq!(field, format!("spec.template.spec.containers[app].{place}.httpGet.port"));
            assert_eq!(message, "no port of this container is named \"wbe\", so nobody is asked; there are web");
            silent(&asking(place, json!({"httpGet": {"port": "web"}})), ProbePortUndeclared);
        }
    }

    #[test]
    fn a_name_is_looked_up_in_the_container_alone() {
        let manifest = pod(|pod| {
            pod["containers"][0]["readinessProbe"] = json!({"tcpSocket": {"port": "web"}});
            pod["containers"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "proxy", "ports": [{"containerPort": 80, "name": "web"}]}));
        });
        let (_, message) = fires(&manifest, ProbePortUndeclared);
        assert!(message.ends_with("; none of them has a name"), "{message}");
    }

    #[test]
    fn a_number_beside_the_listed_ones_may_be_a_slip() {
        for (action, kind) in [
            (json!({"httpGet": {"port": 8008}}), "httpGet"),
            (json!({"tcpSocket": {"port": "8008"}}), "tcpSocket"),
            (json!({"grpc": {"port": 8008}}), "grpc"),
        ] {
            let (field, message) = fires(&asking("readinessProbe", action), ProbePortUnlisted);
            assert_eq!(field, format!("spec.template.spec.containers[app].readinessProbe.{kind}.port"));
            assert!(message.starts_with("port 8008 is not listed by any container; "), "{message}");
        }
        for port in [8080, 9100] {
            silent(&asking("readinessProbe", json!({"grpc": {"port": port}})), ProbePortUnlisted);
        }
    }

    #[test]
    fn a_number_needs_no_list() {
        silent(&container(|app| app["livenessProbe"] = json!({"httpGet": {"port": 80}})), ProbePortUnlisted);
    }

    #[test]
    fn another_container_of_the_pod_may_serve_the_number() {
        let beside = |list: &str| {
            let mut manifest = asking("readinessProbe", json!({"httpGet": {"port": 15021}}));
            let proxy = json!({"name": "proxy", "ports": [{"containerPort": 15021}], "restartPolicy": "Always"});
            let pod = &mut manifest["spec"]["template"]["spec"];
            match pod[list].as_array_mut() {
                Some(containers) => containers.push(proxy),
                None => pod[list] = json!([proxy]),
            }
            manifest
        };
        silent(&beside("containers"), ProbePortUnlisted);
        silent(&beside("initContainers"), ProbePortUnlisted);
    }
}
