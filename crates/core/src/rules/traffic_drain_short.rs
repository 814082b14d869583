//! A drain that ends before a load balancer, known from its Ingress or Service, stops sending.

use crate::annotations::{DRAIN, TRAFFIC};
use crate::catalog::traffic::Traffic;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::{Exposure, Neighbours, Target};
use crate::rule::{Check, Rule, Subject};
use crate::rules::traffic_contradicted::contradiction;

pub(crate) const RULE: Rule = Rule {
    code: Code::TrafficDrainShort,
    severity: Severity::Warning,
    title: "The drain is shorter than what the load balancer of an Ingress or Service needs.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    let drain = subject.budget().drain;
    let declared = subject.resolved.declaration.traffic;
    let contradicted = declared.is_some_and(|traffic| contradiction(traffic, related).is_some());
    let presets = related.exposures.iter().filter_map(|exposure| {
        let preset: &Traffic = exposure.target.preset()?.parse().ok()?;
        // BalancerPollsSlower and TrafficContradicted compare a declared preset.
        let is_compared = declared == Some(preset) || contradicted && exposure.target != Target::LocalNodes;
        (preset.drain > drain && !is_compared).then_some((exposure, preset))
    });
    let Some((exposure, preset)) = presets.max_by_key(|(_, preset)| preset.drain) else { return Vec::new() };
    let Exposure { kind, name, target, .. } = exposure;
    let problem = format!(
        "{kind} {name} has {}, which may send for {} after a pod started to terminate, but the drain takes {drain}",
        target.setting(),
        preset.drain
    );
    let finding = RULE.finding(FieldPath::annotation(DRAIN), problem).fact(*name).fact(preset.drain).fact(drain);
    vec![finding.hint(format!("raise it to {}, or declare {TRAFFIC}: {}", preset.drain, preset.name))]
}

const PAGE: &str = r"## Why

A Service with `externalTrafficPolicy: Local` lets the load balancer of the cloud send to each node that has a pod, and the
load balancer finds out by health checks that the last pod of a node terminates. A load balancer with pods as targets
(target type `ip`) deregisters a pod through the API of the cloud. Both keep sending for longer than kube-proxy in the
cluster. If the drain ends earlier, the app has closed its listener, and new connections fail.

Winddown reads Ingress, IngressClass and Service if they are in the input of `winddown plan`, and the controller reads them
from the cluster. The number in the message is the drain of the preset.

## What to do

Declare what sends the traffic, and remove the explicit drain:

```yaml
metadata:
  annotations:
    winddown.dev/traffic: service-local
```

If you measured that a shorter drain is enough, declare both: a declared drain wins over the one of the preset.

## Source

- [Presets](presets.md#traffic), with the sources of each number
- [KEP-1669](https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints):
  what a node answers while its last pods terminate
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::TrafficDrainShort;
    use crate::rules::tests::{behind_ingress, behind_service, fires, silent};

    fn local(kind: &str) -> Value {
        json!({"type": kind, "externalTrafficPolicy": "Local"})
    }

    #[test]
    fn a_drain_below_the_preset_of_the_load_balancer_is_reported() {
        let declared = json!({"winddown.dev/drain": "10s"});
        for kind in ["LoadBalancer", "NodePort"] {
            let (field, message) = fires(&behind_service(&declared, &json!({}), &local(kind)), TrafficDrainShort);
            assert_eq!(field, "metadata.annotations[winddown.dev/drain]");
            let problem = "Service shop has externalTrafficPolicy Local, which may send for 45s after a pod started to \
                           terminate, but the drain takes 10s";
            assert_eq!(message, format!("{problem}; raise it to 45s, or declare winddown.dev/traffic: service-local"));
        }
        let ip = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
        assert!(
            fires(&behind_ingress(&declared, &ip, &json!({})), TrafficDrainShort)
                .1
                .starts_with("Ingress shop has target type ip")
        );
        let nlb = json!({"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"});
        let (_, message) = fires(&behind_service(&declared, &nlb, &local("LoadBalancer")), TrafficDrainShort);
        assert!(message.contains("may send for 130s"), "{message}");
    }

    #[test]
    fn a_long_enough_drain_or_a_declared_preset_is_not_reported() {
        let drain = |drain: &str| json!({"winddown.dev/drain": drain});
        let both = json!({"winddown.dev/drain": "30s", "winddown.dev/traffic": "service-local"});
        for annotations in [drain("45s"), both, json!({"winddown.dev/traffic": "service-local"})] {
            silent(&behind_service(&annotations, &json!({}), &local("LoadBalancer")), TrafficDrainShort);
        }
        // TrafficContradicted reports that preset.
        let ip = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
        let service = json!({"winddown.dev/traffic": "service"});
        silent(&behind_ingress(&service, &ip, &json!({})), TrafficDrainShort);
        let other = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "other"}});
        for spec in [local("ClusterIP"), json!({"type": "LoadBalancer"}), other] {
            silent(&behind_service(&drain("5s"), &json!({}), &spec), TrafficDrainShort);
        }
    }
}
