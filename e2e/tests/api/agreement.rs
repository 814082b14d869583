//! Webhook, controller and command line report the same findings for every workload in `tests/cases`.
//!
//! The command line reads the file. The webhook gets the workload with the API server's defaults, once by server-side and
//! once by client-side apply. The controller reads the stored object. The webhook reports errors as causes of a denial,
//! warnings as admission warnings and infos in the audit log. The controller reports errors and warnings as Events.
//!
//! The webhook does not see related objects, such as an autoscaler, so it withholds the findings that need them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use winddown_core::finding::Code;
use winddown_e2e::api_server::STOP_SIGNAL_SINCE;
use winddown_e2e::operator_process;

use crate::manifest::{KINDS, PREFIX, deployment};
use crate::namespace::Namespace;
use crate::request::{Request, Response, apply, create};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        webhook_controller_and_command_line_agree,
        a_different_workload_is_detected,
    ]
}

/// A finding in the output of `winddown plan -o json`.
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

/// A workload in that output.
#[derive(Deserialize)]
struct Row {
    name: String,
    findings: BTreeSet<Finding>,
}

/// The findings of the command line, by name of the workload.
type Plans = BTreeMap<String, BTreeSet<Finding>>;

/// Texts of Events, by name of the workload.
type Notes = BTreeMap<String, BTreeSet<String>>;

/// The name of the workload and the infos expected in the audit log, by audit ID.
type ExpectedAudits<'a> = BTreeMap<String, (&'a str, BTreeSet<String>)>;

struct Comparison {
    /// Workloads that were stored, so that all three could be compared.
    compared: usize,
    /// Workloads that the API server itself rejected, with its message.
    rejected: Vec<String>,
    differences: BTreeSet<String>,
}

async fn webhook_controller_and_command_line_agree(namespace: Namespace) -> Result<()> {
    let mut workloads = cases()?;
    if namespace.environment.server.minor_version() < STOP_SIGNAL_SINCE {
        workloads.iter_mut().for_each(remove_stop_signals);
    }
    let plans = plan(&workloads).await?;
    let Comparison { compared, rejected, differences } = compare(&namespace, &workloads, &plans).await?;
    eprintln!("{compared} of {} workloads compared; rejected by the API server itself: {rejected:#?}", workloads.len());
    assert_eq!(differences, BTreeSet::new());
    assert!(compared >= 60, "only {compared} of {} workloads were compared", workloads.len());
    for (severity, minimum) in [(Severity::Info, 20), (Severity::Warning, 20), (Severity::Error, 4)] {
        let has_severity = |findings: &&BTreeSet<Finding>| findings.iter().any(|finding| finding.severity == severity);
        let workloads = plans.values().filter(has_severity).count();
        assert!(workloads >= minimum, "only {workloads} workloads with a finding of severity {severity:?}");
    }
    Ok(())
}

/// The control: the stored workload differs from the file in one number, so the findings differ.
async fn a_different_workload_is_detected(namespace: Namespace) -> Result<()> {
    let with_own_sleep = |seconds: i64| {
        let hook = "/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds";
        let manifest = deployment("web").annotated("drain", "90s").annotated("deadline", "25s");
        manifest.with(hook, seconds).as_ref().clone()
    };
    let plans = plan(&[with_own_sleep(60)]).await?;
    let differences = compare(&namespace, &[with_own_sleep(61)], &plans).await?.differences;
    for source in ["webhook", "controller", "audit log"] {
        let counts = [format!("missing in the {source}"), format!("only in the {source}")]
            .map(|text| differences.iter().filter(|difference| difference.contains(&text)).count());
        assert_eq!(counts, [1, 1], "{source}: {differences:#?}");
    }
    Ok(())
}

