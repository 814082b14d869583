//! The rights of `docs/rights.md` are enough, and each one that is missing is named.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{pods, report_ready};
use crate::manifest::{KINDS, deployment, workload};
use crate::namespace::Namespace;
use crate::program::Program;
use crate::request::{apply, create, delete, get};
use crate::suite::{Test, tests, until};

/// Generated from the rights that the code declares.
const PAGE: &str = include_str!("../../../../docs/rights.md");
/// For a command that would go on for longer with a right than without.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn tests() -> Vec<Test> {
    tests![exclusive:
        the_rights_of_status_are_enough_and_each_missing_one_is_named,
        the_rights_of_audit_are_enough_and_each_missing_one_is_named,
        the_rights_of_check_are_enough_and_each_missing_one_is_named,
        the_rights_of_restore_are_enough_and_each_missing_one_is_named,
        the_rights_of_drill_are_enough_and_each_missing_one_is_named,
    ]
}

/// One verb on one resource, as the API server names it.
pub(crate) type Named = (String, String);

/// A rule of a role with one verb on one resource.
#[derive(Clone, Debug)]
pub(crate) struct Atom {
    /// The namespace of a Role; `None` of a `ClusterRole`.
    namespace: Option<String>,
    rule: Value,
}

impl Atom {
    pub(crate) fn named(&self) -> Named {
        let text = |field: &str| self.rule[field][0].as_str().unwrap_or_default().to_owned();
        (text("verbs"), text("resources"))
    }
}

/// The rights of a command, from its section of the page.
pub(crate) fn rights(command: &str) -> Result<Vec<Atom>> {
    let heading = format!("kubectl winddown {command}\n");
    let section = PAGE.split("\n## ").find(|section| section.starts_with(&heading)).context("no section")?;
    let mut atoms = Vec::new();
    for block in section.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let document: Value = serde_saphyr::from_str(block)?;
        let namespace = document["metadata"]["namespace"].as_str().map(str::to_owned);
        for rule in document["rules"].as_array().context("no rules")? {
            for resource in rule["resources"].as_array().into_iter().flatten() {
                for verb in rule["verbs"].as_array().into_iter().flatten() {
                    let mut single = rule.clone();
                    single["resources"] = json!([resource]);
                    single["verbs"] = json!([verb]);
                    atoms.push(Atom { namespace: namespace.clone(), rule: single });
                }
            }
        }
    }
    assert!(atoms.len() >= 4, "{atoms:?}");
    Ok(atoms)
}

/// A user with exactly these rights.
pub(crate) async fn user(namespace: &Namespace, name: &str, atoms: &[Atom]) -> Result<()> {
    for place in atoms.iter().map(|atom| &atom.namespace).collect::<BTreeSet<_>>() {
        let rules: Vec<_> = atoms.iter().filter(|atom| atom.namespace == *place).map(|atom| &atom.rule).collect();
        let kind = if place.is_some() { "Role" } else { "ClusterRole" };
        let metadata = json!({"name": name, "namespace": place});
        for object in [
            json!({"kind": kind, "rules": rules}),
            json!({
                "kind": format!("{kind}Binding"),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
            }),
        ] {
            let mut object = object;
            object["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
            object["metadata"] = metadata.clone();
            namespace.accepts(create(&object)).await?;
        }
    }
    Ok(())
}

/// The rights that are missing, as the outputs of these commands name them.
async fn missing(program: &Program, user: &str, commands: &[String]) -> Result<BTreeSet<Named>> {
    let mut missing = BTreeSet::new();
    for command in commands {
        let arguments = format!("{command} --as {user}");
        let ran = program.run(&arguments);
        let ran = tokio::time::timeout(LIMIT, ran).await.with_context(|| format!("{command} does not end"))??;
        let text = format!("{}{}", ran.stdout, ran.stderr);
        // For example: User "eve" cannot list resource "pods" in API group "".
        for rest in text.replace("\\\"", "\"").split("\" cannot ").skip(1) {
            let mut parts = rest.split('"');
            let (Some(verb), Some(resource)) = (parts.next(), parts.next()) else { continue };
            missing.insert((verb.trim_end_matches(" resource ").to_owned(), resource.to_owned()));
        }
    }
    Ok(missing)
}

/// With all rights of the page, none is missing; without one, exactly that one. `commands` use all of them.
async fn each_is_named(
    namespace: &Namespace,
    command: &str,
    commands: &[String],
    is_named: impl Fn(&Named) -> bool,
) -> Result<()> {
    let (program, atoms) = (namespace.program()?, rights(command)?);
    user(namespace, command, &atoms).await?;
    // The API server takes some time to see a new role.
    let is_missing = async |user: &str, expected: &BTreeSet<Named>, commands: &[String]| {
        let mut last = BTreeSet::new();
        let seen = until("the rights to be in effect", async || {
            last = missing(&program, user, commands).await?;
            Ok((last == *expected).then_some(()))
        });
        let seen = seen.await;
        seen.with_context(|| format!("{user}: expected {expected:?}, named {last:?}"))
    };
    is_missing(command, &BTreeSet::new(), commands).await?;
    for (index, atom) in atoms.iter().enumerate().filter(|(_, atom)| is_named(&atom.named())) {
        let mut others = atoms.clone();
        others.remove(index);
        let name = format!("{command}-{index}");
        user(namespace, &name, &others).await?;
        let expected = BTreeSet::from([atom.named()]);
        // With all rights, they would go on.
        let watching = match command {
            "status" => lines(&["status -w"]),
            _ => lines(&["drill deploy/web --allow-single --yes"]),
        };
        // What a drill can do without is said before its question.
        let is_said_first = matches!(atom.named().1.as_str(), "events" | "endpointslices");
        let commands = if atom.named().0 == "watch" && !is_said_first { &watching } else { commands };
        is_missing(&name, &expected, commands).await?;
    }
    Ok(())
}

fn lines(commands: &[&str]) -> Vec<String> {
    commands.iter().map(|command| (*command).to_owned()).collect()
}

async fn create_workloads(namespace: &Namespace) -> Result<()> {
    for kind in KINDS {
        namespace.accepts(workload(kind, "web").with_budget().with("/metadata/labels/tier", "a")).await?;
        namespace.accepts(workload(kind, "plain")).await?;
    }
    Ok(())
}

async fn the_rights_of_status_are_enough_and_each_missing_one_is_named(namespace: Namespace) -> Result<()> {
    create_workloads(&namespace).await?;
    until("the budgets to be there", async || {
        Ok((namespace.list("winddown.dev/v1alpha1", "shutdownbudgets").await?.len() == 3).then_some(()))
    })
    .await?;
    let commands = lines(&[
        "status",
        "status -A -l tier=a",
        "status deploy/web",
        "status deploy/plain",
        "status sts/plain",
        "status ds/plain",
    ]);
    each_is_named(&namespace, "status", &commands, |_| true).await?;
    let mut watch = namespace.program()?.start("status -w --as status")?;
    watch.until_line(|line| line.starts_with("deployment/web")).await.map(drop)
}

async fn the_rights_of_audit_are_enough_and_each_missing_one_is_named(namespace: Namespace) -> Result<()> {
    create_workloads(&namespace).await?;
    // What KEDA installs, without its schema.
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced", "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": schema}],
        },
    });
    namespace.accepts(apply(&definition)).await?;
    until("KEDA's resource to be served", async || {
        let path = format!("/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects", namespace.name);
        Ok(namespace.send(get(&path)).await?.is_success().then_some(()))
    })
    .await?;
    let named = each_is_named(&namespace, "audit", &lines(&["audit -A", "audit"]), |_| true).await;
    namespace.accepts(delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh")).await?;
    named
}

