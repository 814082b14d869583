//! `winddown restore`: takes what Winddown injected out of the templates, for leaving it behind.

mod apply;
mod target;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::apply::Unrestored;
use self::target::{Target, is_injected};
use crate::cluster::connection::{ClusterArguments, parse_timeout};
use crate::cluster::scope::ScopeArguments;
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::render::diff;
use crate::render::sanitize::sanitize;
use crate::render::screen::Screen;
use crate::render::structured::manifest;
use winddown_core::annotations::PREFIX;
use winddown_core::error_chain::ErrorChain;
use winddown_core::object::Object;
use winddown_core::policy::INJECT;

const EXAMPLES: &str = "\
Examples:
  # Show what would change, and ask
  winddown restore deploy/web -n shop

  # Before helm uninstall: the whole cluster, with the annotations, one rollout at a time
  winddown restore --all -A --remove-annotations --wait 10m

  # In scripts
  winddown restore --all -n shop --remove-annotations --yes

Exit codes:
  0  nothing of Winddown is left in the workloads
  1  something is left: the answer was no, standard input is not a terminal and --yes is not set, or Winddown would inject again
  2  a workload could not be read or patched";

/// Flags of `winddown restore`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Workloads to restore
    #[arg(value_name = "TYPE/NAME", required_unless_present = "all", conflicts_with_all = ["all", "all_namespaces"])]
    workloads: Vec<WorkloadName>,
    /// All workloads of the namespace; with -A, of all namespaces
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    scope: ScopeArguments,
    /// Also remove the annotations, without which a running operator would inject again
    #[arg(long)]
    remove_annotations: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Wait for each rollout before the next one starts, for this long at most
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    wait: Option<Duration>,
    #[command(flatten)]
    cluster: ClusterArguments,
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
    print(&targets)?;
    let Plan { targets, exit } = accepted(&cluster, targets, exit).await?;
    if targets.is_empty() {
        return Ok(exit);
    }
    let rollouts = targets.iter().filter(|target| target.rolls_out()).count();
    let what = format!("{} of {} restored workloads replace their pods", rollouts, targets.len());
    if !arguments.yes {
        if !io::stdin().is_terminal() {
            message!("Nothing was changed: {what}. --yes restores them");
            return Ok(exit.max(Exit::Findings));
        }
        if !confirmed(&format!("{what}. Restore? [y/N] "))? {
            message!("Nothing was changed");
            return Ok(exit.max(Exit::Findings));
        }
    }
    restore(&cluster, &targets, arguments.wait, exit).await
}

async fn planned(cluster: &Cluster, arguments: &Arguments) -> Result<Plan, Error> {
    let with_annotations = arguments.remove_annotations;
    let mut plan = Plan { targets: Vec::new(), exit: Exit::Success };
    let found = if arguments.all {
        let is_wanted = |workload: &serde_json::Value| {
            let annotations = Object::new(workload).annotations().unwrap_or_default();
            // The operator's own budget is a part of its chart.
            let is_declared = || with_annotations && annotations.keys().any(|key| key.starts_with(PREFIX));
            !super::check::is_operator(workload) && (is_injected(workload) || is_declared())
        };
        apply::read_all(cluster, &arguments.scope.scope(cluster), is_wanted).await?
    } else {
        let namespace = arguments.scope.namespace(cluster);
        let mut found = Vec::new();
        for workload in &arguments.workloads {
            found.push((workload.kind, apply::read(cluster, &namespace, workload).await?));
        }
        found
    };
    for (kind, workload) in found {
        let view = Object::new(&workload);
        let title = format!("{} in {}", WorkloadName::new(kind, view.name().unwrap_or_default()), view.namespace());
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

/// Prints the differences.
fn print(targets: &[Target]) -> Result<(), Error> {
    let styles = Screen::of(&io::stdout()).styles;
    let mut out = io::stdout().lock();
    for target in targets {
        let bold = styles.heading;
        let title = format!("{} in {}", target.workload, target.namespace);
        writeln!(out, "{bold}--- {title}{bold:#}\n{bold}+++ {title} (restored){bold:#}")?;
        let (before, after) = target.sides();
        diff::write(&diff::between(&manifest(&before)?, &manifest(&after)?), &styles, &mut out)?;
        for source in target.sources() {
            let note =
                format!("{source} writes it again if its source still has the annotations: remove them there first");
            writeln!(out, "note: {}", sanitize(&note))?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The targets that stay restored: a dry run of each patch asks the webhooks, and checks the rights.
async fn accepted(cluster: &Cluster, targets: Vec<Target>, mut exit: Exit) -> Result<Plan, Error> {
    let mut accepted = Vec::new();
    let declaring = targets.iter().any(Target::keeps_its_declaration);
    let operator = if declaring { super::check::running_operator(cluster).await } else { None };
    let mut labelled = BTreeMap::new();
    for target in targets {
        let title = format!("{} in {}", target.workload, target.namespace);
        match apply::patch(cluster, &target, true).await {
            // Its webhooks may be off while its controller runs.
            Ok(_) if operator.is_some() && target.keeps_its_declaration() => {
                let place = operator.as_deref().unwrap_or_default();
                message!("winddown: {title} is left as it is: {}", sanitize(&kept(&format!("the operator {place}"))));
                exit = exit.max(Exit::Findings);
            }
            Ok(_) => accepted.push(target),
            Err(Unrestored::InjectedAgain) => {
                let namespace = &target.namespace;
                if !labelled.contains_key(namespace) {
                    labelled.insert(namespace.clone(), opts_in(cluster, namespace).await);
                }
                let why = if target.keeps_its_declaration() {
                    kept("Winddown")
                } else if labelled.get(namespace) == Some(&true) {
                    format!("its namespace opts in: kubectl label namespace {namespace} {INJECT}-")
                } else {
                    "Winddown would inject again".to_owned()
                };
                message!("winddown: {title} is left as it is: {why}");
                exit = exit.max(Exit::Findings);
            }
            Err(error) => {
                message!("winddown: {title}: {}", sanitize(&ErrorChain(&error).to_string()));
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

/// Whether the label of a namespace opts its workloads in. Only explains; without the right to read it, the answer is no.
async fn opts_in(cluster: &Cluster, namespace: &str) -> bool {
    let path = format!("/api/v1/namespaces/{namespace}");
    let read = cluster.read(format!("read the namespace {namespace}"), &path).await;
    read.is_ok_and(|namespace| namespace["metadata"]["labels"][INJECT] == "enabled")
}

fn confirmed(question: &str) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question}")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Restores one workload after the other. A failure of one does not keep the others, unless its rollout is waited for.
async fn restore(cluster: &Cluster, targets: &[Target], wait: Option<Duration>, mut exit: Exit) -> Result<Exit, Error> {
    for target in targets {
        let title = format!("{} in {}", target.workload, target.namespace);
        if let Err(error) = apply::patch(cluster, target, false).await {
            message!("winddown: {title} was not restored: {}", sanitize(&ErrorChain(&error).to_string()));
            exit = Exit::Unusable;
            continue;
        }
        writeln!(io::stdout().lock(), "{title} restored")?;
        if let Some(limit) = wait.filter(|_| target.rolls_out())
            && let Err(error) = apply::wait(cluster, target, limit).await
        {
            let error = ErrorChain(&error).to_string();
            message!("winddown: {title}: {}; the workloads after it were not changed", sanitize(&error));
            return Ok(Exit::Unusable);
        }
    }
    Ok(exit)
}