/// Applies the workloads and compares the findings of webhook and controller with those of the command line.
async fn compare(namespace: &Namespace, workloads: &[Value], plans: &Plans) -> Result<Comparison> {
    let (mut compared, mut rejected, mut all) = (0, Vec::new(), BTreeSet::new());
    let (mut expected_events, mut expected_audits) = (Notes::new(), ExpectedAudits::new());
    for workload in workloads {
        let (name, findings) = (name_of(workload), &plans[name_of(workload)]);
        let findings: BTreeSet<_> = findings.iter().filter(|finding| !finding.is_only_in_files()).collect();
        let mut compare_response = |response: &Response, audit: bool| {
            let findings = || findings.iter().filter(|finding| !finding.is_withheld_by_the_webhook());
            let expected = findings().filter(|finding| !finding.is_info());
            let expected = expected.map(|finding| at_admission(finding, audit)).collect();
            all.extend(differences(name, "webhook", &expected, &reported_at_admission(response)));
            let infos = findings().filter(|finding| finding.is_info()).map(|finding| finding.full_text()).collect();
            expected_audits.insert(response.audit_id.clone(), (name, infos));
        };
        let server_side = namespace.send(apply(workload).dry_run()).await?;
        let mut client_side = namespace.send(client_side_apply(workload)).await?;
        for response in [&server_side, &client_side] {
            if response.is_success() || is_denial(response) {
                compare_response(response, is_audit(workload));
            } else {
                rejected.push(format!("{name}: {}", response.object["message"]));
            }
        }
        if is_denial(&client_side) {
            // The controller never sees a denied workload. In mode Audit the findings are the same and it is stored.
            client_side = namespace.send(client_side_apply(&in_mode_audit(workload))).await?;
            compare_response(&client_side, true);
        }
        let Ok(stored) = client_side.into_object() else { continue };
        compared += 1;
        let reported = findings.iter().filter(|finding| !finding.is_info() && !finding.is_solved_by_admission());
        let mut notes: BTreeSet<_> = reported.map(|finding| finding.full_text()).collect();
        if stored.pointer("/metadata/annotations/winddown.dev~1budget").is_some() {
            notes.insert(LAST_EVENT.to_owned());
        }
        expected_events.insert(name.to_owned(), notes);
    }
    all.extend(differences_in_audit_log(namespace, &expected_audits).await?);
    all.extend(differences_in_events(namespace, &expected_events).await?);
    Ok(Comparison { compared, rejected, differences: all })
}

/// Waits until every request is in the audit log, and compares the infos there.
async fn differences_in_audit_log(namespace: &Namespace, expected: &ExpectedAudits<'_>) -> Result<Vec<String>> {
    let logged = until("every request to be in the audit log", async || {
        let logged = namespace.environment.server.audit_annotations()?;
        Ok(expected.keys().all(|id| logged.contains_key(id)).then_some(logged))
    })
    .await?;
    let infos = |id: &str| {
        let text = logged[id].get("validate.winddown.dev/findings").map_or("", String::as_str);
        text.split("; info ").filter(|info| !info.is_empty()).map(|info| info.trim_start_matches("info ").to_owned())
    };
    let compared = expected
        .iter()
        .flat_map(|(id, (name, expected))| differences(name, "audit log", expected, &infos(id).collect()));
    Ok(compared.collect())
}

/// The controller publishes this Event after the Events with findings.
const LAST_EVENT: &str = "BudgetApplied";

/// Waits until the controller has published the expected number of Events, and compares them.
async fn differences_in_events(namespace: &Namespace, expected: &Notes) -> Result<Vec<String>> {
    let all_published = until("an Event for every finding of the command line", async || {
        let published = published_events(namespace).await?;
        let is_complete = |(name, notes): (&String, &BTreeSet<String>)| {
            notes.is_empty() || published.get(name).is_some_and(|published| published.len() >= notes.len())
        };
        Ok(expected.iter().all(is_complete).then_some(()))
    })
    .await;
    let published = published_events(namespace).await?;
    let of = |notes: &Notes, name: &String| notes.get(name).cloned().unwrap_or_default();
    let names: BTreeSet<_> = expected.keys().chain(published.keys()).collect();
    let differences: Vec<_> = names
        .into_iter()
        .flat_map(|name| differences(name, "controller", &of(expected, name), &of(&published, name)))
        .collect();
    // The differences are more specific than the timeout.
    if differences.is_empty() {
        all_published?;
    }
    Ok(differences)
}

/// The Events of the controller.
async fn published_events(namespace: &Namespace) -> Result<Notes> {
    let mut notes = Notes::new();
    for event in namespace.list("events.k8s.io/v1", "events").await? {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("/reportingController") != "winddown" {
            continue;
        }
        let is_warning = text("/type") == "Warning";
        let note = if is_warning { format!("{}: {}", text("/reason"), text("/note")) } else { text("/reason") };
        notes.entry(text("/regarding/name")).or_default().insert(note);
    }
    Ok(notes)
}

fn differences(name: &str, source: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let missing = expected.difference(found).map(|text| format!("{name}: missing in the {source}: {text}"));
    let unexpected = found.difference(expected).map(|text| format!("{name}: only in the {source}: {text}"));
    missing.chain(unexpected).collect()
}

impl Finding {
    fn is_info(&self) -> bool {
        self.severity == Severity::Info
    }

    /// The API server drops a field that it does not know before it calls the webhooks.
    fn is_only_in_files(&self) -> bool {
        self.code == "MisplacedField" && self.message.starts_with("is no field of the API")
    }

    /// Whether a related object could refute it.
    fn is_withheld_by_the_webhook(&self) -> bool {
        Code::ALL.iter().any(|code| code.as_str() == self.code && code.needs_related_objects())
    }

    /// The mutating webhook replaces a malformed record, so the controller never sees it.
    fn is_solved_by_admission(&self) -> bool {
        self.code == "RecordUnreadable" && self.message.starts_with("is not a record")
    }

