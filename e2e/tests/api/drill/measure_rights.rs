//! The rights of `docs/rights.md` are enough for `drill --measure`; without each of them, the command says which one is missing
//! and what follows.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::app::App;
use super::{IMAGE, UNMEASURED, meanwhile};
use crate::namespace::Namespace;
use crate::plugin::rights::{rights, user};
use crate::program::Ran;
use crate::request::{delete, get};
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![exclusive: without_each_right_of_measuring_the_command_says_which_one_is_missing_and_what_follows]
}

/// A user with the rights of `drill` and of `drill --measure`, but this one.
async fn user_without(namespace: &Namespace, verb: &str, resource: &str) -> Result<String> {
    let name = format!("no-{verb}-{}", resource.replace('/', "-"));
    let measure = rights("drill --measure")?;
    let others: Vec<_> =
        measure.iter().filter(|atom| atom.named() != (verb.to_owned(), resource.to_owned())).cloned().collect();
    assert_eq!(others.len() + 1, measure.len(), "{verb} {resource}");
    user(namespace, &name, &[rights("drill")?, others].concat()).await?;
    Ok(name)
}

/// Runs the command until its outputs are as expected: the API server takes some time to see a new role.
async fn until_says(namespace: &Namespace, arguments: &str, is_expected: impl Fn(&Ran) -> bool) -> Result<Ran> {
    let mut last = None;
    let ran = until("the rights to be in effect", async || {
        let ran = namespace.plugin(arguments).await?;
        let is_expected = is_expected(&ran);
        let ran = last.insert(ran);
        Ok(is_expected.then(|| Ran { code: ran.code, stdout: ran.stdout.clone(), stderr: ran.stderr.clone() }))
    });
    let ran = ran.await;
    ran.with_context(|| format!("{arguments}: {last:?}"))
}

fn is_denied(text: &str, verb: &str, resource: &str) -> bool {
    text.contains(&format!("cannot {verb} resource \"{resource}\""))
}

async fn without_each_right_of_measuring_the_command_says_which_one_is_missing_and_what_follows(
    namespace: Namespace,
) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-a", "web-b", "web-c"]).await?;
    assert_eq!(rights("drill --measure")?.len(), 5, "this test has a part for each right");
    where_the_image_is_that_of_the_operator(&namespace).await?;
    let measure = format!("drill deploy/web --measure {IMAGE}");

    // Whether the container runs could not be found out: the command ends before the question.
    let user = user_without(&namespace, "get", "pods").await?;
    let is_expected = |ran: &Ran| is_denied(&ran.stderr, "get", "pods");
    let ran = until_says(&namespace, &format!("{measure} --yes --as {user}"), is_expected).await?;
    ran.assert(2);
    assert!(
        ran.stderr.starts_with("winddown: cannot read the pod web-a: ") && ran.stderr.lines().count() == 1,
        "{ran:?}"
    );
    assert!(app.is_untouched("web-a").await?);

    // Without the right to add the container, this is said before the question, and the stop is seen without it.
    let user = user_without(&namespace, "patch", "pods/ephemeralcontainers").await?;
    let is_said = |text: &str| {
        text.contains("the traffic is not measured: ") && is_denied(text, "patch", "pods/ephemeralcontainers")
    };
    let unasked = until_says(&namespace, &format!("{measure} --as {user}"), |ran| is_said(&ran.stdout)).await?;
    assert!(unasked.stderr.contains("--yes") && app.is_untouched("web-a").await?, "{unasked:?}");
    let json = format!("{measure} --yes -o json --as {user}");
    let ran = meanwhile(&namespace, &json, app.exit("web-a")).await?;
    assert!(is_said(&ran.stderr), "{ran:?}");
    is_seen_without_traffic(&ran, "web-a", |reason| is_denied(reason, "patch", "pods/ephemeralcontainers"))?;

    // That the log cannot be read is known only when the container runs.
    let user = user_without(&namespace, "get", "pods/log").await?;
    let is_complete = |ran: &Ran| {
        let is_asked = ran.stderr.contains("--yes") && ran.stdout.contains("measure:  a container with the image ");
        is_asked && !ran.stdout.contains("cannot")
    };
    until_says(&namespace, &format!("{measure} --as {user}"), is_complete).await?;
    let json = format!("{measure} --yes -o json --as {user}");
    let ran = meanwhile(&namespace, &json, async {
        app.run_added_container("web-b").await?;
        app.exit("web-b").await
    })
    .await?;
    assert!(
        ran.stderr.contains("the traffic is not measured: ") && is_denied(&ran.stderr, "get", "pods/log"),
        "{ran:?}"
    );
    is_seen_without_traffic(&ran, "web-b", |reason| is_denied(reason, "get", "pods/log"))?;
    assert!(app.is_untouched("web-c").await?);
    Ok(())
}

/// The end of the pod is known, but not its traffic.
fn is_seen_without_traffic(ran: &Ran, pod: &str, is_reason: impl Fn(&str) -> bool) -> Result<()> {
    let result = ran.json()?;
    let seen = &result["pods"][0];
    let expected = (&json!(pod), &json!("honoured"), &Value::Null);
    assert_eq!((&seen["pod"], &seen["verdict"], &seen["measurement"]), expected, "{result:#}");
    assert!(seen["unmeasured"].as_str().is_some_and(is_reason), "{result:#}");
    ran.assert(UNMEASURED);
    Ok(())
}

/// The two rights by which the image of the operator is known; no question is answered.
async fn where_the_image_is_that_of_the_operator(namespace: &Namespace) -> Result<()> {
    let operator = namespace.environment.install_operator_deployment().await?;
    let deployed = namespace.accepts(get(&operator)).await?;
    let image =
        deployed.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).context("no image")?;
    let all = [rights("drill")?, rights("drill --measure")?].concat();
    user(namespace, "measure", &all).await?;
    let no_webhooks = user_without(namespace, "list", "mutatingwebhookconfigurations").await?;
    let no_deployments = user_without(namespace, "list", "deployments").await?;

    namespace.environment.install_mutating_webhooks_of_service().await?;
    let measure = "drill deploy/web --measure --as";
    let joins = |image: &str| format!("measure:  a container with the image {image}");
    let own = until_says(namespace, &format!("{measure} measure"), |ran| {
        let is_complete = ran.stdout.contains(&joins(image)) && ran.stderr.contains("--yes");
        is_complete && !ran.stdout.contains("cannot")
    })
    .await;
    let published = async |user: &str, resource: &str| {
        until_says(namespace, &format!("{measure} {user}"), |ran| {
            let unknown = "image:    the published one; that of the operator is not known: cannot list ";
            let line = ran.stdout.lines().find_map(|line| line.strip_prefix(unknown));
            let is_named = line.is_some_and(|line| is_denied(line, "list", resource));
            is_named && ran.stdout.contains(&joins("ghcr.io/winddown/winddown:")) && ran.stderr.contains("--yes")
        })
        .await
    };
    let others = [
        published(&no_webhooks, "mutatingwebhookconfigurations").await,
        published(&no_deployments, "deployments").await,
    ];
    namespace.environment.install_webhook(0).await?;
    namespace.accepts(delete(&operator)).await?;
    own?.assert(2);
    for ran in others {
        // The answer is no.
        ran?.assert(2);
    }
    Ok(())
}
