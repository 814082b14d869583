//! Nodes that stop a pod after a limit that does not depend on its grace period, because the node is removed.

use crate::catalog::platforms::Platform;
use crate::finding::{Code, Finding, Severity};
use crate::pod::placement::Placement;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::PlatformCap,
    severity: Severity::Warning,
    title: "The pod may run on nodes that give it less time than the budget needs.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let (workload, budget) = (subject.workload, subject.budget());
    let platforms = Platform::all().iter().filter(|platform| !platform.exempts(workload));
    let finding = |platform: &Platform| {
        let effect = platform.effect(budget)?;
        let (on, field) = match platform.placement(workload)? {
            Placement::Certain(field) => ("on", field),
            Placement::Possible(field) => ("if scheduled onto", field),
        };
        let Platform { name, cap, hint, .. } = platform;
        let hint = hint.as_deref().unwrap_or("shorten drain and deadline, or avoid these nodes");
        let finding = RULE.finding(field, format!("{cap} limit {on} {name}: {effect}"));
        Some(finding.fact(*cap).fact(name.as_str()).fact(budget.drain).fact(budget.deadline).hint(hint))
    };
    platforms.filter_map(finding).collect()
}

const PAGE: &str = r"## Why

A pod that is deleted through the API gets its grace period. If its node is removed, the platform decides how long the pod
gets: a Spot VM is reclaimed some seconds after a notice. Everything that the budget needs beyond that is cut off. The drain
runs first, so the requests that are still open are lost.

On the virtual nodes of AKS, no pod gets any time: they have no container hooks, and containers are deleted immediately.

A drain that makes rollouts safe can make a preemption worse: it uses a part of the little time that is available.

## What to do

