//! Webhook, controller and command line say the same of the same workload: every case of `tests/cases`, three times.
//!
//! The command line gets the file; the API server, to which it is applied from either side, fills in its defaults and asks
//! the webhook; the controller sees what is stored. The webhook tells errors as causes of a denial, warnings as warnings, and
//! what is merely an info in the audit log; the controller tells errors and warnings as Events, and infos to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use winddown_e2e::operator_process;

use crate::manifest::{KINDS, PREFIX, deployment};
use crate::namespace::Namespace;
use crate::request::{Answer, Request, apply, create};
use crate::suite::{Result, Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        webhook_controller_and_command_line_say_the_same,
        what_is_not_the_same_is_seen,
    ]
}

/// A finding as the command line has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Finding {
    code: String,
    field: String,
    message: String,
    severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Severity {
    Info,
    Warning,
    Error,
}

/// A workload in `-o json`.
#[derive(Deserialize)]
struct Row {
    name: String,
    findings: BTreeSet<Finding>,
}

/// What the command line finds, by the name of the workload.
type Plans = BTreeMap<String, BTreeSet<Finding>>;

/// Lines of text, by the name of the workload that they are about.
type Notes = BTreeMap<String, BTreeSet<String>>;

/// What the webhook has to note in the audit log, and of which workload, by the log's id of the request.
type ToBeLogged<'a> = BTreeMap<String, (&'a str, BTreeSet<String>)>;

/// What came of sending workloads to the API server.
struct Comparison {
    /// In all three.
    compared: usize,
    /// By the API server itself, and why.
    refused: Vec<String>,
    differences: BTreeSet<String>,
}

async fn webhook_controller_and_command_line_say_the_same(namespace: Namespace) -> Result {
    let workloads = cases()?;
    let plans = planned_offline(&workloads).await?;
    let Comparison { compared, refused, differences } = compare(&namespace, &workloads, &plans).await?;
    eprintln!("{compared} of {} workloads compared; the API server itself refused {refused:#?}", workloads.len());
    assert_eq!(differences, BTreeSet::new());
    assert!(compared >= 60, "only {compared} of {}", workloads.len());
    for (severity, least) in [(Severity::Info, 20), (Severity::Warning, 20), (Severity::Error, 4)] {
        let of_it = |findings: &&BTreeSet<Finding>| findings.iter().any(|finding| finding.severity == severity);
        let told_of = plans.values().filter(of_it).count();
        assert!(told_of >= least, "{severity:?}: only of {told_of}");
    }
    Ok(())
}

/// The control: of a workload that differs from its file in a single number, webhook and controller say something else.
async fn what_is_not_the_same_is_seen(namespace: Namespace) -> Result {
    let with_own_sleep = |seconds: i64| {
        let hook = "/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds";
        let manifest = deployment("web").annotated("drain", "90s").annotated("deadline", "25s");
        manifest.with(hook, seconds).as_ref().clone()
    };
    let plans = planned_offline(&[with_own_sleep(60)]).await?;
    let differences = compare(&namespace, &[with_own_sleep(61)], &plans).await?.differences;
    for who in ["webhook", "controller", "audit log"] {
        let seen = [format!("not said by the {who}"), format!("said by the {who} alone")]
            .map(|what| differences.iter().filter(|difference| difference.contains(&what)).count());
        assert_eq!(seen, [1, 1], "{who}: {differences:#?}");
    }
    Ok(())
}

