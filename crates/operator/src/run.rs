//! `winddown run`: starts the operator, waits for a signal and shuts down gracefully.

mod arguments;

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum_server::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::arguments::Arguments;
use crate::budgets::Budgets;
use crate::certificates::mounted::Mounted;
use crate::certificates::resolver::{self, CertificateSender};
use crate::certificates::rotator::{Rotator, Target};
use crate::cluster::Cluster;
use crate::health::{self, Readiness};
use crate::kubernetes::{self, Clients};
use crate::leadership::Candidate;
use crate::metrics::{self, Exposition, Metrics};
use crate::namespaces::Namespaces;
use crate::observation::Observation;
use crate::policies::{self, CurrentPolicies};
use crate::trimming::Trimming;
use crate::webhook::timeouts::Timeouts;
use crate::webhook::{routes, server};
use crate::workloads::{self, Identity, Publisher, Reporting, Selection, relabelling_matters};

/// How long a replica that starts waits for the policies.
const POLICIES_LIMIT: Duration = Duration::from_secs(5);

/// Why the operator failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port is in use or not permitted.
    #[error("cannot listen on port {0}")]
    Listen(u16, #[source] io::Error),
    /// No client of the API server.
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    /// The signal handlers cannot be installed.
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    /// A server failed.
    #[error("the {0} server failed")]
    Server(&'static str, #[source] io::Error),
    /// A task ended that should run until shutdown.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
    /// The shutdown exceeded its deadline.
    #[error("the shutdown exceeded its deadline of {0} s")]
    Deadline(u64),
}

/// Runs the operator until SIGTERM or SIGINT.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    // Installed first: a signal during startup is handled once everything runs.
    let mut signals = Signals::new().map_err(Error::Signals)?;
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = Metrics::new(arguments.metrics_per_workload);
    let clients = kubernetes::connect_counted(&metrics.api_requests).await?;

    let readiness = Readiness::default();
    let mut running = Running::start(&arguments, &clients, &readiness, metrics)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");

    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "shutting down"),
        error = running.failure() => return Err(error),
    }
    readiness.shut_down();

    let deadline = deadline(&arguments);
    let start = Instant::now();
    if tokio::time::timeout(deadline, running.stop()).await.is_err() {
        return Err(Error::Deadline(deadline.as_secs()));
    }
    tracing::info!(milliseconds = start.elapsed().as_millis(), "shut down");
    Ok(())
}

/// The tasks of a running operator.
struct Running {
    /// The servers and the certificate task, which run until the process ends.
    tasks: JoinSet<Error>,
    webhooks: Handle<SocketAddr>,
    controller: JoinHandle<()>,
    stop_controller: CancellationToken,
    writer: JoinHandle<()>,
    stop_writer: CancellationToken,
    candidate: JoinHandle<()>,
    stop_candidate: CancellationToken,
}

impl Running {
    fn start(arguments: &Arguments, clients: &Clients, readiness: &Readiness, metrics: Metrics) -> Result<Self, Error> {
        let identity = Identity {
            namespace: arguments.namespace.clone(),
            deployment: arguments.service_name.clone(),
            pod: arguments.pod_name(),
            lease: arguments.lease_name.clone(),
        };
        let health_listener = listen(arguments.bind_address, arguments.health_port)?;
        let webhook_listener = listen(arguments.bind_address, arguments.webhook_port)?;
        let metrics_listener = match arguments.metrics_port {
            0 => None,
            port => Some(listen(arguments.bind_address, port)?),
        };
        let mut tasks = JoinSet::new();
        let policies = policies::Watch::new(clients.watching.clone());
        let selection = Selection {
            mutating: arguments.mutating_selectors.clone(),
            validating: arguments.validating_selectors.clone(),
        };
        let matters = relabelling_matters(policies.policies(), selection.clone());
        let (namespaces, watch_namespaces) = Namespaces::new(clients, matters);
        let cluster =
            Cluster { namespaces: Arc::new(namespaces), policies: policies.policies(), governed: Arc::default() };
        tasks.spawn(async move {
            watch_namespaces.await;
            Error::Ended("the watch of namespaces")
        });
        let (sender, leading) = watch::channel(false);
        let (namespaces, governed) = (cluster.namespaces.clone(), cluster.governed.clone());
        let report =
            policies::Reporter::new(clients.short.clone(), &policies, namespaces, governed, leading.clone()).run();
        tasks.spawn(async move {
            futures::join!(policies.run(), report);
            Error::Ended("the watch of policies")
        });

        let health = health::serve(health_listener, readiness.clone());
        tasks.spawn(async move { ended("health", health.await) });

        let (certificates, resolver) = resolver::channel();
        let timeouts = Timeouts::default();
        let webhooks = Handle::new();
        let handle = webhooks.clone();
        let trimming = Trimming::default();
        let routes = routes::router(cluster.clone(), timeouts, trimming.clone(), metrics.reviews.clone());
        tasks.spawn(async move {
            let result = server::serve(webhook_listener, resolver, routes, timeouts, handle.clone()).await;
            // The server also returns after a graceful shutdown.
            if result.is_ok() { pending().await } else { ended("webhook", result) }
        });

        spawn_certificate_task(
            &mut tasks,
            arguments,
            clients,
            certificates,
            readiness.clone(),
            cluster.policies.clone(),
        );

        let publisher = Arc::new(Publisher::new(clients.watching.clone(), &identity.pod));
        let observation = Observation::default();
        let (budgets, watch_budgets, writer) =
            Budgets::new(clients, leading.clone(), publisher.clone(), observation.clone(), metrics.clone());
        let observe = observation.run(clients.watching.clone(), leading.clone(), budgets.clone(), metrics.clone());
        tasks.spawn(async move {
            futures::join!(watch_budgets.run(), observe);
            Error::Ended("the watch of budgets")
        });
        let stop_writer = CancellationToken::new();
        // The rest is for the controller before, and for the Lease after.
        let writer = tokio::spawn(writer.run(stop_writer.clone(), deadline(arguments) / 2));

        if let Some(listener) = metrics_listener {
            let (lease, leading) = (identity.lease.clone(), leading.clone());
            let exposition = Exposition { metrics: metrics.clone(), lease, leading };
            let server = metrics::serve(listener, exposition);
            tasks.spawn(async move { ended("metrics", server.await) });
        }
        let candidate = Candidate {
            client: clients.short.clone(),
            namespace: identity.namespace.clone(),
            lease: identity.lease.clone(),
            identity: identity.pod.clone(),
        };
        let stop_candidate = CancellationToken::new();
        let candidate = tokio::spawn(candidate.run(sender, stop_candidate.clone()));

        let stop_controller = CancellationToken::new();
        let client = clients.watching.clone();
        let stop = stop_controller.clone();
        let reporting = Reporting { publisher, budgets };
        let controller =
            workloads::run(client, cluster, leading, stop, identity, reporting, selection, trimming, metrics);
        let controller = tokio::spawn(controller);

        Ok(Self { tasks, webhooks, controller, stop_controller, writer, stop_writer, candidate, stop_candidate })
    }