async fn the_rights_of_check_are_enough_and_each_missing_one_is_named(namespace: Namespace) -> Result<()> {
    let operator = namespace.environment.install_operator_deployment().await?;
    namespace.plugin(&format!("check -n {} --wait 30s", namespace.name)).await?.assert(0);
    // Policies are read only where one raises a grace period.
    let is_named = |(_, resource): &Named| resource != "shutdownpolicies";
    each_is_named(&namespace, "check", &lines(&["check"]), is_named).await?;
    namespace.accepts(delete(&operator)).await.map(drop)
}

async fn the_rights_of_restore_are_enough_and_each_missing_one_is_named(namespace: Namespace) -> Result<()> {
    create_workloads(&namespace).await?;
    namespace.opt_in(true).await?;
    namespace.accepts(deployment("labelled")).await?;
    // The last two need to know why the operator would inject again.
    let commands = lines(&[
        "restore --all --remove-annotations",
        "restore deploy/web sts/web ds/web --remove-annotations",
        "restore deploy/web",
        "restore deploy/labelled",
    ]);
    each_is_named(&namespace, "restore", &commands, |_| true).await?;
    namespace.opt_in(false).await?;
    let restored = namespace.plugin("restore deploy/web --remove-annotations --yes --as restore").await?;
    restored.assert(0);
    assert!(restored.stdout.ends_with(" restored\n"), "{restored:?}");
    Ok(())
}

async fn the_rights_of_drill_are_enough_and_each_missing_one_is_named(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget().with("/spec/replicas", 1)).await?;
    until("the pod to be ready", async || {
        report_ready(&namespace, "web").await?;
        let available = namespace.deployment("web").await?["status"]["availableReplicas"] == 1;
        Ok(available.then_some(()))
    })
    .await?;
    // The question is not answered, so that the pod stays.
    let commands = lines(&["drill deploy/web --allow-single"]);
    let is_named = |(_, resource): &Named| !["statefulsets", "daemonsets"].contains(&resource.as_str());
    each_is_named(&namespace, "drill", &commands, is_named).await?;
    // With the same rights in this namespace only, the image of the operator is not known.
    let here = rights("drill")?.into_iter().map(|atom| Atom { namespace: Some(namespace.name.clone()), ..atom });
    user(&namespace, "here", &here.collect::<Vec<_>>()).await?;
    let image = "image:    the published one; that of the operator is not known: \
        cannot list mutatingwebhookconfigurations.admissionregistration.k8s.io: ";
    until("the image to be said", async || {
        let unasked = namespace.plugin("drill deploy/web --allow-single --measure --as here").await?;
        let answer = unasked.stdout.lines().find_map(|line| line.strip_prefix(image));
        Ok(answer.is_some_and(|answer| answer.contains("at the cluster scope")).then_some(()))
    })
    .await?;
    let before = pods(&namespace, "web").await?;
    let ran = namespace.plugin("drill deploy/web --allow-single --yes --as drill").await?;
    assert!(ran.stdout.contains("dry run:  the API server would evict it"), "{ran:?}");
    assert!(!ran.stdout.contains("cannot") && !ran.stderr.contains("cannot"), "{ran:?}");
    let after = pods(&namespace, "web").await?;
    assert_ne!(before[0]["metadata"]["uid"], after.first().map_or(Value::Null, |pod| pod["metadata"]["uid"].clone()));
    Ok(())
}
