//! A grace period is a request, not a promise: where the node itself goes, whoever runs it decides how long a pod gets.

use super::Subject;
use crate::catalog::platforms::{Platform, Stay};
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::plan::GRACE_PERIOD_FIELD;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let budget = subject.budget;
    // Who loses no more than the margin loses nothing.
    let short = Platform::all().iter().filter(|platform| platform.cap < budget.drain.plus(budget.deadline));
    short
        .filter_map(|platform| {
            let Platform { name, cap, way_out, .. } = platform;
            let (code, place, field) = match platform.hosts(subject.workload)? {
                Stay::Certain(field) => (Code::PlatformCap, format!("on {name}"), field),
                Stay::Possible(field) => (Code::PlatformCap, format!("if it gets onto {name}"), field),
                Stay::Everywhere => (Code::AutoscalerCap, format!("on {name}"), GRACE_PERIOD_FIELD.to_owned()),
            };
            let left = match cap.minus(budget.drain) {
                Seconds::ZERO => format!("the drain of {} alone takes all of it", budget.drain),
                left => format!("the drain of {} leaves {left} of the deadline of {}", budget.drain, budget.deadline),
            };
            let way_out = way_out.as_deref().unwrap_or("shorten both, or keep these pods off such nodes");
            Some(Finding::new(code, field, format!("at most {cap} {place}: {left}; {way_out}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{AutoscalerCap, PlatformCap};
    use crate::rules::tests::{fires, pod, silent};

    const SPOT: &str = "cloud.google.com/gke-spot";

    fn in_a_pod(fields: &Value) -> Value {
        pod(|pod| pod.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone()))
    }

    fn rule(key: &str, operator: &str, values: &Value) -> Value {
        json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
    }

    fn required(terms: &Value) -> Value {
        let node_selector = json!({"nodeSelectorTerms": terms});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": node_selector}}})
    }

    #[test]
    fn a_pod_that_runs_on_spot_nodes_gets_less_than_it_asks_for() {
        let zone = rule("zone", "In", &json!(["a"]));
        let preferred = json!([{"weight": 1, "preference": rule(SPOT, "In", &json!(["true"]))}]);
        for (fields, field, message) in [
            (json!({"nodeSelector": {SPOT: "true"}}), format!("nodeSelector[{SPOT}]"), "at most 15s on GKE Spot VMs: "),
            (
                required(&json!([rule(SPOT, "In", &json!(["true"])), rule(SPOT, "DoesNotExist", &Value::Null)])),
                "affinity.nodeAffinity".to_owned(),
                "at most 15s on GKE Spot VMs: ",
            ),
            (
                required(&json!([rule(SPOT, "In", &json!(["true", "false"]))])),
                "affinity.nodeAffinity".to_owned(),
                "at most 15s if it gets onto GKE Spot VMs: ",
            ),
            (
                required(&json!([zone, rule(SPOT, "Exists", &Value::Null)])),
                "affinity.nodeAffinity".to_owned(),
                "at most 15s if it gets onto GKE Spot VMs: ",
            ),
            (
                json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}),
                "affinity.nodeAffinity".to_owned(),
                "at most 15s if it gets onto GKE Spot VMs: ",
            ),
            (
                json!({"tolerations": [{"key": SPOT, "operator": "Equal", "value": "true", "effect": "NoSchedule"}]}),
                "tolerations".to_owned(),
                "at most 15s if it gets onto GKE Spot VMs: ",
            ),
        ] {
            let (found, said) = fires(&in_a_pod(&fields), PlatformCap);
            assert_eq!(found, format!("spec.template.spec.{field}"));
            assert!(said.starts_with(message), "{said}");
            assert!(said.contains("the drain of 10s leaves 5s of the deadline of 20s; "), "{said}");
        }
    }

    #[test]
    fn a_drain_may_take_all_there_is() {
        let mut spot = in_a_pod(&json!({"nodeSelector": {SPOT: "true"}}));
        spot["metadata"]["annotations"]["winddown.dev/drain"] = json!("20s");
        let (_, message) = fires(&spot, PlatformCap);
        assert!(message.contains("the drain of 20s alone takes all of it"), "{message}");
    }

    #[test]
    fn the_cluster_autoscaler_waits_for_ten_minutes_anywhere() {
        let mut long = pod(|_| {});
        long["metadata"]["annotations"]["winddown.dev/deadline"] = json!("3h");
        let (field, message) = fires(&long, AutoscalerCap);
        assert_eq!(field, "spec.template.spec.terminationGracePeriodSeconds");
        assert!(message.starts_with("at most 600s on nodes that the Cluster Autoscaler removes: "), "{message}");
        assert!(message.ends_with("; raise its --max-graceful-termination-sec"), "{message}");
        let stays = json!({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"});
        long["spec"]["template"]["metadata"]["annotations"] = stays;
        silent(&long, AutoscalerCap);
    }

    #[test]
    fn a_pod_that_fits_or_stays_away_is_not_cut_short() {
        for fields in [
            json!({}),
            json!({"nodeSelector": {SPOT: "false", "eks.amazonaws.com/capacityType": "ON_DEMAND"}}),
            json!({"nodeSelector": {"karpenter.sh/capacity-type": "spot"}}),
            json!({"tolerations": [{"operator": "Exists"}]}),
            required(&json!([rule(SPOT, "NotIn", &json!(["true"]))])),
        ] {
            silent(&in_a_pod(&fields), PlatformCap);
        }
        // As the page says: what is required counts for more than what is tolerated or preferred.
        let elsewhere = [
            required(&json!([rule(SPOT, "NotIn", &json!(["true"]))])),
            required(&json!([rule(SPOT, "In", &json!(["false"])), rule(SPOT, "DoesNotExist", &Value::Null)])),
            json!({"nodeSelector": {SPOT: "false"}}),
        ];
        for mut fields in elsewhere {
            fields["tolerations"] = json!([{"key": SPOT, "operator": "Exists"}]);
            let preferred = json!([{"weight": 1, "preference": rule(SPOT, "In", &json!(["true"]))}]);
            fields["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = preferred;
            silent(&in_a_pod(&fields), PlatformCap);
        }
        let mut spare = in_a_pod(&json!({"nodeSelector": {SPOT: "true"}}));
        spare["metadata"]["annotations"]["winddown.dev/drain"] = json!("5s");
        spare["metadata"]["annotations"]["winddown.dev/deadline"] = json!("10s");
        silent(&spare, PlatformCap);
    }
}
