//! The rules about the shutdown of a pod, one file for each code.
//!
//! Each file contains the code's severity, title, page and check, and a table of manifests with and without findings. A
//! check is a pure function from the evaluated workload to findings.

use k8s_openapi::api::core::v1::Container;

use crate::annotations::Reading;
use crate::budget::Budget;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity, for_each_code};
use crate::plan::Plan;
use crate::plan::hooks::PlannedHook;
use crate::policy::Resolved;
use crate::workload::Workload;

/// One kind of finding.
pub(crate) struct Rule {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    /// The problem in one sentence.
    pub(crate) title: &'static str,
    /// Markdown with the sections `Why`, `What to do` and `Source`.
    pub(crate) page: &'static str,
    pub(crate) check: Check,
}

/// The input of a rule.
pub(crate) enum Check {
    /// The parsed annotations.
    Annotations(fn(&Reading) -> Vec<Finding>),
    /// The workload and its plan.
    Plan(fn(&Subject<'_>) -> Vec<Finding>),
    /// None: evaluation or review call the function in the rule's file.
    Reported,
}

/// The input of a rule about the plan.
pub(crate) struct Subject<'a> {
    /// The workload without injected fields.
    pub(crate) workload: &'a Workload,
    /// The declaration and the resolved numbers.
    pub(crate) resolved: &'a Resolved<'a>,
    /// The plan, including injected fields.
    pub(crate) plan: &'a Plan,
}

impl<'a> Subject<'a> {
    pub(crate) fn budget(&self) -> &'a Budget {
        &self.plan.budget
    }

    /// The main containers.
    pub(crate) fn containers(&self) -> &'a [Container] {
        &self.workload.pod.containers
    }

    /// The main containers with their hooks, including injected ones.
    pub(crate) fn hooks(&self) -> impl Iterator<Item = (&'a Container, &'a PlannedHook)> {
        self.workload.pod.containers.iter().zip(&self.plan.hooks)
    }
}

impl Rule {
    /// A finding of this rule.
    pub(crate) fn finding(&self, field: FieldPath, problem: impl Into<String>) -> Finding {
        Finding::new(self.code, self.severity, field, problem)
    }
}

macro_rules! rules {
    ($($file:ident $code:ident,)+) => {
        $(pub(crate) mod $file;)+

        /// In the order in which findings are reported.
        const RULES: &[&Rule] = &[$(&$file::RULE),+];

        fn rule(code: Code) -> &'static Rule {
            match code { $(Code::$code => &$file::RULE,)+ }
        }
    };
}
for_each_code!(rules);

/// The findings of all rules about the annotations.
pub(crate) fn check_annotations(reading: &Reading) -> Vec<Finding> {
    let checks = RULES.iter().filter_map(|rule| match rule.check {
        Check::Annotations(check) => Some(check),
        Check::Plan(_) | Check::Reported => None,
    });
    checks.flat_map(|check| check(reading)).collect()
}

/// The findings of all rules about a planned workload.
pub(crate) fn check_plan(subject: &Subject<'_>) -> Vec<Finding> {
    let checks = RULES.iter().filter_map(|rule| match rule.check {
        Check::Plan(check) => Some(check),
        Check::Annotations(_) | Check::Reported => None,
    });
    checks.flat_map(|check| check(subject)).collect()
}

/// The description of a code, for `winddown explain` and `docs/findings.md`.
impl Code {
    /// The severity of every finding with this code.
    #[must_use]
    pub fn severity(self) -> Severity {
        rule(self).severity
    }

    /// The problem in one sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        rule(self).title
    }

    /// The page in Markdown: name, severity, title and sections. Links are absolute, because `winddown explain` prints the
    /// page outside the repository.
    #[must_use]
    pub fn page(self) -> String {
        let Rule { severity, title, page: sections, .. } = rule(self);
        let text = format!("# {}\n\n{}: {title}\n\n{sections}", self.as_str(), severity.as_str());
        let mut parts = text.split("](");
        let mut page = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let base = if part.starts_with("https://") { "" } else { DOCS };
            page.extend(["](", base, part]);
        }
        page
    }
}

/// The base of the links in pages.
pub const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/");

#[cfg(test)]
pub(crate) mod tests;
