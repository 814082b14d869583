//! `winddown plan`: evaluates the workloads in files, without a cluster.

mod evaluate;
mod input;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, ValueEnum};

use crate::render::sanitize::sanitize;
use crate::render::styles::Styles;
use crate::render::workload::{Workload, count};
use crate::render::{diff, sarif, structured, svg, text};
use input::Input;
use winddown_core::finding::Severity;
use winddown_core::kind::Kind;
use winddown_core::manifest::{self, ManifestError, Skipped};

/// The end of `winddown plan --help`.
const EXAMPLES: &str = "\
Examples:
  # Evaluate the workloads in a file
  winddown plan -f shop.yaml

  # Evaluate all manifests in a directory and its subdirectories
  winddown plan -R -f deploy

  # Evaluate the manifests that match a pattern
  winddown plan -f 'deploy/**/*.yaml'

  # Evaluate the output of helm or kubectl
  helm template shop | winddown plan -f -
  kubectl get deployment shop -o yaml | winddown plan -f -

  # Show what the webhook would change
  winddown plan -f shop.yaml -o diff

  # Apply the manifest with the changes of the webhook
  winddown plan -f shop.yaml -o yaml | kubectl apply -f -

  # Write a SARIF file for code scanning
  winddown plan -R -f deploy -o sarif > plan.sarif

  # Write the timelines as an SVG image
  winddown plan -f shop.yaml -o svg > plan.svg

Exit codes:
  0  no finding is an error
  1  a finding is an error
  2  the input or the command line is invalid; nothing is written to standard output";

/// Flags of `winddown plan`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Files, directories or quoted patterns that contain the workloads; - reads standard input
    ///
    /// From a directory, all *.yaml, *.yml and *.json files are read, except hidden ones. A file can contain several
    /// documents and Lists. Only the kinds Deployment, StatefulSet and DaemonSet of apps/v1 are evaluated; others are skipped.
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Process the subdirectories of the directories in -f, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// The output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Budget, timeline, findings and changes of each workload
    #[default]
    Text,
    /// The manifests with the changes of the webhook
    Yaml,
    /// The changes of the webhook as a unified diff
    Diff,
    /// An array with one object for each workload: file, line, budget, timeline, findings and JSON Patch
    Json,
    /// The findings as SARIF 2.1.0, for code scanning
    Sarif,
    /// The timelines and findings as an SVG image
    Svg,
}

/// The result of the command; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// No finding is an error.
    Success = 0,
    /// A finding is an error.
    Errors = 1,
    /// The input cannot be used.
    Unusable = 2,
}

/// Runs `winddown plan` on the streams of the process.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let styles = Styles::for_stream(&stdout);
    let mut out = io::BufWriter::new(stdout.lock());
    match run(arguments, &styles, &mut stdin.lock(), &mut out, &mut stderr.lock()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprintln!("winddown: cannot write the output: {error}");
            ExitCode::from(Exit::Unusable as u8)
        }
    }
}

/// Runs `winddown plan` on these streams, without colours.
pub fn piped(
    arguments: &Arguments,
    stdin: &mut impl Read,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    run(arguments, &Styles::plain(), stdin, out, err)
}

fn run(
    arguments: &Arguments,
    styles: &Styles,
    stdin: &mut impl Read,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    let mut workloads = Vec::new();
    let mut errors = Vec::new();
    for input in input::read(&arguments.files, arguments.recursive, stdin) {
        let name: Rc<str> = sanitize(&input.name).into();
        evaluate(&name, input, &mut workloads, &mut errors, err)?;
    }
    for error in &errors {
        writeln!(err, "winddown: {}", sanitize(error))?;
    }
    if !errors.is_empty() {
        return Ok(Exit::Unusable);
    }
    if workloads.is_empty() {
        writeln!(err, "winddown: no {} Deployments, StatefulSets or DaemonSets found", Kind::API_VERSION)?;
    }
    let exit = if count(&workloads, Severity::Error) > 0 { Exit::Errors } else { Exit::Success };
    match print(arguments.output, &workloads, styles, out, err) {
        // `winddown plan … | head` closes the pipe early; the exit code stays valid.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        printed => printed.map(|()| exit),
    }
}

/// Evaluates the workloads of a file. Collects all errors, so that the user can fix them together.
fn evaluate(
    name: &Rc<str>,
    input: Input,
    workloads: &mut Vec<Workload>,
    errors: &mut Vec<String>,
    err: &mut impl Write,
) -> io::Result<()> {
    let stream = match input.text {
        Ok(text) => manifest::read(&text),
        Err(error) => {
            errors.push(format!("{name}: {error}"));
            return Ok(());
        }
    };
    for error in &stream.errors {
        // A directory of manifests may also contain a kustomization.yaml or the values of a chart.
        if input.discovered && matches!(error, ManifestError::Foreign { .. }) {
            writeln!(err, "winddown: {name}: skipped: {error}")?;
        } else {
            errors.push(format!("{name}: {error}"));
        }
    }
    for workload in stream.workloads {
        match evaluate::evaluate(name, workload) {
            Ok(workload) => workloads.push(workload),
            Err(error) => errors.push(format!("{name}: {error}")),
        }
    }
    for Skipped { line, api_version, kind, name: object, has_annotations } in stream.skipped {
        let object = format!("{kind} {object} ({api_version})");
        let (object, supported) = (sanitize(&object), Kind::API_VERSION);
        let no_effect = if has_annotations { "; its winddown.dev annotations have no effect" } else { "" };
        writeln!(
            err,
            "winddown: {name}: line {line}: {object} skipped: only {supported} Deployments, StatefulSets and DaemonSets \
             are supported{no_effect}"
        )?;
    }
    Ok(())
}

fn print(
    format: Format,
    workloads: &[Workload],
    styles: &Styles,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::text(workloads, styles, out)?,
        Format::Json => structured::json(workloads, out)?,
        Format::Sarif => sarif::sarif(workloads, out)?,
        Format::Yaml => structured::yaml(workloads, out)?,
        Format::Diff => diff::diff(workloads, styles, out)?,
        Format::Svg => svg::svg(workloads, out)?,
    }
    out.flush()?;
    // These formats do not contain the findings, or not in full.
    if matches!(format, Format::Yaml | Format::Diff | Format::Svg) {
        structured::findings(workloads, err)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
