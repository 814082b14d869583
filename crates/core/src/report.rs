//! The Events of a workload. The controller publishes them only after a change.

mod reported;

use std::cmp::Reverse;

use serde_json::Value;

use crate::annotations::BUDGET;
use crate::evaluation::Evaluation;
use crate::finding::{Finding, Severity};
use crate::fingerprint::number_of_texts;
use crate::injection::Injected;
use crate::object::Object;
use crate::sanitize::{escaped, quoted};

pub use reported::Reported;
use reported::{MAX_FOLLOWED, ReportedBudget};

/// An Event to publish on the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it needs attention.
    pub kind: EventKind,
    /// At most 128 characters in `CamelCase`: `BudgetApplied`, `BudgetRemoved`, `InjectionReverted`,
    /// `InjectionRejected`, `NotEvaluated`, `ShutdownKilled`, `StatusReset`, or a finding's code.
    pub reason: &'static str,
    /// The message; at most 1 kB.
    pub note: String,
}

/// The types of Events in Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// For information.
    Normal,
    /// Needs attention.
    Warning,
}

/// The state of a workload that Events report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// The hash of `applied`, or of what was reported last.
    budget: ReportedBudget,
    /// The budget and the injected fields; `None` without a declaration or if injection was not possible.
    applied: Option<Applied>,
    /// Whether there is a budget text that is not known to be Winddown's, because anybody can write that annotation. Winddown
    /// restores it if it can.
    unverified: bool,
    /// The errors, then the warnings; at most [`MAX_FOLLOWED`].
    actionable: Vec<Finding>,
    /// How many more there are.
    more: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    sum: String,
    injected: Injected,
}

