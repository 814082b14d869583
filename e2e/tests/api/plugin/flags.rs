//! The kubeconfig, and the flags of kubectl that replace its cluster and its user, against a real API server.

use std::path::Path;
use std::pin::pin;

use anyhow::{Context as _, Result, bail};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use crate::namespace::Namespace;
use crate::program::{Program, Ran};
use crate::suite::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests![shared:
        a_server_and_credentials_need_no_kubeconfig,
        a_flag_counts_more_than_the_kubeconfig,
        the_user_of_the_kubeconfig_or_of_the_flags_is_impersonated,
        a_kubeconfig_is_read_as_kubectl_reads_it,
        a_proxy_is_used_where_kubectl_uses_it,
        secrets_are_not_printed,
    ]
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

    // The certificate of the API server is not that of any public authority, and is checked unless a flag says
    // otherwise.
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

    fails(&program.run("status --token not-a-token").await?, "Unauthorized");
    Ok(())
}

/// Whom the API server sees in the requests of the plugin, as `kubectl auth whoami` prints it. They are caught, and
/// what they say of impersonation is sent on with the rights of the administrator.
async fn whoami(namespace: &Namespace, flags: &str, user: &Value) -> Result<Value> {
    let program = namespace.program()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut kubeconfig = program.read_kubeconfig()?;
    kubeconfig["clusters"][0]["cluster"] = json!({"server": format!("http://{}", listener.local_addr()?)});
    kubeconfig["users"][0]["user"] = user.clone();
    let catch = async {
        let (stream, _) = listener.accept().await?;
        let mut lines = BufReader::new(stream).lines();
        let mut headers = Vec::new();
        while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
            headers.extend(line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())));
        }
        anyhow::Ok(headers)
    };
    let program = program.with(&kubeconfig)?;
    let arguments = format!("status {flags}");
    let mut ended = pin!(program.run(&arguments));
    let headers = tokio::select! {
        headers = catch => headers,
        ran = &mut ended => bail!("the command sent no request: {:?}", ran?),
    };
    ended.await?.assert(2);

    let mut request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews");
    request = request.header("content-type", "application/json");
    for (name, value) in headers?.into_iter().filter(|(name, _)| name.starts_with("impersonate-")) {
        request = request.header(name, value);
    }
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = request.body(Body::from(serde_json::to_vec(&review)?))?;
    let answer = namespace.environment.server.client().send(request).await?;
    let mut answer: Value = serde_json::from_slice(&answer.into_body().collect_bytes().await?)?;
    answer.pointer_mut("/status/userInfo").map(Value::take).with_context(|| answer.to_string())
}

async fn the_user_of_the_kubeconfig_or_of_the_flags_is_impersonated(namespace: Namespace) -> Result<()> {
    let limited = json!({"as": "eve", "as-uid": "1", "as-groups": ["readers"], "as-user-extra": {"reason": ["drill"]}});
    let seen = |name: &str, uid: &str, groups: &[&str]| {
        let groups = [groups, &["system:authenticated"]].concat();
        json!({"username": name, "uid": uid, "groups": groups, "extra": {"reason": ["drill"]}})
    };
    for (flags, expected) in [
        ("", seen("eve", "1", &["readers"])),
        ("--token abc", seen("eve", "1", &["readers"])),
        ("--as-group a --as-group b", seen("eve", "1", &["a", "b"])),
        ("--as joe --as-uid 12345", seen("joe", "12345", &["readers"])),
    ] {
        assert_eq!(whoami(&namespace, flags, &limited).await?, expected, "{flags}");
    }
    let joe = json!({"username": "joe", "uid": "12345", "groups": ["system:authenticated"]});
    assert_eq!(whoami(&namespace, "--as joe --as-uid 12345", &json!({})).await?, joe);
    assert_eq!(whoami(&namespace, "", &json!({})).await?["groups"][0], "system:masters");

    let program = namespace.program()?;
    let mut kubeconfig = program.read_kubeconfig()?;
    kubeconfig["users"][0]["user"]["as"] = json!("eve");
    let limited = program.with(&kubeconfig)?;
    fails(&limited.run("status").await?, "User \"eve\" cannot list");
    fails(&limited.run("status --as joe --as-uid 12345").await?, "User \"joe\" cannot list");
    namespace.kubectl("create serviceaccount impersonator", None).await?;
    let token = namespace.kubectl("create token impersonator", None).await?;
    let ran = limited.run(&format!("status --token {}", token.trim())).await?;
    fails(&ran, ":impersonator\" cannot impersonate");
    fails(&program.run("status --as-uid 12345").await?, "need its name: --as");
    Ok(())
}

