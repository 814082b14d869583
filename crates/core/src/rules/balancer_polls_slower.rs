//! A drain that ends before a load balancer with health checks has stopped sending.

use crate::annotations::{DRAIN, TRAFFIC};
use crate::budget::Source;
use crate::catalog::traffic::{Polling, Traffic};
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::related::Neighbours;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::BalancerPollsSlower,
    severity: Severity::Warning,
    title: "The drain ends before the health check of the load balancer fails.",
    page: PAGE,
    check: Check::Related(check),
};

fn check(subject: &Subject<'_>, related: &Neighbours<'_>) -> Vec<Finding> {
    let (declaration, budget) = (subject.resolved.declaration, subject.budget());
    let Some(traffic) = declaration.traffic else { return Vec::new() };
    let Some(polls) = traffic.polls else { return Vec::new() };
    let polls = configured(polls, traffic, related);
    let (drain, needed) = (budget.drain, polls.notices_after());
    if drain >= needed {
        return Vec::new();
    }
    let (field, what) = match &budget.drain_from {
        Source::Hook(container) => (FieldPath::container(container, "lifecycle.preStop"), "preStop hook"),
        _ if declaration.drain.is_some() => (FieldPath::annotation(DRAIN), "drain"),
        // No container sleeps for the drain of the preset.
        _ => (FieldPath::annotation(TRAFFIC), "drain"),
    };
    let problem = format!(
        "{} needs {} x {} = {needed} to stop sending, but the {what} takes {drain}",
        traffic.name, polls.failures, polls.period
    );
    let finding = RULE.finding(field, problem).fact(traffic.name.as_str()).fact(needed).fact(drain);
    vec![finding.hint("raise it, or shorten the health check")]
}

/// The health check with the numbers of the Services and Ingresses in front of the pods; of several, the slowest.
fn configured(polls: Polling, traffic: &Traffic, related: &Neighbours<'_>) -> Polling {
    let exposures = related.exposures.iter().filter(|exposure| exposure.target.preset() == Some(traffic));
    let checks = exposures.map(|exposure| exposure.health_check.unwrap_or(polls));
    checks.max_by_key(|polls| polls.notices_after()).unwrap_or(polls)
}

const PAGE: &str = r#"## Why

Most load balancers are notified when a pod terminates. Some have to find out with health checks, and keep sending until
enough checks in a row have failed. A cloud load balancer for a Service with `externalTrafficPolicy: Local` queries the health
check port of each node, which reports immediately that the last pod of the node is terminating. A load balancer with nodes
as targets checks the nodes, too. New connections arrive until that number of checks, one
per period, has failed. If the drain ends earlier,
the app has already closed its listener, and these connections fail.

The numbers in the message are the defaults of the load balancer. It may need longer: the drain of the preset is what was
observed in practice.

## What to do

Remove `winddown.dev/drain`, so that the drain of the preset applies, or raise it to at least the number in the message.

Or configure a faster health check. Winddown reads these annotations if the Ingress or Service is in the input of `winddown
plan`, and the controller reads them from the cluster. If you configured the health check elsewhere, set the drain that you
measured. The finding ends if you remove `winddown.dev/traffic`, unless Winddown knows the Ingress or Service.

```yaml
# on the Ingress
alb.ingress.kubernetes.io/healthcheck-interval-seconds: "5"
alb.ingress.kubernetes.io/unhealthy-threshold-count: "2"
# on the Service
service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval: "5"
service.beta.kubernetes.io/aws-load-balancer-healthcheck-unhealthy-threshold: "2"
service.beta.kubernetes.io/azure-load-balancer-health-probe-interval: "5"
service.beta.kubernetes.io/azure-load-balancer-health-probe-num-of-probe: "2"
service.beta.kubernetes.io/do-loadbalancer-healthcheck-check-interval-seconds: "3"
service.beta.kubernetes.io/do-loadbalancer-healthcheck-unhealthy-threshold: "2"
```

## Source

