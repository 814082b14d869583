//! `kubectl winddown restore`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::proxy::{Act, Proxy, Seen};
use super::report_ready;
use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{create, delete, json_patch};
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![shared:
        restore_takes_the_injection_out,
        several_workloads_are_restored_one_rollout_at_a_time,
        after_a_lost_answer_restore_says_what_is_true,
        a_workload_that_vanishes_before_the_patch_does_not_keep_the_others,
        during_a_rollout_a_workload_may_vanish_and_answers_may_be_lost,
        a_workload_that_was_scaled_meanwhile_is_restored_and_one_whose_template_changed_is_not,
        pods_of_a_paused_deployment_are_left_to_the_user,
        the_labels_and_flags_of_the_operator_keep_no_workload_injected,
    ]
}

/// Creates a Deployment, and waits until its controller has annotated it: a change between the diff and the patch would be
/// refused.
async fn create_settled(namespace: &Namespace, manifest: Manifest) -> Result<()> {
    let name = manifest.as_ref()["metadata"]["name"].as_str().context("no name")?.to_owned();
    namespace.accepts(manifest).await?;
    settled(namespace, &name).await
}

async fn settled(namespace: &Namespace, name: &str) -> Result<()> {
    until("the Deployment to be observed", async || {
        let deployment = namespace.deployment(name).await?;
        let is_observed = deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"];
        let revision = &deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        Ok((is_observed && revision.is_string()).then_some(()))
    })
    .await
}

async fn is_injected(namespace: &Namespace, name: &str) -> Result<bool> {
    Ok(namespace.deployment(name).await?.pointer(GRACE_PERIOD) == Some(&json!(35)))
}

async fn restore_takes_the_injection_out(namespace: Namespace) -> Result<()> {
    let plugin = async |arguments: &str| namespace.plugin(arguments).await;
    let plain = namespace.accepts(create(deployment("web").as_ref()).dry_run_as("plain")).await?;
    namespace.kubectl("apply -f -", Some(&deployment("web").with_budget())).await?;
    settled(&namespace, "web").await?;
    create_settled(&namespace, deployment("other").with_budget().with("/spec/replicas", 1)).await?;
    let injected = namespace.deployment("web").await?;

    // Without the annotations, the operator would inject again.
    let refused = plugin("restore deploy/web --yes").await?;
    refused.assert(1);
    assert!(refused.stderr.contains("Use --remove-annotations"), "{refused:?}");
    // Standard input is no terminal.
    let unasked = plugin("restore deploy/web --remove-annotations").await?;
    unasked.assert(1);
    assert!(
        unasked.stderr.contains("--yes is not set. Restore 1 workload? The pods of 1 are replaced.\n"),
        "{unasked:?}"
    );
    let dry_run = plugin("restore deploy/web --remove-annotations --dry-run").await?;
    dry_run.assert(1);
    assert_eq!(dry_run.stderr, "Nothing was changed: this was a dry run\n");
    assert_eq!(dry_run.stdout, unasked.stdout);
    for line in ["-    winddown.dev/drain: 5s\n", "-          preStop:\n", "-      terminationGracePeriodSeconds: 35\n"]
    {
        assert!(dry_run.stdout.contains(line), "{line}: {dry_run:?}");
    }
    assert!(dry_run.stdout.contains("note: `kubectl apply` of the manifest"), "{dry_run:?}");
    assert_eq!(namespace.deployment("web").await?["spec"], injected["spec"]);

    let restored = plugin("restore deploy/web --remove-annotations -y --wait 0").await?;
    restored.assert(0);
    assert!(restored.stdout.ends_with(&format!("deployment/web in {} restored\n", namespace.name)), "{restored:?}");
    let web = namespace.deployment("web").await?;
    assert_eq!(web["spec"]["template"], plain["spec"]["template"]);
    let annotations = web["metadata"]["annotations"].as_object().context("no annotations")?;
    assert!(!annotations.keys().any(|key| key.contains("winddown.dev")), "{annotations:?}");
    let again = plugin("restore deploy/web --remove-annotations --yes").await?;
    again.assert(0);
    assert_eq!(again.stderr, "Nothing of Winddown is in these workloads\n");

    let denied = plugin("restore --all --remove-annotations --yes --as eve").await?;
    denied.assert(2);
    assert!(denied.stderr.contains("User \"eve\" cannot list resource \"deployments\""), "{denied:?}");
    // No kubelet starts the new pods.
    create_settled(&namespace, deployment("third").with_budget().with("/metadata/labels/tier", "b")).await?;
    let waited = plugin("restore --all --remove-annotations --yes --wait 1s").await?;
    waited.assert(2);
    let sentence = "the rollout did not end within 1 s; the workload after it was not changed\n";
    assert!(waited.stderr.ends_with(sentence), "{waited:?}");
    assert_eq!(namespace.deployment("other").await?.pointer(GRACE_PERIOD), Some(&json!(30)));
    assert_eq!(namespace.deployment("third").await?.pointer(GRACE_PERIOD), Some(&json!(35)));
    let selected = plugin("restore --all -l tier=a --remove-annotations --yes").await?;
    assert_eq!((selected.code, selected.stderr.as_str()), (0, "Nothing of Winddown is in these workloads\n"));
    // It has no pods, so that its rollout ends at once.
    let selected = plugin("restore --all -l tier=b --remove-annotations --yes").await?;
    selected.assert(0);
    assert_eq!(namespace.deployment("third").await?.pointer(GRACE_PERIOD), Some(&json!(30)));
    plugin("restore deploy/absent --yes").await?.assert(2);
    // The answer to a patch whose guard fails, by which the command knows that the workload changed meanwhile.
    let guard = json!([{"op": "test", "path": "/metadata/generation", "value": 99}]);
    let failed = namespace.send(json_patch(&namespace.deployment_path("web"), guard)).await?;
    let message = failed.object["message"].as_str().unwrap_or_default();
    assert!(failed.code == 422 && message.contains("the server rejected our request"), "{failed:?}");
    Ok(())
}

