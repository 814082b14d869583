//! The outputs for people, of an installation that is well, one that is broken, and one that the user may not read. The checks
//! judge answers of the API server.

use k8s_openapi::ByteString;
use kube::core::Status;
use serde_json::{Value, json};

use super::operator::{self, Operator};
use super::report::{Check, Outcome, Report, Symbols};
use super::webhooks::{Configuration, Configurations, Hook};
use super::{Checks, answers, definitions};
use crate::cluster::Error;
use crate::commands::crd::DEFINITIONS;
use crate::golden::{check, text_of};
use winddown_core::kind::Kind;
use winddown_core::observation::Timestamp;

/// The API group of the webhook configurations.
const ADMISSION: &str = "admissionregistration.k8s.io";

/// Of the operator's authority, from 2026-02-01 to 2027-02-01.
const CERTIFICATE: &[u8] = b"\
-----BEGIN CERTIFICATE-----
MIIBEzCBugIBATAKBggqhkjOPQQDAjAWMRQwEgYDVQQDDAt3aW5kZG93bi1jYTAe
Fw0yNjAyMDEwMDAwMDBaFw0yNzAyMDEwMDAwMDBaMBYxFDASBgNVBAMMC3dpbmRk
b3duLWNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3dk/6iMCvmCM4WDYdR0F
e9ekkC53yK6YRrJhM5LNj+xtoY5xeuNZhGT/3qNcTmn/cnFoayqfhs+nyq6rVlc8
lTAKBggqhkjOPQQDAgNIADBFAiBUB5+LmOZR153aHBbZ47XSiGakObHs5YGVDFWI
ymbT5QIhAJUlcDWB7UnHv0Fmdl7bKHo/qWb2ZuRAFPVpzL57SvGZ
-----END CERTIFICATE-----
";

fn now() -> Timestamp {
    "2026-02-03T00:00:00Z".parse().unwrap()
}

fn report(checks: Checks) -> Report {
    checks.report("prod", "v1.37.2")
}

/// The Deployment of the chart's default release.
fn operator(name: &str, replicas: i64, ready: i64) -> Operator {
    let image = concat!("ghcr.io/winddown/winddown:", env!("CARGO_PKG_VERSION"));
    let arguments = ["run", "--lease-name=winddown", "--ca-secret-name=winddown-ca"];
    let container = json!({"name": "winddown", "image": image, "args": arguments});
    Operator::of(&json!({
        "metadata": {"namespace": "winddown", "name": name},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
        "status": {"readyReplicas": ready},
    }))
    .unwrap()
}

/// The checks of an operator with these answers about its Lease and its Secret.
fn of_operator(operator: Operator, lease: &Result<Value, Error>, secret: Option<Result<Value, Error>>) -> Vec<Check> {
    let judged = operator.judged(lease, secret, Some(CERTIFICATE), now());
    [operator::presence(&Ok(vec![operator]))].into_iter().chain(judged).collect()
}

/// The definitions as this version has them.
fn installed() -> Vec<Check> {
    let definitions = DEFINITIONS.map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let name = |definition: &Value| definition["metadata"]["name"].as_str().unwrap().to_owned();
    definitions.iter().map(|definition| definitions::judged(&name(definition), definition, Ok(definition))).collect()
}

