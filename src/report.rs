//! What the controller tells about a workload: events, and only when something changed.

use std::cmp::Reverse;

use serde_json::Value;

use crate::finding::{Finding, Severity};
use crate::injection::Record;
use crate::settlement::{Settlement, budget_annotation};

/// An Event to publish on the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether somebody should act.
    pub kind: EventKind,
    /// At most 128 characters in `CamelCase`: `BudgetApplied`, `BudgetRemoved`, `MoreFindings`, or a finding's code.
    pub reason: &'static str,
    /// The numbers; at most 1 kB.
    pub note: String,
}

/// Kubernetes knows these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// For information.
    Normal,
    /// Somebody should look.
    Warning,
}

/// What was last seen of a workload, as far as it matters for telling a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The sum that stands on it, and what was injected; `None` where nothing is declared or nothing could be done about it.
    budget: Option<Applied>,
    /// Errors before warnings.
    findings: Vec<Finding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    sum: String,
    changes: String,
}

/// How many findings are told one by one when something changes.
const MOST_FINDINGS: usize = 16;
/// The API takes notes of up to 1024 bytes.
const LONGEST_NOTE: usize = 1000;

impl Seen {
    /// Looks at a workload and its settlement.
    #[must_use]
    pub fn new(workload: &Value, settlement: &Settlement) -> Self {
        let record = workload.pointer("/spec/template").and_then(|template| Record::of(template).ok().flatten());
        let changes = record.map(|record| record.in_words()).unwrap_or_default();
        let budget = budget_annotation(workload).map(|sum| Applied { sum: sum.to_owned(), changes });
        Self { budget, findings: worth_an_event(&settlement.findings) }
    }
}

