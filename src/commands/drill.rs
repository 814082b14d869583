//! `winddown drill`: rehearses the shutdown of one pod after the other, and measures how long traffic keeps arriving.

mod confirm;
mod container;
mod eviction;
#[cfg(test)]
mod golden;
mod image;
mod left_behind;
mod recording;
mod rehearsal;
mod report;
mod selected;
mod traffic;
mod watches;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use tokio::time::{Instant, sleep};

use crate::cluster::connection::ClusterArguments;
use crate::cluster::scope::parse_namespace;
use crate::cluster::workloads::WorkloadName;
use crate::cluster::{Cluster, Error};
use crate::exit::Exit;
use crate::message::message;
use crate::render::sanitize::sanitize;
use container::{Container, NotStarted, deleted};
use eviction::Evictions;
use left_behind::LeftBehind;
use rehearsal::Rehearsal;
use report::{PodReport, Report};
use selected::Selected;
use winddown_core::drill::{Candidate, Choice, Step, Wanted};
use winddown_core::error_chain::ErrorChain;

const EXAMPLES: &str = "\
Examples:
  # Evict one pod of a Deployment after you confirm, and compare what was promised with what happens
  winddown drill deploy/shop

  # Measure how long traffic keeps arriving, and print the annotations to write
  winddown drill deploy/shop --measure

  # The same for three pods, one after the other, without confirmation; the worst counts
  winddown drill deploy/shop --measure --pods 3 --yes

Exit codes:
  0  every pod honoured its promise. With --measure, its traffic was measured, and no drain seems to be too short
  1  a pod was killed, failed, or ran longer than its deadline. With --measure, also if its drain seems to be too short: new connections came until the app stopped listening, and some were refused then, or the last one came after its SIGTERM. 1 takes precedence over 2
  2  not all pods were evicted, for example because the answer was no; or the end of a pod was not seen; or, with --measure, its traffic was not measured";

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
    /// How many pods to evict, one after the other, at most 100
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
/// How long the disruption controller may take to count a replacement that is ready.
const BUDGET_UPDATE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(1);
/// No pod is evicted whose end is not watched.
const NOT_WATCHED: &str = "the pod is not watched";

/// Runs the rehearsal.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    super::on_cluster(&arguments.cluster, async |cluster| run(&cluster, arguments).await)
}

async fn run(cluster: &Cluster, arguments: &Arguments) -> Result<Exit, Error> {
    let namespace = arguments.namespace.clone().unwrap_or_else(|| cluster.default_namespace.clone());
    let screen = Transcript { timeline_to_stderr: arguments.output == Format::Json };
    let flags = arguments.cluster.typed();
    let report = Report::new(&arguments.target, &namespace, flags.clone());
    let left = LeftBehind::new(format!(" -n {namespace}{flags}"));
    let mut drill = Drill { cluster, arguments, namespace, flags, screen, report, left };
    let ended = tokio::select! {
        ended = drill.all() => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    };
    let refused = match ended {
        Some(Ok(())) => None,
        // What was seen of earlier pods is shown in any case.
        Some(Err(error)) if drill.report.pods.is_empty() && drill.left.is_empty() => return Err(error),
        Some(Err(error)) => Some(sanitize(&ErrorChain(&error).to_string()).into_owned()),
        None => {
            // After the `^C` of the terminal.
            if io::stderr().is_terminal() {
                message!("");
            }
            Some("interrupted".to_owned())
        }
    };
    if let Some(refused) = refused {
        let line = drill.left.line(&refused, drill.report.pods.len());
        // The output may be closed, which is then the reason.
        if drill.screen.line(&line).is_err() {
            message!("winddown: {line}");
        }
        drill.report.not_rehearsed = Some(refused);
    }
    drill.print()?;
    Ok(drill.report.exit())
}

/// A rehearsal of several pods.
struct Drill<'a> {
    cluster: &'a Cluster,
    arguments: &'a Arguments,
    namespace: String,
    /// The flags that choose the cluster in a command to paste.
    flags: String,
    screen: Transcript,
    report: Report,
    left: LeftBehind,
}