impl Applied {
    /// It is stored, so it does not depend on the words of a message.
    fn hash(&self) -> u64 {
        let Injected { sleeps, probes, variables, grace_period } = &self.injected;
        let sleeps = sleeps.iter().map(|(container, seconds)| format!("sleep {container} {seconds}"));
        let probes = probes.iter().map(|container| format!("probe {container}"));
        let variables = variables.iter().map(|container| format!("variables {container}"));
        let grace_period = grace_period.map(|(was, set)| format!("grace period {was} {set}"));
        let injected = sleeps.chain(probes).chain(variables).chain(grace_period);
        let parts: Vec<_> = [self.sum.clone()].into_iter().chain(injected).collect();
        number_of_texts(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// The API takes notes of up to 1024 bytes.
const LONGEST_NOTE: usize = 1000;
/// The maximum number of findings at the same time, to keep the list of Events readable.
const MAX_EVENTS: usize = 16;

impl Current {
    /// The current state of a workload.
    #[must_use]
    pub fn new(workload: &Value, evaluation: &Evaluation) -> Self {
        let injected = evaluation.injected.clone().unwrap_or_default();
        let sum = Object::new(workload).annotation(BUDGET);
        let unverified = sum.is_some() && !evaluation.confirms_budget_text();
        let sum = sum.filter(|_| !unverified);
        let applied = sum.map(|sum| Applied { sum: sum.to_owned(), injected });
        let findings = evaluation.findings.iter();
        let mut actionable: Vec<_> =
            findings.filter(|finding| finding.severity >= Severity::Warning).cloned().collect();
        actionable.sort_by_key(|finding| Reverse(finding.severity));
        let more = actionable.len().saturating_sub(MAX_FOLLOWED);
        actionable.truncate(MAX_FOLLOWED);
        let budget = applied.as_ref().map_or(ReportedBudget::None, |applied| ReportedBudget::Applied(applied.hash()));
        Self { budget, applied, unverified, actionable, more }
    }

    /// Keeps the budget that was reported last if Winddown did not write the current text.
    #[must_use]
    pub fn after(mut self, before: Option<&Reported>) -> Self {
        if std::mem::take(&mut self.unverified) {
            self.budget = before.map_or(ReportedBudget::None, |before| before.budget);
        }
        self
    }

    /// The state to remember once its Events were published.
    #[must_use]
    pub fn reported(&self) -> Reported {
        Reported::new(self.budget, self.actionable.iter().map(Finding::hash))
    }
}

/// The Events for the changes between the last reported state and the current one.
///
/// A workload without a reported state (`before` is `None`) was either created just now or existed when the controller
/// started. For one that existed, only errors are reported.
#[must_use]
pub fn events(before: Option<&Reported>, now: &Current, just_created: bool) -> Vec<Event> {
    let unknown = Reported::default();
    let known = before.is_some() || just_created;
    let before = before.unwrap_or(&unknown);
    let existed = |finding: &Finding| before.includes(finding.hash());
    let new = now.actionable.iter().filter(|finding| (known || finding.is_error()) && !existed(finding));
    let new: Vec<_> = new.collect();
    let mut events: Vec<_> = new.iter().take(MAX_EVENTS).map(|finding| Event::of(finding)).collect();
    if let Some(first_omitted) = new.get(MAX_EVENTS) {
        let note = format!("{} more; `winddown plan` lists all", new.len() - MAX_EVENTS + now.more);
        events.push(Event { kind: EventKind::Warning, reason: first_omitted.code.as_str(), note });
    }
    if known && before.budget != now.budget && before.budget != ReportedBudget::Unknown {
        events.push(match &now.applied {
            Some(Applied { sum, injected }) => Event {
                kind: EventKind::Normal,
                reason: "BudgetApplied",
                note: shortened(&if injected.is_empty() { sum.clone() } else { format!("{sum}: {injected}") }),
            },
            None => Event {
                kind: EventKind::Normal,
                reason: "BudgetRemoved",
                note: "injected fields removed; the pod template is as its owner wrote it".to_owned(),
            },
        });
    }
    events
}

/// The Event for a workload whose injection was reverted several times.
#[must_use]
pub fn reverted(times: u32, by: Option<&str>) -> Event {
    let by = by
        .map_or_else(|| "another mutating webhook".to_owned(), |manager| format!("field manager {}", quoted(manager)));
    let note = format!(
        "changed {times} times, and reverted each time, last by {by}; not changed again until its template or annotations \
         change, or for about an hour or longer"
    );
    Event { kind: EventKind::Warning, reason: "InjectionReverted", note }
}

/// The reason of the Event for a workload that is over a limit.
pub const NOT_EVALUATED: &str = "NotEvaluated";

/// The Event for a workload that is over a limit and stays as it is, unless it was reported, and the state to remember.
#[must_use]
pub fn not_evaluated(before: Option<&Reported>, problem: &str) -> (Option<Event>, Reported) {
    let unknown = Reported::new(ReportedBudget::Unknown, []);
    // What was reported is not forgotten, so it is not new when the workload can be evaluated again.
    let now = before.unwrap_or(&unknown).with(number_of_texts(&[problem]));
    let note = shortened(&format!("skipped, unchanged: {problem}"));
    let event = Event { kind: EventKind::Warning, reason: NOT_EVALUATED, note };
    (Some(event).filter(|_| before != Some(&now)), now)
}

/// The Event for a workload whose injection the API server rejects, with the message of the API server.
#[must_use]
pub fn rejected(message: &str) -> Event {
    let note = format!("the API server rejects the injection, which is tried again less and less often: {message}");
    Event { kind: EventKind::Warning, reason: "InjectionRejected", note: shortened(&note) }
}

impl Event {
    /// The Event with the number of Events of the same change that were withheld.
    #[must_use]
    pub fn after_withheld(mut self, withheld: usize) -> Self {
        if withheld > 0 {
            self.note = shortened(&format!("({withheld} Events withheld) {}", self.note));
        }
        self
    }

    fn of(finding: &Finding) -> Self {
        let note = shortened(&format!("{}: {}", finding.field, finding.message()));
        Self { kind: EventKind::Warning, reason: finding.code.as_str(), note }
    }
}

/// One line without control characters, because names in a record are from the workload.
fn shortened(note: &str) -> String {
    let mut note = escaped(note).into_owned();
    if note.len() > LONGEST_NOTE {
        note.truncate(note.floor_char_boundary(LONGEST_NOTE));
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        Applied, Current, Event, EventKind, Injected, Reported, ReportedBudget, events, not_evaluated, rejected,
        reverted, shortened,
    };
    use crate::duration::Seconds;
    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::field_path::FieldPath;
    use crate::finding::{Code, Finding};
    use crate::object::Object;
    use crate::policy::Policy;

    fn applied(sum: &str) -> Current {
        let injected = Injected { sleeps: vec![("app".to_owned(), 5)], ..Injected::default() };
        let budget = Applied { sum: sum.to_owned(), injected };
        Current { budget: ReportedBudget::Applied(budget.hash()), applied: Some(budget), ..Current::default() }
    }

    fn finding(code: Code, problem: &str, seconds: u32) -> Finding {
        Finding::new(code, code.severity(), FieldPath::new("spec"), problem).fact(Seconds::new(seconds))
    }

    fn misfit(needed: u32) -> Current {
        Current { actionable: vec![finding(Code::BudgetDoesNotFit, "does not fit", needed)], ..Current::default() }
    }

    fn reasons(events: &[Event]) -> Vec<(EventKind, &str)> {
        events.iter().map(|event| (event.kind, event.reason)).collect()
    }

    #[test]
    fn only_changes_are_reported() {
        let none = Current::default();
        let normal = |reason| vec![(EventKind::Normal, reason)];
        let warning = vec![(EventKind::Warning, "BudgetDoesNotFit")];
        for (case, before, now, just_created, expected) in [
            ("created with a budget", None, applied("35s"), true, normal("BudgetApplied")),
            ("existed at the start", None, applied("35s"), false, vec![]),
            ("annotated", Some(none.clone()), applied("35s"), false, normal("BudgetApplied")),
            ("unchanged", Some(applied("35s")), applied("35s"), false, vec![]),
            ("another budget", Some(applied("35s")), applied("45s"), false, normal("BudgetApplied")),
            ("annotation removed", Some(applied("35s")), none.clone(), false, normal("BudgetRemoved")),
            ("no longer fits", Some(none.clone()), misfit(50), false, warning.clone()),
            ("did not fit at the start", None, misfit(50), false, warning.clone()),
            ("still does not fit", Some(misfit(50)), misfit(50), false, vec![]),
            ("does not fit by another number", Some(misfit(50)), misfit(60), false, warning),
            ("fits again", Some(misfit(50)), applied("35s"), false, normal("BudgetApplied")),
        ] {
            let before = before.as_ref().map(Current::reported);
            assert_eq!(reasons(&events(before.as_ref(), &now, just_created)), expected, "{case}");
        }
    }

    #[test]
    fn a_warning_with_another_text_is_not_reported_again() {
        let short = |problem: &str, seconds| Current {
            actionable: vec![finding(Code::PreStopShort, problem, seconds)],
            ..Current::default()
        };
        let none = Current::default();
        let (three, reworded, four) =
            (short("sleep of 3s is kept", 3), short("it sleeps for 3s", 3), short("sleep of 4s is kept", 4));
        for (case, before, now, just_created, expected) in [
            ("created with it", None, &three, true, 1),
            ("existed at the start", None, &three, false, 0),
            ("new", Some(&none), &three, false, 1),
            ("reworded", Some(&three), &reworded, false, 0),
            ("another number", Some(&three), &four, false, 1),
            ("solved", Some(&three), &none, false, 0),
        ] {
            let before = before.map(Current::reported);
            assert_eq!(events(before.as_ref(), now, just_created).len(), expected, "{case}");
        }
    }

    fn with_findings(findings: impl IntoIterator<Item = Finding>) -> Current {
        let workload = json!({
            "kind": "Deployment",
            "metadata": {"annotations": {"winddown.dev/drain": "5s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}},
        });
        let mut evaluation = evaluate(&workload, Existing::None, &Policy::default(), Origin::ApiServer).unwrap();
        evaluation.findings = findings.into_iter().collect();
        Current::new(&workload, &evaluation)
    }

    #[test]
    fn errors_come_before_warnings_and_infos_are_not_reported() {
        let codes = [Code::PreStopShort, Code::DrainOptedOut, Code::BudgetDoesNotFit];
        let reported = events(None, &with_findings(codes.map(|code| finding(code, "problem", 1))), true);
        assert_eq!(reported.iter().map(|event| event.reason).collect::<Vec<_>>(), ["BudgetDoesNotFit", "PreStopShort"]);
    }

    #[test]
    fn at_most_sixteen_findings_are_reported_at_the_same_time() {
        let many = with_findings((0..40).map(|seconds| finding(Code::PreStopShort, "short", seconds)));
        let reported = events(Some(&Reported::default()), &many, false);
        assert_eq!((reported.len(), reported[16].note.as_str()), (17, "24 more; `winddown plan` lists all"));
        assert_eq!(events(Some(&many.reported()), &many, false), []);
    }

    #[test]
    fn what_was_reported_is_not_new_after_a_workload_could_not_be_evaluated() {
        let many = with_findings((0..40).map(|seconds| finding(Code::PreStopShort, "short", seconds)));
        let (event, state) = not_evaluated(Some(&many.reported()), "too large");
        assert!(event.is_some() && not_evaluated(Some(&state), "too large").0.is_none());
        assert!(events(Some(&state), &many, false).len() <= 1, "one hash made room for the problem");
        let (_, state) = not_evaluated(None, "too large");
        assert_eq!(events(Some(&state), &applied("35s"), false), [], "an injection that may be old");
        assert_eq!(events(Some(&state), &applied("35s").after(Some(&state)), false), []);
    }

    #[test]
    fn a_forged_budget_text_is_not_reported() {
        let evaluated = |workload: &serde_json::Value| {
            let evaluation = evaluate(workload, Existing::Unchanged, &Policy::default(), Origin::ApiServer).unwrap();
            (Current::new(workload, &evaluation), evaluation.changes.apply(workload))
        };
        let declared = json!({
            "kind": "Deployment",
            "metadata": {"annotations": {"winddown.dev/drain": "5s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}},
        });
        let (_, current) = evaluated(&declared);
        let known = evaluated(&current).0.reported();
        for (drain, restored) in [("5s", true), ("5 seconds", false)] {
            let mut forged = current.clone();
            forged["metadata"]["annotations"]["winddown.dev/drain"] = json!(drain);
            forged["metadata"]["annotations"]["winddown.dev/budget"] = json!("reviewed by security\n\u{1b}[2Jok");
            let (reported, desired) = evaluated(&forged);
            assert_eq!(desired == current, restored);
            let now = reported.after(Some(&known));
            assert!(events(Some(&known), &now, false).iter().all(|event| event.kind == EventKind::Warning), "{drain}");
            assert_eq!(now.budget, known.budget, "{drain}");
        }
    }

    #[test]
    fn of_a_long_text_only_a_hash_is_remembered() {
        let long = "x".repeat(200_000);
        let now = Current { actionable: vec![finding(Code::PreStopShort, &long, 1); 2], ..applied(&long) };
        assert!(format!("{:?}", now.reported()).len() < 200);
    }

    #[test]
    fn a_revert_names_the_field_manager() {
        let entry = |manager: &str, time: &str| json!({"manager": manager, "operation": "Update", "time": time});
        let mut status = entry("kube-controller-manager", "2026-01-09T00:00:00Z");
        status["subresource"] = json!("status");
        let entries = [
            entry("helm", "2026-01-01T00:00:00Z"),
            entry("shop-operator\n", "2026-01-02T00:00:00Z"),
            entry("winddown", "2026-01-03T00:00:00Z"),
            status,
        ];
        let workload = json!({"metadata": {"managedFields": entries}});
        let note = |workload| reverted(3, Object::new(workload).last_manager("winddown")).note;
        assert!(
            note(&workload)
                .starts_with(r#"changed 3 times, and reverted each time, last by field manager "shop-operator\n";"#)
        );
        assert!(note(&json!({})).contains("last by another mutating webhook;"));
        let event = reverted(3, None).after_withheld(12);
        assert!(event.note.starts_with("(12 Events withheld) changed 3 times"), "{}", event.note);
    }

    #[test]
    fn a_rejection_has_the_message_of_the_api_server_on_one_line() {
        let event = rejected(&format!("denied by policy\n\u{1b}[2J{}", "x".repeat(5000)));
        assert!(event.note.contains("less and less often: denied by policy\\n\\u{1b}[2Jxxx"), "{}", event.note);
        assert!(event.note.len() <= 1024);
    }

    #[test]
    fn a_note_has_the_numbers_and_fits_the_api() {
        let event = &events(Some(&Reported::default()), &applied("5s = 5s of 30s"), false)[0];
        assert_eq!(event.note, "5s = 5s of 30s: preStop sleep 5s into app");
        assert!(shortened(&"ä".repeat(5000)).len() <= 1024);
        assert_eq!(shortened("preStop sleep 5s into a\nb\u{1b}[2J"), "preStop sleep 5s into a\\nb\\u{1b}[2J");
    }
}
