//! The results of the checks, and how they are shown.

use std::io::{self, Write};

use serde::Serialize;

use crate::cluster::Error;
use crate::exit::Exit;
use crate::render::sanitize::sanitize;
use winddown_core::error_chain::ErrorChain;

/// Where a documentation page is.
const ROOT: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// The result of one check, from good to bad: one that failed outweighs one that is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It is well.
    Ok,
    /// It works, and something should be looked at.
    Warning,
    /// It could not be read.
    Unknown,
    /// It is wrong.
    Failed,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Check {
    /// What is well if the check succeeds.
    pub(super) title: String,
    pub(super) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// It is unknown because the user lacks a right, which no repetition changes.
    #[serde(skip)]
    lacks_right: bool,
}

/// Checks about one part of the installation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) checks: Vec<Check>,
}

/// All checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) groups: Vec<Group>,
}

/// A page of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Install,
    Certificates,
    Upgrade,
    Budgets,
    Emergency,
    Unavailable,
    Values,
    Rights,
    Policies,
}

impl Page {
    #[cfg(test)]
    const ALL: [Self; 9] = [
        Self::Install,
        Self::Certificates,
        Self::Upgrade,
        Self::Budgets,
        Self::Emergency,
        Self::Unavailable,
        Self::Values,
        Self::Rights,
        Self::Policies,
    ];

    /// File and anchor in the repository.
    const fn path(self) -> &'static str {
        match self {
            Self::Install => "charts/winddown/README.md#install",
            Self::Certificates => "charts/winddown/README.md#certificates",
            Self::Upgrade => "charts/winddown/README.md#upgrade",
            Self::Values => "charts/winddown/README.md#values",
            Self::Rights => "docs/rights.md#kubectl-winddown-check",
            Self::Policies => "docs/policies.md#raise",
            Self::Budgets => "docs/budgets.md",
            Self::Emergency => "docs/emergency.md",
            Self::Unavailable => "docs/how-it-works.md#when-winddown-is-unavailable",
        }
    }
}

impl Check {
    fn new(title: impl Into<String>, outcome: Outcome) -> Self {
        Self { title: title.into(), outcome, message: None, hint: None, page: None, lacks_right: false }
    }

    pub(super) fn ok(title: impl Into<String>) -> Self {
        Self::new(title, Outcome::Ok)
    }

    pub(super) fn warning(title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(title, Outcome::Warning) }
    }

    /// It is wrong; the hint says what to do.
    pub(super) fn failed(title: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(title, Outcome::Failed) }.hint(hint)
    }

    /// Something else is missing that this check needs; the hint says what to do.
    pub(super) fn unknown(title: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(title, Outcome::Unknown) }.hint(hint)
    }

    /// The API server's answer to a missing right names user, verb, resource and namespace.
    pub(super) fn unreadable(title: impl Into<String>, error: &Error) -> Self {
        let check = Self::unknown(title, ErrorChain(error).to_string(), remedy(error));
        if error.is_missing_right() { Self { lacks_right: true, ..check }.see(Page::Rights) } else { check }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn see(self, page: Page) -> Self {
        Self { page: Some(format!("{ROOT}{}", page.path())), ..self }
    }
}

/// What to do after a request that failed.
fn remedy(error: &Error) -> &'static str {
    match error {
        _ if error.is_missing_right() => "ask an administrator to grant you this right, or to run the check for you",
        Error::TimedOut { .. } => "repeat the check with more time: kubectl winddown check --request-timeout 2m",
        Error::Failed { .. } => "look whether the API server can be reached: kubectl get --raw '/readyz?verbose'",
        Error::Refused { status, .. } if status.code == 401 => "log in again: the API server does not know the user",
        Error::Refused { status, .. } if status.code == 429 || status.code >= 500 => {
            "repeat the check, and look at the state of the API server: kubectl get --raw '/readyz?verbose'"
        }
        _ => "repeat the check; if the answer stays, it says what the API server does not accept",
    }
}

impl Report {
    pub(super) fn group(&mut self, name: &'static str, checks: Vec<Check>) {
        self.groups.push(Group { name, checks });
    }

