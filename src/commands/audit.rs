//! `kubectl winddown audit`: evaluates every workload of a cluster, with nothing installed in it.

mod assume;
mod fail_on;
mod listing;

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, ValueEnum};

use super::evaluate::{Failed, Surroundings};
use super::on_cluster;
use crate::cli::Program;
use crate::cluster::connection::ClusterArguments;
use crate::cluster::lists::{Scope, Selection};
use crate::cluster::scope::parse_namespace;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::render::html;
use crate::render::sanitize::sanitize;
use crate::render::screen::Screen;
use crate::render::survey::{self, Survey};
use crate::render::workload::{Source, Workload, qualified_name};
use assume::Assume;
use fail_on::FailureReason;
use listing::Listed;
use winddown_core::current_shutdown::CurrentShutdown;
use winddown_core::finding::Code;
use winddown_core::object::Object;
use winddown_core::policy::Policies;

/// The end of `winddown audit --help`.
const EXAMPLES: &str = "\
Examples:
  # Show which workloads can drop requests in a rollout, the worst first
  winddown audit

  # Write a page to read, print and send
  winddown audit -o html > audit.html

  # Show the details of one namespace
  winddown audit -n shop -o text

  # Assume other numbers for the workloads without annotations
  winddown audit --assume drain=15s,deadline=60s

  # Assume the presets of a load balancer and a runtime
  winddown audit --assume traffic=alb-ip,runtime=spring-boot

  # Evaluate only the workloads with annotations, and fail on warnings, too
  winddown audit --assume none --fail-on warning

  # In CI: fail on errors, and on workloads of which a rollout can drop requests today
  winddown audit -n shop --fail-on error,dropped-requests

  # List the workloads that can drop requests
  winddown audit -o json | jq -r '.workloads[] | select(.today.losses[0]) | .namespace + \"/\" + .name'

Exit codes:
  0  nothing was found that --fail-on names; by default, no finding is an error
  1  something was found that --fail-on names. That a workload can drop requests counts only with dropped-requests
  2  the command line is invalid, the cluster gave no answer, or a workload could not be listed or evaluated, also if 1 would apply; the rest is written. With dropped-requests, also if nothing was found that --fail-on names, and it is not known whether a workload can drop requests: it is not opted in (--assume none), has the mode Off, or related objects could not be listed";

/// Flags of `winddown audit`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Only the workloads of this namespace
    #[arg(short, long, value_name = "NAME", value_parser = parse_namespace, conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// The workloads of all namespaces; this is the default
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only the workloads with these labels, for example app=shop,tier!=batch
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Annotations that workloads without winddown.dev annotations are assumed to have; none evaluates only those with annotations
    ///
    /// The keys are those of the annotations without their prefix. Workloads with annotations of their own keep them, and
    /// those with the mode Off stay as they are. The output marks the workloads with assumed annotations.
    #[arg(long, value_name = "KEY=VALUE,...", default_value = "drain=5s,deadline=25s")]
    assume: Assume,
    /// What exits with 1; several values are separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "error", value_name = "WHAT,...")]
    fail_on: Vec<FailureReason>,
    /// Which cluster, and as whom.
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// The output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line for each workload, the worst first, and a summary
    #[default]
    Table,
    /// Budget, timeline, losses, findings and changes of each workload, and a summary
    Text,
    /// An object with the summary and one object for each workload, as in plan -o json
    Json,
    /// The findings as SARIF 2.1.0, with the objects as logical locations
    Sarif,
    /// One HTML page that loads nothing, with timelines, search and filters
    Html,
}

/// Runs `winddown audit`.
#[must_use]
pub fn command(arguments: &Arguments, program: Program) -> ExitCode {
    on_cluster(&arguments.cluster, async |cluster| run(arguments, program, &cluster).await)
}