/// Applies the workloads as somebody with the file would, and compares what the webhook and the controller say of each.
async fn compare(namespace: &Namespace, workloads: &[Value], plans: &Plans) -> Result<Comparison> {
    let (mut compared, mut refused, mut all) = (0, Vec::new(), BTreeSet::new());
    let (mut to_be_told, mut to_be_logged) = (Notes::new(), ToBeLogged::new());
    for workload in workloads {
        let (name, findings) = (name_of(workload), &plans[name_of(workload)]);
        let mut compare_with = |answer: &Answer, audit: bool| {
            let expected = findings.iter().filter(|finding| !finding.is_info());
            let expected = expected.map(|finding| at_admission(finding, audit)).collect();
            all.extend(differences(name, "webhook", &expected, &said_at_admission(answer)));
            let infos = findings.iter().filter(|finding| finding.is_info()).map(Finding::in_full).collect();
            to_be_logged.insert(answer.audit_id.clone(), (name, infos));
        };
        let from_git = namespace.answers(apply(workload).dry_run()).await?;
        let mut answer = namespace.answers(as_kubectl_applies(workload)).await?;
        for answer in [&from_git, &answer] {
            if answer.is_accepted() || is_denial(answer) {
                compare_with(answer, is_audit(workload));
            } else {
                refused.push(format!("{name}: {}", answer.object["message"]));
            }
        }
        if is_denial(&answer) {
            // What is denied the controller never sees. In mode Audit it does, and the same is to be said.
            answer = namespace.answers(as_kubectl_applies(&in_mode_audit(workload))).await?;
            compare_with(&answer, true);
        }
        let Ok(stored) = answer.accepted() else { continue };
        compared += 1;
        let grave = findings.iter().filter(|finding| !finding.is_info());
        let mut notes: BTreeSet<_> = grave.map(Finding::in_full).collect();
        if stored.pointer("/metadata/annotations/winddown.dev~1budget").is_some() {
            notes.insert(LAST_WORD.to_owned());
        }
        to_be_told.insert(name.to_owned(), notes);
    }
    all.extend(differences_in_audit_log(namespace, &to_be_logged).await?);
    all.extend(differences_in_events(namespace, &to_be_told).await?);
    Ok(Comparison { compared, refused, differences: all })
}

/// Waits until the API server has logged every request, and compares what the webhook noted there.
async fn differences_in_audit_log(namespace: &Namespace, expected: &ToBeLogged<'_>) -> Result<Vec<String>> {
    let logged = until("every request was in the audit log", async || {
        let logged = namespace.world.server.audit_annotations()?;
        Ok(expected.keys().all(|id| logged.contains_key(id)).then_some(logged))
    })
    .await?;
    let said = |id: &str| {
        let notes = logged[id].get("validate.winddown.dev/findings").map_or("", String::as_str);
        notes.split("; info ").filter(|note| !note.is_empty()).map(|note| note.trim_start_matches("info ").to_owned())
    };
    let compared =
        expected.iter().flat_map(|(id, (name, infos))| differences(name, "audit log", infos, &said(id).collect()));
    Ok(compared.collect())
}

/// After its warnings the controller tells what was applied; so nothing more is to come.
const LAST_WORD: &str = "BudgetApplied";

/// Waits until the controller has told as much as there is to tell, and compares it.
async fn differences_in_events(namespace: &Namespace, expected: &Notes) -> Result<Vec<String>> {
    let all_told = until("the controller had told as much as the command line", async || {
        let told = told_in_events(namespace).await?;
        let as_much = |(name, notes): (&String, &BTreeSet<String>)| {
            notes.is_empty() || told.get(name).is_some_and(|told| told.len() >= notes.len())
        };
        Ok(expected.iter().all(as_much).then_some(()))
    })
    .await;
    let told = told_in_events(namespace).await?;
    let of = |notes: &Notes, name: &String| notes.get(name).cloned().unwrap_or_default();
    let names: BTreeSet<_> = expected.keys().chain(told.keys()).collect();
    let differences: Vec<_> = names
        .into_iter()
        .flat_map(|name| differences(name, "controller", &of(expected, name), &of(&told, name)))
        .collect();
    // What is missing says more than that somebody waited for it.
    if differences.is_empty() {
        all_told?;
    }
    Ok(differences)
}

/// The controller's Events, by the name of the workload.
async fn told_in_events(namespace: &Namespace) -> Result<Notes> {
    let mut told = Notes::new();
    for event in namespace.list("events.k8s.io/v1", "events").await? {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("/reportingController") != "winddown" {
            continue;
        }
        let is_warning = text("/type") == "Warning";
        let note = if is_warning { format!("{}: {}", text("/reason"), text("/note")) } else { text("/reason") };
        told.entry(text("/regarding/name")).or_default().insert(note);
    }
    Ok(told)
}

fn differences(name: &str, who: &str, expected: &BTreeSet<String>, said: &BTreeSet<String>) -> Vec<String> {
    let missing = expected.difference(said).map(|text| format!("{name}: not said by the {who}: {text}"));
    let surplus = said.difference(expected).map(|text| format!("{name}: said by the {who} alone: {text}"));
    missing.chain(surplus).collect()
}

impl Finding {
    fn is_info(&self) -> bool {
        self.severity == Severity::Info
    }

    /// How the controller tells it, and how it is logged.
    fn in_full(&self) -> String {
        format!("{}: {}: {}", self.code, self.field, self.message)
    }
}

