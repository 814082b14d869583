//! What the owner writes after the injection stands, whichever client writes it, and only that remains without the
//! annotations.

mod steps;

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use self::steps::{CONTAINER, last, nothing, steps};
use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::create;
use crate::suite::{Test, tests};
use crate::ways_of_writing::Way;

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        written_with_helm_3,
        written_with_helm_4,
        written_with_argo_cd,
        written_with_argo_cd_and_server_side_apply,
        written_with_flux,
        written_with_kubectl_apply,
        written_with_server_side_apply,
        written_with_server_side_apply_by_two_managers,
        written_with_kubectl_replace,
        written_with_kubectl_edit,
        written_with_a_strategic_patch,
        written_with_a_merge_patch,
        written_with_a_json_patch,
        a_number_that_the_owner_changes_inside_the_injected_probe_stands,
        a_rollback_restores_the_hook_of_the_owner_or_the_injected_one,
        a_new_image_keeps_the_fields_of_the_owner,
        a_copied_manifest_is_injected_anew,
        a_restored_backup_is_still_known,
        a_last_applied_configuration_is_out_of_date_after_a_move_to_server_side_apply,
    ]
}

async fn check(namespace: Namespace, way: Way) -> Result<()> {
    let mut previous: Option<Manifest> = None;
    for step in steps() {
        let is_sent = if step.probe.get("httpGet").is_some() { way.merges_handlers() } else { way.merges() };
        if step.is_part && !is_sent {
            continue;
        }
        let manifest = step.declared();
        let context = || format!("{way:?}: {}", step.name);
        way.write(&namespace, &manifest, previous.as_ref()).await.with_context(context)?;
        step.check(&namespace.deployment("web").await?);
        way.check_in_sync(&namespace, &manifest).await.with_context(context)?;
        previous = Some(manifest);
    }
    let bare = last().bare();
    way.write(&namespace, &bare, previous.as_ref()).await?;
    assert_is(&namespace, "web", &bare).await?;
    way.check_in_sync(&namespace, &bare).await
}

/// Checks that the template is the one of this manifest, with the API's defaults, and that no annotation of Winddown remains.
async fn assert_is(namespace: &Namespace, name: &str, manifest: &Manifest) -> Result<()> {
    let expected = namespace.accepts(create(manifest.as_ref()).dry_run_as("expected")).await?;
    let live = namespace.deployment(name).await?;
    assert_eq!(live["spec"]["template"], expected["spec"]["template"]);
    let mut annotations = live["metadata"]["annotations"].clone();
    annotations["kubectl.kubernetes.io/last-applied-configuration"] = Value::Null;
    assert!(!annotations.to_string().contains("winddown.dev/"), "{annotations}");
    Ok(())
}

async fn written_with_helm_3(namespace: Namespace) -> Result<()> {
    check(namespace, Way::Helm3).await
}

async fn written_with_helm_4(namespace: Namespace) -> Result<()> {
    check(namespace, Way::Helm4).await
}

async fn written_with_argo_cd(namespace: Namespace) -> Result<()> {
    check(namespace, Way::ArgoCd).await
}

async fn written_with_argo_cd_and_server_side_apply(namespace: Namespace) -> Result<()> {
    check(namespace, Way::ArgoCdServerSide).await
}

async fn written_with_flux(namespace: Namespace) -> Result<()> {
    check(namespace, Way::Flux).await
}

async fn written_with_kubectl_apply(namespace: Namespace) -> Result<()> {
    check(namespace, Way::Apply).await
}

async fn written_with_server_side_apply(namespace: Namespace) -> Result<()> {
    check(namespace, Way::ServerSideApply).await
}

async fn written_with_server_side_apply_by_two_managers(namespace: Namespace) -> Result<()> {
    check(namespace, Way::TwoManagers).await
}

async fn written_with_kubectl_replace(namespace: Namespace) -> Result<()> {
    check(namespace, Way::Replace).await
}

async fn written_with_kubectl_edit(namespace: Namespace) -> Result<()> {
    check(namespace, Way::Edit).await
}

async fn written_with_a_strategic_patch(namespace: Namespace) -> Result<()> {
    check(namespace, Way::StrategicPatch).await
}

async fn written_with_a_merge_patch(namespace: Namespace) -> Result<()> {
    check(namespace, Way::MergePatch).await
}

async fn written_with_a_json_patch(namespace: Namespace) -> Result<()> {
    check(namespace, Way::JsonPatch).await
}

async fn a_rollback_restores_the_hook_of_the_owner_or_the_injected_one(namespace: Namespace) -> Result<()> {
    let mut templates = Vec::new();
    for step in [nothing(), last()] {
        namespace.kubectl("apply -f -", Some(&step.declared())).await?;
        namespace.revisions("web").await?;
        templates.push(namespace.deployment("web").await?["spec"]["template"].clone());
    }
    for step in [nothing(), last()] {
        namespace.kubectl("rollout undo deployment web", None).await?;
        namespace.revisions("web").await?;
        let live = namespace.deployment("web").await?;
        assert_eq!(live["spec"]["template"], templates.remove(0));
        step.check(&live);
    }
    namespace.kubectl("apply -f -", Some(&last().bare())).await?;
    assert_is(&namespace, "web", &last().bare()).await
}

async fn a_new_image_keeps_the_fields_of_the_owner(namespace: Namespace) -> Result<()> {
    Way::ServerSideApply.write(&namespace, &nothing().declared(), None).await?;
    Way::ServerSideApply.write(&namespace, &last().declared(), None).await?;
    namespace.kubectl("set image deployment web app=registry.example/app:2", None).await?;
    last().check(&namespace.deployment("web").await?);
    namespace.undeclare("web").await?;
    assert_is(&namespace, "web", &last().bare().image("registry.example/app:2")).await
}

