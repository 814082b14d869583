//! The program behind `make demo`. It needs the cluster with the images loaded; run it with e2e/cluster/in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use winddown_e2e::demo::Variants;
use winddown_e2e::progress::Progress;
use winddown_e2e::variant::Scale;
use winddown_e2e::{cluster, demo};

/// Restarts an app under load, without and with Winddown's annotations, and counts failed requests
#[derive(Debug, Parser)]
struct Arguments {
    /// Rollouts per variant
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rollouts: u32,
    /// Requests per second over new connections, and the same over keep-alive connections
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=400))]
    rate: u32,
    /// File for the result, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/demo.json")]
    report: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { rollouts, rate, report: file } = arguments;
    // A failed run must not leave the result of an earlier run.
    remove(file).with_context(|| format!("delete {}", file.display()))?;
    let client = cluster::connect().await?;
    let scale = Scale { rollouts: *rollouts, rate: *rate };
    let progress = Progress::start();
    let report = tokio::select! {
        report = demo::run(&client, Variants { control: scale, annotated: scale }, progress) => report?,
        _ = tokio::signal::ctrl_c() => {
            demo::stop_load(&client).await?;
            bail!("interrupted");
        }
    };
    demo::describe(&client, progress).await?;
    demo::print_budgets(&client, *rollouts, progress).await?;
    demo::drill(&client, *rate, progress).await?;
    println!("{report}");
    // With CARGO_TARGET_DIR, a clone has no folder `target`.
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| format!("write {}", file.display()))?;
    report.verdict()?;
    println!("With annotations, no request failed. Result: {}", file.display());
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
