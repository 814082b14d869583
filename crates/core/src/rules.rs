//! The rules: everything that can be wrong with a pod's shutdown, one file for each code.
//!
//! Each file holds the code's severity, title, page, check and the table of manifests on which it fires and on which it is
//! silent. A check is a pure function from the evaluated workload to findings. It changes nothing.

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
    /// What it is, in one sentence.
    pub(crate) title: &'static str,
    /// Why it matters, what to do and where the facts come from: Markdown with the sections `Why`, `What to do` and `Source`.
    pub(crate) page: &'static str,
    pub(crate) check: Check,
}

/// What a rule looks at.
pub(crate) enum Check {
    /// The annotations as read.
    Annotations(fn(&Reading) -> Vec<Finding>),
    /// The workload and its plan.
    Plan(fn(&Subject<'_>) -> Vec<Finding>),
    /// Nothing by itself: evaluation or review report it, with the function in the rule's file.
    Reported,
}

/// What a plan rule may look at.
pub(crate) struct Subject<'a> {
    /// The workload without anything that Winddown injected.
    pub(crate) workload: &'a Workload,
    /// What was declared, and the numbers it resolves to.
    pub(crate) resolved: &'a Resolved<'a>,
    /// The plan, injections included.
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

    /// The main containers with their hooks, injected ones included.
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

/// What all rules report about the annotations.
pub(crate) fn check_annotations(reading: &Reading) -> Vec<Finding> {
    let checks = RULES.iter().filter_map(|rule| match rule.check {
        Check::Annotations(check) => Some(check),
        Check::Plan(_) | Check::Reported => None,
    });
    checks.flat_map(|check| check(reading)).collect()
}

/// What all rules report about a planned workload.
pub(crate) fn check_plan(subject: &Subject<'_>) -> Vec<Finding> {
    let checks = RULES.iter().filter_map(|rule| match rule.check {
        Check::Plan(check) => Some(check),
        Check::Annotations(_) | Check::Reported => None,
    });
    checks.flat_map(|check| check(subject)).collect()
}

/// What is known of a code: what `winddown explain` prints, and what `docs/findings.md` is made of.
impl Code {
    /// The severity of every finding with this code.
    #[must_use]
    pub fn severity(self) -> Severity {
        rule(self).severity
    }

    /// What it is, in one sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        rule(self).title
    }

    /// The page in Markdown: name, severity, title and the sections of its text. Links have their whole address, because a
    /// page is read anywhere.
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

/// Where the documents are that pages link to.
pub const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/");

#[cfg(test)]
pub(crate) mod tests;
