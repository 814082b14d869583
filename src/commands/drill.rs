//! `winddown drill`: rehearses the shutdown of one pod after the other, and measures how long traffic keeps arriving.

mod confirm;
mod eviction;
mod image;
mod recording;
mod rehearsal;
mod report;
mod selected;
mod watches;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use tokio::time::sleep;

use crate::cluster::connection::ClusterArguments;
use crate::cluster::scope::parse_namespace;
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use eviction::Evictions;
use rehearsal::{Ended, Rehearsal};
use report::Report;
use selected::Selected;
use winddown_core::drill::Choice;

const EXAMPLES: &str = "\
Examples:
  # Evict one pod of a Deployment, after a question, and compare what was promised with what happens
  winddown drill deploy/shop

  # Measure how long traffic keeps arriving, and print the annotations to write
  winddown drill deploy/shop --measure

  # The same for three pods, one after the other, without a question; the worst counts
  winddown drill deploy/shop --measure --pods 3 --yes

Exit codes:
  0  every pod kept its promise
  1  a pod was killed, failed, or ran longer than its deadline
  2  nothing was rehearsed, or the end of a pod was not seen";

/// Flags of `winddown drill`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Workload to rehearse, for example deploy/shop
    #[arg(value_name = "TYPE/NAME")]
    target: WorkloadName,
    /// Namespace of the workload; by default that of the context
    #[arg(short, long, value_name = "NAME", value_parser = parse_namespace)]
    namespace: Option<String>,
    /// Measure the traffic: a container of Winddown's image joins the pod and samples its TCP connections
    ///
    /// The container has no rights and a restricted security context. It reads the sockets and counters of the pod's network
    /// namespace, and ends when the app has closed its sockets, so that it does not prolong the stop. Its entry stays in the
    /// pod until the pod is gone. It does not see what is inside TLS, UDP, and pods with hostNetwork.
    #[arg(long)]
    measure: bool,
    /// Image of the measuring container; the default is that of the operator in the cluster
    #[arg(long, value_name = "IMAGE", requires = "measure")]
    image: Option<String>,
    /// How many pods to evict, one after the other
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pods: u16,
    /// Name of the pod to evict; the default is the first one that is ready
    #[arg(long, value_name = "NAME", conflicts_with = "pods")]
    pod: Option<String>,
    /// Also evict the only ready pod, although nothing answers until another one is ready
    #[arg(long)]
    allow_single: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// The output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A timeline for each pod, and a summary
    #[default]
    Text,
    /// One object with the result; the timeline is on standard error
    Json,
}

/// How long another pod may take to become ready before the next one is evicted.
const REPLACEMENT: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_secs(1);

/// Runs the rehearsal.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    super::on_cluster(&arguments.cluster, async |cluster| run(&cluster, arguments).await)
}

async fn run(cluster: &Cluster, arguments: &Arguments) -> Result<Exit, Error> {
    let namespace = arguments.namespace.clone().unwrap_or_else(|| cluster.default_namespace.clone());
    let Arguments { target, pod, allow_single, .. } = arguments;
    let mut screen = Screen { timeline_to_stderr: arguments.output == Format::Json };
    let choice = Choice { pod: pod.as_deref(), allow_single: *allow_single };
    let evictions = Evictions::new(cluster, &namespace);
    let mut report = Report::new(target, &namespace);
    let image = match (arguments.measure, &arguments.image) {
        (false, _) => None,
        (true, Some(image)) => Some(image.clone()),
        (true, None) => Some(image::find(cluster).await?),
    };
    for number in 1..=arguments.pods {
        let selected = if number == 1 {
            Selected::choose(cluster, &namespace, target, choice).await?
        } else {
            wait_for_replacement(cluster, &namespace, target, choice).await?
        };
        let candidate = &selected.candidate;
        screen.line(&selected.to_string())?;
        if let Err(refused) = evictions.dry_run(candidate).await? {
            screen.line(&format!("not rehearsed: {refused}"))?;
            report.refused = Some(refused);
            break;
        }
        screen.line("dry run: the API server would evict it")?;
        if number == 1 && !arguments.yes && !confirm::asked(target, arguments.pods).map_err(Error::Output)? {
            screen.line("not rehearsed: not confirmed")?;
            return Ok(Exit::Unusable);
        }
        let mut rehearsal = Rehearsal::new(cluster, &namespace, candidate);
        if let Some(image) = &image {
            rehearsal.measure(image, &mut screen).await?;
        }
        match rehearsal.run(&evictions, &mut screen).await? {
            Ended::Seen(pod) => {
                pod.lines().iter().try_for_each(|line| screen.line(line))?;
                report.pods.push(*pod);
            }
            Ended::Refused(refused) => {
                screen.line(&format!("not rehearsed: {refused}"))?;
                report.refused = Some(refused);
                break;
            }
            Ended::Interrupted => {
                screen.line(&format!(
                    "interrupted: the pod {} goes on stopping, as after kubectl delete",
                    candidate.name
                ))?;
                return Ok(Exit::Unusable);
            }
        }
    }
    if arguments.output == Format::Json {
        writeln!(io::stdout(), "{}", report.json())?;
    } else {
        report.summary().iter().try_for_each(|line| screen.line(line))?;
    }
    Ok(report.exit())
}

/// Waits until the workload is complete again, and chooses its next pod.
async fn wait_for_replacement(
    cluster: &Cluster,
    namespace: &str,
    target: &WorkloadName,
    choice: Choice<'_>,
) -> Result<Selected, Error> {
    let mut waited = Duration::ZERO;
    loop {
        match Selected::choose(cluster, namespace, target, choice).await {
            Ok(selected) if selected.is_complete() || waited >= REPLACEMENT => return Ok(selected),
            Err(error) if !matches!(error, Error::NotRehearsed(_)) || waited >= REPLACEMENT => return Err(error),
            _ => {}
        }
        sleep(POLL).await;
        waited += POLL;
    }
}

/// Where the timeline goes.
struct Screen {
    timeline_to_stderr: bool,
}

impl Screen {
    fn line(&mut self, text: &str) -> Result<(), Error> {
        if self.timeline_to_stderr {
            writeln!(io::stderr(), "{text}")?;
        } else {
            writeln!(io::stdout(), "{text}")?;
        }
        Ok(())
    }
}
