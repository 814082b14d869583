//! Some balancers are not told that a pod goes: they ask, and send until enough answers failed. A drain that is shorter
//! than that ends while they still send.

use super::Subject;
use crate::annotations::{self, DRAIN, TRAFFIC};
use crate::budget::Source;
use crate::finding::{Code, Finding};
use crate::plan::container_field;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(traffic) = subject.declaration.traffic else { return Vec::new() };
    let Some(polls) = traffic.polls else { return Vec::new() };
    let (drain, needed) = (subject.budget.drain, polls.notices_after());
    if drain >= needed {
        return Vec::new();
    }
    let (field, what) = match &subject.budget.drain_from {
        Source::Hook(container) => (container_field(container, "lifecycle.preStop"), "preStop"),
        _ if subject.declaration.drain.is_some() => (annotations::field(DRAIN), "drain"),
        // Nobody sleeps for what the preset proposes.
        _ => (annotations::field(TRAFFIC), "drain"),
    };
    let message = format!(
        "{} notices after {} x {} = {needed}, the {what} is {drain}; raise it, or shorten the health check and leave out {TRAFFIC}",
        traffic.name, polls.failures, polls.period
    );
    vec![Finding::new(Code::BalancerPollsSlower, field, message)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::BalancerPollsSlower;
    use crate::rules::tests::{deployment, fires, silent};

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
    fn a_drain_that_ends_before_the_balancer_has_noticed_is_too_short() {
        let (field, message) = fires(&behind("alb-instance", Some("20s")), BalancerPollsSlower);
        assert_eq!(field, "metadata.annotations[winddown.dev/drain]");
        assert!(message.starts_with("alb-instance notices after 2 x 15s = 30s, the drain is 20s; "), "{message}");
        fires(&behind("service-local", Some("23s")), BalancerPollsSlower);
    }

    #[test]
    fn hooks_of_their_own_cut_the_drain_of_the_preset_too() {
        let mut manifest = behind("alb-instance", None);
        manifest["spec"]["template"]["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"sleep": {"seconds": 5}}});
        let (field, message) = fires(&manifest, BalancerPollsSlower);
        assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop");
        assert!(message.starts_with("alb-instance notices after 2 x 15s = 30s, the preStop is 5s; "), "{message}");
        manifest["metadata"]["annotations"]["winddown.dev/drain"] = json!("45s");
        assert_eq!(fires(&manifest, BalancerPollsSlower).0, field);
    }

    #[test]
    fn a_drain_that_is_long_enough_needs_no_word() {
        for drain in [Some("30s"), Some("5m"), None] {
            silent(&behind("alb-instance", drain), BalancerPollsSlower);
        }
        silent(&behind("service-local", Some("24s")), BalancerPollsSlower);
    }

    #[test]
    fn a_balancer_that_is_told_does_not_have_to_notice() {
        for traffic in ["alb-ip", "nlb-ip", "gce-neg", "agic", "service"] {
            silent(&behind(traffic, Some("1s")), BalancerPollsSlower);
        }
        silent(&deployment(|_| ()), BalancerPollsSlower);
    }
}
