//! Webhook, controller and command line say the same of the same workload: every case of `tests/cases`, three times.
//!
//! The command line gets the file; the API server, to which it is applied as from Git, fills in its defaults and asks the
//! webhook; the controller sees what is stored. Warnings and errors are compared: those of the webhook come as warnings and as causes of a denial, those of the
//! controller as Events. What is merely an info only the command line prints (the webhook's go to the audit log).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use winddown_e2e::operator_process;

use crate::manifest::{KINDS, PREFIX, deployment};
use crate::namespace::Namespace;
use crate::request::{Answer, apply};
use crate::suite::{Result, Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        webhook_controller_and_command_line_say_the_same,
        what_is_not_the_same_is_seen,
    ]
}

/// A finding that somebody should act on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    code: String,
    field: String,
    message: String,
    error: bool,
}

type Findings = BTreeSet<Finding>;

async fn webhook_controller_and_command_line_say_the_same(namespace: Namespace) -> Result {
    let workloads = cases()?;
    let planned = planned_offline(&workloads).await?;
    let (mut compared, mut told, mut refused) = (0, BTreeMap::new(), Vec::new());
    for workload in &workloads {
        let name = name_of(workload);
        let expected = &planned[&name];
        let answer = namespace.answers(apply(workload)).await?;
        if !answer.is_accepted() && !is_ours(&answer) {
            refused.push(format!("{name}: {}", answer.object["message"]));
            continue;
        }
        assert_eq!(said_at_admission(&answer), expected_at_admission(expected, is_audit(workload)), "{name}");
        if answer.is_accepted() {
            told.insert(name, expected.clone());
        } else {
            // What Winddown denies the controller never sees; in mode Audit it does, and has the same to say.
            let audited = in_mode_audit(workload);
            let answer = namespace.answers(apply(&audited)).await?;
            assert_eq!(said_at_admission(&answer), expected_at_admission(expected, true), "{name}");
            told.insert(name_of(&audited), expected.clone());
        }
        compared += 1;
    }
    assert!(compared >= 60, "only {compared} of {} compared; refused: {refused:#?}", workloads.len());
    assert!(told.values().filter(|findings| !findings.is_empty()).count() >= 20, "most have nothing to say");
    the_controller_tells(&namespace, &told).await
}

/// The control: two workloads that differ in a single number are not said the same of.
async fn what_is_not_the_same_is_seen(namespace: Namespace) -> Result {
    let with_own_sleep = |seconds: i64| {
        let hook = "/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds";
        deployment("web").budgeted().with(hook, seconds)
    };
    let planned = planned_offline(&[with_own_sleep(3).as_ref().clone()]).await?;
    let answer = namespace.answers(&with_own_sleep(2)).await?;
    let (said, expected) = (said_at_admission(&answer), expected_at_admission(&planned["web"], false));
    assert_eq!((said.len(), expected.len()), (1, 1));
    assert_ne!(said, expected);
    Ok(())
}

/// Waits until the controller has told all of it, and sees that it told nothing else.
async fn the_controller_tells(namespace: &Namespace, expected: &BTreeMap<String, Findings>) -> Result {
    let note = |finding: &Finding| format!("{}: {}: {}", finding.code, finding.field, finding.message);
    let expected: BTreeMap<_, BTreeSet<_>> =
        expected.iter().map(|(name, findings)| (name.clone(), findings.iter().map(note).collect())).collect();
    let told = async || -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut told: BTreeMap<_, BTreeSet<_>> = expected.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
        for event in namespace.list("events.k8s.io/v1", "events").await? {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            if text("/reportingController") == "winddown" && text("/type") == "Warning" {
                let notes = told.entry(text("/regarding/name")).or_default();
                notes.insert(format!("{}: {}", text("/reason"), text("/note")));
            }
        }
        Ok(told)
    };
    let all_told = until("the controller had told every finding", async || {
        let told = told().await?;
        let done = expected.iter().all(|(name, notes)| notes.is_subset(&told[name]));
        Ok(done.then_some(()))
    })
    .await;
    let (told, mut differences) = (told().await?, Vec::new());
    for (name, notes) in &told {
        let expected = expected.get(name).cloned().unwrap_or_default();
        differences.extend(expected.difference(notes).map(|note| format!("{name}: not told: {note}")));
        differences
            .extend(notes.difference(&expected).map(|note| format!("{name}: told by the controller alone: {note}")));
    }
    assert_eq!(differences, Vec::<String>::new());
    all_told
}

