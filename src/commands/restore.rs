//! `winddown restore`: takes what Winddown injected out of the templates, for leaving it behind.

mod apply;
#[cfg(test)]
mod golden;
mod rollouts;
mod target;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use self::apply::Unrestored;
use self::target::{Target, is_injected, title};
use crate::cluster::connection::{ClusterArguments, parse_timeout};
use crate::cluster::lists::Selection;
use crate::cluster::scope::ScopeArguments;
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::question::{Answer, ask};
use crate::render::diff;
use crate::render::sanitize::sanitize;
use crate::render::screen::Screen;
use crate::render::structured::manifest;
use crate::render::styles::Styles;
use crate::render::text::pluralize;
use winddown_core::annotations::PREFIX;
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::policy::INJECT;

const EXAMPLES: &str = "\
Examples:
  # Show what would change, and ask
  winddown restore deploy/web -n shop

  # Only show what would change in the whole cluster
  winddown restore --all -A --remove-annotations --dry-run

  # Before helm uninstall: the whole cluster, with the annotations, one rollout at a time
  winddown restore --all -A --remove-annotations

  # In scripts: some workloads of a namespace, with more time for each rollout
  winddown restore --all -n shop -l tier=web --remove-annotations --yes --wait 30m

  # All rollouts at the same time, without waiting for their ends
  winddown restore --all -n shop --remove-annotations --wait 0

Exit codes:
  0  nothing of Winddown is left in the workloads, and their rollouts have ended if they were waited for
  1  something of Winddown is left in a workload: the answer was no, nothing could be asked because standard input is not a terminal, it was a dry run, Winddown would inject again, or --all left out what may be the operator
  2  a workload could not be read or patched, was deleted meanwhile, or its rollout did not end";

/// Why `--all` leaves the operator out.
const OPERATOR: &str = "it has the labels and the flags of Winddown's operator, whose budget is a part of the chart; \
    helm uninstall removes it";
/// The same if it is not known where the operator is.
const MAYBE_OPERATOR: &str = "it has the labels and the flags of Winddown's operator, and may be it; its name as the argument \
    restores it";

/// Flags of `winddown restore`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("restored").args(["workloads", "all"]).required(true))]
pub struct Arguments {
    /// Workloads to restore
    #[arg(value_name = "TYPE/NAME", conflicts_with = "all_namespaces")]
    workloads: Vec<WorkloadName>,
    /// All workloads of the namespace; with -A, of all namespaces
    #[arg(long)]
    all: bool,
    /// With --all, only the workloads with these labels, for example app=web
    #[arg(short = 'l', long, value_name = "LABELS", requires = "all")]
    selector: Option<String>,
    #[command(flatten)]
    scope: ScopeArguments,
    /// Also remove the annotations, without which a running operator would inject again
    #[arg(long)]
    remove_annotations: bool,
    /// Show the differences, ask the API server whether it would accept each patch, and change nothing
    #[arg(long, value_name = "SIDE", num_args = 0..=1, require_equals = true, default_missing_value = "server")]
    dry_run: Option<DryRun>,
    /// Do not ask
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// How long each rollout may take: the next one starts when it has ended. With 0 or false, no rollout is waited for
    ///
    /// If a rollout takes longer, or makes no progress, the workloads after it are not changed.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_wait)]
    wait: Wait,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Where a dry run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// In the API server, as `--dry-run=server` of kubectl
    Server,
}

/// How long to wait for a rollout; `None`: not at all.
type Wait = Option<Duration>;

/// A duration, or what says that there is no wait; `false` as in `kubectl delete --wait=false`.
fn parse_wait(text: &str) -> Result<Wait, String> {
    if matches!(text, "0" | "0s" | "false") { Ok(None) } else { parse_timeout(text).map(Some) }
}

/// Shows the changes, asks, and restores.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    super::on_cluster(&arguments.cluster, |cluster| run(cluster, arguments))
}

/// The workloads that can be restored, and the worst of what was said about the others.
struct Plan {
    targets: Vec<Target>,
    exit: Exit,
}