async fn run(arguments: &Arguments, program: Program, cluster: &Cluster) -> Result<Exit, Error> {
    let namespace = arguments.namespace.clone().filter(|_| !arguments.all_namespaces);
    let scope = namespace.clone().map_or(Scope::All, Scope::Namespace);
    let listed = Listed::read(cluster, &Selection { scope, labels: arguments.selector.clone() }).await;
    let mut survey = Survey {
        context: cluster.context.clone(),
        kubernetes: cluster.version.clone(),
        namespace,
        selector: arguments.selector.clone(),
        assumed: arguments.assume.annotations().map(ToString::to_string),
        missing: Vec::new(),
        withheld: Vec::new(),
        program: program.command(),
    };
    let needs_a_namespace = listed.missing.all_forbidden && survey.namespace.is_none();
    let (mut workloads, incomplete) = evaluate(arguments, listed, &mut survey);
    survey::sort(&mut workloads);
    print(arguments.output, &survey, &workloads)?;
    for line in notes(&survey, workloads.is_empty()) {
        message!("winddown: {}", sanitize(&line));
    }
    if needs_a_namespace {
        message!(
            "winddown: rights in one namespace are enough with -n, for example -n {}",
            sanitize(&cluster.default_namespace)
        );
    }
    Ok(if incomplete { Exit::Unusable } else { fail_on::judge(&arguments.fail_on, &survey, &workloads) })
}

/// The workloads, and whether some could not be listed or evaluated.
fn evaluate(arguments: &Arguments, listed: Listed, survey: &mut Survey) -> (Vec<Workload>, bool) {
    let Listed { workloads, related, knows_services, missing, policies } = listed;
    let services = Some(&related).filter(|_| knows_services);
    let mut incomplete = !missing.workloads.is_empty();
    survey.missing = missing.workloads.into_iter().chain(missing.policies).collect();
    let complete = missing.related.is_empty();
    if !complete {
        survey.missing.extend(missing.related);
        survey.withheld = Code::ALL.iter().copied().filter(|code| code.needs_related_objects()).collect();
    }
    let policies = Policies::new(policies);
    let assumption = arguments.assume.annotations().cloned().map(Rc::new);
    let surroundings =
        Surroundings { assumption: assumption.as_ref(), related: &related, complete, policies: &policies };
    let mut evaluated = Vec::with_capacity(workloads.len());
    for (kind, object) in workloads {
        match surroundings.evaluate(Source::Cluster, kind, object) {
            Ok(mut workload) => {
                let object = Object::new(&workload.object);
                workload.current = CurrentShutdown::of(&object, &workload.evaluation, services);
                evaluated.push(workload);
            }
            Err(failed) => {
                let Failed { problem, object, .. } = *failed;
                survey.missing.push(format!("cannot evaluate {kind} {}: {problem}", qualified_name(&object)));
                incomplete = true;
            }
        }
    }
    (evaluated, incomplete)
}

fn print(format: Format, survey: &Survey, workloads: &[Workload]) -> io::Result<()> {
    let stdout = io::stdout();
    let screen = Screen::of(&stdout);
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Table => survey::table::table(survey, workloads, &screen, &mut out)?,
        Format::Text => survey::text::text(survey, workloads, &screen.styles, &mut out)?,
        Format::Json => survey::json(survey, workloads, &mut out)?,
        Format::Sarif => survey::sarif(survey, workloads, &mut out)?,
        Format::Html => html::page(survey, workloads, &date(), &mut out)?,
    }
    out.flush()
}

/// What is missing in the output, for standard error.
fn notes(survey: &Survey, is_empty: bool) -> Vec<String> {
    let mut notes = survey.missing.clone();
    if !survey.withheld.is_empty() {
        let codes: Vec<_> = survey.withheld.iter().map(|code| code.as_str()).collect();
        notes.push(format!("withheld, because they need objects that could not be read: {}", codes.join(", ")));
    }
    if is_empty && survey.missing.is_empty() {
        notes.push(format!("no Deployments, StatefulSets or DaemonSets found in {}", survey.place()));
    }
    notes
}

/// The date, for the title of a page: `27 November 2026`.
fn date() -> String {
    k8s_openapi::jiff::Zoned::now().strftime("%-d %B %Y").to_string()
}