async fn several_workloads_are_restored_one_rollout_at_a_time(namespace: Namespace) -> Result<()> {
    for name in ["one", "two"] {
        create_settled(&namespace, deployment(name).with_budget().with("/spec/replicas", 1)).await?;
    }
    let program = namespace.program()?;
    let running = tokio::spawn(async move { program.run("restore --all --remove-annotations --yes").await });
    until("the first workload to be restored", async || Ok((!is_injected(&namespace, "one").await?).then_some(())))
        .await?;
    for name in ["one", "two"] {
        // Some looks at its rollout, whose pod is not ready.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(is_injected(&namespace, "two").await?, name == "one", "one rollout at a time");
        until("the rollout to end", async || {
            report_ready(&namespace, name).await?;
            let is_over = if name == "one" { !is_injected(&namespace, "two").await? } else { running.is_finished() };
            Ok(is_over.then_some(()))
        })
        .await?;
    }
    let ran = running.await??;
    ran.assert(0);
    for (number, name) in [(1, "one"), (2, "two")] {
        let progress = format!("{number} of 2: deployment/{name} in {}: ", namespace.name);
        let line = ran.stderr.lines().find(|line| line.starts_with(&progress)).with_context(|| format!("{ran:?}"))?;
        assert!(line.contains(" of 1 pods are updated"), "{line}");
    }
    Ok(())
}

async fn after_a_lost_answer_restore_says_what_is_true(namespace: Namespace) -> Result<()> {
    let server = &namespace.environment.server;
    // Name, what happens with the patch, exit code, what is said.
    let cases: [(_, fn() -> Act, _, _); 3] = [
        ("cut-after", || Act::LoseAnswer, 0, "is restored, as reading it again shows; cannot patch"),
        ("silent", || Act::NoAnswer, 0, "is restored, as reading it again shows; cannot patch"),
        ("cut-before", || Act::Lose, 2, "is not restored so far, and the API server may still do it; `kubectl get"),
    ];
    for (name, act, code, text) in cases {
        create_settled(&namespace, deployment(name).with_budget()).await?;
        let rule = move |seen: &Seen| if seen.changes(name) { act() } else { Act::Forward };
        let proxy = Proxy::with_rule(server, rule).await?;
        let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
        let arguments = format!("restore deploy/{name} --remove-annotations --yes --wait 0 --request-timeout 4s");
        let ran = program.run(&arguments).await?;
        ran.assert(code);
        let sentence = format!("winddown: deployment/{name} in {} {text}", namespace.name);
        assert!(ran.stderr.starts_with(&sentence) && ran.stderr.lines().count() == 1, "{ran:?}");
        assert_eq!(is_injected(&namespace, name).await?, code == 2, "{name}");
    }

    create_settled(&namespace, deployment("unknown").with_budget()).await?;
    let is_patched = AtomicBool::new(false);
    let rule = move |seen: &Seen| match is_patched.fetch_or(seen.changes("unknown"), Ordering::Relaxed) {
        _ if seen.changes("unknown") => Act::LoseAnswer,
        true => Act::Lose,
        false => Act::Forward,
    };
    let proxy = Proxy::with_rule(server, rule).await?;
    let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
    let ran = program.run("restore deploy/unknown --remove-annotations --yes").await?;
    ran.assert(2);
    let look =
        format!("may be restored or not; `kubectl get deployment/unknown -n {} -o yaml` shows it", namespace.name);
    assert!(ran.stderr.contains(&look) && ran.stdout.lines().all(|line| !line.ends_with(" restored")), "{ran:?}");
    Ok(())
}