async fn run(cluster: Cluster, arguments: &Arguments) -> Result<Exit, Error> {
    let Plan { targets, exit } = planned(&cluster, arguments).await?;
    if targets.is_empty() && exit == Exit::Success {
        message!("Nothing of Winddown is in these workloads");
        return Ok(exit);
    }
    print(&targets, &Screen::of(&io::stdout()).styles, &mut io::stdout().lock())?;
    let Plan { targets, exit } = accepted(&cluster, targets, exit).await?;
    if targets.is_empty() {
        return Ok(exit);
    }
    if arguments.dry_run == Some(DryRun::Server) {
        message!("Nothing was changed: this was a dry run");
        return Ok(exit.max(Exit::Findings));
    }
    if !arguments.yes {
        match ask(format!("{} [y/N] ", question(&targets))).await? {
            Answer::Yes => {}
            Answer::No => {
                message!("Nothing was changed");
                return Ok(exit.max(Exit::Findings));
            }
            Answer::NoTerminal => {
                let question = question(&targets);
                message!("Nothing was changed: standard input is not a terminal, and --yes is not set. {question}");
                return Ok(exit.max(Exit::Findings));
            }
        }
    }
    rollouts::restore(&cluster, &targets, arguments.wait, exit).await
}

async fn planned(cluster: &Cluster, arguments: &Arguments) -> Result<Plan, Error> {
    let with_annotations = arguments.remove_annotations;
    let mut plan = Plan { targets: Vec::new(), exit: Exit::Success };
    let found = if arguments.all {
        let selection = Selection { scope: arguments.scope.scope(cluster), labels: arguments.selector.clone() };
        let is_wanted = |workload: &serde_json::Value| {
            let annotations = Object::new(workload).annotations().unwrap_or_default();
            let is_declared = || with_annotations && annotations.keys().any(|key| key.starts_with(PREFIX));
            is_injected(workload) || is_declared()
        };
        let mut found = apply::read_all(cluster, &selection, is_wanted).await?;
        plan.exit = leave_operator_out(cluster, &mut found).await;
        found
    } else {
        let namespace = arguments.scope.namespace(cluster);
        let mut found: Vec<(Kind, serde_json::Value)> = Vec::new();
        let mut read = HashSet::new();
        for workload in arguments.workloads.iter().filter(|&workload| read.insert(workload)) {
            found.push((workload.kind, apply::read(cluster, &namespace, workload).await?));
        }
        found
    };
    for (kind, workload) in found {
        let view = Object::new(&workload);
        let title = title(&WorkloadName::new(kind, view.name().unwrap_or_default()), view.namespace());
        match Target::of(kind, workload, with_annotations) {
            Ok(target) => plan.targets.extend(target),
            Err(error) => {
                message!("winddown: {}", sanitize(&format!("{title}: {}", ErrorChain(&error))));
                plan.exit = Exit::Unusable;
            }
        }
    }
    plan.targets.sort_by_cached_key(|target| (target.namespace.clone(), target.workload.to_string()));
    Ok(plan)
}

/// Leaves the operator of the chart out. Others may have its labels and flags, and are restored like all workloads; where it
/// is not known which of them is the operator, all are left out, and this is a finding.
async fn leave_operator_out(cluster: &Cluster, found: &mut Vec<(Kind, serde_json::Value)>) -> Exit {
    if !found.iter().any(|(kind, workload)| super::check::looks_like_operator(*kind, workload)) {
        return Exit::Success;
    }
    let (namespace, why, is_known) = match super::check::operator_namespace(cluster).await {
        Ok(Some(namespace)) => (Some(namespace), OPERATOR, true),
        // Without webhooks, one that runs may still be the operator.
        Ok(None) => (None, MAYBE_OPERATOR, true),
        Err(error) => {
            let error = ErrorChain(&error).to_string();
            message!("winddown: where the operator is, is not known: {}", sanitize(&error));
            (None, MAYBE_OPERATOR, false)
        }
    };
    let is_running = |workload: &serde_json::Value| workload["status"]["readyReplicas"].as_u64() > Some(0);
    let is_left_out = |kind: Kind, workload: &serde_json::Value| match &namespace {
        Some(namespace) => super::check::is_operator(kind, workload, Some(namespace)),
        None => super::check::looks_like_operator(kind, workload) && (!is_known || is_running(workload)),
    };
    let before = found.len();
    found.retain(|(kind, workload)| {
        let is_left_out = is_left_out(*kind, workload);
        if is_left_out {
            let view = Object::new(workload);
            let title = title(&WorkloadName::new(*kind, view.name().unwrap_or_default()), view.namespace());
            message!("winddown: {} is left out: {why}", sanitize(&title));
        }
        !is_left_out
    });
    if namespace.is_some() || found.len() == before { Exit::Success } else { Exit::Findings }
}

