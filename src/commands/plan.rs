//! `winddown plan`: evaluates the workloads in files, without a cluster.

mod evaluate;
mod fail_on;
mod input;
mod load;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, ValueEnum};

use crate::cli::Program;
use crate::commands::evaluate::Surroundings;
use crate::exit::Exit;
use crate::message::message;
use crate::render::sanitize::sanitize;
use crate::render::screen::Screen;
use crate::render::text::pluralize;
use crate::render::workload::Workload;
use crate::render::{diff, sarif, structured, svg, table, text};
use fail_on::FailOn;
use load::Loaded;
use winddown_core::annotations::Assumption;
use winddown_core::kind::Kind;
use winddown_core::policy::Policies;

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

  # Apply all objects of a chart, with the changes of the webhook
  helm template shop | winddown plan -f - -o yaml --all | kubectl apply -f -

  # Evaluate under the policies of a cluster
  kubectl get shutdownpolicies,namespaces -o yaml > policies.yaml
  winddown plan -f shop.yaml --policy policies.yaml

  # Show what to expect before any workload has annotations, the worst first
  kubectl get deploy,sts,ds -A -o yaml --show-managed-fields > all.yaml
  winddown plan -f all.yaml --assume drain=5s,deadline=25s -o table

  # Write a SARIF file for code scanning
  winddown plan -R -f deploy -o sarif > plan.sarif

  # Write the timelines as an SVG image
  winddown plan -f shop.yaml -o svg > plan.svg

Exit codes:
  0  no finding is an error
  1  a finding is an error; with --fail-on warning, an error or a warning
  2  the command line or a part of the input is invalid; the rest of the input is evaluated and written";

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
    /// With -o yaml: also write the objects that are not evaluated, in their order
    #[arg(long)]
    all: bool,
    /// Evaluate workloads without winddown.dev annotations as if they had these, for example drain=5s,deadline=25s
    ///
    /// The keys are those of the annotations without their prefix. Workloads with annotations of their own keep them, and
    /// those with the mode Off stay as they are. The output marks the workloads with assumed annotations.
    #[arg(long, value_name = "KEY=VALUE,...")]
    assume: Option<Assumption>,
    /// Files with policies, and Namespaces with their labels; can be repeated
    ///
    /// Of the policies for a namespace, the one with the highest priority counts, as in a cluster. Policies and Namespaces in -f
    /// count as well. Workloads without a namespace are in the only namespace that is named, if there is only one.
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Lowest severity of the findings that exit with 1
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    fail_on: FailOn,
}

/// The output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Budget, timeline, findings and changes of each workload
    #[default]
    Text,
    /// One line for each workload, the worst first
    Table,
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

/// Runs `winddown plan` on the streams of the process.
#[must_use]
pub fn command(arguments: &Arguments, program: Program) -> ExitCode {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let screen = Screen::of(&stdout);
    let mut out = io::BufWriter::new(stdout.lock());
    match run(arguments, program, &screen, &mut stdin.lock(), &mut out, &mut stderr.lock()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            message!("winddown: cannot write the output: {error}");
            Exit::Unusable.into()
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
    run(arguments, Program::Winddown, &Screen::plain(), stdin, out, err)
}

fn run(
    arguments: &Arguments,
    program: Program,
    screen: &Screen,
    stdin: &mut impl Read,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    if arguments.all && arguments.output != Format::Yaml {
        writeln!(err, "winddown: --all is only for --output yaml")?;
        return Ok(Exit::Unusable);
    }
    let inputs = input::read(&arguments.files, arguments.recursive, stdin);
    let nothing = &mut io::empty();
    let policies = input::read(&arguments.policy, false, nothing);
    let mut loaded = Loaded::read(inputs, policies, arguments.all);
    let policies = Policies::new(std::mem::take(&mut loaded.policies));
    let assumption = arguments.assume.clone().map(Rc::new);
    let related = std::mem::take(&mut loaded.related);
    let surroundings =
        Surroundings { assumption: assumption.as_ref(), related: &related, complete: true, policies: &policies };
    let mut workloads = Vec::new();
    for (file, manifest) in std::mem::take(&mut loaded.workloads) {
        match evaluate::evaluate(&file, manifest, &surroundings) {
            Ok(workload) => workloads.push(workload),
            Err(error) => {
                loaded.errors.push(format!("{file}: {error}"));
                error.slot.fill(&mut loaded.documents, error.object);
            }
        }
    }
    report(&loaded, &workloads, arguments, err)?;
    let exit = if !loaded.errors.is_empty() {
        Exit::Unusable
    } else if workloads.iter().any(|workload| workload.has(arguments.fail_on.severity())) {
        Exit::Findings
    } else {
        Exit::Success
    };
    match print(arguments, program, loaded, &workloads, screen, out, err) {
        // `winddown plan … | head` closes the pipe early; the exit code stays valid.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        printed => printed.map(|()| exit),
    }
}

/// Writes what is skipped and what cannot be used to standard error.
fn report(loaded: &Loaded, workloads: &[Workload], arguments: &Arguments, err: &mut impl Write) -> io::Result<()> {
    for line in loaded.notes.iter().chain(&loaded.errors) {
        writeln!(err, "winddown: {}", sanitize(line))?;
    }
    if workloads.is_empty() && loaded.errors.is_empty() {
        writeln!(err, "winddown: no {} Deployments, StatefulSets or DaemonSets found", Kind::API_VERSION)?;
    }
    let unowned = workloads.iter().filter(|workload| workload.grace_period_owner_is_unknown()).count();
    if unowned > 0 {
        writeln!(
            err,
            "winddown: {} from a cluster without managedFields: a grace period of 30s counts as unset; \
             kubectl get --show-managed-fields shows who set it",
            pluralize(unowned, "workload")
        )?;
    }
    if arguments.output == Format::Yaml && !arguments.all && !loaded.others.is_empty() {
        writeln!(err, "winddown: not in the output: {}; --all keeps them", sanitize(&loaded.others()))?;
    }
    Ok(())
}

fn print(
    arguments: &Arguments,
    program: Program,
    loaded: Loaded,
    workloads: &[Workload],
    screen: &Screen,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    let styles = &screen.styles;
    match arguments.output {
        Format::Text => text::text(workloads, program, styles, out)?,
        Format::Table => table::table(workloads, program, screen, out)?,
        Format::Json => structured::json(workloads, out)?,
        Format::Sarif => sarif::sarif(workloads, out)?,
        Format::Yaml if arguments.all => structured::yaml_of_all(loaded.documents, workloads, out)?,
        Format::Yaml => structured::yaml(workloads, out)?,
        Format::Diff => diff::diff(workloads, styles, out)?,
        Format::Svg => svg::svg(workloads, out)?,
    }
    out.flush()?;
    // These formats do not contain the findings, or not in full.
    if matches!(arguments.output, Format::Yaml | Format::Diff | Format::Svg) {
        structured::findings(workloads, err)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
