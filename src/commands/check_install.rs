//! `winddown check-install`: does admission work in this cluster? `helm test` runs it in a pod.
//!
//! Of each kind two workloads are created in a server-side dry run, which passes through every webhook and stores nothing:
//! one that must come back with its shutdown arranged, one that must be refused.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use kube::api::{ObjectMeta, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use winddown_core::annotations::{DEADLINE, DRAIN};
use winddown_core::kind::Kind;
use winddown_operator::error_chain::ErrorChain;
use winddown_operator::kubernetes::{self, api_resource, within};

/// How long it may take until admission works: API servers take a moment to hear of a new `caBundle`.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two attempts.
const INTERVAL: Duration = Duration::from_secs(2);
/// Annotated with `drain: 5s` and `deadline: 25s`; the built-in margin is 5 s.
const ARRANGED: Arrangement = Arrangement { sleep: Some(5), grace_period: Some(35) };
/// Too short for the same annotations, and no default, so that somebody must have meant it.
const TOO_SHORT: i64 = 10;

/// Flags of `winddown check-install`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// The namespace in which workloads are created, as a dry run
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
}

/// What of the shutdown is found in a workload, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrangement {
    sleep: Option<i64>,
    grace_period: Option<i64>,
}

/// Why admission does not work, or not yet.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    #[error("the annotated {0} came back with {1}; expected {ARRANGED}")]
    NotArranged(Kind, Arrangement),
    #[error("a {0} with a grace period of {TOO_SHORT} s was accepted, although its annotations need 35 s")]
    NotRefused(Kind),
    #[error("the refusal has code {code} and reads {message:?}; expected 422 and terminationGracePeriodSeconds")]
    RefusedOtherwise { code: u16, message: String },
}

/// Checks until it is right or patience ends: 0 or 1.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match super::block_on(check_until_right(&arguments.namespace)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("winddown: {}", ErrorChain(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("winddown: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn check_until_right(namespace: &str) -> Result<(), Error> {
    let client = kubernetes::connect().await?.short;
    let start = tokio::time::Instant::now();
    let mut said = String::new();
    loop {
        match check_all(&client, namespace).await {
            Err(error) if start.elapsed() < PATIENCE => {
                let error = ErrorChain(&error).to_string();
                if said != error {
                    println!("not yet: {error}");
                    said = error;
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
    let arranged = Arrangement::of(&dry_run(client, namespace, kind, None).await?);
    if arranged != ARRANGED {
        return Err(Error::NotArranged(kind, arranged));
    }
    println!("an annotated {kind} came back with {arranged}");

    match dry_run(client, namespace, kind, Some(TOO_SHORT)).await {
        Ok(_) => Err(Error::NotRefused(kind)),
        Err(error) => {
            let message = refusal(error)?;
            println!("a {kind} that does not fit was refused: {message}");
            Ok(())
        }
    }
}

/// The message of a refusal that is as it should be.
fn refusal(error: kubernetes::Error) -> Result<String, Error> {
    match error.status() {
        Some(status) if status.code == 422 && status.message.contains("terminationGracePeriodSeconds") => {
            Ok(status.message.clone())
        }
        Some(status) => Err(Error::RefusedOtherwise { code: status.code, message: status.message.clone() }),
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

/// What all kinds ask for, and no more.
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

impl Arrangement {
    fn of(workload: &DynamicObject) -> Self {
        let seconds = |pointer: &str| workload.data.pointer(pointer).and_then(Value::as_i64);
        Self {
            sleep: seconds("/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds"),
            grace_period: seconds("/spec/template/spec/terminationGracePeriodSeconds"),
        }
    }
}

impl fmt::Display for Arrangement {
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
    use winddown_core::evaluation::{Before, Origin, settle};
    use winddown_core::policy::Policy;

    #[test]
    fn the_workloads_are_what_they_should_be() {
        for kind in Kind::ALL {
            assert_eq!(Arrangement::of(&workload(kind, None)), Arrangement { sleep: None, grace_period: None });
            let short = workload(kind, Some(10));
            assert_eq!(Arrangement::of(&short), Arrangement { sleep: None, grace_period: Some(10) });
            let sent = serde_json::to_value(short).unwrap();
            let settlement = settle(&sent, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap();
            assert_eq!(settlement.budget.unwrap().to_string(), "drain 5s + deadline 25s + margin 5s = 35s of 10s");
        }
    }

    #[test]
    fn only_the_right_refusal_counts() {
        let refused = |code, message: &str| {
            let status = Status::failure(message, "Invalid").with_code(code);
            refusal(kubernetes::Error::new("create", kube::Error::Api(Box::new(status))))
        };
        assert!(refused(422, "spec.template.spec.terminationGracePeriodSeconds: 10 is less than 35").is_ok());
        assert!(refused(422, "spec.replicas: must not be negative").is_err());
        assert!(refused(500, "failed calling webhook: terminationGracePeriodSeconds").is_err());
    }
}