impl Drill<'_> {
    async fn all(&mut self) -> Result<(), Error> {
        let Arguments { measure, image, pods, pod, allow_single, .. } = self.arguments;
        let image = match (measure, image) {
            (false, _) => None,
            (true, Some(image)) => Some(image.clone()),
            (true, None) => {
                let (image, forbidden) = image::find(self.cluster).await?;
                if let Some(forbidden) = forbidden {
                    self.screen.line(&report::published_image(&forbidden))?;
                }
                Some(image)
            }
        };
        // Of the pods that are ready at the start, each is evicted at most once: a replacement may have its name.
        let mut remaining: Option<Vec<String>> = None;
        let flags = self.flags.clone();
        for number in 1..=*pods {
            let (pod, among, cluster) = (pod.as_deref(), remaining.as_deref(), flags.as_str());
            let choice = Choice { pod, allow_single: *allow_single, among, cluster };
            let selected = if number == 1 {
                Selected::choose(self.cluster, &self.namespace, &self.arguments.target, choice).await?
            } else {
                self.wait_for_replacement(choice).await?
            };
            let candidate = &selected.candidate;
            let ready = remaining.take().unwrap_or_else(|| candidate.ready.clone());
            remaining = Some(ready.into_iter().filter(|uid| *uid != candidate.uid).collect());
            self.screen.line(&selected.to_string())?;
            if let Err(refused) = self.one(candidate, image.as_deref(), number == 1).await? {
                return self.refuse(refused);
            }
            // Two pods must not stop at the same time.
            let still_stopping = self.report.pods.last().filter(|pod| number < *pods && !pod.removed);
            if let Some(PodReport { pod, .. }) = still_stopping {
                return self.refuse(format!("the pod {pod} may still be stopping: no other pod is evicted"));
            }
        }
        Ok(())
    }

    /// Goes through the steps with one pod. If it is not rehearsed, why not.
    async fn one(
        &mut self,
        candidate: &Candidate,
        image: Option<&str>,
        first: bool,
    ) -> Result<Result<(), String>, Error> {
        let (cluster, namespace) = (self.cluster, self.namespace.clone());
        let evictions = Evictions::new(cluster, &namespace);
        let container = image.map(|image| Container::new(cluster, &namespace, candidate, image));
        if let (Some(image), Some(reason)) = (image, candidate.unmeasurable) {
            self.screen.line(&report::measuring(image))?;
            return Ok(Err(format!("the traffic of the pod cannot be measured: {reason}")));
        }
        let (mut rehearsal, mut unmeasured): (Option<Rehearsal<'_>>, _) = (None, None);
        for step in Step::all(Wanted { measure: container.is_some(), ask: !self.arguments.yes }, first) {
            let done = match (step, &container, &mut rehearsal) {
                (Step::DryRun, ..) => {
                    image.map_or(Ok(()), |image| self.screen.line(&report::measuring(image)))?;
                    let answer = self.permitted(&evictions, candidate, first).await?;
                    if answer.is_ok() {
                        self.screen.line(report::WOULD_EVICT)?;
                        if first {
                            let forbidden = watches::forbidden(cluster, &namespace, candidate).await?;
                            forbidden.iter().try_for_each(|answer| self.screen.line(&report::not_shown(answer)))?;
                        }
                    }
                    answer
                }
                (Step::DryRunOfContainer, Some(container), _) => match container.dry_run().await? {
                    Err(NotStarted::NotAllowed(reason)) => {
                        self.screen.line(&report::not_measured(&reason))?;
                        unmeasured = Some(reason);
                        Ok(())
                    }
                    Err(NotStarted::Failed(reason)) => Err(reason),
                    Ok(()) => Ok(()),
                },
                (Step::Ask, ..) => {
                    let Arguments { target, pods, .. } = self.arguments;
                    let asked = confirm::asked(target.clone(), *pods).await?;
                    if asked { Ok(()) } else { Err("not confirmed".to_owned()) }
                }
                (Step::Watch, ..) => Rehearsal::prepare(cluster, &namespace, candidate).await.map(|mut prepared| {
                    prepared.unmeasured = unmeasured.take();
                    rehearsal = Some(prepared);
                }),
                (Step::LookAgain, _, Some(rehearsal)) => self.look_again(candidate, rehearsal).await?,
                (Step::Measure, Some(container), Some(rehearsal)) if rehearsal.unmeasured.is_none() => {
                    rehearsal.measure(container, &mut self.screen, &mut self.left.joined).await?
                }
                (Step::Evict, _, running) => match running.take() {
                    Some(rehearsal) => self.evict(rehearsal, &evictions).await?,
                    None => Err(NOT_WATCHED.to_owned()),
                },
                (Step::LookAgain, _, None) => Err(NOT_WATCHED.to_owned()),
                (Step::DryRunOfContainer | Step::Measure, ..) => Ok(()),
            };
            if done.is_err() {
                return Ok(done);
            }
        }
        Ok(Ok(()))
    }

    /// Whether workload and pod are still what was chosen. If not, what happened.
    async fn look_again(&self, candidate: &Candidate, rehearsal: &Rehearsal<'_>) -> Result<Result<(), String>, Error> {
        let Arguments { target, allow_single, .. } = self.arguments;
        let choice =
            Choice { pod: Some(&candidate.name), allow_single: *allow_single, among: None, cluster: &self.flags };
        match Selected::choose(self.cluster, &self.namespace, target, choice).await {
            Ok(again) if again.candidate.uid == candidate.uid && !rehearsal.is_deleted() => Ok(Ok(())),
            Ok(_) => Ok(Err(deleted(&candidate.name))),
            Err(error) if error.is_not_found() => Ok(Err(format!("{target} was deleted in the meantime"))),
            // That it is gone is the reason why the workload is not complete.
            Err(Error::NotRehearsed(_)) if selected::is_gone(self.cluster, &self.namespace, candidate).await? => {
                Ok(Err(deleted(&candidate.name)))
            }
            Err(error) => Err(error),
        }
    }

    async fn evict(
        &mut self,
        rehearsal: Rehearsal<'_>,
        evictions: &Evictions<'_>,
    ) -> Result<Result<(), String>, Error> {
        let seen = match rehearsal.run(evictions, &mut self.screen, &mut self.left.stopping).await? {
            Ok(seen) => seen,
            Err(refused) => return Ok(Err(refused)),
        };
        let lines = seen.lines();
        self.left.clear();
        self.report.pods.push(seen);
        // The output may be closed: what was seen counts in any case.
        lines.iter().try_for_each(|line| self.screen.line(line))?;
        Ok(Ok(()))
    }

    fn refuse(&mut self, refused: String) -> Result<(), Error> {
        let line = match &self.left.joined {
            Some(joined) if refused != deleted(&joined.pod) => {
                self.left.line(&format!("not rehearsed: {refused}"), self.report.pods.len())
            }
            _ => format!("not rehearsed: {refused}"),
        };
        self.screen.line(&sanitize(&line))?;
        self.report.not_rehearsed = Some(refused);
        Ok(())
    }

    /// Waits until the workload is complete again, and chooses its next pod.
    async fn wait_for_replacement(&mut self, choice: Choice<'_>) -> Result<Selected, Error> {
        let until = Instant::now() + REPLACEMENT;
        let mut said = false;
        loop {
            match Selected::choose(self.cluster, &self.namespace, &self.arguments.target, choice).await {
                Err(Error::NotRehearsed(refusal)) if refusal.may_pass() && Instant::now() < until => {
                    if !std::mem::replace(&mut said, true) {
                        self.screen.line(&format!("\nwaiting for the next pod: {refusal}"))?;
                    }
                }
                selected => return selected,
            }
            sleep(POLL).await;
        }
    }

    /// Whether the API server would evict the pod. If not, why not. A disruption budget that refuses a later pod is asked
    /// again for a while: the replacement of the earlier one may not count yet.
    async fn permitted(
        &mut self,
        evictions: &Evictions<'_>,
        candidate: &Candidate,
        first: bool,
    ) -> Result<Result<(), String>, Error> {
        let until = Instant::now() + BUDGET_UPDATE;
        let mut said = false;
        loop {
            match evictions.dry_run(candidate).await? {
                Err(refused) if refused.may_pass && !first && Instant::now() < until => {
                    if !std::mem::replace(&mut said, true) {
                        self.screen.line(&format!("waiting for the disruption budget: {}", refused.reason))?;
                    }
                }
                answer => return Ok(answer.map_err(|refused| refused.reason)),
            }
            sleep(POLL).await;
        }
    }

    fn print(&mut self) -> Result<(), Error> {
        if self.arguments.output == Format::Json {
            writeln!(io::stdout(), "{}", self.report.json())?;
            return Ok(());
        }
        self.report.summary().iter().try_for_each(|line| self.screen.line(line))
    }
}

/// The lines for people, from the preflight to the summary, and where they go.
struct Transcript {
    timeline_to_stderr: bool,
}

impl Transcript {
    fn line(&mut self, text: &str) -> Result<(), Error> {
        if self.timeline_to_stderr {
            // The result is on standard output.
            let _ = writeln!(io::stderr(), "{text}");
        } else {
            writeln!(io::stdout(), "{text}")?;
        }
        Ok(())
    }
}