async fn a_workload_that_vanishes_before_the_patch_does_not_keep_the_others(namespace: Namespace) -> Result<()> {
    for name in ["again", "gone", "stays"] {
        create_settled(&namespace, deployment(name).with_budget()).await?;
    }
    let deletion = |name: &str| delete(&namespace.deployment_path(name));
    let again = vec![deletion("again"), create(deployment("again").with_budget().as_ref()).within(&namespace.name)];
    let gone = vec![deletion("gone")];
    let rule = move |seen: &Seen| {
        if seen.changes("again") {
            Act::After(again.clone())
        } else if seen.changes("gone") {
            Act::After(gone.clone())
        } else {
            Act::Forward
        }
    };
    let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
    let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
    let ran = program.run("restore --all --remove-annotations --yes --wait 0").await?;
    ran.assert(2);
    let expected = format!(
        "winddown: deployment/again in {0} was deleted and created again in the meantime: the new one was not changed; run the \
         command again\nwinddown: deployment/gone in {0} was deleted in the meantime: there is nothing to restore\n",
        namespace.name
    );
    assert_eq!(ran.stderr, expected);
    assert!(is_injected(&namespace, "again").await? && !is_injected(&namespace, "stays").await?);
    Ok(())
}

async fn during_a_rollout_a_workload_may_vanish_and_answers_may_be_lost(namespace: Namespace) -> Result<()> {
    for name in ["gone", "shaky"] {
        create_settled(&namespace, deployment(name).with_budget()).await?;
    }
    let (path, shaky) = (namespace.deployment_path("gone"), namespace.deployment_path("shaky"));
    let deletion = vec![delete(&path)];
    let looks = AtomicU32::new(0);
    let rule = move |seen: &Seen| match (seen.method == http::Method::GET, &seen.path) {
        (true, read) if *read == path => Act::After(deletion.clone()),
        (true, read) if *read == shaky && looks.fetch_add(1, Ordering::Relaxed) < 2 => Act::Lose,
        _ => Act::Forward,
    };
    let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
    let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
    // The workloads are listed, and each is read only to follow its rollout.
    let ran = program.run("restore --all --remove-annotations --yes").await?;
    ran.assert(2);
    let expected = format!("winddown: deployment/gone in {}: it was deleted during its rollout\n", namespace.name);
    assert_eq!(ran.stderr, expected);
    assert!(ran.stdout.ends_with(&format!("deployment/shaky in {} restored\n", namespace.name)), "{ran:?}");
    let looks = proxy.seen().into_iter().filter(|seen| seen.path == namespace.deployment_path("shaky"));
    assert!(looks.filter(|seen| seen.method == http::Method::GET).count() >= 3);
    assert!(!is_injected(&namespace, "shaky").await?);
    Ok(())
}

async fn a_workload_that_was_scaled_meanwhile_is_restored_and_one_whose_template_changed_is_not(
    namespace: Namespace,
) -> Result<()> {
    for name in ["edited", "scaled"] {
        create_settled(&namespace, deployment(name).with_budget()).await?;
    }
    let edited = namespace.merge("edited", json!({"spec": {"template": {"metadata": {"labels": {"tier": "b"}}}}}));
    let scaled = namespace.merge("scaled", json!({"spec": {"replicas": 2}}));
    let rule = move |seen: &Seen| {
        if seen.changes("edited") {
            Act::After(vec![edited.clone()])
        } else if seen.changes("scaled") {
            Act::After(vec![scaled.clone()])
        } else {
            Act::Forward
        }
    };
    let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
    let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
    let ran = program.run("restore --all --remove-annotations --yes --wait 0").await?;
    ran.assert(2);
    let expected = format!(
        "winddown: deployment/edited in {} was not restored: it changed since it was read; run the command again\n",
        namespace.name
    );
    assert_eq!(ran.stderr, expected);
    assert!(is_injected(&namespace, "edited").await? && !is_injected(&namespace, "scaled").await?);
    assert_eq!(namespace.deployment("scaled").await?["spec"]["replicas"], 2);
    Ok(())
}

async fn pods_of_a_paused_deployment_are_left_to_the_user(namespace: Namespace) -> Result<()> {
    create_settled(&namespace, deployment("paused").with_budget().with("/spec/replicas", 1)).await?;
    namespace.accepts(namespace.merge("paused", json!({"spec": {"paused": true}}))).await?;
    settled(&namespace, "paused").await?;
    let ran = namespace.plugin("restore deploy/paused --remove-annotations --yes").await?;
    ran.assert(0);
    let expected = format!(
        "winddown: deployment/paused in {0}: 0 of 1 pods are updated; the others are replaced only after `kubectl rollout resume \
         deployment/paused -n {0}`\n",
        namespace.name
    );
    assert_eq!(ran.stderr, expected);
    Ok(())
}

/// The webhooks of these tests have no Service, beside which the operator would be.
async fn the_labels_and_flags_of_the_operator_keep_no_workload_injected(namespace: Namespace) -> Result<()> {
    let labelled = deployment("labelled")
        .with_budget()
        .with("/spec/template/spec/containers/0/args", json!(["--lease-name=x"]))
        .with("/metadata/labels/app.kubernetes.io~1name", "winddown")
        .with("/spec/template/metadata/labels/app.kubernetes.io~1component", "operator");
    create_settled(&namespace, labelled).await?;
    let ran = namespace.plugin("restore --all --remove-annotations --yes --wait 0").await?;
    ran.assert(0);
    assert_eq!(ran.stderr, "");
    assert!(!is_injected(&namespace, "labelled").await?);
    Ok(())
}