/// How the webhook tells a finding: as a cause of its denial, or as a warning, which is short.
fn at_admission(finding: &Finding, audit: bool) -> String {
    if finding.severity == Severity::Error && !audit {
        return format!("{}: {}", finding.field, finding.message);
    }
    let known = ["spec.template.spec.", "spec.template.metadata.annotations", "metadata.annotations"];
    let field = known.iter().find_map(|known| finding.field.strip_prefix(known)).unwrap_or(&finding.field);
    let warning = format!("winddown: {field}: {}", finding.message);
    if warning.chars().count() <= 120 { warning } else { warning.chars().take(119).chain(['…']).collect() }
}

/// Winddown's causes and warnings in an answer of the API server.
fn said_at_admission(answer: &Answer) -> BTreeSet<String> {
    let causes = answer.object["details"]["causes"].as_array().into_iter().flatten();
    let causes = causes.map(|cause| {
        let text = |field: &str| cause[field].as_str().unwrap_or_default();
        format!("{}: {}", text("field"), text("message"))
    });
    // `299 - "text"`, with quotes and backslashes escaped.
    let warnings = answer.warnings.iter().map(|warning| {
        let text = warning.split_once('"').map_or(warning.as_str(), |(_, text)| text);
        text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\")
    });
    causes.chain(warnings.filter(|warning| warning.starts_with("winddown: "))).collect()
}

/// Whether a webhook refused it, and not the API server itself.
fn is_denial(answer: &Answer) -> bool {
    answer.object["message"].as_str().is_some_and(|message| message.starts_with("admission webhook"))
}

/// With what its owner wrote kept beside it: after a bare creation nobody can tell a default that somebody wrote from one
/// that the API server filled in.
fn as_kubectl_applies(workload: &Value) -> Request {
    let mut applied = workload.clone();
    applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        json!(workload.to_string());
    create(&applied)
}

fn is_audit(workload: &Value) -> bool {
    workload["metadata"]["annotations"][format!("{PREFIX}mode")] == "Audit"
}

fn in_mode_audit(workload: &Value) -> Value {
    let mut audited = workload.clone();
    audited["metadata"]["annotations"][format!("{PREFIX}mode")] = json!("Audit");
    audited
}

fn name_of(workload: &Value) -> &str {
    workload["metadata"]["name"].as_str().unwrap_or_default()
}

/// What `winddown plan` finds in a file with these workloads.
async fn planned_offline(workloads: &[Value]) -> Result<Plans> {
    let file = json!({"apiVersion": "v1", "kind": "List", "items": workloads}).to_string();
    let mut command = Command::new(operator_process::binary()?);
    command.args(["plan", "-f", "-", "-o", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    let writing = tokio::spawn(async move { input.write_all(file.as_bytes()).await });
    let output = child.wait_with_output().await?;
    writing.await??;
    let rows: Vec<Row> = serde_json::from_slice(&output.stdout)?;
    Ok(rows.into_iter().map(|row| (row.name, row.findings)).collect())
}

/// Every workload of every case that declares something, as an API server takes it.
fn cases() -> Result<Vec<Value>> {
    let mut workloads = Vec::new();
    for file in inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases"))? {
        let case = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        for document in serde_saphyr::from_multiple::<Value>(&fs::read_to_string(&file)?)? {
            let items = document["items"].as_array().cloned().unwrap_or_else(|| vec![document]);
            let planned = items.into_iter().filter(|item| {
                KINDS.iter().any(|kind| item["kind"] == *kind)
                    && item["metadata"]["annotations"].to_string().contains(PREFIX)
            });
            for workload in planned {
                workloads.push(completed(workload, &case, workloads.len()));
            }
        }
    }
    Ok(workloads)
}

/// Under a name that no other has and that says which case it is, with the selector and the images that a case leaves out.
fn completed(mut workload: Value, case: &str, at: usize) -> Value {
    let name: String = format!("{case}-{}", name_of(&workload)).chars().take(45).collect();
    workload["metadata"]["name"] = json!(format!("{name}-{at}"));
    if let Some(metadata) = workload["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    let label = at.to_string();
    workload["spec"]["selector"] = json!({"matchLabels": {"case": label}});
    workload["spec"]["template"]["metadata"]["labels"]["case"] = json!(label);
    for containers in ["containers", "initContainers"] {
        let Some(containers) = workload["spec"]["template"]["spec"].get_mut(containers) else { continue };
        for container in containers.as_array_mut().into_iter().flatten() {
            if container["image"].is_null() {
                container["image"] = json!("registry.example/app:1");
            }
        }
    }
    workload
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
