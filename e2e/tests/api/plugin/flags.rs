//! The flags of kubectl that replace the cluster and the user of the kubeconfig, against a real API server.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::namespace::Namespace;
use crate::program::{Program, Ran};
use crate::suite::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests![shared: a_server_and_credentials_need_no_kubeconfig, a_flag_counts_more_than_the_kubeconfig]
}

/// What the kubeconfig of the administrator has, as flags.
struct Flags {
    server: String,
    authority: String,
    certificate: String,
}

impl Flags {
    fn of(kubeconfig: &Path) -> Result<Self> {
        let kubeconfig: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
        let text = |path: &str| kubeconfig.pointer(path).and_then(Value::as_str).context(path.to_owned());
        Ok(Self {
            server: format!("--server {}", text("/clusters/0/cluster/server")?),
            authority: format!("--certificate-authority {}", text("/clusters/0/cluster/certificate-authority")?),
            certificate: format!(
                "--client-certificate {} --client-key {}",
                text("/users/0/user/client-certificate")?,
                text("/users/0/user/client-key")?
            ),
        })
    }
}

/// With a kubeconfig that is not there.
fn without_kubeconfig(program: &Program) -> Program {
    program.with_kubeconfig(&program.kubeconfig.with_extension("absent"))
}

fn fails(ran: &Ran, text: &str) {
    ran.assert(2);
    assert!(ran.stderr.starts_with("winddown: ") && ran.stderr.contains(text), "{text}: {ran:?}");
}

async fn a_server_and_credentials_need_no_kubeconfig(namespace: Namespace) -> Result<()> {
    let program = namespace.program()?;
    let Flags { server, authority, certificate } = Flags::of(&program.kubeconfig)?;
    let alone = without_kubeconfig(&program);
    fails(&alone.run("status").await?, "no kubeconfig: set KUBECONFIG, --kubeconfig or --server");
    alone.run(&format!("status {server} {authority} {certificate}")).await?.assert(0);
    alone.run(&format!("status {server} --insecure-skip-tls-verify {certificate}")).await?.assert(0);

    // The certificate of the API server is not that of any public authority, and is checked unless a flag says otherwise.
    fails(&alone.run(&format!("status {server} {certificate}")).await?, "cannot reach the API server");
    let other_name = format!("status {server} {authority} {certificate} --tls-server-name other.example");
    fails(&alone.run(&other_name).await?, "cannot reach the API server");

    namespace.kubectl("create serviceaccount visitor", None).await?;
    let token = namespace.kubectl("create token visitor", None).await?;
    let visitor = format!("system:serviceaccount:{}:visitor", namespace.name);
    let ran = alone.run(&format!("status {server} {authority} --token {}", token.trim())).await?;
    fails(&ran, &format!("User \"{visitor}\" cannot list resource \"shutdownbudgets\""));
    Ok(())
}

async fn a_flag_counts_more_than_the_kubeconfig(namespace: Namespace) -> Result<()> {
    let program = namespace.program()?;
    let Flags { server, .. } = Flags::of(&program.kubeconfig)?;
    let elsewhere = program.elsewhere()?;
    fails(&elsewhere.run("status").await?, "cannot reach the API server https://127.0.0.1:1");
    elsewhere.run(&format!("status {server}")).await?.assert(0);

    // The certificate of the administrator, which the kubeconfig has, must not count.
    namespace.kubectl("create serviceaccount guest", None).await?;
    let token = namespace.kubectl("create token guest", None).await?;
    let ran = program.run(&format!("status --token {}", token.trim())).await?;
    fails(&ran, &format!("User \"system:serviceaccount:{}:guest\" cannot list", namespace.name));
    assert!(!ran.stderr.contains(token.trim()), "the token is in the message");

    let as_uid = "status --as eve --as-uid 12345";
    fails(&program.run(as_uid).await?, "User \"eve\" cannot list");
    fails(&program.run("status --token not-a-token").await?, "Unauthorized");
    Ok(())
}
