//! `kubectl winddown drill` where no kubelet is needed: what it refuses, what is not allowed, and what vanishes meanwhile.

mod app;
mod closed;
mod measure_rights;
mod replaced;
mod several;
mod terminal;

use std::slice::from_ref;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use self::app::App;
use self::terminal::Terminal;
use crate::namespace::Namespace;
use crate::program::Ran;
use crate::request::{create, merge};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    let own = tests![
        shared: the_measuring_container_is_one_that_the_restricted_standard_admits,
        where_a_policy_forbids_the_container_the_rest_is_observed,
        what_vanishes_before_the_eviction_evicts_nothing,
        what_vanishes_during_the_drill_is_said,
        an_interrupted_drill_says_that_no_pod_was_evicted_and_which_container_stays,
    ];
    [own, measure_rights::tests(), replaced::tests(), several::tests(), closed::tests()].concat()
}

const IMAGE: &str = "--image registry.example/winddown:1";
/// The exit code where the stop was seen and its traffic was not measured.
const UNMEASURED: i32 = 2;
/// For the end of a command.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs the plugin while something else happens.
async fn meanwhile(namespace: &Namespace, arguments: &str, other: impl Future<Output = Result<()>>) -> Result<Ran> {
    let run = Ran::of(namespace.program()?.command(arguments).spawn()?, arguments);
    let run = async { timeout(LIMIT, run).await.context("the command does not end")? };
    let (ran, ()) = tokio::try_join!(run, other)?;
    Ok(ran)
}

async fn the_measuring_container_is_one_that_the_restricted_standard_admits(namespace: Namespace) -> Result<()> {
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespace.accepts(merge(&format!("/api/v1/namespaces/{}", namespace.name), labels)).await?;
    let app = App::start(&namespace, "web", &["web-a", "web-b"]).await?;
    let mut added = Value::Null;
    let ran = meanwhile(&namespace, &format!("drill deploy/web --measure --yes {IMAGE}"), async {
        added = app.added_container("web-a").await?;
        // The kubelet cannot pull the image.
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}});
        let status = json!({"name": added["name"], "image": added["image"], "imageID": "", "ready": false,
            "restartCount": 0, "state": waiting});
        app.report("web-a", json!({"ephemeralContainerStatuses": [status]})).await
    })
    .await?;
    ran.assert(2);
    let reason = "not rehearsed: the measuring container does not start: ErrImagePull: no such image: no pod was evicted; \
        the container winddown-sample-1 in the pod web-a exits at most 60 s after its start, and its entry stays until the pod \
        is gone\n";
    assert!(ran.stdout.ends_with(reason), "{ran:?}");
    assert!(app.pod("web-a").await?["metadata"]["deletionTimestamp"].is_null() && app.is_untouched("web-b").await?);

    // With the defaults of the API server, and nothing else: no volume, and so no token, no process namespace of the app.
    let expected = json!({
        "name": "winddown-sample-1",
        "image": "registry.example/winddown:1",
        "imagePullPolicy": "IfNotPresent",
        "args": ["sample", "--wait", "60", "--node", "10.0.0.1"],
        "resources": {},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    });
    assert_eq!(added, expected);

    // A container that is not valid is another reason than one that is not allowed, and known before the question.
    let wrong = namespace.plugin("drill deploy/web --measure --pod web-b --image=").await?;
    wrong.assert(2);
    let reason = "spec.ephemeralContainers[0].image: Required value\n";
    assert!(wrong.stdout.contains("\nnot rehearsed: ") && wrong.stdout.ends_with(reason), "{wrong:?}");
    assert!(app.is_untouched("web-b").await? && !wrong.stderr.contains("--yes"), "{wrong:?}");

    let another = |context: &Value| {
        let mut another = added.clone();
        another["name"] = json!("another");
        another["securityContext"] = context.clone();
        app.ephemeral_containers("web-a", &[added.clone(), another]).dry_run()
    };
    namespace.accepts(another(&added["securityContext"])).await?;
    // The control: without one field it is rejected. The user and the file system are no part of the standard.
    for field in ["allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile"] {
        let mut context = added["securityContext"].clone();
        context[field].take();
        namespace.rejects(another(&context), &["violates PodSecurity", field]).await?;
    }
    Ok(())
}

