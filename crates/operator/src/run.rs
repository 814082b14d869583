//! `winddown run`: starts everything, waits for a signal, and shuts down the way Winddown preaches.

pub mod arguments;

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
use crate::certificates::mounted::Mounted;
use crate::certificates::resolver::{self, Serving};
use crate::certificates::rotator::{Keeper, Target};
use crate::health::{self, Readiness};
use crate::kubernetes::{self, Clients};
use crate::leadership::Candidate;
use crate::webhook::{self, Patience};
use crate::workloads::{self, Own};
use winddown_core::policy::Policy;

/// Why the operator ends otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port is taken or not ours to take.
    #[error("cannot listen on port {0}")]
    Listen(u16, #[source] io::Error),
    /// No way to the API server.
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// A server stopped.
    #[error("the {0} server stopped")]
    Server(&'static str, #[source] io::Error),
    /// A part that runs for ever did not.
    #[error("{0} ended, which it never should")]
    Ended(&'static str),
    /// The shutdown took too long.
    #[error("the shutdown took longer than {0} s")]
    Deadline(u64),
}

/// Runs until SIGTERM or SIGINT; an error is a reason for exit code 1.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    // Signals that come while starting must not kill: they are handled as soon as everything runs.
    let mut signals = Signals::new().map_err(Error::Signals)?;
    // Fails where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clients = kubernetes::connect().await?;

    let readiness = Readiness::default();
    let mut running = Running::start(&arguments, &clients, &readiness)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");

    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "shutting down"),
        error = running.failure() => return Err(error),
    }
    readiness.shut_down();

    let deadline = Duration::from_secs(arguments.shutdown_deadline.as_i64().unsigned_abs());
    let start = Instant::now();
    if tokio::time::timeout(deadline, running.stop()).await.is_err() {
        return Err(Error::Deadline(deadline.as_secs()));
    }
    tracing::info!(milliseconds = start.elapsed().as_millis(), "shut down");
    Ok(())
}

/// The parts of a running operator.
struct Running {
    /// What runs for ever: the servers and the keeper of the certificates.
    endless: JoinSet<Error>,
    webhooks: Handle<SocketAddr>,
    controller: JoinHandle<()>,
    stop_controller: CancellationToken,
    candidate: JoinHandle<()>,
    stop_candidate: CancellationToken,
}

impl Running {
    fn start(arguments: &Arguments, clients: &Clients, readiness: &Readiness) -> Result<Self, Error> {
        let own = Own {
            namespace: arguments.namespace.clone(),
            deployment: arguments.service_name.clone(),
            pod: arguments.pod_name(),
        };
        let health_listener = listen(arguments.bind_address, arguments.health_port)?;
        let webhook_listener = listen(arguments.bind_address, arguments.webhook_port)?;
        let mut endless = JoinSet::new();

        let health = health::serve(health_listener, readiness.clone());
        endless.spawn(async move { ended("health", health.await) });

        let (serving, resolver) = resolver::channel();
        let patience = Patience::default();
        let webhooks = Handle::new();
        let handle = webhooks.clone();
        let routes = webhook::router(Arc::new(Policy::default()), patience);
        endless.spawn(async move {
            let result = webhook::server::serve(webhook_listener, resolver, routes, patience, handle.clone()).await;
            // A shutdown is no failure.
            if result.is_ok() { pending().await } else { ended("webhook", result) }
        });

        keep_certificates(&mut endless, arguments, clients, serving, readiness.clone());

        let (sender, leading) = watch::channel(false);
        let candidate = Candidate {
            client: clients.short.clone(),
            namespace: own.namespace.clone(),
            lease: arguments.lease_name.clone(),
            identity: own.pod.clone(),
        };
        let stop_candidate = CancellationToken::new();
        let candidate = tokio::spawn(candidate.stand(sender, stop_candidate.clone()));

        let stop_controller = CancellationToken::new();
        let controller = tokio::spawn(workloads::run(clients.watching.clone(), leading, stop_controller.clone(), own));

        Ok(Self { endless, webhooks, controller, stop_controller, candidate, stop_candidate })
    }

    /// Returns when a part ends that should not; the process is to be restarted then.
    async fn failure(&mut self) -> Error {
        tokio::select! {
            Some(error) = self.endless.join_next() => error.unwrap_or(Error::Ended("a server")),
            _ = &mut self.controller => Error::Ended("the controller"),
            _ = &mut self.candidate => Error::Ended("the election"),
        }
    }

    /// Answers the reviews that are under way. Meanwhile lets the controller finish, and only then leaves the Lease to
    /// others. The caller has the deadline.
    async fn stop(self) {
        self.webhooks.graceful_shutdown(None);
        let reviews = async {
            while self.webhooks.connection_count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let work = async {
            self.stop_controller.cancel();
            // A task that panicked has stopped, too.
            let _ = self.controller.await;
            self.stop_candidate.cancel();
            let _ = self.candidate.await;
        };
        tokio::join!(reviews, work);
    }
}

fn keep_certificates(
    endless: &mut JoinSet<Error>,
    arguments: &Arguments,
    clients: &Clients,
    serving: Serving,
    readiness: Readiness,
) {
    let configurations = arguments.webhook_configuration.clone();
    let what = Error::Ended("the keeper of the certificates");
    if let Some(directory) = arguments.tls_dir.clone() {
        let mounted = Mounted::new(directory, &clients.short, &configurations, serving, readiness);
        endless.spawn(async move {
            mounted.run().await;
            what
        });
    } else {
        let target = Target {
            namespace: arguments.namespace.clone(),
            secret: arguments.ca_secret_name.clone(),
            configurations,
            names: arguments.certificate_names(),
        };
        let keeper = Keeper::new(&clients.short, target, serving, readiness);
        endless.spawn(async move {
            keeper.run().await;
            what
        });
    }
}

fn ended(server: &'static str, result: io::Result<()>) -> Error {
    match result {
        Ok(()) => Error::Ended(server),
        Err(error) => Error::Server(server, error),
    }
}

/// Listens on one address or, without one, on all of both families; on a host without IPv6, on all of IPv4.
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

/// The signals that end the operator. Those that come after the first are taken and ignored.
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