/// `Restore 3 workloads? The pods of 2 are replaced.`
fn question(targets: &[Target]) -> String {
    let rollouts = targets.iter().filter(|target| target.rolls_out()).count();
    let pods =
        if rollouts == 0 { "No pod is replaced".to_owned() } else { format!("The pods of {rollouts} are replaced") };
    format!("Restore {}? {pods}.", pluralize(targets.len(), "workload"))
}

/// Prints the differences.
fn print(targets: &[Target], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    for target in targets {
        let bold = styles.heading;
        let title = target.title();
        writeln!(out, "{bold}--- {title}{bold:#}\n{bold}+++ {title} (restored){bold:#}")?;
        let (before, after) = target.sides();
        diff::write(&diff::between(&manifest(&before)?, &manifest(&after)?), styles, out)?;
        for source in target.sources() {
            let note =
                format!("{source} writes it again if its source still has the annotations: remove them there first");
            writeln!(out, "note: {}", sanitize(&note))?;
        }
    }
    out.flush()
}

/// The targets that stay restored: a dry run of each patch asks the webhooks, and checks the rights.
async fn accepted(cluster: &Cluster, targets: Vec<Target>, mut exit: Exit) -> Result<Plan, Error> {
    let mut accepted = Vec::new();
    let declaring = targets.iter().any(Target::keeps_its_declaration);
    let operator = match if declaring { super::check::running_operator(cluster).await } else { Ok(None) } {
        Ok(operator) => operator,
        Err(error) => {
            let error = ErrorChain(&error).to_string();
            message!("winddown: an operator that runs would inject again, and it is not known: {}", sanitize(&error));
            None
        }
    };
    let mut labelled = BTreeMap::new();
    for target in targets {
        let title = target.title();
        match apply::dry_run(cluster, &target).await {
            // Its webhooks may be off while its controller runs.
            Ok(()) if operator.is_some() && target.keeps_its_declaration() => {
                let place = operator.as_deref().unwrap_or_default();
                message!("winddown: {title} is left as it is: {}", sanitize(&kept(&format!("the operator {place}"))));
                exit = exit.max(Exit::Findings);
            }
            Ok(()) => accepted.push(target),
            Err(Unrestored::InjectedAgain { .. }) => {
                let namespace = &target.namespace;
                if !labelled.contains_key(namespace) {
                    labelled.insert(namespace.clone(), opts_in(cluster, namespace).await);
                }
                let why = match labelled.get(namespace) {
                    _ if target.keeps_its_declaration() => kept("Winddown"),
                    Some(Ok(true)) => {
                        format!("its namespace opts in: kubectl label namespace {namespace} {INJECT}-")
                    }
                    Some(Err(error)) => format!("Winddown would inject again; {}", sanitize(error)),
                    _ => "Winddown would inject again".to_owned(),
                };
                message!("winddown: {title} is left as it is: {why}");
                exit = exit.max(Exit::Findings);
            }
            Err(error) => {
                message!("winddown: {title} {}", sanitize(&ErrorChain(&error).to_string()));
                exit = Exit::Unusable;
            }
        }
    }
    Ok(Plan { targets: accepted, exit })
}

/// Why a workload with its annotations is not restored.
fn kept(by: &str) -> String {
    format!(
        "its annotations stay, and {by} runs: it would inject again. Use --remove-annotations, or uninstall Winddown first"
    )
}

/// Whether the label of a namespace opts its workloads in. If it cannot be read, why not.
async fn opts_in(cluster: &Cluster, namespace: &str) -> Result<bool, String> {
    let read = cluster.namespace(namespace).await.map_err(|error| ErrorChain(&error).to_string())?;
    Ok(read["metadata"]["labels"][INJECT] == "enabled")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_wait;

    #[test]
    fn a_wait_is_a_duration_and_0_or_false_is_none() {
        assert_eq!(parse_wait("30m"), Ok(Some(Duration::from_mins(30))));
        assert_eq!(parse_wait("90"), Ok(Some(Duration::from_secs(90))));
        for text in ["0", "0s", "false"] {
            assert_eq!(parse_wait(text), Ok(None), "{text}");
        }
        assert!(parse_wait("soon").is_err());
    }
}
