//! What admission must do with two workloads: mutate one, and reject the other. Both are created as a server-side dry run
//! only, which calls all webhooks and stores nothing.

use std::fmt;

use kube::Client;
use kube::api::PostParams;
use kube::core::{Request, Status};
use serde_json::{Value, json};

use winddown_core::annotations::{DEADLINE, DRAIN, MARGIN, MODE};
use winddown_core::kind::Kind;

/// The name of the workloads, of their label, and of the client that creates them.
const NAME: &str = "winddown-check-install";
/// The expected result for `drain: 5s`, `deadline: 25s` and `margin: 5s`, whatever the defaults of a policy are.
const EXPECTED: Shutdown = Shutdown { sleep: Some(5), grace_period: Some(35) };
/// Too short for the same annotations, and not the default of Kubernetes, so it counts as set by the user.
pub(super) const TOO_SHORT: i64 = 10;

/// The shutdown settings of a workload, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shutdown {
    sleep: Option<i64>,
    grace_period: Option<i64>,
}

/// Why admission does not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the annotated {0} has {1} after admission; expected {EXPECTED}")]
    NotMutated(Kind, Shutdown),
    #[error("a {0} with a grace period of {TOO_SHORT} s was admitted, although its annotations require 35 s")]
    NotRejected(Kind),
    #[error(
        "rejected with code {code} and message {message:?}; expected code 422 and a message about terminationGracePeriodSeconds"
    )]
    UnexpectedRejection { code: u16, message: String },
}

/// Creates a workload, with this grace period if there is one, as a dry run.
pub(super) async fn dry_run(
    client: &Client,
    namespace: &str,
    kind: Kind,
    grace_period: Option<i64>,
) -> kube::Result<Value> {
    let parameters = PostParams { dry_run: true, field_manager: Some(NAME.to_owned()) };
    let body = serde_json::to_vec(&workload(kind, grace_period)).map_err(kube::Error::SerdeError)?;
    let request = Request::new(kind.path(namespace)).create(&parameters, body);
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

/// Whether the workload without a grace period was mutated.
pub(super) fn mutated(kind: Kind, admitted: &Value) -> Result<Shutdown, Failure> {
    let shutdown = Shutdown::of(admitted);
    if shutdown == EXPECTED { Ok(shutdown) } else { Err(Failure::NotMutated(kind, shutdown)) }
}

/// The message of the expected rejection of the one with [`TOO_SHORT`].
pub(super) fn rejected(status: &Status) -> Result<String, Failure> {
    if status.code == 422 && status.message.contains("terminationGracePeriodSeconds") {
        return Ok(status.message.clone());
    }
    Err(Failure::UnexpectedRejection { code: status.code, message: status.message.clone() })
}

/// The labels of the workloads, for object selectors.
#[cfg(feature = "cluster")]
pub(super) fn labels() -> std::collections::BTreeMap<String, String> {
    [("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into()
}

/// A workload with the fields that every kind requires.
fn workload(kind: Kind, grace_period: Option<i64>) -> Value {
    let labels = json!({"app.kubernetes.io/name": NAME});
    let spec = json!({
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": grace_period,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "app",
                    "image": "registry.k8s.io/pause:3.10",
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        },
    });
    // Under Enforce, the validationActions of a policy do not count.
    let annotations = json!({DRAIN: "5s", DEADLINE: "25s", MARGIN: "5s", MODE: "Enforce"});
    json!({
        "apiVersion": Kind::API_VERSION,
        "kind": kind.as_str(),
        "metadata": {"name": NAME, "labels": labels, "annotations": annotations},
        "spec": spec,
    })
}

impl Shutdown {
    fn of(workload: &Value) -> Self {
        let seconds = |pointer: &str| workload.pointer(pointer).and_then(Value::as_i64);
        Self {
            sleep: seconds("/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds"),
            grace_period: seconds("/spec/template/spec/terminationGracePeriodSeconds"),
        }
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |what: &str, value: Option<i64>| match value {
            Some(seconds) => format!("a {what} of {seconds} s"),
            None => format!("no {what}"),
        };
        write!(f, "{} and {}", length("preStop sleep", self.sleep), length("grace period", self.grace_period))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use winddown_core::evaluation::{Existing, Origin, evaluate};
    use winddown_core::finding::Code;
    use winddown_core::policy::Policy;

    #[test]
    fn the_workloads_have_the_budget_that_the_check_expects() {
        for kind in Kind::ALL {
            assert_eq!(Shutdown::of(&workload(kind, None)), Shutdown { sleep: None, grace_period: None });
            let short = workload(kind, Some(10));
            assert_eq!(Shutdown::of(&short), Shutdown { sleep: None, grace_period: Some(10) });
            let evaluation = evaluate(&short, Existing::None, &Policy::default(), Origin::ApiServer).unwrap();
            assert_eq!(evaluation.budget.unwrap().to_string(), "drain 5s + deadline 25s + margin 5s = 35s of 10s");
        }
    }

    #[test]
    fn no_default_and_no_action_of_a_policy_changes_what_is_expected() {
        let spec =
            json!({"defaults": {"drain": "9s", "deadline": "9s", "margin": "10s"}, "validationActions": ["Warn"]});
        let policy = Policy::read(&json!({"metadata": {"name": "gold"}, "spec": spec})).unwrap();
        let evaluated =
            |grace| evaluate(&workload(Kind::Deployment, grace), Existing::None, &policy, Origin::ApiServer);
        let (short, without) = (evaluated(Some(TOO_SHORT)).unwrap(), evaluated(None).unwrap());
        assert_eq!(without.budget.unwrap().needed().to_string(), "35s");
        assert!(short.findings.iter().any(|finding| finding.code == Code::BudgetDoesNotFit && finding.is_error()));
    }

    #[test]
    fn what_is_missing_is_named() {
        let shutdown = Shutdown { sleep: None, grace_period: Some(30) };
        assert_eq!(shutdown.to_string(), "no preStop sleep and a grace period of 30 s");
        assert_eq!(EXPECTED.to_string(), "a preStop sleep of 5 s and a grace period of 35 s");
    }

    #[test]
    fn only_a_rejection_of_the_grace_period_counts() {
        let judged = |code, message: &str| rejected(&Status::failure(message, "Invalid").with_code(code));
        assert!(judged(422, "spec.template.spec.terminationGracePeriodSeconds: 10 is less than 35").is_ok());
        assert!(judged(422, "spec.replicas: must not be negative").is_err());
        assert!(judged(500, "failed calling webhook: terminationGracePeriodSeconds").is_err());
    }
}