- [Presets](presets.md#traffic), with the sources of each number
- [KEP-1669](https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints):
  what a node answers while its last pods terminate
- [Health checks of the AWS Load Balancer Controller](https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#health-check)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::BalancerPollsSlower;
    use crate::rules::tests::{behind_ingress, behind_service, deployment, fires, silent};

    fn behind(traffic: &str, drain: Option<&str>) -> Value {
        deployment(|deployment| {
            let mut annotations = json!({"winddown.dev/traffic": traffic});
            if let Some(drain) = drain {
                annotations["winddown.dev/drain"] = json!(drain);
            }
            deployment["metadata"]["annotations"] = annotations;
        })
    }

    #[test]
    fn a_drain_that_is_shorter_than_the_health_check_is_reported() {
        let (field, message) = fires(&behind("alb-instance", Some("20s")), BalancerPollsSlower);
        assert_eq!(field, "metadata.annotations[winddown.dev/drain]");
        let problem = "alb-instance needs 2 x 15s = 30s to stop sending, but the drain takes 20s; ";
        assert!(message.starts_with(problem), "{message}");
        fires(&behind("service-local", Some("23s")), BalancerPollsSlower);
    }

    #[test]
    fn the_health_check_of_the_ingress_counts() {
        let declared = json!({"winddown.dev/traffic": "alb-instance", "winddown.dev/drain": "20s"});
        let check = |interval: &str, failures: &str| {
            json!({
                "alb.ingress.kubernetes.io/target-type": "instance",
                "alb.ingress.kubernetes.io/healthcheck-interval-seconds": interval,
                "alb.ingress.kubernetes.io/unhealthy-threshold-count": failures,
            })
        };
        silent(&behind_ingress(&declared, &check("5", "3"), &json!({})), BalancerPollsSlower);
        let (_, message) = fires(&behind_ingress(&declared, &check("10", "5"), &json!({})), BalancerPollsSlower);
        assert!(message.starts_with("alb-instance needs 5 x 10s = 50s to stop sending"), "{message}");
        fires(&behind_ingress(&declared, &check("fast", "2"), &json!({})), BalancerPollsSlower);
    }

    #[test]
    fn the_health_check_of_the_service_counts() {
        for (traffic, period, failures, default) in [
            (
                "azure-lb",
                "service.beta.kubernetes.io/azure-load-balancer-health-probe-interval",
                "service.beta.kubernetes.io/azure-load-balancer-health-probe-num-of-probe",
                10,
            ),
            (
                "do-lb",
                "service.beta.kubernetes.io/do-loadbalancer-healthcheck-check-interval-seconds",
                "service.beta.kubernetes.io/do-loadbalancer-healthcheck-unhealthy-threshold",
                9,
            ),
        ] {
            let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
            let with = |drain: u32, of_service: &Value| {
                let annotations = json!({"winddown.dev/traffic": traffic, "winddown.dev/drain": format!("{drain}s")});
                behind_service(&annotations, of_service, &local)
            };
            fires(&with(default - 1, &json!({})), BalancerPollsSlower);
            silent(&with(default, &json!({})), BalancerPollsSlower);
            let slow = json!({period: "20", failures: "4"});
            let (_, message) = fires(&with(79, &slow), BalancerPollsSlower);
            assert!(message.starts_with(&format!("{traffic} needs 4 x 20s = 80s to stop sending")), "{message}");
            silent(&with(80, &slow), BalancerPollsSlower);
        }
    }

    #[test]
    fn a_hook_that_is_shorter_than_the_health_check_is_reported() {
        let mut manifest = behind("alb-instance", None);
        manifest["spec"]["template"]["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"sleep": {"seconds": 5}}});
        let (field, message) = fires(&manifest, BalancerPollsSlower);
        assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop");
        let problem = "alb-instance needs 2 x 15s = 30s to stop sending, but the preStop hook takes 5s; ";
        assert!(message.starts_with(problem), "{message}");
        manifest["metadata"]["annotations"]["winddown.dev/drain"] = json!("45s");
        assert_eq!(fires(&manifest, BalancerPollsSlower).0, field);
    }

    #[test]
    fn a_long_enough_drain_is_not_reported() {
        for drain in [Some("30s"), Some("5m"), None] {
            silent(&behind("alb-instance", drain), BalancerPollsSlower);
        }
        silent(&behind("service-local", Some("24s")), BalancerPollsSlower);
    }

    #[test]
    fn a_balancer_that_is_notified_is_not_reported() {
        for traffic in ["alb-ip", "nlb-ip", "gce-neg", "agic", "service", "metallb", "contour"] {
            silent(&behind(traffic, Some("1s")), BalancerPollsSlower);
        }
        silent(&deployment(|_| ()), BalancerPollsSlower);
    }
}
