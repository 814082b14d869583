//! What a command cannot use, or what vanishes: one clear sentence, exit 2, and nothing left behind.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::proxy::{Act, Proxy, Seen};
use super::{pods, report_ready};
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::program::{Closed, Ran};
use crate::request::{delete_within, get};
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![shared:
        without_a_cluster_each_command_says_so,
        with_an_old_api_server_each_command_says_so_and_asks_for_nothing_else,
        a_closed_output_ends_each_command_and_changes_nothing,
        a_pod_that_vanishes_before_its_eviction_is_not_replaced_by_another_one,
    ]
}

/// Each command as it would change something.
const COMMANDS: [&str; 5] =
    ["status", "audit", "check", "restore --all --remove-annotations --yes", "drill deploy/web --allow-single --yes"];

/// A Deployment with a budget and one pod that is ready.
async fn web(namespace: &Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget().with("/spec/replicas", 1)).await?;
    let budget = format!("/apis/winddown.dev/v1alpha1/namespaces/{}/shutdownbudgets/deployment-web", namespace.name);
    until("the budget to be written", async || Ok(namespace.send(get(&budget)).await?.is_success().then_some(())))
        .await?;
    ready(namespace).await
}

async fn ready(namespace: &Namespace) -> Result<()> {
    until("the pod to be ready", async || {
        report_ready(namespace, "web").await?;
        let web = namespace.deployment("web").await?;
        let is_available = web["status"]["availableReplicas"] == 1 && web["status"]["replicas"] == 1;
        Ok(is_available.then_some(()))
    })
    .await
}

/// What a command might leave behind: the template, the annotations of the user, and the pods.
async fn state(namespace: &Namespace) -> Result<Vec<Value>> {
    let web = namespace.deployment("web").await?;
    let mut state = vec![web["spec"].clone(), web["metadata"]["annotations"]["winddown.dev/drain"].clone()];
    for pod in pods(namespace, "web").await? {
        state.extend([
            pod["metadata"]["uid"].clone(),
            pod["metadata"]["deletionTimestamp"].clone(),
            pod["spec"].clone(),
        ]);
    }
    Ok(state)
}

fn is_one_sentence(ran: &Ran, text: &str) {
    ran.assert(2);
    let is_alone = ran.stdout.is_empty() && ran.stderr.lines().count() == 1;
    assert!(is_alone && ran.stderr.starts_with(&format!("winddown: {text}")), "{ran:?}");
}

async fn without_a_cluster_each_command_says_so(namespace: Namespace) -> Result<()> {
    let program = namespace.program()?;
    for command in COMMANDS {
        is_one_sentence(&program.elsewhere()?.run(command).await?, "cannot reach the API server https://127.0.0.1:1: ");
        for (flag, known) in [("context", "tests"), ("cluster", "tests"), ("user", "tests")] {
            let nowhere = program.run(&format!("{command} --{flag} nowhere")).await?;
            is_one_sentence(&nowhere, &format!("the {flag} \"nowhere\" is not in the kubeconfig; it has {known}\n"));
        }
        let no_file = program.run(&format!("{command} --kubeconfig /dev/null/x")).await?;
        is_one_sentence(&no_file, "the kubeconfig cannot be used: ");
    }
    Ok(())
}

async fn with_an_old_api_server_each_command_says_so_and_asks_for_nothing_else(namespace: Namespace) -> Result<()> {
    let server = &namespace.environment.server;
    for command in COMMANDS {
        let proxy = Proxy::with_version(server, "29+", "v1.29.9-gke.1").await?;
        let ran = namespace.program()?.with_kubeconfig(&proxy.kubeconfig).run(command).await?;
        is_one_sentence(&ran, "the API server has version v1.29.9-gke.1; Winddown needs Kubernetes 1.30 or later\n");
        let paths: Vec<_> = proxy.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths, ["/version"], "{command}");
    }
    // The control: with a newer version, the same way works.
    let proxy = Proxy::with_version(server, "30", "v1.30.0").await?;
    namespace.program()?.with_kubeconfig(&proxy.kubeconfig).run("status").await?.assert(0);
    Ok(())
}

async fn a_closed_output_ends_each_command_and_changes_nothing(namespace: Namespace) -> Result<()> {
    web(&namespace).await?;
    let (program, before) = (namespace.program()?, state(&namespace).await?);
    for command in COMMANDS {
        let ran = program.run_closed(command, Closed::Stdout).await?;
        is_one_sentence(&ran, "the output was closed before everything was written\n");
    }
    for command in COMMANDS {
        // A question that is not answered.
        let command = command.trim_end_matches(" --yes");
        let (open, closed) = (program.run(command).await?, program.run_closed(command, Closed::Stderr).await?);
        assert_eq!(open.code, closed.code, "{command}: {closed:?}");
        assert_eq!(open.stdout.lines().count(), closed.stdout.lines().count(), "{command}: {closed:?}");
    }
    assert_eq!(state(&namespace).await?, before);
    Ok(())
}

async fn a_pod_that_vanishes_before_its_eviction_is_not_replaced_by_another_one(namespace: Namespace) -> Result<()> {
    web(&namespace).await?;
    for is_dry_run in [true, false] {
        ready(&namespace).await?;
        let pod = pods(&namespace, "web").await?;
        let name = pod.first().and_then(|pod| pod["metadata"]["name"].as_str()).context("no pod")?.to_owned();
        let path = format!("/api/v1/namespaces/{}/pods/{name}", namespace.name);
        let rule = move |seen: &Seen| {
            let is_eviction = seen.path.ends_with("/eviction") && seen.is_dry_run == is_dry_run;
            if is_eviction { Act::After(vec![delete_within(&path, 0)]) } else { Act::Forward }
        };
        let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
        let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
        let ran = program.run("drill deploy/web --allow-single --yes").await?;
        ran.assert(2);
        let reason = format!("not rehearsed: the pod {name} was deleted in the meantime\n");
        assert!(ran.stdout.ends_with(&reason), "{ran:?}");
        let evictions = proxy.seen().into_iter().filter(|seen| seen.path.ends_with("/eviction") && !seen.is_dry_run);
        assert_eq!(evictions.count(), usize::from(!is_dry_run));
    }
    Ok(())
}
