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
        let (preset, needed) = (exposure.target.preset()?, exposure.sends_for()?);
        // BalancerPollsSlower and TrafficContradicted compare a declared preset.
        let is_compared = match exposure.target {
            _ if declared == Some(preset) => true,
            // The Service does not always show which load balancer it is, but it does if it configures the health check.
            Target::LocalNodes(_) => declared.is_some_and(Traffic::is_local) && needed <= preset.drain,
            _ => contradicted,
        };
        (exposure.needs()? > drain && !is_compared).then_some((exposure, preset, needed))
    });
    let Some((exposure, preset, needed)) = presets.max_by_key(|(_, _, needed)| *needed) else { return Vec::new() };
    let Exposure { kind, name, target, .. } = exposure;
    let problem = format!(
        "{kind} {name} ({}) may send to a pod for {needed} after it started to terminate, but the drain takes {drain}",
        target.setting()
    );
    let finding = RULE.finding(FieldPath::annotation(DRAIN), problem).fact(*name).fact(needed).fact(drain);
    vec![finding.hint(if needed > preset.drain {
        format!("raise it to {needed}, or shorten the health check")
    } else {
        format!("raise it to {needed}, or declare {TRAFFIC}: {}", preset.name)
    })]
}

const PAGE: &str = r"## Why

A Service with `externalTrafficPolicy: Local` lets the load balancer of the cloud send to each node that has a pod, and the
load balancer finds out by health checks that the last pod of a node terminates. A load balancer with pods as targets
(target type `ip`) deregisters a pod through the API of the cloud. The controller of an Ingress learns of the endpoint like
kube-proxy, but it then has to update its proxies. All keep sending for longer than kube-proxy in the cluster. If the drain
ends earlier, the app has closed its listener, and new connections fail.

Winddown reads Ingress, IngressClass and Service if they are in the input of `winddown plan`, and the controller reads them
from the cluster. The [table of presets](presets.md#traffic) shows which classes and annotations it knows. The number in the
message is the drain of the preset, with the health check that annotations configure. A preset with a reserve, such as
`ingress-nginx`, is not reported if the drain is at least 5s.

## What to do

Declare what sends the traffic, and remove the explicit drain:

```yaml
metadata:
  annotations:
    winddown.dev/traffic: service-local
```

If you measured that a shorter drain is enough, declare both: a declared drain wins over the one of the preset.
A drain that is shorter than the health check is then reported as `BalancerPollsSlower`.

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
            let problem = "Service shop (externalTrafficPolicy Local) may send to a pod for 45s after it started to \
                           terminate, but the drain takes 10s";
            assert_eq!(message, format!("{problem}; raise it to 45s, or declare winddown.dev/traffic: service-local"));
        }
        let ip = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
        assert!(
            fires(&behind_ingress(&declared, &ip, &json!({})), TrafficDrainShort)
                .1
                .starts_with("Ingress shop (target type ip)")
        );
        let nlb = json!({"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"});
        let (_, message) = fires(&behind_service(&declared, &nlb, &local("LoadBalancer")), TrafficDrainShort);
        assert!(message.contains("may send to a pod for 130s"), "{message}");
    }

    #[test]
    fn the_class_of_an_ingress_shows_how_long_it_sends() {
        for (class, needed, least) in [
            ("nginx", 10, 5),
            ("traefik", 10, 5),
            ("haproxy", 10, 5),
            ("openshift-default", 15, 15),
            ("kong", 10, 5),
            ("contour", 10, 5),
            ("apisix", 15, 15),
            ("azure-application-gateway", 90, 90),
            ("istio", 15, 15),
        ] {
            let behind = |drain: u32| {
                let annotations = json!({"winddown.dev/drain": format!("{drain}s")});
                behind_ingress(&annotations, &json!({}), &json!({"ingressClassName": class}))
            };
            let (_, message) = fires(&behind(least - 1), TrafficDrainShort);
            let problem = format!("Ingress shop (class {class}) may send to a pod for {needed}s after it started");
            assert!(message.starts_with(&problem), "{message}");
            silent(&behind(least), TrafficDrainShort);
        }
        let fields = json!({"ingressClassName": "internal"});
        silent(&behind_ingress(&json!({"winddown.dev/drain": "1s"}), &json!({}), &fields), TrafficDrainShort);
    }

    #[test]
    fn the_annotations_of_a_service_show_how_long_its_load_balancer_sends() {
        const AZURE: &str = "service.beta.kubernetes.io/azure-load-balancer-health-probe-interval";
        const DO: &str = "service.beta.kubernetes.io/do-loadbalancer-healthcheck-unhealthy-threshold";
        const AWS: &str = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
        for (annotation, value, preset, needed) in [
            ("service.beta.kubernetes.io/azure-load-balancer-internal", "true", "azure-lb", 15),
            (AZURE, "5", "azure-lb", 15),
            (AZURE, "30", "azure-lb", 65),
            ("service.beta.kubernetes.io/do-loadbalancer-name", "shop", "do-lb", 15),
            (DO, "5", "do-lb", 21),
            ("metallb.io/address-pool", "edge", "metallb", 5),
            (AWS, "instance", "nlb-instance", 45),
        ] {
            let behind =
                |annotations: &Value| behind_service(annotations, &json!({annotation: value}), &local("LoadBalancer"));
            let drain = |drain: u32| json!({"winddown.dev/drain": format!("{drain}s")});
            let (_, message) = fires(&behind(&drain(needed - 1)), TrafficDrainShort);
            assert!(message.contains(&format!("may send to a pod for {needed}s after")), "{message}");
            silent(&behind(&drain(needed)), TrafficDrainShort);
            // BalancerPollsSlower compares a declared preset.
            silent(&behind(&json!({"winddown.dev/traffic": preset})), TrafficDrainShort);
        }
        // Without such an annotation, it may be any of them.
        for preset in ["azure-lb", "do-lb", "metallb", "nlb-instance"] {
            let declared = json!({"winddown.dev/traffic": preset});
            silent(&behind_service(&declared, &json!({}), &local("LoadBalancer")), TrafficDrainShort);
        }
        let slow = json!({AZURE: "60"});
        let declared = json!({"winddown.dev/traffic": "service-local"});
        let (_, message) = fires(&behind_service(&declared, &slow, &local("LoadBalancer")), TrafficDrainShort);
        assert!(message.ends_with("; raise it to 125s, or shorten the health check"), "{message}");
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