/// Forbids ephemeral containers in the namespace, and waits until this counts.
async fn forbid_containers(namespace: &Namespace, app: &App<'_>) -> Result<()> {
    let name = json!({"name": namespace.name});
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
        "resources": ["pods/ephemeralcontainers"]});
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": name,
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "debugging is not allowed here"}],
        },
    });
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": name,
        "spec": {
            "policyName": namespace.name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": here},
        },
    });
    for object in [policy, binding] {
        namespace.accepts(create(&object)).await?;
    }
    let container = json!({"name": "debug", "image": "registry.example/debug:1"});
    until("the policy to be enforced", async || {
        let response = namespace.send(app.ephemeral_containers("web-a", from_ref(&container)).dry_run()).await?;
        Ok((!response.is_success()).then_some(()))
    })
    .await
}

async fn where_a_policy_forbids_the_container_the_rest_is_observed(namespace: Namespace) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-a", "web-b"]).await?;
    forbid_containers(&namespace, &app).await?;
    let measure = format!("drill deploy/web --measure {IMAGE}");

    // It is said before the question, to which there is no answer.
    let unasked = namespace.plugin(&measure).await?;
    unasked.assert(2);
    let said =
        |text: &str| text.contains("the traffic is not measured: ") && text.contains("debugging is not allowed here");
    assert!(said(&unasked.stdout) && unasked.stderr.contains("--yes"), "{unasked:?}");
    assert!(app.is_untouched("web-a").await? && app.is_untouched("web-b").await?);

    let ran = meanwhile(&namespace, &format!("{measure} --yes -o json"), app.exit("web-a")).await?;
    ran.assert(UNMEASURED);
    assert!(said(&ran.stderr), "{ran:?}");
    let result: Value = serde_json::from_str(&ran.stdout)?;
    let pod = &result["pods"][0];
    assert_eq!(
        (&pod["pod"], &pod["verdict"], &pod["measurement"]),
        (&json!("web-a"), &json!("honoured"), &Value::Null)
    );
    assert!(pod["unmeasured"].as_str().unwrap_or_default().contains("debugging is not allowed here"), "{result:#}");
    let seen: Vec<_> =
        pod["timeline"].as_array().context("no timeline")?.iter().filter_map(|mark| mark["what"].as_str()).collect();
    assert_eq!(seen.first(), Some(&"the pod is stopping, with a grace period of 30s"), "{result:#}");
    assert_eq!(seen.last(), Some(&"the pod is removed"), "{result:#}");
    assert!(app.is_untouched("web-b").await?);
    Ok(())
}