async fn a_kubeconfig_is_read_as_kubectl_reads_it(namespace: Namespace) -> Result<()> {
    let program = namespace.program()?;
    program.run("status --kubeconfig= --context= --cluster= --user= --as= --server= --token=").await?.assert(0);

    let absent = program.kubeconfig.with_extension("absent");
    let files = |files: [&Path; 2]| std::env::join_paths(files);
    for files in [files([&absent, &program.kubeconfig])?, files([&program.kubeconfig, &absent])?] {
        Ran::of(program.command("status").env("KUBECONFIG", files).spawn()?, "status").await?.assert(0);
    }
    let ran =
        Ran::of(program.command("status").env("KUBECONFIG", files([&absent, &absent])?).spawn()?, "status").await?;
    fails(&ran, "no kubeconfig: set KUBECONFIG");
    let explicit = format!("status --kubeconfig {}", absent.display());
    fails(&program.run(&explicit).await?, "the kubeconfig cannot be used: ");

    let alone = without_kubeconfig(&program);
    fails(
        &alone.run("status --token abc").await?,
        "no kubeconfig: flags that replace a part of it need one, or --server",
    );
    fails(&alone.run("status --context a").await?, "the context \"a\" is not in the kubeconfig; it has none");
    fails(&alone.run("status -s localhost:1 --user a").await?, "the user \"a\" is not in the kubeconfig; it has none");

    let Flags { server, authority, certificate } = Flags::of(&program.kubeconfig)?;
    let server = server.replace("https://", "");
    alone.run(&format!("status {server} {authority} {certificate}")).await?.assert(0);
    let mut kubeconfig = program.read_kubeconfig()?;
    kubeconfig["clusters"][0]["cluster"]["server"] = json!(server.trim_start_matches("--server "));
    program.with(&kubeconfig)?.run("status").await?.assert(0);
    Ok(())
}

async fn a_proxy_is_used_where_kubectl_uses_it(namespace: Namespace) -> Result<()> {
    let program = namespace.program()?;
    // No server listens there. The API server is on this machine.
    let proxy = "http://jane:secret@127.0.0.1:1";
    let ran = Ran::of(program.command("status").env("HTTPS_PROXY", proxy).spawn()?, "status").await?;
    ran.assert(0);
    let mut kubeconfig = program.read_kubeconfig()?;
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = json!(proxy);
    let through = program.with(&kubeconfig)?;
    let ran = Ran::of(through.command("status").env("NO_PROXY", "*").spawn()?, "status").await?;
    fails(&ran, "cannot reach the API server https://127.0.0.1:");
    assert!(!ran.stderr.contains("secret"), "{ran:?}");

    // A name that does not exist: only the proxy could look it up.
    let elsewhere = "status --server https://api.invalid";
    let ran = Ran::of(program.command(elsewhere).env("HTTPS_PROXY", proxy).spawn()?, elsewhere).await?;
    fails(&ran, "onnection refused");
    let mut excluded = program.command(elsewhere);
    let ran = Ran::of(excluded.env("HTTPS_PROXY", proxy).env("NO_PROXY", "a,.invalid,").spawn()?, elsewhere).await?;
    fails(&ran, "cannot reach the API server https://api.invalid: ");
    assert!(!ran.stderr.contains("onnection refused"), "{ran:?}");
    Ok(())
}

async fn secrets_are_not_printed(namespace: Namespace) -> Result<()> {
    let program = namespace.program()?;
    let ran = program.run("status --server https://jane:secret@127.0.0.1:1/path").await?;
    fails(&ran, "cannot reach the API server https://127.0.0.1:1/path: ");
    assert!(!ran.stderr.contains("secret"), "{ran:?}");

    let refused = "winddown: the token has a line break or another control character\n";
    let ran = Ran::of(program.command("status").args(["--token", "secret\n"]).spawn()?, "status").await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (2, refused));
    let mut kubeconfig = program.read_kubeconfig()?;
    kubeconfig["users"][0]["user"] = json!({"token": "secret\n"});
    let ran = program.with(&kubeconfig)?.run("status").await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (2, refused));
    // YAML has no such character.
    kubeconfig["users"][0]["user"] = json!({"token": "secret\u{7f}"});
    let ran = program.with(&kubeconfig)?.run("status").await?;
    fails(&ran, "cannot parse the kubeconfig ");
    assert!(!ran.stderr.contains("secret") && ran.stderr.lines().count() == 1, "{ran:?}");
    Ok(())
}
