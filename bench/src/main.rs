//! Benchmarks of the built `winddown`. `docs/performance.md` says what they measure; `make bench` runs them.

mod cluster;
mod connection;
mod constant;
mod creates;
mod endpoint;
mod fixture;
mod process;
mod report;
mod statistics;
mod tls;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tokio::runtime::Builder;

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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("winddown-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    if cfg!(debug_assertions) {
        bail!("built without optimisation, so that ratios would be wrong: use `cargo run --profile measure`");
    }
    match command {
        Command::Endpoint(run) => {
            let endpoint = client_runtime()?.block_on(endpoint::run(&run.binary, run.quick))?;
            print!("{}", report::endpoint(&endpoint));
            run.save("endpoint", &endpoint)
        }
        Command::Creates(run) => {
            let rows = client_runtime()?.block_on(creates::run(&run.binary, run.quick))?;
            print!("{}", report::creates(&rows));
            run.save("creates", &rows)
        }
        // As many threads as Winddown itself has.
        Command::Constant { port, tls_dir } => {
            Builder::new_multi_thread().enable_all().build()?.block_on(constant::serve(port, &tls_dir))
        }
    }
}

/// One thread for the client, and so a CPU for the server. The kernel ends the servers with the thread that started them,
/// so that must be the main one.
fn client_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl Run {
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
