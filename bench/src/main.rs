//! Benchmarks of the built `winddown`. `docs/performance.md` says what they measure; `make bench` runs them.

mod api;
mod cluster;
mod connection;
mod constant;
mod creates;
mod endpoint;
mod fixture;
mod process;
mod report;
mod scale;
mod statistics;
mod tls;
mod usage;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tokio::runtime::Builder;

use crate::scale::{Fleet, Stored};

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The webhooks alone, next to a constant webhook; needs no API server
    Endpoint(Run),
    /// Creates through a real API server, next to no admission, an admission policy and the constant webhook
    Creates(Run),
    /// A cold start of the operator beside thousands of workloads without annotations, and beside annotated ones
    Weight(Weight),
    /// Every pod of a cluster stops within minutes; with 10,000 workloads and 30,000 pods, it takes half an hour
    Scale(Scale),
    /// The constant webhook; the benchmarks start it themselves
    #[command(hide = true)]
    Constant {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        tls_dir: PathBuf,
    },
}

#[derive(Args)]
struct Run {
    /// A built winddown, with the label that the tables show; can be given more than once
    #[arg(long, required = true, value_name = "[LABEL=]PATH", value_parser = binary)]
    binary: Vec<Binary>,
    /// Measure less: to try things out
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Weight {
    /// A built winddown, with the label that the tables show; can be given more than once
    #[arg(long, required = true, value_name = "[LABEL=]PATH", value_parser = binary)]
    binary: Vec<Binary>,
    /// How many workloads there are
    #[arg(long, default_value_t = 10_000)]
    workloads: usize,
    /// Measure only with these workloads
    #[arg(long, value_enum)]
    only: Option<Fleet>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Scale {
    /// A built winddown, with the label that the tables show; can be given more than once
    #[arg(long, required = true, value_name = "[LABEL=]PATH", value_parser = binary)]
    binary: Vec<Binary>,
    /// How many workloads there are
    #[arg(long, default_value_t = 10_000)]
    workloads: usize,
    /// How many pods they have together
    #[arg(long, default_value_t = 30_000)]
    pods: usize,
    /// How many of them stop [default: all]
    #[arg(long)]
    stops: Option<usize>,
    /// How many pods stop in a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    output: Output,
}

/// The workloads, which take minutes to create.
#[derive(Args)]
struct Kept {
    /// Where the data of etcd with the workloads is kept for the next run [default: the cache of e2e/tools/get]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Create the workloads again
    #[arg(long)]
    fresh: bool,
}

#[derive(Args)]
struct Output {
    /// The directory for the results as JSON
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    output: PathBuf,
}

/// A winddown that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) label: String,
    pub(crate) path: PathBuf,
}

fn binary(text: &str) -> Result<Binary, String> {
    let (label, path) = text.split_once('=').unwrap_or(("winddown", text));
    let is_name = |label: &str| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if label.is_empty() || !is_name(label) || label == endpoint::CONSTANT {
        return Err("a label has lower-case letters and digits only, and is not \"constant\"".to_owned());
    }
    Ok(Binary { label: label.to_owned(), path: path.into() })
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("winddown-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        bail!("built without optimisation, so that ratios would be wrong: use `cargo run --profile measure`");
    }
    match command {
        Command::Endpoint(run) => {
            let endpoint = client_runtime()?.block_on(endpoint::run(&run.binary, run.quick))?;
            print!("{}", report::endpoint(&endpoint));
            run.output.save("endpoint", &endpoint)?;
        }
        Command::Creates(run) => {
            let rows = client_runtime()?.block_on(creates::run(&run.binary, run.quick))?;
            print!("{}", report::creates(&rows));
            run.output.save("creates", &rows)?;
        }
        Command::Scale(scale) => return client_runtime()?.block_on(scale.run()),
        Command::Weight(weight) => return client_runtime()?.block_on(weight.run()),
        // As many threads as Winddown itself has.
        Command::Constant { port, tls_dir } => {
            Builder::new_multi_thread().enable_all().build()?.block_on(constant::serve(port, &tls_dir))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One thread for the client, and so a CPU for the server. The kernel ends the servers with the thread that started them,
/// so that must be the main one.
fn client_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl Weight {
    /// Fails if a target is missed.
    async fn run(&self) -> Result<ExitCode> {
        let cache = self.kept.cache()?;
        let mut weights = Vec::new();
        for fleet in [Fleet::Plain, Fleet::Annotated] {
            if self.only.is_some_and(|only| only != fleet) {
                continue;
            }
            let stored = Stored { cache: cache.clone(), fleet, workloads: self.workloads, pods: 0 };
            if self.kept.fresh {
                stored.remove()?;
            }
            weights.extend(scale::weight::run(&stored, &self.binary).await?);
        }
        let (text, met) = report::weights(&weights);
        print!("{text}");
        self.output.save("weight", &weights)?;
        Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Scale {
    /// Fails if a target is missed.
    async fn run(&self) -> Result<ExitCode> {
        let (workloads, pods) = (self.workloads, self.pods);
        let stored = Stored { cache: self.kept.cache()?, fleet: Fleet::Annotated, workloads, pods };
        if self.kept.fresh {
            stored.remove()?;
        }
        let mut restarts = Vec::new();
        for binary in &self.binary {
            let stops = self.stops.unwrap_or(pods).min(pods);
            restarts.push(scale::restart::run(&stored, binary, stops, self.rate).await?);
        }
        let (text, met) = report::restarts(&restarts);
        print!("{text}");
        self.output.save("scale", &restarts)?;
        Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Kept {
    fn cache(&self) -> Result<PathBuf> {
        if let Some(cache) = &self.cache {
            return Ok(cache.clone());
        }
        let folder = |name| env::var_os(name).map(PathBuf::from);
        let cache = folder("WINDDOWN_CACHE").or_else(|| {
            let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
            Some(caches.join("winddown"))
        });
        Ok(cache.context("no HOME: give --cache")?.join("scale"))
    }
}

impl Output {
    fn save(&self, name: &str, results: &impl Serialize) -> Result<()> {
        fs::create_dir_all(&self.output).with_context(|| format!("cannot create {}", self.output.display()))?;
        let file = self.output.join(format!("{name}.json"));
        fs::write(&file, serde_json::to_string_pretty(results)? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
        progress(&format!("the results are in {}", file.display()));
        Ok(())
    }
}

/// Says on standard error what is going on.
pub(crate) fn progress(text: &str) {
    eprintln!("bench: {text}");
}