Decide which of the two to plan for. Shorten drain and deadline until they fit into the limit, or keep the pods off these
nodes: remove the `nodeSelector` or the affinity that selects them, and exclude their label. The labels are in the [table of
platforms](presets.md#platforms); this example excludes Karpenter's:

```yaml
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions:
        - {key: karpenter.sh/capacity-type, operator: NotIn, values: [spot]}
```

If both are more important than the price, run enough replicas on other nodes. The table also shows which limits can be
configured.

## Source

- [Graceful node shutdown](https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#graceful-node-shutdown)
- [GKE Spot VMs](https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms)
- [EC2 Spot interruption notices](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html)
- [AKS virtual nodes](https://github.com/Azure/AKS/issues/1267)
- [AKS Spot node pools](https://learn.microsoft.com/en-us/azure/aks/spot-node-pool)
- [A preStop sleep on preemptible nodes](https://github.com/kubernetes/kubernetes/issues/106476)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::PlatformCap;
    use crate::rules::tests::{fires, pod, silent};

    const SPOT: &str = "cloud.google.com/gke-spot";

    fn pod_with(fields: &Value) -> Value {
        pod(|pod| pod.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone()))
    }

    fn term(key: &str, operator: &str, values: &Value) -> Value {
        json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
    }

    fn required(terms: &Value) -> Value {
        let node_selector = json!({"nodeSelectorTerms": terms});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": node_selector}}})
    }

    #[test]
    fn a_pod_that_runs_or_may_run_on_spot_nodes_is_reported() {
        let zone = term("zone", "In", &json!(["a"]));
        let preferred = json!([{"weight": 1, "preference": term(SPOT, "In", &json!(["true"]))}]);
        let (certain, possible) = ("15s limit on GKE Spot VMs", "15s limit if scheduled onto GKE Spot VMs");
        for (fields, field, problem) in [
            (json!({"nodeSelector": {SPOT: "true"}}), format!("nodeSelector[{SPOT}]"), certain),
            (
                required(&json!([term(SPOT, "In", &json!(["true"])), term(SPOT, "DoesNotExist", &Value::Null)])),
                "affinity.nodeAffinity".to_owned(),
                certain,
            ),
            (
                required(&json!([term(SPOT, "In", &json!(["true", "false"]))])),
                "affinity.nodeAffinity".to_owned(),
                possible,
            ),
            (
                required(&json!([zone, term(SPOT, "Exists", &Value::Null)])),
                "affinity.nodeAffinity".to_owned(),
                possible,
            ),
            (
                json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}),
                "affinity.nodeAffinity".to_owned(),
                possible,
            ),
            (
                json!({"tolerations": [{"key": SPOT, "operator": "Equal", "value": "true", "effect": "NoSchedule"}]}),
                "tolerations".to_owned(),
                possible,
            ),
        ] {
            let (found, message) = fires(&pod_with(&fields), PlatformCap);
            assert_eq!(found, format!("spec.template.spec.{field}"));
            let effect = "the drain of 10s leaves 5s of the deadline of 20s";
            let hint = "shorten drain and deadline, or avoid these nodes";
            assert_eq!(message, format!("{problem}: {effect}; {hint}"));
        }
    }

    #[test]
    fn every_platform_is_known_by_its_labels_and_taints() {
        let spot_strategy = "node.alibabacloud.com/spot-strategy";
        for (key, value, limit) in [
            (SPOT, "true", "15s limit on GKE Spot VMs"),
            ("cloud.google.com/gke-preemptible", "true", "15s limit on GKE preemptible VMs"),
            ("eks.amazonaws.com/capacityType", "SPOT", "120s limit on EKS Spot capacity"),
            ("karpenter.sh/capacity-type", "spot", "120s limit on Karpenter Spot capacity"),
            ("kubernetes.azure.com/scalesetpriority", "spot", "30s limit on AKS Spot nodes"),
            ("scheduling.cast.ai/spot", "true", "30s limit on Cast AI Spot nodes"),
            ("machine.openshift.io/interruptible-instance", "", "30s limit on interruptible instances of OpenShift"),
            ("oci.oraclecloud.com/oke-is-preemptible", "true", "120s limit on OKE preemptible nodes"),
            (spot_strategy, "SpotAsPriceGo", "300s limit on Alibaba Cloud spot instances"),
            (spot_strategy, "SpotWithPriceLimit", "300s limit on Alibaba Cloud spot instances"),
            ("azure.com/aci", "", "0s limit on virtual nodes of AKS"),
        ] {
            let with = |fields: &Value, deadline: &str| {
                let mut workload = pod_with(fields);
                workload["metadata"]["annotations"]["winddown.dev/deadline"] = json!(deadline);
                workload
            };
            let selected = json!({"nodeSelector": {key: value}});
            let (_, message) = fires(&with(&selected, "500s"), PlatformCap);
            assert!(message.starts_with(limit), "{message}");
            let tolerated = json!({"tolerations": [{"key": key, "operator": "Exists"}]});
            let (_, message) = fires(&with(&tolerated, "500s"), PlatformCap);
            assert!(message.starts_with(&limit.replace(" on ", " if scheduled onto ")), "{message}");
            silent(&with(&json!({"nodeSelector": {key: "other"}}), "500s"), PlatformCap);
            if !limit.starts_with("0s") {
                silent(&with(&selected, "5s"), PlatformCap);
            }
        }
        silent(&pod_with(&json!({"nodeSelector": {spot_strategy: "NoSpot"}})), PlatformCap);
    }

    #[test]
    fn a_virtual_node_gives_no_time_at_all() {
        let pod = |node_selector: &Value| {
            let tolerations =
                json!([{"key": "virtual-kubelet.io/provider", "operator": "Exists"}, {"key": "azure.com/aci"}]);
            pod_with(&json!({"nodeSelector": node_selector, "tolerations": tolerations}))
        };
        let (_, message) = fires(&pod(&json!({"type": "virtual-kubelet"})), PlatformCap);
        let problem = "0s limit if scheduled onto virtual nodes of AKS: no preStop hook runs, and the containers are \
                       killed immediately; use other nodes";
        assert!(message.starts_with(problem), "{message}");
        silent(&pod(&json!({"virtualization": "virtualnode2"})), PlatformCap);
        let other = json!([{"key": "virtual-kubelet.io/provider", "value": "alibabacloud"}]);
        silent(&pod_with(&json!({"tolerations": other})), PlatformCap);
    }

    #[test]
    fn a_drain_can_use_the_whole_limit() {
        let mut spot = pod_with(&json!({"nodeSelector": {SPOT: "true"}}));
        spot["metadata"]["annotations"]["winddown.dev/drain"] = json!("20s");
        let (_, message) = fires(&spot, PlatformCap);
        assert!(message.contains("the drain of 20s uses all of it"), "{message}");
    }

    #[test]
    fn a_pod_on_other_nodes_is_not_reported() {
        for fields in [
            json!({}),
            json!({"nodeSelector": {SPOT: "false", "eks.amazonaws.com/capacityType": "ON_DEMAND"}}),
            json!({"nodeSelector": {"karpenter.sh/capacity-type": "spot"}}),
            json!({"tolerations": [{"operator": "Exists"}]}),
            required(&json!([term(SPOT, "NotIn", &json!(["true"]))])),
        ] {
            silent(&pod_with(&fields), PlatformCap);
        }
    }

    /// The solution on the page.
    #[test]
    fn a_requirement_overrides_tolerations_and_preferences() {
        let excluded = [
            required(&json!([term(SPOT, "NotIn", &json!(["true"]))])),
            required(&json!([term(SPOT, "In", &json!(["false"])), term(SPOT, "DoesNotExist", &Value::Null)])),
            json!({"nodeSelector": {SPOT: "false"}}),
        ];
        for mut fields in excluded {
            fields["tolerations"] = json!([{"key": SPOT, "operator": "Exists"}]);
            let preferred = json!([{"weight": 1, "preference": term(SPOT, "In", &json!(["true"]))}]);
            fields["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = preferred;
            silent(&pod_with(&fields), PlatformCap);
        }
    }

    #[test]
    fn a_budget_within_the_limit_is_not_reported() {
        let mut spot = pod_with(&json!({"nodeSelector": {SPOT: "true"}}));
        spot["metadata"]["annotations"]["winddown.dev/drain"] = json!("5s");
        spot["metadata"]["annotations"]["winddown.dev/deadline"] = json!("10s");
        silent(&spot, PlatformCap);
    }
}
