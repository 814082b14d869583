//! Creates through a real API server, one at a time: without admission, with the same rule inside the API server, with the
//! constant webhook, and with Winddown, in turn in every round. Each has a namespace of its own, so that all of them can be
//! configured at the same time.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::{Cluster, apply_configuration, json_patch};
use crate::connection::{Connection, Protocol};
use crate::fixture::deployment;
use crate::process::Server;
use crate::statistics::{Measured, Summary};
use crate::usage::Memory;
use crate::{Binary, progress, tls};

pub(crate) const NOTHING: &str = "nothing";
pub(crate) const TWO_CALLS: &str = "constant webhook, two calls";

struct Extent {
    rounds: usize,
    creates: usize,
}

const FULL: Extent = Extent { rounds: 6, creates: 100 };
const QUICK: Extent = Extent { rounds: 3, creates: 20 };
/// The maximum duration of a round of one kind of admission.
const BLOCK_LIMIT: Duration = Duration::from_secs(10);
/// How long the API server may take until it knows all configurations.
const CONFIGURATION_LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

/// One way of admission.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) arm: String,
    pub(crate) is_winddown: bool,
    pub(crate) milliseconds: Summary,
    /// Of the webhook's process, where there is one.
    pub(crate) memory: Option<Memory>,
}

struct Arm {
    label: String,
    namespace: String,
    admission: Admission,
    measured: Measured,
}

enum Admission {
    Nothing,
    Policy,
    /// The server, and how often it is called for a create.
    Constant(Server, Calls),
    Winddown(Server),
}

/// How often the constant webhook was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Calls {
    mutate: usize,
    validate: usize,
}

/// Measures.
pub(crate) async fn run(binaries: &[Binary], quick: bool) -> Result<Vec<Row>> {
    let directory = tempfile::Builder::new().prefix("winddown-bench-").tempdir()?;
    let directory = directory.path();
    let certificate = tls::generate(directory)?;
    progress("starting the API server");
    let cluster = Cluster::start(&certificate).await?;
    let mut arms = arms(&cluster, binaries, directory).await?;
    for arm in &arms {
        arm.wait_until_configured(&cluster, directory).await?;
    }

    let extent = if quick { QUICK } else { FULL };
    // Round 0 is not counted: it fills the caches of the API server.
    for round in 0..=extent.rounds {
        let first = round % arms.len();
        arms.rotate_left(first);
        progress(&format!("creating, round {round} of {}", extent.rounds));
        for arm in &mut arms {
            let mut discarded = Measured::new()?;
            let counted = arm.round(&cluster, round, extent.creates, directory).await;
            let counted = counted.with_context(|| format!("cannot measure {}", arm.label))?;
            let measured = if round == 0 { &mut discarded } else { &mut arm.measured };
            counted.into_iter().try_for_each(|latency| measured.record(latency))?;
        }
        arms.rotate_right(first);
    }
    arms.iter().map(Arm::row).collect()
}

async fn arms(cluster: &Cluster, binaries: &[Binary], directory: &Path) -> Result<Vec<Arm>> {
    let mut arms = vec![Arm::new(cluster, NOTHING, "nothing", Admission::Nothing).await?];
    for (label, name, mutation) in [
        ("MutatingAdmissionPolicy, JSON Patch", "policy-patch", json_patch()),
        ("MutatingAdmissionPolicy, apply configuration", "policy-apply", apply_configuration()),
    ] {
        cluster.apply_policy(name, name, &mutation).await?;
        arms.push(Arm::new(cluster, label, name, Admission::Policy).await?);
    }
    for (label, name, validate) in [("constant webhook, one call", "constant-one", 0), (TWO_CALLS, "constant-two", 1)] {
        let server = Server::constant(directory).await?;
        cluster.call_webhook(name, name, server.port, validate == 1).await?;
        let admission = Admission::Constant(server, Calls { mutate: 1, validate });
        arms.push(Arm::new(cluster, label, name, admission).await?);
    }
    for Binary { label, path } in binaries {
        let name = format!("winddown-{label}");
        let server = Server::winddown(label, path, directory).await?;
        cluster.call_webhook(&name, &name, server.port, true).await?;
        arms.push(Arm::new(cluster, label, &name, Admission::Winddown(server)).await?);
    }
    Ok(arms)
}

