//! The webhooks alone: the built binary next to the constant webhook, in turn in every round.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, Protocol};
use crate::fixture::{Operation, Review};
use crate::process::Server;
use crate::statistics::{Measured, Summary};
use crate::usage::Memory;
use crate::{Binary, progress, tls};

/// The label of the webhook that everything is compared with.
pub(crate) const CONSTANT: &str = "constant";

/// How much is measured.
struct Extent {
    rounds: usize,
    /// Requests of one kind to one server in a round, over all connections.
    requests: usize,
}

const FULL: Extent = Extent { rounds: 10, requests: 160 };
const QUICK: Extent = Extent { rounds: 4, requests: 64 };
/// A round of one kind of request ends after this time, whatever was asked for.
const BLOCK_LIMIT: Duration = Duration::from_secs(3);

/// The ways to connect, each with what is sent.
const SCENARIOS: [(Protocol, usize, &[Operation]); 4] = [
    (Protocol::Http1, 1, &[Operation::Create]),
    (Protocol::Http2, 1, &[Operation::Create, Operation::Update]),
    (Protocol::Http1, 8, &[Operation::Create]),
    (Protocol::Http2, 8, &[Operation::Create]),
];

/// The results.
#[derive(Serialize)]
pub(crate) struct Endpoint {
    pub(crate) rows: Vec<Row>,
    pub(crate) memory: Vec<(String, Memory)>,
}

/// One kind of request to one server.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    pub(crate) operation: Operation,
    pub(crate) path: &'static str,
    /// Of the `AdmissionReview`.
    pub(crate) bytes: usize,
    pub(crate) server: String,
    pub(crate) milliseconds: Summary,
}

struct Arm {
    label: String,
    server: Server,
    exchanges: Vec<Exchange>,
}

/// A review with the answer that it has to get.
struct Exchange {
    operation: Operation,
    path: &'static str,
    review: Review,
    patch: Option<String>,
}

const MUTATE: &str = "/mutate";
const VALIDATE: &str = "/validate";

/// Measures. No API server is needed: `winddown run` serves as soon as it has read its certificate.
pub(crate) async fn run(binaries: &[Binary], quick: bool) -> Result<Endpoint> {
    let directory = tempfile::Builder::new().prefix("winddown-bench-").tempdir()?;
    let directory = directory.path();
    tls::generate(directory)?;
    let mut arms = vec![Arm::new(CONSTANT, Server::constant(directory).await?, directory).await?];
    for Binary { label, path } in binaries {
        let server = Server::winddown(label, path, directory).await?;
        arms.push(Arm::new(label, server, directory).await.with_context(|| format!("{label} cannot be measured"))?);
    }
    let extent = if quick { QUICK } else { FULL };
    let mut rows = Vec::new();
    for (protocol, connections, operations) in SCENARIOS {
        progress(&format!("{} with connections: {connections}", protocol.name()));
        rows.extend(scenario(&arms, protocol, connections, operations, &extent, directory).await?);
    }
    let memory = arms.iter().map(|arm| Ok((arm.label.clone(), arm.server.memory()?))).collect::<Result<_>>()?;
    Ok(Endpoint { rows, memory })
}

impl Arm {
    /// Asks the server once for each review, and takes its patches for the objects of the later reviews.
    async fn new(label: &str, server: Server, directory: &Path) -> Result<Self> {
        let mut connection = Connection::open(server.port, Protocol::Http2, directory).await?;
        let mut exchanges = Vec::new();
        let mut created = None;
        for operation in [Operation::Create, Operation::Update] {
            let review = operation.before_mutation(created.as_deref())?;
            let (body, uid) = review.numbered(0);
            let (_, answer) = connection.review(MUTATE, body).await?;
            let patch = Answer::read(&answer, &uid)?.patch.context("/mutate answered without a patch")?;
            let created = created.get_or_insert_with(|| patch.clone());
            let validated = operation.after_mutation(created, &patch)?;
            exchanges.push(Exchange { operation, path: MUTATE, review, patch: Some(patch) });
            exchanges.push(Exchange { operation, path: VALIDATE, review: validated, patch: None });
        }
        Ok(Self { label: label.to_owned(), server, exchanges })
    }
}

