//! A probe or hook may name a host, and then the kubelet asks that one: whatever the answer, it says nothing about this pod.
//! Pod Security refuses it from the baseline profile on (KEP-4940).

use super::Subject;
use crate::annotations::quoted;
use crate::finding::{Code, Finding};
use crate::plan::container_field;
use crate::pod::handlers::requests;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let pod = &subject.workload.pod;
    // There the node is the pod's own host, and the hooks' only way around a bug of the kubelet.
    let is_itself = |host: &str| pod.host_network == Some(true) && LOOPBACK.contains(&host);
    let asked = pod.containers.iter().flat_map(|container| {
        let asked = requests(container).into_iter().filter_map(|request| Some((request.host?, request.field)));
        asked.map(move |(host, field)| (host, container_field(&container.name, &format!("{field}.host"))))
    });
    asked
        .filter(|(host, _)| !is_itself(host))
        .map(|(host, field)| {
            let message = format!("asks {} and not this pod; leave host out", quoted(host));
            Finding::new(Code::HostInHandler, field, message)
        })
        .collect()
}

const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::HostInHandler;
    use crate::rules::tests::{container, fires, pod, silent};

    #[test]
    fn who_asks_another_host_learns_nothing_about_this_pod() {
        for kind in ["httpGet", "tcpSocket"] {
            let action = json!({kind: {"port": 80, "host": "127.0.0.1"}});
            for place in ["readinessProbe", "livenessProbe", "startupProbe"] {
                let (field, message) = fires(&container(|app| app[place] = action.clone()), HostInHandler);
                assert_eq!(field, format!("spec.template.spec.containers[app].{place}.{kind}.host"));
                assert_eq!(message, "asks \"127.0.0.1\" and not this pod; leave host out");
            }
            for place in ["preStop", "postStart"] {
                let (field, _) = fires(&container(|app| app["lifecycle"] = json!({place: action})), HostInHandler);
                assert_eq!(field, format!("spec.template.spec.containers[app].lifecycle.{place}.{kind}.host"));
            }
        }
    }

    #[test]
    fn without_a_host_it_is_the_pod_that_is_asked() {
        for host in [json!(null), json!("")] {
            let probe = json!({"httpGet": {"port": 80, "host": host}});
            silent(&container(|app| app["readinessProbe"] = probe), HostInHandler);
        }
    }

    #[test]
    fn on_the_network_of_the_node_the_loopback_is_the_pods_own() {
        let on_node = |host: &str| {
            let hook = json!({"preStop": {"httpGet": {"port": 80, "host": host}}});
            pod(|pod| {
                pod["hostNetwork"] = json!(true);
                pod["containers"][0]["lifecycle"] = hook;
            })
        };
        silent(&on_node("127.0.0.1"), HostInHandler);
        fires(&on_node("10.0.0.1"), HostInHandler);
    }
}
