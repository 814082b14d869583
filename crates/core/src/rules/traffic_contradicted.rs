//! A declared traffic preset for another kind of target than the load balancer has.

use crate::annotations::TRAFFIC;
use crate::catalog::traffic::Traffic;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::{Exposure, Neighbours, Target};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::TrafficContradicted,
    severity: Severity::Warning,
    title: "The load balancer has other targets than the declared traffic preset is for.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    let Some(traffic) = subject.resolved.declaration.traffic else { return Vec::new() };
    contradiction(traffic, related).into_iter().collect()
}

pub(super) fn contradiction(traffic: &Traffic, related: &Neighbours<'_>) -> Option<Finding> {
    let name = traffic.name.as_str();
    let is_local = |exposure: &Exposure<'_>| matches!(exposure.target, Target::LocalNodes(_));
    let exposures = || related.exposures.iter().filter(|exposure| !is_local(exposure));
    if exposures().any(|exposure| exposure.target.preset() == Some(traffic)) {
        return None;
    }
    let Exposure { kind, name: object, target, .. } = exposures().find(|exposure| contradicts(traffic, exposure))?;
    let problem = format!("{name} is declared, but {kind} {object} has {}", target.setting());
    let finding = RULE.finding(FieldPath::annotation(TRAFFIC), problem).fact(name).fact(target.setting()).fact(*object);
    Some(match target.preset() {
        Some(Traffic { name, .. }) => finding.hint(format!("declare {name}, or change the {kind}")),
        None => finding.hint(format!("declare nlb-instance, or change the {kind}")),
    })
}

/// The same load balancer with other targets; or another one, which keeps sending for longer.
fn contradicts(traffic: &Traffic, exposure: &Exposure<'_>) -> bool {
    let opposite = match exposure.target {
        Target::AlbIp => "alb-instance",
        Target::AlbInstance => "alb-ip",
        Target::NlbInstance => "nlb-ip",
        Target::NlbIp | Target::Neg | Target::Class(..) | Target::LocalNodes(_) => "",
    };
    traffic.name == opposite || exposure.target.preset().is_some_and(|preset| preset.drain > traffic.drain)
}

const PAGE: &str = r"## Why

The presets of `winddown.dev/traffic` propose a drain for one kind of load balancer and one kind of target. A load balancer
of AWS sends either to the nodes (target type `instance`) or to the pods (`ip`), and stops in different ways: it notices a
node by its health checks, and a pod is deregistered through the API of AWS. The controller of an Ingress needs its own time,
in addition to the time of a Service. If the preset is for another one than the Ingress or Service configures, the drain is
the wrong one, and the other findings about traffic are about the wrong load balancer.

Winddown reads Ingress, IngressClass and Service if they are in the input of `winddown plan`, and the controller reads them
from the cluster. The [table of presets](presets.md#traffic) shows which classes and annotations it knows.

## What to do

Declare the preset that belongs to the Ingress or Service:

```yaml
# on the Ingress
alb.ingress.kubernetes.io/target-type: ip
# on the workload
winddown.dev/traffic: alb-ip
```

If traffic arrives in several ways, declare the one that keeps sending for longest.

## Source

- [Presets](presets.md#traffic)
- [Target type of an Ingress](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#target-type)
- [Target type of a Service](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/#nlb-target-type)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::TrafficContradicted;
    use crate::rules::tests::{annotated, behind_ingress, behind_service, fires, silent};

    #[test]
    fn another_target_type_is_reported_with_both() {
        for (traffic, target_type, proposed) in [
            ("alb-instance", "ip", "alb-ip"),
            ("alb-ip", "instance", "alb-instance"),
            ("service", "ip", "alb-ip"),
            ("ingress-nginx", "ip", "alb-ip"),
        ] {
            let annotations = json!({"alb.ingress.kubernetes.io/target-type": target_type});
            let shop = behind_ingress(&json!({"winddown.dev/traffic": traffic}), &annotations, &json!({}));
            let (field, message) = fires(&shop, TrafficContradicted);
            assert_eq!(field, "metadata.annotations[winddown.dev/traffic]");
            let expected = format!(
                "{traffic} is declared, but Ingress shop has target type {target_type}; declare {proposed}, or change the Ingress"
            );
            assert_eq!(message, expected);
        }
        let instance = json!({"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "instance"});
        let shop =
            behind_service(&json!({"winddown.dev/traffic": "nlb-ip"}), &instance, &json!({"type": "LoadBalancer"}));
        assert!(
            fires(&shop, TrafficContradicted)
                .1
                .starts_with("nlb-ip is declared, but Service shop has target type instance")
        );
    }

    #[test]
    fn a_class_whose_controller_sends_for_longer_is_reported() {
        for (class, preset) in [
            ("nginx", "ingress-nginx"),
            ("traefik", "traefik"),
            ("haproxy", "haproxy-ingress"),
            ("openshift-default", "openshift-route"),
            ("kong", "kong"),
            ("contour", "contour"),
            ("apisix", "apisix"),
            ("azure-application-gateway", "agic"),
            ("istio", "istio"),
        ] {
            let behind = |traffic: &str| {
                let fields = json!({"ingressClassName": class});
                behind_ingress(&json!({"winddown.dev/traffic": traffic}), &json!({}), &fields)
            };
            let (_, message) = fires(&behind("service"), TrafficContradicted);
            let hint = format!("declare {preset}, or change the Ingress");
            assert_eq!(message, format!("service is declared, but Ingress shop has class {class}; {hint}"));
            silent(&behind(preset), TrafficContradicted);
            silent(&behind("nlb-ip"), TrafficContradicted);
        }
        let fields = json!({"ingressClassName": "internal"});
        silent(&behind_ingress(&json!({"winddown.dev/traffic": "service"}), &json!({}), &fields), TrafficContradicted);
        let neg = json!({"cloud.google.com/neg": "{\"exposed_ports\": {\"80\": {}}}"});
        let exposed = |traffic: &str| behind_service(&json!({"winddown.dev/traffic": traffic}), &neg, &json!({}));
        let (_, message) = fires(&exposed("envoy-gateway"), TrafficContradicted);
        assert!(message.contains("but Service shop has network endpoint groups; declare gce-neg"), "{message}");
        silent(&exposed("gce-neg"), TrafficContradicted);
    }

    #[test]
    fn the_same_target_type_or_another_controller_is_not_reported() {
        let ip = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
        let declared = |traffic: &str| json!({"winddown.dev/traffic": traffic});
        for (traffic, class) in [
            ("alb-ip", json!({})),
            ("nlb-ip", json!({})),
            ("alb-instance", json!({"ingressClassName": "nginx"})),
            ("alb-instance", json!({"rules": []})),
        ] {
            silent(&behind_ingress(&declared(traffic), &ip, &class), TrafficContradicted);
        }
        silent(&behind_ingress(&json!({"winddown.dev/drain": "5s"}), &ip, &json!({})), TrafficContradicted);
        silent(&annotated(&declared("alb-instance")), TrafficContradicted);
        let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
        silent(&behind_service(&declared("alb-ip"), &json!({}), &local), TrafficContradicted);
    }
}
