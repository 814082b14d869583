//! `winddown check-install`: checks that admission works in this cluster. `helm test` runs it in a pod.
//!
//! For each kind it creates two workloads as a server-side dry run, which calls all webhooks and stores nothing: one that
//! must be mutated, and one that must be rejected.

use std::process::ExitCode;
use std::time::Duration;

use kube::Client;

use super::admission::{self, Failure, TOO_SHORT};
use crate::message::message;
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_operator::kubernetes::{self, within};

/// How long to retry: API servers need some time to load a new `caBundle`.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two attempts.
const INTERVAL: Duration = Duration::from_secs(2);
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

/// Why admission does not work.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    #[error(transparent)]
    Admission(#[from] Failure),
}

/// Retries until the check succeeds (0) or times out (1).
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match super::block_on(check_with_retries(&arguments.namespace)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            message!("winddown: {}", ErrorChain(&error));
            ExitCode::FAILURE
        }
        Err(error) => {
            message!("winddown: cannot start the runtime: {error}");
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
    let call = || format!("create a {kind} as a dry run");
    let admitted = within(call(), admission::dry_run(client, namespace, kind, None)).await?;
    println!("{kind}: mutated to {}", admission::mutated(kind, &admitted)?);

    match within(call(), admission::dry_run(client, namespace, kind, Some(TOO_SHORT))).await {
        Ok(_) => Err(Failure::NotRejected(kind).into()),
        Err(error) => match error.status() {
            Some(status) => {
                println!("{kind}: rejected as expected: {}", admission::rejected(status)?);
                Ok(())
            }
            None => Err(error.into()),
        },
    }
}
