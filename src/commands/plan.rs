//! `winddown plan`: the whole arithmetic for a file, with no cluster at all.

mod output;

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::finding::Finding;
use crate::manifest::{self, ManifestError};
use crate::policy::Policy;
use crate::settlement::{Before, Origin, UnreadableWorkload, settle};
use crate::workload::Kind;
use output::{Planned, title};

/// Flags of `winddown plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  winddown plan -f deploy.yaml\n  helm template my-chart | winddown plan -f -\n  \
                        winddown plan -f deploy.yaml -o yaml | kubectl apply -f -")]
pub struct Arguments {
    /// File to read, `-` for standard input; may be given several times.
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: budget, timeline, findings and changes.
    #[default]
    Text,
    /// The Deployments as the webhook would leave them.
    Yaml,
    /// A JSON array with one object for each Deployment.
    Json,
}

/// Why the input cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{file}: cannot be read")]
    Read { file: String, source: io::Error },
    #[error("{file}: {error}")]
    Manifest { file: String, error: ManifestError },
    #[error("{file}: line {line}: {kind} {name} in document {document}: {error}")]
    Workload { file: String, kind: Kind, name: String, line: usize, document: usize, error: UnreadableWorkload },
}

/// How the command ended; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything fits.
    Fine = 0,
    /// A finding is an error.
    Errors = 1,
    /// The input cannot be used.
    Unusable = 2,
}

/// `winddown plan` on the process's own streams.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    match run(arguments, &mut stdin.lock(), &mut stdout.lock(), &mut stderr.lock()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprintln!("winddown: cannot write the plan: {error}");
            ExitCode::from(Exit::Unusable as u8)
        }
    }
}

/// Runs the command on these streams.
pub fn run(
    arguments: &Arguments,
    input: &mut impl Read,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    let mut planned = Vec::new();
    for file in &arguments.files {
        match plan_file(file, input) {
            Ok(found) => planned.extend(found),
            Err(unusable) => {
                let source = std::error::Error::source(&unusable).map(|source| format!(": {source}"));
                writeln!(err, "winddown: {unusable}{}", source.unwrap_or_default())?;
                return Ok(Exit::Unusable);
            }
        }
    }
    if planned.is_empty() {
        writeln!(err, "winddown: no Deployment, StatefulSet or DaemonSet of apps/v1 there, nothing to plan")?;
    }
    let errors = planned.iter().any(|planned| planned.settlement.findings.iter().any(Finding::is_error));
    let exit = if errors { Exit::Errors } else { Exit::Fine };
    match print(arguments.output, &planned, out, err) {
        // `winddown plan … | head`: nobody reads on, but the answer stands.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        printed => printed.map(|()| exit),
    }
}

fn print(format: Format, planned: &[Planned], out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Text => output::text(planned, out)?,
        Format::Json => output::json(planned, out)?,
        Format::Yaml => {
            output::yaml(planned, out)?;
            // Standard output is the manifest; what there is to say about it must not get lost.
            output::findings(planned, err)?;
        }
    }
    out.flush()
}

fn plan_file(file: &PathBuf, input: &mut impl Read) -> Result<Vec<Planned>, Unusable> {
    let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        input.read_to_end(&mut bytes)
    } else {
        fs::read(file).map(|read| {
            bytes = read;
            0
        })
    };
    read.map_err(|source| Unusable::Read { file: name.clone(), source })?;
    let text = String::from_utf8(bytes).map_err(|error| Unusable::Read {
        file: name.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
    })?;
    let manifests = manifest::workloads(&text).map_err(|error| Unusable::Manifest { file: name.clone(), error })?;
    let policy = Policy::default();
    manifests
        .into_iter()
        .map(|manifest| {
            let object = manifest.object;
            // What has a UID was read from a cluster, with the API server's defaults in it.
            let from_cluster = object.pointer("/metadata/uid").is_some();
            let (before, origin) =
                if from_cluster { (Before::Itself, Origin::ApiServer) } else { (Before::Nothing, Origin::File) };
            let settlement = settle(&object, before, &policy, origin).map_err(|error| Unusable::Workload {
                file: name.clone(),
                kind: manifest.kind,
                name: title(&object),
                line: manifest.line,
                document: manifest.document,
                error,
            })?;
            Ok(Planned { file: name.clone(), kind: manifest.kind, object, settlement })
        })
        .collect()
}

#[cfg(test)]
mod tests;