    /// Returns when a task ends unexpectedly; the process must then be restarted.
    async fn failure(&mut self) -> Error {
        tokio::select! {
            Some(error) = self.tasks.join_next() => error.unwrap_or(Error::Ended("a server")),
            _ = &mut self.controller => Error::Ended("the controller"),
            _ = &mut self.writer => Error::Ended("the writer of budgets"),
            _ = &mut self.candidate => Error::Ended("the leader election"),
        }
    }

    /// Answers open reviews; meanwhile stops the controller, writes the budgets that wait, and then releases the Lease. The caller sets the deadline.
    async fn stop(self) {
        self.webhooks.graceful_shutdown(None);
        let answer_reviews = async {
            while self.webhooks.connection_count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let stop_tasks = async {
            self.stop_controller.cancel();
            // A task that panicked has also stopped.
            let _ = self.controller.await;
            self.stop_writer.cancel();
            let _ = self.writer.await;
            self.stop_candidate.cancel();
            let _ = self.candidate.await;
        };
        tokio::join!(answer_reviews, stop_tasks);
    }
}

fn deadline(arguments: &Arguments) -> Duration {
    Duration::from_secs(arguments.shutdown_deadline.as_i64().unsigned_abs())
}

fn spawn_certificate_task(
    tasks: &mut JoinSet<Error>,
    arguments: &Arguments,
    clients: &Clients,
    certificates: CertificateSender,
    readiness: Readiness,
    policies: CurrentPolicies,
) {
    let configurations = arguments.webhook_configuration.clone();
    let ended = Error::Ended("the certificate task");
    if let Some(directory) = arguments.tls_dir.clone() {
        let mounted = Mounted::new(directory, &clients.short, &configurations, certificates, readiness);
        tasks.spawn(async move {
            policies_listed(&policies).await;
            mounted.run().await;
            ended
        });
    } else {
        let target = Target {
            namespace: arguments.namespace.clone(),
            secret: arguments.ca_secret_name.clone(),
            configurations,
            names: arguments.certificate_names(),
        };
        let rotator = Rotator::new(&clients.short, target, certificates, readiness);
        tasks.spawn(async move {
            policies_listed(&policies).await;
            rotator.run().await;
            ended
        });
    }
}

/// A replica becomes ready with its certificate. Before that, it should know the policies; but without them it can answer reviews, too.
async fn policies_listed(policies: &CurrentPolicies) {
    if tokio::time::timeout(POLICIES_LIMIT, policies.listed()).await.is_err() {
        tracing::warn!("the policies are not known yet; the built-in policy counts");
    }
}

fn ended(server: &'static str, result: io::Result<()>) -> Error {
    match result {
        Ok(()) => Error::Ended(server),
        Err(error) => Error::Server(server, error),
    }
}

/// Listens on the given address; by default on all IPv6 and IPv4 addresses, or on IPv4 only if the host has no IPv6.
fn listen(address: Option<IpAddr>, port: u16) -> Result<TcpListener, Error> {
    match address {
        Some(address) => TcpListener::bind((address, port)),
        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
        }),
    }
    .map_err(|error| Error::Listen(port, error))
}

/// The signals that end the operator. Further signals during the shutdown have no effect.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
