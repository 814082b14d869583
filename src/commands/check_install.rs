//! `winddown check-install`: checks that admission works in this cluster. `helm test` runs it in a pod.
//!
//! For each kind it creates two workloads as a server-side dry run, which calls all webhooks and stores nothing: one that
//! must be mutated, and one that must be rejected.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use kube::api::{ObjectMeta, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use winddown_core::annotations::{DEADLINE, DRAIN};
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_operator::kubernetes::{self, api_resource, within};

/// How long to retry: API servers need some time to load a new `caBundle`.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two attempts.
const INTERVAL: Duration = Duration::from_secs(2);
/// The expected result for `drain: 5s` and `deadline: 25s`; the default margin is 5 s.
const EXPECTED: Shutdown = Shutdown { sleep: Some(5), grace_period: Some(35) };
/// Too short for the same annotations, and not the default of Kubernetes, so it counts as set by the user.
const TOO_SHORT: i64 = 10;

const EXIT_CODES: &str = "\
Exit codes:
  0  admission works
  1  admission does not work, even after 30 s of retries
  2  the command line is invalid";

/// Flags of `winddown check-install`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// Namespace of the workloads, which are created as a dry run only
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
}

/// The shutdown settings of a workload, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shutdown {
    sleep: Option<i64>,
    grace_period: Option<i64>,
}

/// Why admission does not work.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    #[error("the annotated {0} has {1} after admission; expected {EXPECTED}")]
    NotMutated(Kind, Shutdown),
    #[error("a {0} with a grace period of {TOO_SHORT} s was admitted, although its annotations require 35 s")]
    NotRejected(Kind),
    #[error(
        "rejected with code {code} and message {message:?}; expected code 422 and a message about terminationGracePeriodSeconds"
    )]
    UnexpectedRejection { code: u16, message: String },
}

/// Retries until the check succeeds (0) or times out (1).
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match super::block_on(check_with_retries(&arguments.namespace)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("winddown: {}", ErrorChain(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("winddown: cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn check_with_retries(namespace: &str) -> Result<(), Error> {
    let client = kubernetes::connect().await?.short;
    let start = tokio::time::Instant::now();
    let mut last_error = String::new();
    loop {
        match check_all(&client, namespace).await {
            Err(error) if start.elapsed() < TIMEOUT => {
                let error = ErrorChain(&error).to_string();
                if last_error != error {
                    println!("retrying: {error}");
                    last_error = error;
                }
            }
            result => return result,
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn check_all(client: &Client, namespace: &str) -> Result<(), Error> {
    for kind in Kind::ALL {
        check(client, namespace, kind).await?;
    }
    Ok(())
}

async fn check(client: &Client, namespace: &str, kind: Kind) -> Result<(), Error> {
    let shutdown = Shutdown::of(&dry_run(client, namespace, kind, None).await?);
    if shutdown != EXPECTED {
        return Err(Error::NotMutated(kind, shutdown));
    }
    println!("{kind}: mutated to {shutdown}");

    match dry_run(client, namespace, kind, Some(TOO_SHORT)).await {
        Ok(_) => Err(Error::NotRejected(kind)),
        Err(error) => {
            let message = rejection(error)?;
            println!("{kind}: rejected as expected: {message}");
            Ok(())
        }
    }
}

/// The message of the expected rejection; any other error is returned.
fn rejection(error: kubernetes::Error) -> Result<String, Error> {
    match error.status() {
        Some(status) if status.code == 422 && status.message.contains("terminationGracePeriodSeconds") => {
            Ok(status.message.clone())
        }
        Some(status) => Err(Error::UnexpectedRejection { code: status.code, message: status.message.clone() }),
        None => Err(error.into()),
    }
}

async fn dry_run(
    client: &Client,
    namespace: &str,
    kind: Kind,
    grace_period: Option<i64>,
) -> Result<DynamicObject, kubernetes::Error> {
    let workloads: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &api_resource(kind));
    let parameters = PostParams { dry_run: true, field_manager: Some("winddown-check-install".to_owned()) };
    let workload = workload(kind, grace_period);
    within(format!("create a {kind} as a dry run"), workloads.create(&parameters, &workload)).await
}

/// A workload with the fields that every kind requires.
fn workload(kind: Kind, grace_period: Option<i64>) -> DynamicObject {
    let labels = json!({"app.kubernetes.io/name": "winddown-check-install"});
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
    let workload = DynamicObject::new("winddown-check-install", &api_resource(kind)).data(json!({"spec": spec}));
    let annotations = [(DRAIN, "5s"), (DEADLINE, "25s")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    DynamicObject { metadata: ObjectMeta { annotations: Some(annotations.into()), ..workload.metadata }, ..workload }
}

impl Shutdown {
    fn of(workload: &DynamicObject) -> Self {
        let seconds = |pointer: &str| workload.data.pointer(pointer).and_then(Value::as_i64);
        Self {
            sleep: seconds("/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds"),
            grace_period: seconds("/spec/template/spec/terminationGracePeriodSeconds"),
        }
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Option<i64>| value.map_or("none".to_owned(), |value| format!("{value} s"));
        let Self { sleep, grace_period } = *self;
        write!(f, "a preStop sleep of {} and a grace period of {}", seconds(sleep), seconds(grace_period))
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use winddown_core::evaluation::{Existing, Origin, evaluate};
    use winddown_core::policy::Policy;

    #[test]
    fn the_workloads_have_the_budget_that_the_check_expects() {
        for kind in Kind::ALL {
            assert_eq!(Shutdown::of(&workload(kind, None)), Shutdown { sleep: None, grace_period: None });
            let short = workload(kind, Some(10));
            assert_eq!(Shutdown::of(&short), Shutdown { sleep: None, grace_period: Some(10) });
            let sent = serde_json::to_value(short).unwrap();
            let evaluation = evaluate(&sent, Existing::None, &Policy::default(), Origin::ApiServer).unwrap();
            assert_eq!(evaluation.budget.unwrap().to_string(), "drain 5s + deadline 25s + margin 5s = 35s of 10s");
        }
    }

    #[test]
    fn only_a_rejection_of_the_grace_period_counts() {
        let rejected = |code, message: &str| {
            let status = Status::failure(message, "Invalid").with_code(code);
            rejection(kubernetes::Error::new("create", kube::Error::Api(Box::new(status))))
        };
        assert!(rejected(422, "spec.template.spec.terminationGracePeriodSeconds: 10 is less than 35").is_ok());
        assert!(rejected(422, "spec.replicas: must not be negative").is_err());
        assert!(rejected(500, "failed calling webhook: terminationGracePeriodSeconds").is_err());
    }
}