async fn scenario(
    arms: &[Arm],
    protocol: Protocol,
    connections: usize,
    operations: &[Operation],
    extent: &Extent,
    directory: &Path,
) -> Result<Vec<Row>> {
    let mut runs = Vec::new();
    for arm in arms {
        let open = (0..connections).map(|_| Connection::open(arm.server.port, protocol, directory));
        let mut connections = try_join_all(open).await?;
        let chosen = arm.exchanges.iter().filter(|exchange| operations.contains(&exchange.operation));
        let mut measured = chosen.map(|exchange| Ok((exchange, Measured::new()?))).collect::<Result<Vec<_>>>()?;
        for (exchange, _) in &mut measured {
            let mut discarded = Measured::new()?;
            block(&arm.server, &mut connections, exchange, extent.requests, &mut discarded).await?;
        }
        runs.push((arm, connections, measured));
    }
    for round in 0..extent.rounds {
        // Another server is the first one in every round.
        let first = round % runs.len();
        runs.rotate_left(first);
        for (arm, connections, measured) in &mut runs {
            for (exchange, measured) in measured {
                let block = block(&arm.server, connections, exchange, extent.requests, measured);
                block.await.with_context(|| format!("{} {}", arm.label, exchange.path))?;
            }
        }
        runs.rotate_right(first);
    }
    let rows = runs.iter().flat_map(|(arm, _, measured)| {
        measured.iter().map(move |(exchange, measured)| Row {
            protocol,
            connections,
            operation: exchange.operation,
            path: exchange.path,
            bytes: exchange.review.size(),
            server: arm.label.clone(),
            milliseconds: measured.summary(),
        })
    });
    Ok(rows.collect())
}

/// Requests of one kind on all connections at once, each connection with one request at a time.
async fn block(
    server: &Server,
    connections: &mut [Connection],
    exchange: &Exchange,
    requests: usize,
    measured: &mut Measured,
) -> Result<()> {
    let (cpu, start) = (server.cpu()?, Instant::now());
    let share = requests / connections.len();
    let number = Cell::new(1);
    let loops = connections.iter_mut().map(async |connection| {
        let mut latencies = Vec::with_capacity(share);
        while latencies.len() < share && start.elapsed() < BLOCK_LIMIT {
            let (body, uid) = exchange.review.numbered(number.replace(number.get() + 1));
            let (latency, answer) = connection.review(exchange.path, body).await?;
            let answer = Answer::read(&answer, &uid)?;
            ensure!(answer.patch == exchange.patch, "the patch is not the one of the first answer");
            latencies.push(latency);
        }
        anyhow::Ok(latencies)
    });
    let latencies = try_join_all(loops).await?;
    measured.add_cpu(server.cpu()?.saturating_sub(cpu));
    latencies.into_iter().flatten().try_for_each(|latency| measured.record(latency))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview {
    api_version: String,
    kind: String,
    response: Answer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    uid: String,
    allowed: bool,
    patch_type: Option<String>,
    patch: Option<String>,
}

impl Answer {
    /// Reads an answer and checks what all of them have in common.
    fn read(body: &[u8], uid: &str) -> Result<Self> {
        let review: AdmissionReview = serde_json::from_slice(body).context("the answer is not an AdmissionReview")?;
        let AdmissionReview { api_version, kind, response } = review;
        ensure!(api_version == "admission.k8s.io/v1" && kind == "AdmissionReview", "answered a {api_version} {kind}");
        ensure!(response.uid == uid, "answered under the uid {} instead of {uid}", response.uid);
        ensure!(response.allowed, "not allowed: {}", String::from_utf8_lossy(body));
        let patch_type = response.patch.is_some().then_some("JSONPatch");
        ensure!(response.patch_type.as_deref() == patch_type, "the patch has the type {:?}", response.patch_type);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn an_answer_must_be_allowed_and_carry_the_uid() {
        let answer = |response: &str| {
            let review =
                format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{response}}}"#);
            Answer::read(review.as_bytes(), "one").is_ok()
        };
        assert!(answer(r#"{"uid":"one","allowed":true}"#));
        assert!(answer(r#"{"uid":"one","allowed":true,"patchType":"JSONPatch","patch":"W10="}"#));
        for wrong in [
            r#"{"uid":"two","allowed":true}"#,
            r#"{"uid":"one","allowed":false}"#,
            r#"{"uid":"one","allowed":true,"patch":"W10="}"#,
            r#"{"uid":"one"}"#,
        ] {
            assert!(!answer(wrong), "{wrong}");
        }
    }
}
