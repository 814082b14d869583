//! `winddown check-install`: does admission work in this cluster? `helm test` runs it in a pod.
//!
//! Two Deployments are created in a server-side dry run, which passes through every webhook and stores nothing: one that
//! must come back with its shutdown arranged, one that must be refused.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::error_chain::ErrorChain;
use crate::kubernetes::{self, within};

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
    /// The namespace in which Deployments are created, as a dry run
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: String,
}

/// What of the shutdown is found in a Deployment, in seconds.
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
    #[error("the annotated Deployment came back with {0}; expected {ARRANGED}")]
    NotArranged(Arrangement),
    #[error("a Deployment with a grace period of {TOO_SHORT} s was accepted, although its annotations need 35 s")]
    NotRefused,
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
        match check(&client, namespace).await {
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

async fn check(client: &Client, namespace: &str) -> Result<(), Error> {
    let arranged = Arrangement::of(&dry_run(client, namespace, None).await?);
    if arranged != ARRANGED {
        return Err(Error::NotArranged(arranged));
    }
    println!("an annotated Deployment came back with {arranged}");

    match dry_run(client, namespace, Some(TOO_SHORT)).await {
        Ok(_) => Err(Error::NotRefused),
        Err(error) => {
            let message = refusal(error)?;
            println!("a Deployment that does not fit was refused: {message}");
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

async fn dry_run(client: &Client, namespace: &str, grace_period: Option<i64>) -> Result<Deployment, kubernetes::Error> {
    let deployments = Api::namespaced(client.clone(), namespace);
    let parameters = PostParams { dry_run: true, field_manager: Some("winddown-check-install".to_owned()) };
    within("create a Deployment as a dry run", deployments.create(&parameters, &deployment(grace_period))).await
}

fn deployment(grace_period: Option<i64>) -> Deployment {
    let labels = json!({"app.kubernetes.io/name": "winddown-check-install"});
    // Nothing here can fail to be a Deployment; a test holds that.
    serde_json::from_value(json!({
        "metadata": {
            "name": "winddown-check-install",
            "labels": labels,
            "annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"},
        },
        "spec": {
            "replicas": 1,
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
        },
    }))
    .unwrap_or_default()
}

impl Arrangement {
    fn of(deployment: &Deployment) -> Self {
        let pod = deployment.spec.template.spec.as_ref();
        let container = pod.and_then(|pod| pod.containers.first());
        let hook = container.and_then(|container| container.lifecycle.as_ref()?.pre_stop.as_ref());
        Self {
            sleep: hook.and_then(|hook| Some(hook.sleep.as_ref()?.seconds)),
            grace_period: pod.and_then(|pod| pod.termination_grace_period_seconds),
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

    #[test]
    fn the_deployments_are_what_they_should_be() {
        assert_eq!(Arrangement::of(&deployment(None)), Arrangement { sleep: None, grace_period: None });
        assert_eq!(Arrangement::of(&deployment(Some(10))), Arrangement { sleep: None, grace_period: Some(10) });
        assert_eq!(deployment(None).metadata.annotations.unwrap()["winddown.dev/drain"], "5s");
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