/// The object without what the API server sets, as it is copied or backed up.
fn exported(object: &Value, dropped: &[&str]) -> Value {
    let mut object = object.clone();
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation"].iter().chain(dropped) {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove(*field);
        }
    }
    object["status"] = json!({});
    object
}

async fn a_copied_manifest_is_injected_anew(namespace: Namespace) -> Result<()> {
    // kubectl create would update the last-applied configuration of a copied manifest, as kubectl apply does.
    namespace.kubectl("apply --server-side -f -", Some(&nothing().declared())).await?;
    let original = namespace.deployment("web").await?;
    let copy = |name: &str| {
        let mut copy = exported(&original, &["managedFields"]);
        copy["metadata"]["name"] = json!(name);
        Manifest::from(copy)
    };
    for (name, command, is_owner) in [("created", "create -f -", false), ("applied", "apply -f -", true)] {
        namespace.kubectl(command, Some(&copy(name))).await?;
        let live = namespace.deployment(name).await?;
        assert_eq!(live["spec"]["template"]["spec"], original["spec"]["template"]["spec"], "{command}");
        namespace.undeclare(name).await?;
        if is_owner {
            // The manifest that was applied contains them.
            let left = namespace.deployment(name).await?;
            assert_eq!(left["spec"]["template"]["spec"], original["spec"]["template"]["spec"], "{command}");
        } else {
            assert_is(&namespace, name, &nothing().bare()).await?;
        }
    }
    Ok(())
}

async fn a_restored_backup_is_still_known(namespace: Namespace) -> Result<()> {
    // The client that restores becomes the manager of all fields, so server-side apply has to be forced, as Flux does.
    for way in [Way::Apply, Way::Flux] {
        way.write(&namespace, &nothing().declared(), None).await?;
        let backup = namespace.deployment("web").await?;
        namespace.kubectl("delete deployment web", None).await?;
        let restored = namespace.accepts(create(&exported(&backup, &[]))).await?;
        assert_eq!(restored["spec"]["template"], backup["spec"]["template"]);
        // A removed probe would leave the numbers that the restoring client manages, without a handler.
        let steps = if way == Way::Flux { vec![last()] } else { vec![last(), nothing(), last()] };
        for step in steps {
            way.write(&namespace, &step.declared(), None).await?;
            step.check(&namespace.deployment("web").await?);
        }
        // The restoring client manages the annotations too, so an apply without them does not remove them.
        namespace.undeclare("web").await?;
        assert_is(&namespace, "web", &last().bare()).await?;
        namespace.kubectl("delete deployment web", None).await?;
    }
    Ok(())
}

async fn a_last_applied_configuration_is_out_of_date_after_a_move_to_server_side_apply(
    namespace: Namespace,
) -> Result<()> {
    let within = |manifest: Manifest, grace_period: Option<i64>| {
        let manifest = manifest.annotated("drain", "5s").annotated("deadline", "20s");
        grace_period.map_or(manifest.clone(), |seconds| manifest.grace_period(seconds))
    };
    namespace.kubectl("apply -f -", Some(&within(deployment("web"), Some(30)))).await?;
    // Flux does not update the annotation that kubectl wrote.
    let moved = within(deployment("web"), None);
    namespace.gitops("flux", "apply", &moved).await?;
    let web = namespace.deployment("web").await?;
    let last_applied = &web["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert!(last_applied.as_str().is_some_and(|text| text.contains("\"terminationGracePeriodSeconds\":30")));
    namespace.gitops("flux", "apply", &moved.annotated("deadline", "25s")).await?;
    assert_eq!(namespace.deployment("web").await?.pointer(GRACE_PERIOD), Some(&json!(35)));
    Ok(())
}

async fn a_number_that_the_owner_changes_inside_the_injected_probe_stands(namespace: Namespace) -> Result<()> {
    let patches = [
        r#"--type=json --patch=[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe/periodSeconds","value":3}]"#,
        r#"--type=merge --patch={"spec":{"template":{"spec":{"containers":[CONTAINER]}}}}"#,
    ];
    for (name, patch) in [("edited", None), ("json", Some(patches[0])), ("merge", Some(patches[1]))] {
        let manifest = nothing().declared().with("/metadata/name", name);
        namespace.kubectl("create -f -", Some(&manifest)).await?;
        // kubectl would report a conflict with a later update of the status.
        namespace.revisions(name).await?;
        let mut shown = namespace.deployment(name).await?;
        shown["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["periodSeconds"] = json!(3);
        let container = shown.pointer(CONTAINER).unwrap_or(&Value::Null).to_string();
        if let Some(patch) = patch {
            let patch = patch.replace("CONTAINER", &container);
            namespace.kubectl(&format!("patch deployment {name} {patch}"), None).await?;
        } else {
            fs::write(namespace.edited_file(), shown.to_string())?;
            namespace.kubectl(&format!("edit deployment {name} --output=json"), None).await?;
        }
        let probe = async || {
            namespace
                .deployment(name)
                .await
                .map(|web| web.pointer(CONTAINER).unwrap_or(&Value::Null)["readinessProbe"].clone())
        };
        let numbers = |probe: &Value| (probe["periodSeconds"].clone(), probe["failureThreshold"].clone());
        let changed = probe().await?;
        assert_eq!(changed["httpGet"]["path"], "/health", "{name}: {changed}");
        assert_eq!(numbers(&changed), (json!(3), json!(1)), "{name}");
        namespace.undeclare(name).await?;
        let left = probe().await?;
        assert_eq!(left["httpGet"], changed["httpGet"], "{name}: the probe would be invalid without a handler");
        assert_eq!(numbers(&left), (json!(3), json!(3)), "{name}");
    }
    Ok(())
}