/// The answers of webhooks that mutate and reject.
fn answered() -> Vec<Check> {
    let container = json!({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}});
    let pod = json!({"terminationGracePeriodSeconds": 35, "containers": [container]});
    let admitted = json!({"spec": {"template": {"spec": pod}}});
    let refused = || Status::failure("spec.template.spec.terminationGracePeriodSeconds", "Invalid").with_code(422);
    let error = || Error::new("create", kube::Error::Api(Box::new(refused())));
    let of = |kind| {
        [answers::mutated("shop", kind, Ok(admitted.clone())), answers::rejected(kind, Err(error()), &Ok(Vec::new()))]
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

/// The answers of an API server that reaches no webhook, and admits what it cannot ask about.
fn not_answered() -> Vec<Check> {
    let pod = json!({"terminationGracePeriodSeconds": 30, "containers": [{}]});
    let admitted = json!({"spec": {"template": {"spec": pod}}});
    let of = |kind| {
        [
            answers::mutated("shop", kind, Ok(admitted.clone())),
            answers::rejected(kind, Ok(admitted.clone()), &Ok(Vec::new())),
        ]
    };
    Kind::ALL.into_iter().flat_map(of).collect()
}

fn well() -> Report {
    let lease = json!({"spec": {"holderIdentity": "winddown-7d9f8c6b54-2x9kq", "renewTime": "2026-02-02T23:59:55.0Z"}});
    let secret = json!({"data": {"ca.crt": ByteString(CERTIFICATE.into())}});
    let configured = |name: &str| {
        let hook = Hook { name: name.to_owned(), bundle: Some(CERTIFICATE.into()), ..Hook::default() };
        Ok(Some(Configuration { name: "winddown".to_owned(), hooks: vec![hook] }))
    };
    let configurations =
        Configurations { mutating: configured("mutate.winddown.dev"), validating: configured("validate.winddown.dev") };
    report(Checks {
        operator: of_operator(operator("winddown", 2, 2), &Ok(lease), Some(Ok(secret))),
        definitions: installed(),
        webhooks: configurations.checks(now()).into_iter().chain(answered()).collect(),
        exclusions: vec![answers::without_effect(&["kube-system", "winddown"], Ok(Vec::new()))],
    })
}

/// One webhook configuration without a caBundle, and one that is not there.
fn broken() -> Report {
    let hook = Hook { name: "mutate.winddown.dev".to_owned(), ..Hook::default() };
    let mutating = Configuration { name: "winddown".to_owned(), hooks: vec![hook] };
    let configurations = Configurations { mutating: Ok(Some(mutating)), validating: Ok(None) };
    let place = "in the namespace \"winddown\"";
    let secret = forbidden("read the Secret winddown/winddown-ca", "get", "secrets", "", place);
    let lease = forbidden("read the Lease winddown/winddown", "get", "leases", "coordination.k8s.io", place);
    let annotated = vec!["deployment/dns-autoscaler in kube-system".to_owned()];
    report(Checks {
        operator: of_operator(operator("winddown", 3, 1), &Err(lease), Some(Err(secret))),
        definitions: installed(),
        webhooks: configurations.checks(now()).into_iter().chain(not_answered()).collect(),
        exclusions: vec![answers::without_effect(&["kube-system", "winddown"], Ok(annotated))],
    })
}

/// A user with the role edit in the namespace shop, and no other right.
fn unreadable() -> Report {
    let list = |resource: &str, group| {
        let call = format!("list {resource}{}", if group == ADMISSION { "" } else { " in all namespaces" });
        forbidden(&call, "list", resource.split('.').next().unwrap_or_default(), group, "at the cluster scope")
    };
    let configurations = Configurations {
        mutating: Err(list("mutatingwebhookconfigurations.admissionregistration.k8s.io", ADMISSION)),
        validating: Err(list("validatingwebhookconfigurations.admissionregistration.k8s.io", ADMISSION)),
    };
    let definition = |plural: &str| {
        let name = format!("{plural}.winddown.dev");
        let (call, resource, group) =
            (format!("read the definition {name}"), "customresourcedefinitions", "apiextensions.k8s.io");
        definitions::unread(&name, &forbidden(&call, "get", resource, group, "at the cluster scope"))
    };
    report(Checks {
        operator: vec![operator::presence(&Err(list("deployments.apps", "apps")))],
        definitions: ["shutdownbudgets", "shutdownpolicies"].map(definition).into(),
        webhooks: configurations.checks(now()).into_iter().chain(answered()).collect(),
        exclusions: Vec::new(),
    })
}

/// With texts of another user.
fn hostile() -> Report {
    let hook = Hook { name: "mutate.winddown.dev".to_owned(), ..Hook::default() };
    let mutating = Configuration { name: "a\u{1b}[31m\nok   b\u{7}".to_owned(), hooks: vec![hook] };
    let error = forbidden("list\r", "list", "x\u{9b}2K\n", ADMISSION, "at the cluster scope");
    let configurations = Configurations { mutating: Ok(Some(mutating)), validating: Err(error) };
    let lease = json!({"spec": {"holderIdentity": "\u{1b}]0;x\u{7}\nok   y", "renewTime": "2026-02-02T23:59:55.0Z"}});
    report(Checks {
        operator: of_operator(operator(&"winddown-".repeat(25), 2, 2), &Ok(lease), None),
        definitions: Vec::new(),
        webhooks: configurations.checks(now()),
        exclusions: vec![answers::without_effect(&[], Ok(vec!["deployment/\u{1b}[31m in x".to_owned()]))],
    })
}

/// The answer of the API server to a user without a right.
fn forbidden(call: &str, verb: &str, resource: &str, group: &str, place: &str) -> Error {
    let dot = if group.is_empty() { "" } else { "." };
    let message = format!(
        "{resource}{dot}{group} is forbidden: User \"jane\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"
    );
    Error::new(call, kube::Error::Api(Box::new(Status::failure(&message, "Forbidden").with_code(403))))
}

fn printed(report: &Report, symbols: Symbols, only_problems: bool) -> String {
    text_of(|out| report.print(symbols, only_problems, out))
}

#[test]
fn each_outcome_is_printed_with_its_mark() {
    for (name, report, outcome) in [
        ("ok", well(), Outcome::Ok),
        ("failed", broken(), Outcome::Failed),
        ("unknown", unreadable(), Outcome::Unknown),
        ("hostile", hostile(), Outcome::Failed),
    ] {
        check(&format!("check/{name}"), &printed(&report, Symbols::Ascii, false));
        assert_eq!(report.outcome(), outcome, "{name}");
    }
}

#[test]
fn on_a_terminal_there_are_signs_and_in_short_only_what_is_not_well() {
    check("check/terminal", &printed(&broken(), Symbols::Unicode, false));
    check("check/short", &printed(&broken(), Symbols::Ascii, true));
}
