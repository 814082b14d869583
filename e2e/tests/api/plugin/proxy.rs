//! A way to the API server that loses answers, changes that of `/version`, or does something first; its connections can be cut,
//! as by a load balancer in front of it. It speaks HTTP without TLS, and sends everything on with the rights of the
//! administrator, who may impersonate other users.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use http::header::{CONTENT_LENGTH, HOST};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use winddown_e2e::api_server::ApiServer;

use crate::request::{Request, send};

/// What happens with a request.
pub(crate) enum Act {
    Forward,
    /// These are sent before.
    After(Vec<Request>),
    /// The API server gets it, and the connection is closed without its answer.
    LoseAnswer,
    /// The API server does not get it, and the connection is closed.
    Lose,
    /// The API server gets it, and there is no answer.
    NoAnswer,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) is_dry_run: bool,
}

pub(crate) struct Proxy {
    /// Names the proxy in place of the API server.
    pub(crate) kubeconfig: PathBuf,
    state: Arc<State>,
    cut: watch::Sender<()>,
    task: JoinHandle<()>,
}

struct State {
    client: Client,
    rule: Box<dyn Fn(&Seen) -> Act + Send + Sync>,
    /// In place of that of the API server.
    version: Option<(&'static str, &'static str)>,
    seen: Mutex<Vec<Seen>>,
}

impl Seen {
    /// Whether it changes an object with this name.
    pub(crate) fn changes(&self, name: &str) -> bool {
        self.method != http::Method::GET && !self.is_dry_run && self.path.split('/').any(|part| part == name)
    }
}

impl Proxy {
    pub(crate) async fn start(server: &ApiServer) -> Result<Self> {
        Self::with_rule(server, |_| Act::Forward).await
    }

    pub(crate) async fn with_rule(
        server: &ApiServer,
        rule: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::new(server, Box::new(rule), None).await
    }

    /// The minor version and the whole one, for example 29 and v1.29.9.
    pub(crate) async fn with_version(server: &ApiServer, minor: &'static str, version: &'static str) -> Result<Self> {
        Self::new(server, Box::new(|_| Act::Forward), Some((minor, version))).await
    }

    async fn new(
        server: &ApiServer,
        rule: Box<dyn Fn(&Seen) -> Act + Send + Sync>,
        version: Option<(&'static str, &'static str)>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut config: Value = serde_json::from_slice(&std::fs::read(server.kubeconfig())?)?;
        config["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
        let kubeconfig = server.directory().join(format!("proxy-{}.kubeconfig", address.port()));
        std::fs::write(&kubeconfig, config.to_string())?;
        let state = Arc::new(State { client: server.client(), rule, version, seen: Mutex::default() });
        let (cut, is_cut) = watch::channel(());
        let serving = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone(), is_cut.clone()));
            }
        });
        Ok(Self { kubeconfig, state, cut, task })
    }

    /// Closes all connections. New ones are accepted.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    /// The requests up to now.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, state: Arc<State>, mut is_cut: watch::Receiver<()>) {
    is_cut.mark_unchanged();
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { state.answer(request).await }
    });
    tokio::select! {
        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
        _ = is_cut.changed() => {}
    }
}

impl State {
    /// An error closes the connection.
    async fn answer(&self, request: http::Request<Incoming>) -> Result<http::Response<Body>> {
        let (mut head, body) = request.into_parts();
        let seen = Seen {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            is_dry_run: head.uri.query().is_some_and(|query| query.contains("dryRun")),
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
        let body = body.collect().await?.to_bytes().to_vec();
        let act = (self.rule)(&seen);
        match &act {
            Act::Lose => return Err(anyhow!("lost")),
            Act::After(requests) => {
                for request in requests {
                    send(&self.client, request).await?.into_object()?;
                }
            }
            _ => {}
        }
        head.headers.remove(HOST);
        let answer = self.client.send(http::Request::from_parts(head, Body::from(body))).await?;
        match (act, self.version) {
            (Act::LoseAnswer, _) => Err(anyhow!("the answer is lost")),
            (Act::NoAnswer, _) => std::future::pending().await,
            (_, Some((minor, version))) if seen.path == "/version" => with_version(answer, minor, version).await,
            _ => Ok(answer),
        }
    }
}

async fn with_version(answer: http::Response<Body>, minor: &str, version: &str) -> Result<http::Response<Body>> {
    let (mut head, body) = answer.into_parts();
    let mut info: Value = serde_json::from_slice(&body.collect_bytes().await?).context("no version")?;
    info["minor"] = json!(minor);
    info["gitVersion"] = json!(version);
    head.headers.remove(CONTENT_LENGTH);
    Ok(http::Response::from_parts(head, Body::from(serde_json::to_vec(&info)?)))
}