    /// The worst outcome.
    pub(super) fn outcome(&self) -> Outcome {
        let checks = self.groups.iter().flat_map(|group| &group.checks);
        checks.map(|check| check.outcome).max().unwrap_or(Outcome::Ok)
    }

    /// Whether a repetition may lead to a better outcome. Right after an installation, much is unknown for a while.
    pub(super) fn may_improve(&self) -> bool {
        let checks = self.groups.iter().flat_map(|group| &group.checks);
        checks.into_iter().any(|check| check.outcome >= Outcome::Unknown && !check.lacks_right)
    }

    pub(super) fn exit(&self) -> Exit {
        match self.outcome() {
            Outcome::Ok | Outcome::Warning => Exit::Success,
            Outcome::Failed => Exit::Findings,
            Outcome::Unknown => Exit::Unusable,
        }
    }

    /// All checks in groups, as `linkerd check` shows them; with `only_problems`, those that are not well.
    pub(super) fn print(&self, symbols: Symbols, only_problems: bool, out: &mut impl Write) -> io::Result<()> {
        for group in &self.groups {
            let is_shown = |check: &&Check| !only_problems || check.outcome != Outcome::Ok;
            let checks: Vec<_> = group.checks.iter().filter(is_shown).collect();
            if checks.is_empty() {
                continue;
            }
            writeln!(out, "{}\n{}", group.name, "-".repeat(group.name.len()))?;
            for check in checks {
                let symbol = symbols.of(check.outcome);
                writeln!(out, "{symbol} {}", sanitize(&check.title))?;
                let indent = " ".repeat(symbol.chars().count() + 1);
                let page = check.page.as_ref().map(|page| format!("see {page}"));
                for line in [&check.message, &check.hint, &page].into_iter().flatten() {
                    writeln!(out, "{indent}{}", sanitize(line))?;
                }
            }
            writeln!(out)?;
        }
        let result = match self.outcome() {
            Outcome::Ok => "Winddown is well",
            Outcome::Warning => "Winddown is well, with warnings",
            Outcome::Unknown => "not everything could be read",
            Outcome::Failed => "something is wrong",
        };
        writeln!(out, "{} {result}", symbols.of(self.outcome()))
    }

    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Document<'a> {
            outcome: Outcome,
            groups: &'a [Group],
        }
        serde_json::to_writer_pretty(&mut *out, &Document { outcome: self.outcome(), groups: &self.groups })?;
        writeln!(out)
    }
}

/// The marks in front of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbols {
    /// Those of `linkerd check`.
    Unicode,
    /// For pipes, and for terminals without UTF-8.
    Ascii,
}

