//! `winddown plan`: the whole arithmetic for files, with no cluster at all.

mod input;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, ValueEnum};

use crate::render::planned::{self, Planned};
use crate::render::styles::Styles;
use crate::render::{diff, sanitize, sarif, structured, svg, text};
use input::Input;
use winddown_core::finding::Severity;
use winddown_core::kind::Kind;
use winddown_core::manifest::{self, ManifestError, PassedOver};

/// What `winddown plan --help` says at the end.
const EXAMPLES: &str = "\
Examples:
  winddown plan -f shop.yaml
  winddown plan -R -f deploy                         every manifest in a folder and below
  winddown plan -f 'deploy/**/*.yaml'                or of a pattern
  helm template shop | winddown plan -f -            a chart, as it would be installed
  kubectl get deployment shop -o yaml | winddown plan -f -
  winddown plan -f shop.yaml -o diff                 what the webhook would change
  winddown plan -f shop.yaml -o yaml | kubectl apply -f -
  winddown plan -R -f deploy -o sarif > plan.sarif   for code scanning in CI
  winddown plan -f shop.yaml -o svg > plan.svg       for a page or a pull request

Exit codes:
  0  all is well
  1  a finding is an error: the sum does not fit, or the declaration cannot be read
  2  the input or the command line cannot be used; standard output is empty";

/// Flags of `winddown plan`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Files, folders and quoted patterns to read; - is standard input
    ///
    /// Of a folder its *.yaml, *.yml and *.json are read, hidden ones left out. Several documents and Lists may stand in a
    /// file. Kinds other than Deployment, StatefulSet and DaemonSet are passed over.
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Look into folders below, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: sum, timeline, findings and changes
    #[default]
    Text,
    /// The manifests as the webhook would leave them
    Yaml,
    /// A unified diff between the two
    Diff,
    /// An array with one object for each workload: place, sum, timeline, findings, JSON Patch
    Json,
    /// The findings for code scanning, SARIF 2.1.0
    Sarif,
    /// The timelines as a picture
    Svg,
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
    let styles = Styles::of(&stdout);
    let mut out = io::BufWriter::new(stdout.lock());
    match run(arguments, &styles, &mut stdin.lock(), &mut out, &mut stderr.lock()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprintln!("winddown: cannot write the plan: {error}");
            ExitCode::from(Exit::Unusable as u8)
        }
    }
}

/// `winddown plan` in a pipe: without colours.
pub fn piped(
    arguments: &Arguments,
    stdin: &mut impl Read,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    run(arguments, &Styles::plain(), stdin, out, err)
}

/// Runs the command on these streams.
fn run(
    arguments: &Arguments,
    styles: &Styles,
    stdin: &mut impl Read,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    let mut planned = Vec::new();
    let mut unusable = Vec::new();
    for input in input::read(&arguments.files, arguments.recursive, stdin) {
        let name: Rc<str> = sanitize::plain(&input.name).into();
        plan(&name, input, &mut planned, &mut unusable, err)?;
    }
    for error in &unusable {
        writeln!(err, "winddown: {}", sanitize::plain(error))?;
    }
    if !unusable.is_empty() {
        return Ok(Exit::Unusable);
    }
    if planned.is_empty() {
        writeln!(err, "winddown: no Deployment, StatefulSet or DaemonSet of apps/v1 there, nothing to plan")?;
    }
    let exit = if planned::count(&planned, Severity::Error) > 0 { Exit::Errors } else { Exit::Fine };
    match print(arguments.output, &planned, styles, out, err) {
        // `winddown plan … | head`: nobody reads on, but the answer stands.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        printed => printed.map(|()| exit),
    }
}

/// Plans what stands in a file. All that cannot be used is told at once, so that it can be mended at once.
fn plan(
    name: &Rc<str>,
    input: Input,
    planned: &mut Vec<Planned>,
    unusable: &mut Vec<String>,
    err: &mut impl Write,
) -> io::Result<()> {
    let stream = match input.text {
        Ok(text) => manifest::read(&text),
        Err(error) => {
            unusable.push(format!("{name}: {error}"));
            return Ok(());
        }
    };
    for error in &stream.errors {
        // Beside manifests there may be a kustomization.yaml, or the values of a chart.
        if input.found && matches!(error, ManifestError::Foreign { .. }) {
            writeln!(err, "winddown: {name}: {error}, passed over")?;
        } else {
            unusable.push(format!("{name}: {error}"));
        }
    }
    for workload in stream.workloads {
        match Planned::new(name, workload) {
            Ok(workload) => planned.push(workload),
            Err(error) => unusable.push(format!("{name}: {error}")),
        }
    }
    for PassedOver { line, api_version, kind, name: object, declares } in stream.passed_over {
        let what = format!("{kind} {object} of {api_version}");
        let (what, known) = (sanitize::plain(&what), Kind::API_VERSION);
        let declares = if declares { " with its winddown.dev annotations" } else { "" };
        writeln!(
            err,
            "winddown: {name}: line {line}: {what} is passed over{declares}, only a Deployment, StatefulSet or DaemonSet \
             of {known} is planned"
        )?;
    }
    Ok(())
}

fn print(
    format: Format,
    planned: &[Planned],
    styles: &Styles,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::text(planned, styles, out)?,
        Format::Json => structured::json(planned, out)?,
        Format::Sarif => sarif::sarif(planned, out)?,
        Format::Yaml => structured::yaml(planned, out)?,
        Format::Diff => diff::diff(planned, styles, out)?,
        Format::Svg => svg::svg(planned, out)?,
    }
    out.flush()?;
    // These have no room for findings, or no reader: what there is to say must not get lost.
    if matches!(format, Format::Yaml | Format::Diff | Format::Svg) {
        structured::findings(planned, err)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
