//! The program behind `make matrix`. It needs the cluster with the images loaded; run it with e2e/cluster/in.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use winddown_e2e::cluster;
use winddown_e2e::matrix::{self, DOCUMENT, Matrix, RESULTS, Selection};
use winddown_e2e::progress::Progress;

/// Measures what is dropped during rollouts, and what they cost, for each form of the shutdown
#[derive(Debug, Parser)]
struct Arguments {
    /// Rollouts for each setting
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rollouts: u32,
    /// Requests per second of each kind
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=400))]
    rate: u32,
    /// Only the settings whose name starts with it: iptables, nftables, haproxy, haproxy-retries or haproxy-health, then
    /// /none, /app, /pre-stop or /both. `haproxy` selects three networks, `haproxy/` only haproxy
    #[arg(long, value_name = "PREFIX", default_value = "")]
    only: Selection,
    /// File for the results, as JSON; it keeps those of other settings
    #[arg(long, value_name = "FILE", default_value = RESULTS)]
    results: PathBuf,
    /// The document whose tables are replaced
    #[arg(long, value_name = "FILE", default_value = DOCUMENT)]
    document: PathBuf,
    /// Print the settings and measure nothing
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matrix: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { rollouts, rate, only, results, document, list } = arguments;
    if list {
        println!("{rollouts} rollouts of each: {only}");
        return Ok(());
    }
    let client = cluster::connect().await?;
    matrix::run(&client, &Matrix { rollouts, rate, only, results, document }, Progress::start()).await
}
