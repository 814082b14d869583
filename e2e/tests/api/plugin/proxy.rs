//! A way to the API server whose connections can be cut, as by a load balancer in front of it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use winddown_e2e::api_server::ApiServer;

pub(super) struct Proxy {
    /// Names the proxy in place of the API server.
    pub(super) kubeconfig: PathBuf,
    cut: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(server: &ApiServer) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut config: Value = serde_json::from_slice(&std::fs::read(server.kubeconfig())?)?;
        let url = config["clusters"][0]["cluster"]["server"].as_str().context("no server")?.to_owned();
        let target = url.strip_prefix("https://").context("no HTTPS")?.to_owned();
        config["clusters"][0]["cluster"]["server"] = json!(format!("https://{}", listener.local_addr()?));
        let kubeconfig = server.directory().join(format!("proxy-{}.kubeconfig", listener.local_addr()?.port()));
        std::fs::write(&kubeconfig, config.to_string())?;
        let (cut, is_cut) = watch::channel(());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target.clone(), is_cut.clone()));
            }
        });
        Ok(Self { kubeconfig, cut, task })
    }

    /// Closes all connections. New ones are accepted.
    pub(super) fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, target: String, mut is_cut: watch::Receiver<()>) {
    is_cut.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_cut.changed() => {}
    }
}
