//! The rules about the shutdown of a pod, one file for each code.
//!
//! Each file contains the code's severity, title, page and check, and a table of manifests with and without findings. A
//! check is a pure function from the evaluated workload to findings.

use crate::annotations::Reading;
use crate::finding::{Code, Finding, Severity, for_each_code};
use crate::pod::placement::windows;
use crate::pod::sidecars::{Running, running};
use crate::pod::signals::Reception;
use crate::rule::{Check, Rule, Subject};

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

/// The rules about SIGTERM and its way to the app. Windows has no signals. Those that check each container do not apply
/// to an app that its hook stops, if the first process then stays until the app has exited.
const ABOUT_SIGNALS: [Code; 5] =
    [Code::StopSignalKills, Code::SignalLost, Code::SignalMayBeLost, Code::WrapperKillsEarly, Code::RestartsOnSigterm];

/// The findings of all rules about the annotations.
pub(crate) fn check_annotations(reading: &Reading) -> Vec<Finding> {
    let checks = RULES.iter().filter_map(|rule| match rule.check {
        Check::Annotations(check) => Some(check),
        Check::Running(_) | Check::Plan(_) | Check::Related(_) | Check::Reported => None,
    });
    checks.flat_map(|check| check(reading)).collect()
}

/// The findings of all rules about a planned workload.
pub(crate) fn check_plan(subject: &Subject<'_>) -> Vec<Finding> {
    let pod = &subject.workload.pod;
    let has_no_signals = windows(pod).is_some();
    let stopped: Vec<_> = subject.own_hooks().map(|(_, own)| own.stops_the_app()).collect();
    let rules = RULES.iter().filter(|rule| !(has_no_signals && ABOUT_SIGNALS.contains(&rule.code)));
    let findings = rules.flat_map(|rule| match rule.check {
        Check::Running(check) => {
            let is_about_signals = ABOUT_SIGNALS.contains(&rule.code);
            let needs_none = |running: &Running<'_>| Reception::of(running.container).outlasts_the_app();
            let checked = running(pod)
                .zip(&stopped)
                .filter(|(running, stopped)| !(is_about_signals && **stopped && needs_none(running)));
            checked.filter_map(|(running, _)| check(running)).collect()
        }
        Check::Plan(check) => check(subject),
        Check::Related(check) => subject.related.map_or_else(Vec::new, |related| check(subject, related)),
        Check::Annotations(_) | Check::Reported => Vec::new(),
    });
    findings.collect()
}

/// The description of a code, for `winddown explain` and `docs/findings.md`.
impl Code {
    /// The severity of every finding with this code, unless `validationActions` lower it.
    #[must_use]
    pub fn severity(self) -> Severity {
        rule(self).severity
    }

    /// Whether the `validationActions` of a policy say what a finding with this code gets: it is about a budget that does not
    /// fit, or about a limit.
    #[must_use]
    pub fn follows_validation_actions(self) -> bool {
        matches!(self, Self::BudgetDoesNotFit | Self::DrainAboveLimit | Self::GracePeriodAboveLimit)
    }

    /// Whether a related object could refute or cause a finding with this code. The webhooks do not report it, because they
    /// do not see these objects; the controller reads them and does.
    #[must_use]
    pub fn needs_related_objects(self) -> bool {
        matches!(rule(self).check, Check::Related(_))
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