impl Arm {
    async fn new(cluster: &Cluster, label: &str, namespace: &str, admission: Admission) -> Result<Self> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.api.create("/api/v1/namespaces", &object).await?;
        let (label, namespace) = (label.to_owned(), namespace.to_owned());
        Ok(Self { label, namespace, admission, measured: Measured::new()? })
    }

    fn collection(&self) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace)
    }

    fn server(&self) -> Option<&Server> {
        match &self.admission {
            Admission::Constant(server, _) | Admission::Winddown(server) => Some(server),
            Admission::Nothing | Admission::Policy => None,
        }
    }

    fn row(&self) -> Result<Row> {
        let memory = self.server().map(Server::memory).transpose()?;
        let is_winddown = matches!(self.admission, Admission::Winddown(_));
        Ok(Row { arm: self.label.clone(), is_winddown, milliseconds: self.measured.summary(), memory })
    }

    /// Dry runs, until the API server applies everything that was configured.
    async fn wait_until_configured(&self, cluster: &Cluster, directory: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            let before = self.calls(directory).await?;
            let path = format!("{}?dryRun=All", self.collection());
            let manifest = deployment("probe", &self.namespace);
            let (status, body) = cluster.api.send(Method::POST, &path, serde_json::to_vec(&manifest)?).await?;
            let mut result = self.check(status, &body);
            let called = self.calls(directory).await?.since(before);
            match &self.admission {
                Admission::Constant(_, calls) if called != *calls => {
                    result = result.and(Err(anyhow!("the webhook was called otherwise than configured: {called:?}")));
                }
                Admission::Winddown(_) => result = result.and(self.is_validated(cluster, &path).await),
                _ => {}
            }
            match result {
                Err(error) if start.elapsed() > CONFIGURATION_LIMIT => {
                    return Err(error.context(format!("{} does not work", self.label)));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// An annotation that cannot be read has to be rejected, which only the validating webhook does.
    async fn is_validated(&self, cluster: &Cluster, path: &str) -> Result<()> {
        let mut manifest = deployment("probe", &self.namespace);
        manifest["metadata"]["annotations"]["winddown.dev/drain"] = json!("unreadable");
        let (status, _) = cluster.api.send(Method::POST, path, serde_json::to_vec(&manifest)?).await?;
        ensure!(
            status == StatusCode::UNPROCESSABLE_ENTITY,
            "an annotation that cannot be read was answered with {status}"
        );
        Ok(())
    }

    /// Creates Deployments one after the other, checks each answer, and deletes them.
    async fn round(
        &mut self,
        cluster: &Cluster,
        round: usize,
        creates: usize,
        directory: &Path,
    ) -> Result<Vec<Duration>> {
        let calls = self.calls(directory).await?;
        let cpu = self.server().map(Server::cpu).transpose()?.unwrap_or_default();
        let (start, collection) = (Instant::now(), self.collection());
        let mut latencies = Vec::with_capacity(creates);
        while latencies.len() < creates && start.elapsed() < BLOCK_LIMIT {
            let manifest = deployment(&format!("checkout-{round}-{}", latencies.len()), &self.namespace);
            let body = serde_json::to_vec(&manifest)?;
            let sent = Instant::now();
            let (status, body) = cluster.api.send(Method::POST, &collection, body).await?;
            latencies.push(sent.elapsed());
            self.check(status, &body)?;
        }
        if let (Some(server), true) = (self.server(), round > 0) {
            let cpu = server.cpu()?.saturating_sub(cpu);
            self.measured.add_cpu(cpu);
        }
        if let Admission::Constant(_, expected) = self.admission {
            let calls = self.calls(directory).await?.since(calls);
            ensure!(
                calls == expected.times(latencies.len()),
                "the webhook got {calls:?} for {} creates",
                latencies.len()
            );
        }
        let (status, _) = cluster.api.send(Method::DELETE, &collection, Vec::new()).await?;
        ensure!(status.is_success(), "the deletion was answered with {status}");
        Ok(latencies)
    }

    async fn calls(&self, directory: &Path) -> Result<Calls> {
        let Admission::Constant(server, _) = &self.admission else { return Ok(Calls::default()) };
        let mut connection = Connection::open(server.port, Protocol::Http1, directory).await?;
        Ok(serde_json::from_slice(&connection.get("/calls").await?)?)
    }

    /// Whether the created object is as this admission has to leave it.
    fn check(&self, status: StatusCode, body: &[u8]) -> Result<()> {
        if status != StatusCode::CREATED {
            bail!("a create was answered with {status}: {}", String::from_utf8_lossy(body));
        }
        let object: Value = serde_json::from_slice(body)?;
        let budget = object["metadata"]["annotations"]["winddown.dev/budget"].as_str();
        let pod = &object["spec"]["template"]["spec"];
        let grace_period = pod["terminationGracePeriodSeconds"].as_i64();
        let containers = pod["containers"].as_array().context("a Deployment without containers")?;
        let sleeps: Vec<_> =
            containers.iter().map(|container| container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64()).collect();
        let found = (budget, grace_period, &*sleeps);
        let expected = match self.admission {
            Admission::Nothing => (None, Some(30), &[None, None][..]),
            _ => (Some("drain 5s + deadline 25s + margin 5s = 35s of 35s"), Some(35), &[Some(5), Some(5)][..]),
        };
        ensure!(found == expected, "created {found:?} instead of {expected:?}");
        Ok(())
    }
}

impl Calls {
    fn since(self, before: Self) -> Self {
        Self { mutate: self.mutate - before.mutate, validate: self.validate - before.validate }
    }

    fn times(self, creates: usize) -> Self {
        Self { mutate: self.mutate * creates, validate: self.validate * creates }
    }
}