/// Every workload of every case that declares something, as an API server takes it: under a name that no other has, with a
/// selector, and with images.
fn cases() -> Result<Vec<Value>> {
    let mut workloads = Vec::new();
    for file in inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases"))? {
        let text = fs::read_to_string(file)?;
        let documents = text.split("\n---").map(serde_saphyr::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        for document in documents {
            let items = document["items"].as_array().cloned().unwrap_or_else(|| vec![document]);
            workloads.extend(items.into_iter().filter(|item| KINDS.iter().any(|kind| item["kind"] == *kind)));
        }
    }
    workloads.retain(|workload| workload["metadata"]["annotations"].to_string().contains(PREFIX));
    for (at, workload) in workloads.iter_mut().enumerate() {
        let name = format!("w{at}-{}", workload["metadata"]["name"].as_str().unwrap_or_default());
        workload["metadata"]["name"] = json!(name.chars().take(50).collect::<String>());
        if let Some(metadata) = workload["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        let label = format!("w{at}");
        workload["spec"]["selector"] = json!({"matchLabels": {"case": label}});
        workload["spec"]["template"]["metadata"]["labels"]["case"] = json!(label);
        for containers in ["containers", "initContainers"] {
            let pod = &mut workload["spec"]["template"]["spec"];
            for container in pod[containers].as_array_mut().into_iter().flatten() {
                if container["image"].is_null() {
                    container["image"] = json!("registry.example/app:1");
                }
            }
            if let Some(pod) = pod.as_object_mut().filter(|pod| pod[containers].is_null()) {
                pod.remove(containers);
            }
        }
    }
    Ok(workloads)
}

fn inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(inputs(&path)?);
        } else if path.ends_with("input.yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name_of(workload: &Value) -> String {
    workload["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn is_audit(workload: &Value) -> bool {
    workload["metadata"]["annotations"][format!("{PREFIX}mode")] == "Audit"
}

fn in_mode_audit(workload: &Value) -> Value {
    let mut audited = workload.clone();
    audited["metadata"]["annotations"][format!("{PREFIX}mode")] = json!("Audit");
    audited["metadata"]["name"] = json!(format!("{}-audited", name_of(workload)));
    audited
}

/// What `winddown plan` finds, by the name of the workload.
async fn planned_offline(workloads: &[Value]) -> Result<BTreeMap<String, Findings>> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": workloads});
    let mut command = Command::new(operator_process::binary()?);
    command.args(["plan", "-f", "-", "-o", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    let text = list.to_string();
    let writing = tokio::spawn(async move { input.write_all(text.as_bytes()).await });
    let output = child.wait_with_output().await?;
    writing.await??;
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let findings = |row: &Value| {
        let findings = row["findings"].as_array().into_iter().flatten();
        let grave = findings.filter(|finding| finding["severity"] != "Info");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        grave
            .map(|finding| Finding {
                code: text(&finding["code"]),
                field: text(&finding["field"]),
                message: text(&finding["message"]),
                error: finding["severity"] == "Error",
            })
            .collect()
    };
    Ok(rows.iter().map(|row| (row["name"].as_str().unwrap_or_default().to_owned(), findings(row))).collect())
}

/// Whether it is Winddown that refused it.
fn is_ours(answer: &Answer) -> bool {
    answer.object["message"].as_str().is_some_and(|message| {
        message.contains("admission webhook")
            || answer.object["details"]["causes"][0]["reason"] == "FieldValueInvalid" && message.contains(PREFIX)
    })
}

/// Causes and warnings of ours, as somebody at the API server reads them.
fn said_at_admission(answer: &Answer) -> BTreeSet<String> {
    let causes = answer.object["details"]["causes"].as_array().into_iter().flatten();
    let causes = causes.map(|cause| {
        let text = |field: &str| cause[field].as_str().unwrap_or_default();
        format!("{}: {}", text("field"), text("message"))
    });
    let warnings = answer.warnings.iter().map(|warning| {
        let text = warning.split_once('"').map_or(warning.as_str(), |(_, text)| text);
        text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\")
    });
    causes.chain(warnings.filter(|warning| warning.starts_with("winddown: "))).collect()
}

/// The same, as it should be said of these findings.
fn expected_at_admission(findings: &Findings, audit: bool) -> BTreeSet<String> {
    let said = |finding: &Finding| {
        if finding.error && !audit {
            return format!("{}: {}", finding.field, finding.message);
        }
        let known = ["spec.template.spec.", "spec.template.metadata.annotations", "metadata.annotations"];
        let field = known.iter().find_map(|known| finding.field.strip_prefix(known)).unwrap_or(&finding.field);
        let warning = format!("winddown: {field}: {}", finding.message);
        if warning.chars().count() <= 120 { warning } else { warning.chars().take(119).chain(['…']).collect() }
    };
    findings.iter().map(said).collect()
}
