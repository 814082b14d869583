//! `make demo`, once the cluster is up and the images are on its nodes; run it with e2e/cluster/in.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use winddown_e2e::arm::Scale;
use winddown_e2e::demo::Arms;
use winddown_e2e::error_chain::error_chain;
use winddown_e2e::narrator::Narrator;
use winddown_e2e::{cluster, demo};

/// Rolls an app out under load, without Winddown's annotations and with them, and counts the requests that fail
#[derive(Debug, Parser)]
struct Arguments {
    /// Rollouts in each arm
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rollouts: u32,
    /// Requests a second over new connections, and as many over kept ones
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=400))]
    rate: u32,
    /// The file for the result
    #[arg(long, value_name = "FILE", default_value = "target/demo.json")]
    report: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match play(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn play(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { rollouts, rate, report: file } = arguments;
    // A run that fails must not leave the result of one that did not.
    remove(file)?;
    let client = cluster::connect().await?;
    let scale = Scale { rollouts: *rollouts, rate: *rate };
    let narrator = Narrator::begin();
    let report = tokio::select! {
        report = demo::run(&client, Arms { control: scale, annotated: scale }, narrator) => report?,
        _ = tokio::signal::ctrl_c() => {
            demo::end(&client).await?;
            return Err("interrupted".into());
        }
    };
    demo::describe(&client, narrator).await?;
    println!("{report}");
    fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    report.verdict()?;
    println!("With the annotations, not one request was dropped. ({})", file.display());
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