    /// The text in an Event and in the audit log.
    fn full_text(&self) -> String {
        format!("{}: {}: {}", self.code, self.field, self.message)
    }
}

/// The text of a finding in a response: a cause of the denial, or a warning, which is shortened to 120 characters.
fn at_admission(finding: &Finding, audit: bool) -> String {
    if finding.severity == Severity::Error && !audit {
        return format!("{}: {}", finding.field, finding.message);
    }
    let known = ["spec.template.spec.", "metadata.", "spec."];
    let field = known.iter().find_map(|known| finding.field.strip_prefix(known)).unwrap_or(&finding.field);
    let warning = format!("winddown: {field}: {}", finding.message);
    if warning.chars().count() <= 120 { warning } else { warning.chars().take(119).chain(['…']).collect() }
}

/// The causes of the denial and the warnings of Winddown in a response.
fn reported_at_admission(response: &Response) -> BTreeSet<String> {
    let causes = response.object["details"]["causes"].as_array().into_iter().flatten();
    let causes = causes.map(|cause| {
        let text = |field: &str| cause[field].as_str().unwrap_or_default();
        format!("{}: {}", text("field"), text("message"))
    });
    // The format is `299 - "text"`, with escaped quotes and backslashes.
    let warnings = response.warnings.iter().map(|warning| {
        let text = warning.split_once('"').map_or(warning.as_str(), |(_, text)| text);
        text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\")
    });
    causes.chain(warnings.filter(|warning| warning.starts_with("winddown: "))).collect()
}

/// Whether a webhook rejected the request, and not the API server itself.
fn is_denial(response: &Response) -> bool {
    response.object["message"].as_str().is_some_and(|message| message.starts_with("admission webhook"))
}

/// Adds the last-applied annotation, as kubectl apply does. Without it, an explicit value that equals the default cannot
/// be distinguished from the default.
fn client_side_apply(workload: &Value) -> Request {
    let mut applied = workload.clone();
    applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        json!(workload.to_string());
    create(&applied)
}

fn is_audit(workload: &Value) -> bool {
    workload["metadata"]["annotations"][format!("{PREFIX}mode")] == "Audit"
}

fn in_mode_audit(workload: &Value) -> Value {
    let mut workload = workload.clone();
    workload["metadata"]["annotations"][format!("{PREFIX}mode")] = json!("Audit");
    workload
}

fn name_of(workload: &Value) -> &str {
    workload["metadata"]["name"].as_str().unwrap_or_default()
}

/// Runs `winddown plan` with a List of these workloads.
async fn plan(workloads: &[Value]) -> Result<Plans> {
    let file = json!({"apiVersion": "v1", "kind": "List", "items": workloads}).to_string();
    let mut command = Command::new(operator_process::binary()?);
    command.args(["plan", "-f", "-", "-o", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    let write = tokio::spawn(async move { input.write_all(file.as_bytes()).await });
    let output = child.wait_with_output().await?;
    write.await??;
    let rows: Vec<Row> = serde_json::from_slice(&output.stdout)?;
    Ok(rows.into_iter().map(|row| (row.name, row.findings)).collect())
}

/// Every workload in `tests/cases` with an annotation of Winddown.
fn cases() -> Result<Vec<Value>> {
    let mut workloads = Vec::new();
    for file in input_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases"))? {
        let case = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        for document in serde_saphyr::from_multiple::<Value>(&fs::read_to_string(&file)?)? {
            let items = document["items"].as_array().cloned().unwrap_or_else(|| vec![document]);
            let annotated = items.into_iter().filter(|item| {
                KINDS.iter().any(|kind| item["kind"] == *kind)
                    && item["metadata"]["annotations"].to_string().contains(PREFIX)
            });
            for workload in annotated {
                workloads.push(complete(workload, &case, workloads.len()));
            }
        }
    }
    Ok(workloads)
}

/// Sets a unique name that contains the case, and the required fields that cases omit: the selector and the images.
fn complete(mut workload: Value, case: &str, index: usize) -> Value {
    let name: String = format!("{case}-{}", name_of(&workload)).chars().take(45).collect();
    workload["metadata"]["name"] = json!(format!("{name}-{index}"));
    if let Some(metadata) = workload["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    let label = index.to_string();
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

/// An API server that does not know the field drops it before it calls the webhooks; the command line would report it.
fn remove_stop_signals(workload: &mut Value) {
    for containers in ["containers", "initContainers"] {
        let Some(containers) = workload["spec"]["template"]["spec"].get_mut(containers) else { continue };
        for container in containers.as_array_mut().into_iter().flatten() {
            if let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) {
                lifecycle.remove("stopSignal");
            }
        }
    }
}

fn input_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(input_files(&path)?);
        } else if path.ends_with("input.yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