impl Symbols {
    const fn of(self, outcome: Outcome) -> &'static str {
        match (self, outcome) {
            (Self::Unicode, Outcome::Ok) => "√",
            (Self::Unicode, Outcome::Warning) => "‼",
            (Self::Unicode, Outcome::Unknown) => "?",
            (Self::Unicode, Outcome::Failed) => "×",
            (Self::Ascii, Outcome::Ok) => "ok  ",
            (Self::Ascii, Outcome::Warning) => "warn",
            (Self::Ascii, Outcome::Unknown) => "?   ",
            (Self::Ascii, Outcome::Failed) => "FAIL",
        }
    }

    /// For standard output, by the first of the variables that POSIX names which is set.
    pub(super) fn for_stdout(is_terminal: bool, locale: Option<&str>) -> Self {
        let is_utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if is_terminal && is_utf8 { Self::Unicode } else { Self::Ascii }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use kube::core::Status;

    use super::*;

    fn report(outcomes: &[Outcome]) -> Report {
        let checks = outcomes.iter().map(|&outcome| Check::new("x", outcome)).collect();
        Report { groups: vec![Group { name: "g", checks }] }
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_check() {
        use Outcome::{Failed, Ok, Unknown, Warning};
        for (outcomes, exit) in [
            (&[][..], Exit::Success),
            (&[Ok, Warning], Exit::Success),
            (&[Unknown, Ok], Exit::Unusable),
            (&[Failed, Unknown], Exit::Findings),
        ] {
            assert_eq!(report(outcomes).exit(), exit, "{outcomes:?}");
        }
    }

    #[test]
    fn each_failure_has_what_to_do_and_a_page() {
        let failed = Check::failed("the replicas are ready", "0 of 2\u{1b}", "wait").see(Page::Emergency);
        let report = Report { groups: vec![Group { name: "operator", checks: vec![Check::ok("found"), failed] }] };
        let print = |symbols, only_problems| {
            let mut out = Vec::new();
            report.print(symbols, only_problems, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let expected = "\
operator
--------
√ found
× the replicas are ready
  0 of 2\u{fffd}
  wait
  see https://github.com/winddown/winddown/blob/main/docs/emergency.md

× something is wrong
";
        assert_eq!(print(Symbols::Unicode, false), expected);
        let short = print(Symbols::Ascii, true);
        assert!(short.is_ascii() || short.contains('\u{fffd}'), "{short}");
        assert!(!short.contains("found") && short.contains("FAIL the replicas are ready\n     0 of 2"), "{short}");
    }

    #[test]
    fn what_cannot_be_read_says_what_to_do() {
        let answered = |code, message: &str| {
            Error::new("read", kube::Error::Api(Box::new(Status::failure(message, "x").with_code(code))))
        };
        for (error, hint) in [
            (answered(403, "User \"eve\" cannot list resource \"pods\" in API group \"\""), "to grant you this right"),
            (answered(403, "exceeded quota"), "does not accept"),
            (answered(401, "Unauthorized"), "log in again"),
            (answered(503, "etcdserver: request timed out"), "kubectl get --raw"),
            (Error::TimedOut { call: "read".to_owned(), limit: Duration::from_secs(30) }, "--request-timeout"),
        ] {
            let check = Check::unreadable("x", &error);
            assert!(check.hint.as_ref().is_some_and(|text| text.contains(hint)), "{check:?}");
            assert_eq!(check.page.is_some(), error.is_missing_right(), "{check:?}");
        }
    }

    #[test]
    fn a_repetition_may_help_unless_it_is_well_or_only_rights_are_missing() {
        let unreadable = |code, message: &str| {
            let status = Status::failure(message, "x").with_code(code);
            Check::unreadable("x", &Error::new("read", kube::Error::Api(Box::new(status))))
        };
        let forbidden = || unreadable(403, "User \"eve\" cannot list resource \"pods\" in API group \"\"");
        let silent = Error::TimedOut { call: "read".to_owned(), limit: Duration::from_secs(30) };
        for (checks, expected) in [
            (vec![Check::ok("x"), Check::warning("x", "y")], false),
            (vec![Check::ok("x"), forbidden()], false),
            (vec![forbidden(), unreadable(503, "unavailable")], true),
            (vec![unreadable(429, "too many requests")], true),
            (vec![Check::unreadable("x", &silent)], true),
            (vec![Check::failed("x", "y", "z"), forbidden()], true),
        ] {
            let report = Report { groups: vec![Group { name: "g", checks }] };
            assert_eq!(report.may_improve(), expected, "{report:?}");
        }
    }

    #[test]
    fn the_marks_of_a_terminal_need_utf_8() {
        for (is_terminal, locale, expected) in [
            (true, Some("en_US.UTF-8"), Symbols::Unicode),
            (true, Some("C.utf8"), Symbols::Unicode),
            (true, Some("POSIX"), Symbols::Ascii),
            (true, None, Symbols::Ascii),
            (false, Some("C.UTF-8"), Symbols::Ascii),
        ] {
            assert_eq!(Symbols::for_stdout(is_terminal, locale), expected, "{locale:?}");
        }
    }

    #[test]
    fn the_pages_and_their_headings_exist() {
        for page in Page::ALL {
            let (file, anchor) = page.path().split_once('#').unwrap_or((page.path(), ""));
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            let headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
            let mut anchors = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
            assert!(anchor.is_empty() || anchors.any(|found| found == anchor), "{}", page.path());
        }
    }
}
