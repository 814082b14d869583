//! The outputs for people, of an installation that is well, one that is broken, and one that the user may not read.

use kube::core::Status;

use super::report::{Check, Outcome, Page, Report, Symbols};
use super::webhooks::{Configuration, Configurations, Hook};
use crate::cluster::Error;
use crate::golden::{check, text_of};
use winddown_core::observation::Timestamp;

fn now() -> Timestamp {
    "2026-02-03T00:00:00Z".parse().unwrap()
}

fn api() -> Check {
    Check::ok("the API server of prod answers and has version v1.37.2")
}

fn well() -> Report {
    let mut report = Report::default();
    report.group("kubernetes-api", vec![api()]);
    report.group(
        "winddown-operator",
        vec![
            Check::ok("the Deployment of the operator is there: winddown/winddown"),
            Check::ok("its replicas are ready (2 of 2)"),
            Check::ok("one replica leads: winddown-7d9f8c6b54-2x9kq"),
        ],
    );
    report.group("winddown-webhooks", vec![Check::ok("a Deployment is mutated (dry run in the namespace shop)")]);
    report
}

/// The webhook configurations as the checks judge them: one without a caBundle, one that is not there.
fn broken() -> Report {
    let hook = Hook { name: "mutate.winddown.dev".to_owned(), ..Hook::default() };
    let mutating = Configuration { name: "winddown".to_owned(), hooks: vec![hook] };
    let configurations = Configurations { mutating: Ok(Some(mutating)), validating: Ok(None) };
    let mut report = Report::default();
    report.group("kubernetes-api", vec![api()]);
    report.group(
        "winddown-operator",
        vec![
            Check::warning("its replicas are ready (1 of 3)", "2 of them are not")
                .hint("kubectl describe deployment winddown -n winddown")
                .see(Page::Unavailable),
            Check::unreadable("one replica leads", &forbidden("read the Lease winddown/winddown", "leases")),
        ],
    );
    report.group("winddown-webhooks", configurations.checks(now()));
    report
}

fn unreadable() -> Report {
    let mut report = Report::default();
    report.group("kubernetes-api", vec![api()]);
    report.group(
        "winddown-operator",
        vec![
            Check::unreadable(
                "the Deployment of the operator is there",
                &forbidden("list deployments.apps", "deployments"),
            )
            .hint("or name its namespace: --winddown-namespace"),
        ],
    );
    report
}

/// With texts of another user.
fn hostile() -> Report {
    let name = "winddown-".repeat(25);
    let hook = Hook { name: "mutate.winddown.dev".to_owned(), ..Hook::default() };
    let mutating = Configuration { name: "a\u{1b}[31m\nok   b\u{7}".to_owned(), hooks: vec![hook] };
    let configurations =
        Configurations { mutating: Ok(Some(mutating)), validating: Err(forbidden("list\r", "x\u{9b}2K\n")) };
    let mut report = Report::default();
    report.group(
        "winddown-operator",
        vec![Check::ok(format!("the Deployment of the operator is there: winddown/{name}"))],
    );
    report.group("winddown-webhooks", configurations.checks(now()));
    report
}

/// The answer of the API server to a user without a right.
fn forbidden(call: &str, resource: &str) -> Error {
    let message = format!("User \"jane\" cannot get resource \"{resource}\" in the namespace \"winddown\"");
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
        assert_eq!(report.outcome(), outcome, "{name}");
        check(&format!("check/{name}"), &printed(&report, Symbols::Ascii, false));
    }
}

#[test]
fn on_a_terminal_there_are_signs_and_in_short_only_what_is_not_well() {
    check("check/terminal", &printed(&broken(), Symbols::Unicode, false));
    check("check/short", &printed(&broken(), Symbols::Ascii, true));
}