async fn what_vanishes_before_the_eviction_evicts_nothing(namespace: Namespace) -> Result<()> {
    let absent = namespace.plugin("drill deploy/absent --yes").await?;
    absent.assert(2);
    assert!(absent.stderr.lines().count() == 1 && absent.stderr.contains("\"absent\" not found"), "{absent:?}");

    // While the measuring container starts.
    let app = App::start(&namespace, "web", &["web-a", "web-b", "web-c"]).await?;
    let measure = format!("drill deploy/web --measure --yes {IMAGE}");
    let ran = meanwhile(&namespace, &measure, async {
        app.added_container("web-a").await?;
        app.remove("web-a").await
    })
    .await?;
    ran.assert(2);
    assert!(ran.stdout.ends_with("\nnot rehearsed: the pod web-a was deleted in the meantime\n"), "{ran:?}");

    // During the question: the pod, also if it is only stopping or was replaced, and the workload.
    let question = async || Terminal::asked(&namespace, "drill deploy/web").await;
    let gone = |pod: &str| format!("\nnot rehearsed: the pod {pod} was deleted in the meantime\n");
    let terminal = question().await?;
    app.remove("web-b").await?;
    let (code, shown) = terminal.yes().await?;
    assert!(code == 2 && shown.ends_with(&gone("web-b")), "{code} {shown}");

    app.start_pod("web-b").await?;
    let terminal = question().await?;
    app.remove("web-b").await?;
    app.start_pod("web-b").await?;
    let (code, shown) = terminal.yes().await?;
    assert!(code == 2 && shown.ends_with(&gone("web-b")), "{code} {shown}");
    assert!(app.is_untouched("web-b").await?, "the replacement was evicted");

    let terminal = question().await?;
    app.delete_deployment().await?;
    let (code, shown) = terminal.yes().await?;
    let reason = "\nnot rehearsed: deployment/web was deleted in the meantime\n";
    assert!(code == 2 && shown.ends_with(reason), "{code} {shown}");
    assert!(app.is_untouched("web-b").await? && app.is_untouched("web-c").await?);

    let nothing = namespace.plugin("drill deploy/web --yes").await?;
    nothing.assert(2);
    assert!(nothing.stderr.contains("\"web\" not found"), "{nothing:?}");
    Ok(())
}

async fn an_interrupted_drill_says_that_no_pod_was_evicted_and_which_container_stays(
    namespace: Namespace,
) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-a", "web-b"]).await?;
    let (code, shown) = Terminal::asked(&namespace, "drill deploy/web").await?.interrupt().await?;
    assert!(code == 2 && shown.ends_with("^C\ninterrupted: no pod was evicted\n"), "{code} {shown}");
    assert!(app.is_untouched("web-a").await? && app.is_untouched("web-b").await?);

    let mut terminal = Terminal::asked(&namespace, &format!("drill deploy/web --measure {IMAGE}")).await?;
    terminal.say_yes().await?;
    app.added_container("web-a").await?;
    // For the answer to the patch. No kubelet starts the container.
    sleep(Duration::from_secs(2)).await;
    let (code, shown) = terminal.interrupt().await?;
    let left = "\ninterrupted: no pod was evicted; the container winddown-sample-1 in the pod web-a exits at most 60 s after \
                its start, and its entry stays until the pod is gone\n";
    assert!(code == 2 && shown.ends_with(left), "{code} {shown}");
    assert!(app.pod("web-a").await?["metadata"]["deletionTimestamp"].is_null() && app.is_untouched("web-b").await?);
    Ok(())
}

async fn what_vanishes_during_the_drill_is_said(namespace: Namespace) -> Result<()> {
    // The pod is removed without an end of its container that a kubelet would have reported.
    let app = App::start(&namespace, "web", &["web-a", "web-b", "web-c"]).await?;
    let ran = meanwhile(&namespace, "drill deploy/web --yes", async {
        app.until_evicted("web-a").await?;
        app.remove("web-a").await
    })
    .await?;
    ran.assert(2);
    assert!(ran.stdout.contains("the pod is removed\n") && ran.stdout.contains("\npromise unclear: "), "{ran:?}");

    // The Deployment is deleted while its pod stops: the pod is followed to its end, and no other one is evicted.
    let ran = meanwhile(&namespace, "drill deploy/web --yes --pods 2", async {
        app.until_evicted("web-b").await?;
        app.delete_deployment().await?;
        app.exit("web-b").await
    })
    .await?;
    ran.assert(2);
    assert!(ran.stdout.contains("promise honoured: ") && ran.stdout.contains(": no other pod is evicted\n"), "{ran:?}");
    assert!(ran.stdout.contains("\"web\" not found") && app.is_untouched("web-c").await?, "{ran:?}");

    // The control: nothing vanishes.
    let other = App::start(&namespace, "other", &["other-a", "other-b"]).await?;
    let ran = meanwhile(&namespace, "drill deploy/other --yes", other.exit("other-a")).await?;
    ran.assert(0);
    assert!(ran.stdout.contains("promise honoured: "), "{ran:?}");
    Ok(())
}