/// All but infos, the gravest first.
fn worth_an_event(findings: &[Finding]) -> Vec<Finding> {
    let mut findings: Vec<_> = findings.iter().filter(|finding| finding.severity > Severity::Info).cloned().collect();
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

/// The events that lead from what was seen before to what is seen now.
///
/// A workload that is seen for the first time (`before` is `None`) was either made just now or stood there when the
/// controller started; only an error is worth telling of the latter.
#[must_use]
pub fn events(before: Option<&Seen>, now: &Seen, just_made: bool) -> Vec<Event> {
    let unknown = Seen::default();
    let known = before.is_some() || just_made;
    let before = before.unwrap_or(&unknown);
    let is_news = |finding: &&Finding| {
        (known || finding.is_error()) && !before.findings.iter().any(|told| told.is_the_same_as(finding))
    };
    let news: Vec<_> = now.findings.iter().filter(is_news).collect();
    let mut events: Vec<_> = news.iter().take(MOST_FINDINGS).map(|finding| Event::about(finding)).collect();
    if news.len() > MOST_FINDINGS {
        events.push(Event {
            kind: EventKind::Warning,
            reason: "MoreFindings",
            note: format!("{} more; `winddown plan` shows them all", news.len() - MOST_FINDINGS),
        });
    }
    if known && before.budget != now.budget {
        events.push(match &now.budget {
            Some(Applied { sum, changes }) => Event {
                kind: EventKind::Normal,
                reason: "BudgetApplied",
                note: shortened(if changes.is_empty() { sum.clone() } else { format!("{sum}: {changes}") }),
            },
            None => Event {
                kind: EventKind::Normal,
                reason: "BudgetRemoved",
                note: "the pod template is as its owner wrote it".to_owned(),
            },
        });
    }
    events
}

impl Event {
    fn about(finding: &Finding) -> Self {
        let note = shortened(format!("{}: {}", finding.field, finding.message));
        Self { kind: EventKind::Warning, reason: finding.code.as_str(), note }
    }
}

fn shortened(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::{Applied, Event, EventKind, Seen, events, shortened, worth_an_event};
    use crate::finding::{Code, Finding};

    fn applied(sum: &str) -> Seen {
        Seen {
            budget: Some(Applied { sum: sum.to_owned(), changes: "preStop sleep 5s into app".to_owned() }),
            findings: vec![],
        }
    }

    fn misfit(message: &str) -> Seen {
        Seen { budget: None, findings: vec![Finding::new(Code::BudgetDoesNotFit, "spec", message)] }
    }

    fn warned(messages: &[&str]) -> Seen {
        let finding = |message: &&str| Finding::new(Code::RestartDelayed, "spec", *message);
        Seen { budget: None, findings: messages.iter().map(finding).collect() }
    }

    fn reasons(events: &[Event]) -> Vec<(EventKind, &str)> {
        events.iter().map(|event| (event.kind, event.reason)).collect()
    }

    #[test]
    fn events_tell_changes_and_nothing_else() {
        let none = Seen::default();
        let normal = |reason| vec![(EventKind::Normal, reason)];
        let warning = vec![(EventKind::Warning, "BudgetDoesNotFit")];
        let delayed = vec![(EventKind::Warning, "RestartDelayed")];
        for (case, before, now, just_made, told) in [
            ("made with a budget", None, applied("35s"), true, normal("BudgetApplied")),
            ("stood there at the start", None, applied("35s"), false, vec![]),
            ("annotated", Some(none.clone()), applied("35s"), false, normal("BudgetApplied")),
            ("looked at again", Some(applied("35s")), applied("35s"), false, vec![]),
            ("another budget", Some(applied("35s")), applied("45s"), false, normal("BudgetApplied")),
            ("annotation taken away", Some(applied("35s")), none.clone(), false, normal("BudgetRemoved")),
            ("made unfit", Some(none.clone()), misfit("50s of 30s"), false, warning.clone()),
            ("stood there unfit at the start", None, misfit("50s of 30s"), false, warning.clone()),
            ("still unfit", Some(misfit("50s of 30s")), misfit("50s of 30s"), false, vec![]),
            ("still unfit, with another hint", Some(misfit("50s; a")), misfit("50s; b"), false, vec![]),
            ("unfit in another way", Some(misfit("50s of 30s")), misfit("60s of 30s"), false, warning),
            ("mended", Some(misfit("50s of 30s")), applied("35s"), false, normal("BudgetApplied")),
            ("made with a warning", None, warned(&["a"]), true, delayed.clone()),
            ("stood there with a warning at the start", None, warned(&["a"]), false, vec![]),
            ("with a warning from now on", Some(none.clone()), warned(&["a"]), false, delayed.clone()),
            ("still with the warning", Some(warned(&["a"])), warned(&["a"]), false, vec![]),
            ("with the hint respelt", Some(warned(&["a; do this"])), warned(&["a; do that"]), false, vec![]),
            ("with one more warning", Some(warned(&["a"])), warned(&["a", "b"]), false, delayed),
            ("without it again", Some(warned(&["a"])), none, false, vec![]),
        ] {
            assert_eq!(reasons(&events(before.as_ref(), &now, just_made)), told, "{case}");
        }
    }

    #[test]
    fn infos_are_not_told_and_errors_come_first() {
        let finding = |code| Finding::new(code, "spec", "message");
        let all = [Code::RestartDelayed, Code::DrainOptedOut, Code::BudgetDoesNotFit].map(finding);
        let codes: Vec<_> = worth_an_event(&all).iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::BudgetDoesNotFit, Code::RestartDelayed]);
    }

    #[test]
    fn of_many_findings_the_last_event_says_how_many_more_there_are() {
        let messages: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        let some = |findings: usize| warned(&messages[..findings].iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(events(None, &some(16), true).len(), 16);
        let told = events(None, &some(20), true);
        assert_eq!(told.len(), 17);
        assert_eq!((told[16].reason, &*told[16].note), ("MoreFindings", "4 more; `winddown plan` shows them all"));
    }

    #[test]
    fn a_note_has_the_numbers_and_fits_the_api() {
        let event = &events(Some(&Seen::default()), &applied("5s = 5s of 30s"), false)[0];
        assert_eq!(event.note, "5s = 5s of 30s: preStop sleep 5s into app");
        assert!(shortened("ä".repeat(5000)).len() <= 1024);
    }
}
