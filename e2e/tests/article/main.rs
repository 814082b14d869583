//! The article half of the cluster tests: what the article asks of an app, row by row, each with its mistakes as
//! controls. Run it with `PART=article e2e/cluster-tests`. With `UPDATE=1`, it writes docs/article.md.
//!
//! The arms of a test run at the same time, each in its own namespace.

mod account;
mod arm;
mod balancer;
mod client;
mod connections;
mod deadline;
mod health;
mod kill;
mod languages;
mod observed;
mod phases;
mod record;
mod robust;
mod servers;
mod signals;
mod stops;
mod template;
mod web_sockets;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use winddown_e2e::suite;

/// For one test.
const LIMIT: Duration = Duration::from_mins(20);

fn main() -> ExitCode {
    let tests = [
        account::tests(),
        languages::tests(),
        signals::tests(),
        deadline::tests(),
        connections::tests(),
        health::tests(),
        phases::tests(),
        template::tests(),
        robust::tests(),
        web_sockets::tests(),
        kill::tests(),
    ];
    let code = suite::run(LIMIT, tests.concat());
    if let Err(error) = finish() {
        eprintln!("article: {error:#}");
        return ExitCode::FAILURE;
    }
    code
}

/// Removes the servers that the arms shared, and writes the figures.
#[tokio::main]
async fn finish() -> Result<()> {
    let removed = servers::remove().await;
    record::write().await?;
    removed
}
