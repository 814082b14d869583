//! `winddown check`: checks the installation of Winddown in a cluster.

mod answers;
mod certificates;
mod definitions;
#[cfg(test)]
mod golden;
mod operator;
mod policies;
mod report;
mod search;
mod webhooks;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::{Instant, sleep};

use self::report::{Check, Report, Symbols};
use self::webhooks::Configurations;
use crate::cluster::connection::{ClusterArguments, parse_timeout};
use crate::cluster::scope::parse_namespace;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::render::age::now;
use winddown_core::kind::Kind;
use winddown_core::object::Object;

/// Time between two attempts of `--wait`.
const INTERVAL: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  # Check the installation
  winddown check

  # After an installation, wait until it is well
  winddown check --wait 60s

  # Show only what is not well
  winddown check -o short

Exit codes:
  0  Winddown is well, possibly with warnings
  1  something is wrong
  2  nothing that could be read is wrong, and something could not be read. 1 takes precedence over 2";

/// Flags of `winddown check`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Namespace of the operator; by default, it is found by its label
    #[arg(long, value_name = "NAME", value_parser = parse_namespace)]
    winddown_namespace: Option<String>,
    /// Namespace of the workloads that are created as a dry run; by default that of the context
    #[arg(short, long, value_name = "NAME", value_parser = parse_namespace)]
    namespace: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Repeat the checks for this long, until Winddown is well
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    wait: Option<Duration>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// The output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// All checks
    #[default]
    Text,
    /// The checks that are not well
    Short,
    /// An object with the outcome and all checks
    Json,
}

/// Prints the results of all checks.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    super::on_cluster(&arguments.cluster, |cluster| run(cluster, arguments))
}

async fn run(cluster: Cluster, arguments: &Arguments) -> Result<Exit, Error> {
    let start = Instant::now();
    let report = loop {
        let report = checked(&cluster, arguments).await;
        let is_over = arguments.wait.is_none_or(|limit| start.elapsed() >= limit);
        if is_over || !report.may_improve() {
            break report;
        }
        sleep(INTERVAL).await;
    };
    let mut out = io::stdout().lock();
    let symbols = Symbols::for_stdout(io::stdout().is_terminal(), locale().as_deref());
    match arguments.output {
        Format::Text => report.print(symbols, false, &mut out)?,
        Format::Short => report.print(symbols, true, &mut out)?,
        Format::Json => report.json(&mut out)?,
    }
    out.flush()?;
    Ok(report.exit())
}

async fn checked(cluster: &Cluster, arguments: &Arguments) -> Report {
    let now = now();
    let (configurations, namespaces, definitions) =
        futures::join!(Configurations::read(cluster), answers::namespaces(cluster), definitions::checks(cluster));
    let found = search::find(cluster, arguments.winddown_namespace.as_deref(), &configurations).await;
    let hook = configurations.main();
    let namespace = arguments.namespace.as_ref().unwrap_or(&cluster.default_namespace);
    let (operator, answers, exclusions) = futures::join!(
        operator::checks(cluster, &found, &configurations, now),
        answers::checks(cluster, namespace, hook, namespaces.as_ref().ok()),
        answers::exclusions(cluster, hook, namespaces.as_ref()),
    );
    let webhooks = configurations.checks(now).into_iter().chain(answers).collect();
    Checks { operator, definitions, webhooks, exclusions }.report(&cluster.context, &cluster.version)
}

/// The checks of each part of the installation.
struct Checks {
    operator: Vec<Check>,
    definitions: Vec<Check>,
    webhooks: Vec<Check>,
    exclusions: Vec<Check>,
}

impl Checks {
    fn report(self, context: &str, version: &str) -> Report {
        let mut report = Report::default();
        let api = format!("the API server of {context} answers and has version {version}");
        report.group("kubernetes-api", vec![Check::ok(api)]);
        report.group("winddown-operator", self.operator);
        report.group("winddown-definitions", self.definitions);
        report.group("winddown-webhooks", self.webhooks);
        report.group("winddown-exclusions", self.exclusions);
        report
    }
}

/// Namespace and name of an operator with ready replicas, if there is one.
pub(super) async fn running_operator(cluster: &Cluster) -> Result<Option<String>, Error> {
    let configurations = Configurations::read(cluster).await;
    let found = search::find(cluster, None, &configurations).await?;
    let running = found.iter().find(|operator| operator.is_running()).map(operator::Operator::place);
    match configurations.mutating {
        // They say where the operator is; the label alone proves none that does not run.
        Err(error) if running.is_none() => Err(error),
        _ => Ok(running),
    }
}

/// The namespace of the webhooks' Service, in which the operator is; `None` without a Service.
pub(super) async fn operator_namespace(cluster: &Cluster) -> Result<Option<String>, Error> {
    let configurations = Configurations::read(cluster).await;
    let namespace = configurations.service().map(|(namespace, _)| namespace.clone());
    configurations.mutating.map(|_| namespace)
}

/// The image of the operator in the namespace of the webhooks' Service; `None` without a Service, or an operator there.
pub(super) async fn operator_image(cluster: &Cluster) -> Result<Option<String>, Error> {
    let configurations = Configurations::read(cluster).await;
    if configurations.service().is_none() {
        return configurations.mutating.map(|_| None);
    }
    let found = search::find(cluster, None, &configurations).await?;
    Ok(found.into_iter().next().map(|operator| operator.image))
}

/// Whether an object of this kind is the operator of the chart, which is in this namespace.
pub(super) fn is_operator(kind: Kind, object: &serde_json::Value, namespace: Option<&str>) -> bool {
    looks_like_operator(kind, object) && namespace == Some(Object::new(object).namespace())
}

/// Whether an object of this kind has the labels and the flags of the operator of the chart, which anyone can set.
pub(super) fn looks_like_operator(kind: Kind, object: &serde_json::Value) -> bool {
    kind == Kind::Deployment && search::has_labels_of_the_chart(object) && operator::Operator::of(object).is_some()
}

/// The locale of the user, by the first variable that is set.
#[expect(clippy::disallowed_methods, reason = "POSIX has no other place for the locale")]
fn locale() -> Option<String> {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    variables.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_operator;
    use winddown_core::kind::Kind;

    #[test]
    fn only_where_the_service_of_the_webhooks_is_a_workload_with_the_labels_of_the_operator_is_the_operator() {
        let object = json!({
            "metadata": {"name": "wd", "namespace": "ops", "labels": {"app.kubernetes.io/name": "winddown"}},
            "spec": {"template": {
                "metadata": {"labels": {"app.kubernetes.io/component": "operator"}},
                "spec": {"containers": [{"args": ["--lease-name=wd"]}]},
            }},
        });
        assert!(is_operator(Kind::Deployment, &object, Some("ops")));
        assert!(!is_operator(Kind::Deployment, &object, Some("shop")));
        assert!(!is_operator(Kind::Deployment, &object, None));
        assert!(!is_operator(Kind::StatefulSet, &object, Some("ops")));
        let mut without_labels = object;
        without_labels["metadata"]["labels"] = json!({});
        assert!(!is_operator(Kind::Deployment, &without_labels, Some("ops")));
    }
}
