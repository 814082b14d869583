//! What the controller tells about a workload: events, and only when something changed.

use std::cmp::Reverse;

use serde_json::Value;

use crate::evaluation::{Settlement, budget_annotation};
use crate::finding::{Finding, Severity};
use crate::injection::Record;

/// An Event to publish on the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether somebody should act.
    pub kind: EventKind,
    /// At most 128 characters in `CamelCase`: `BudgetApplied`, `BudgetRemoved`, or a finding's code.
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
    /// What somebody should act on: errors, then warnings.
    grave: Vec<Finding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    sum: String,
    changes: String,
}

/// The API takes notes of up to 1024 bytes.
const LONGEST_NOTE: usize = 1000;
/// More of them at once would drown each other.
const MOST_EVENTS: usize = 16;

impl Event {
    fn of(finding: &Finding) -> Self {
        let note = shortened(format!("{}: {}", finding.field, finding.message));
        Self { kind: EventKind::Warning, reason: finding.code.as_str(), note }
    }
}

impl Seen {
    /// Looks at a workload and its settlement.
    #[must_use]
    pub fn new(workload: &Value, settlement: &Settlement) -> Self {
        let record = workload.pointer("/spec/template").and_then(|template| Record::of(template).ok().flatten());
        let changes = record.map(|record| record.in_words()).unwrap_or_default();
        let budget = budget_annotation(workload).map(|sum| Applied { sum: sum.to_owned(), changes });
        let mut grave: Vec<_> =
            settlement.findings.iter().filter(|finding| finding.severity >= Severity::Warning).cloned().collect();
        grave.sort_by_key(|finding| Reverse(finding.severity));
        Self { budget, grave }
    }
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
    let stood_before = |finding: &Finding| before.grave.iter().any(|old| old.is_the_same_as(finding));
    let new: Vec<_> =
        now.grave.iter().filter(|finding| (known || finding.is_error()) && !stood_before(finding)).collect();
    let mut events: Vec<_> = new.iter().take(MOST_EVENTS).map(|finding| Event::of(finding)).collect();
    if let Some(first_unsaid) = new.get(MOST_EVENTS) {
        let note = format!("{} more; `winddown plan` lists all", new.len() - MOST_EVENTS);
        events.push(Event { kind: EventKind::Warning, reason: first_unsaid.code.as_str(), note });
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
    use super::{Applied, Event, EventKind, Seen, events, shortened};
    use crate::evaluation::{Before, Origin, settle};
    use crate::finding::{Code, Finding};
    use crate::policy::Policy;
    use serde_json::json;

    fn applied(sum: &str) -> Seen {
        Seen {
            budget: Some(Applied { sum: sum.to_owned(), changes: "preStop sleep 5s into app".to_owned() }),
            grave: vec![],
        }
    }

    fn misfit(message: &str) -> Seen {
        Seen { budget: None, grave: vec![Finding::new(Code::BudgetDoesNotFit, "spec", message)] }
    }

    fn reasons(events: &[Event]) -> Vec<(EventKind, &str)> {
        events.iter().map(|event| (event.kind, event.reason)).collect()
    }

    #[test]
    fn events_tell_changes_and_nothing_else() {
        let none = Seen::default();
        let normal = |reason| vec![(EventKind::Normal, reason)];
        let warning = vec![(EventKind::Warning, "BudgetDoesNotFit")];
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
            ("unfit in another way", Some(misfit("50s of 30s")), misfit("60s of 30s"), false, warning),
            ("mended", Some(misfit("50s of 30s")), applied("35s"), false, normal("BudgetApplied")),
        ] {
            assert_eq!(reasons(&events(before.as_ref(), &now, just_made)), told, "{case}");
        }
    }

    #[test]
    fn a_warning_is_told_when_it_is_new_and_never_again() {
        let short =
            |message: &str| Seen { budget: None, grave: vec![Finding::new(Code::PreStopShort, "spec", message)] };
        let none = Seen::default();
        let (three, hinted, four) =
            (short("sleep of 3s is kept"), short("sleep of 3s is kept; raise it"), short("of 4s"));
        for (case, before, now, just_made, told) in [
            ("made with it", None, &three, true, 1),
            ("stood there at the start", None, &three, false, 0),
            ("new", Some(&none), &three, false, 1),
            ("another hint", Some(&three), &hinted, false, 0),
            ("another number", Some(&three), &four, false, 1),
            ("mended", Some(&three), &none, false, 0),
        ] {
            assert_eq!(events(before, now, just_made).len(), told, "{case}");
        }
    }

    #[test]
    fn errors_are_seen_before_warnings_and_infos_never() {
        let workload = json!({
            "kind": "Deployment",
            "metadata": {"annotations": {"winddown.dev/drain": "5s"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}},
        });
        let mut settlement = settle(&workload, Before::Nothing, &Policy::default(), Origin::ApiServer).unwrap();
        let codes = [Code::PreStopShort, Code::DrainOptedOut, Code::BudgetDoesNotFit];
        settlement.findings = codes.map(|code| Finding::new(code, "spec", "message")).into();
        let told = events(None, &Seen::new(&workload, &settlement), true);
        assert_eq!(told.iter().map(|event| event.reason).collect::<Vec<_>>(), ["BudgetDoesNotFit", "PreStopShort"]);
    }

    #[test]
    fn a_flood_is_cut_and_says_so() {
        let many = (0..40).map(|at| Finding::new(Code::PreStopShort, format!("spec[{at}]"), "short")).collect();
        let told = events(Some(&Seen::default()), &Seen { budget: None, grave: many }, false);
        assert_eq!((told.len(), told[16].note.as_str()), (17, "24 more; `winddown plan` lists all"));
    }

    #[test]
    fn a_note_has_the_numbers_and_fits_the_api() {
        let event = &events(Some(&Seen::default()), &applied("5s = 5s of 30s"), false)[0];
        assert_eq!(event.note, "5s = 5s of 30s: preStop sleep 5s into app");
        assert!(shortened("ä".repeat(5000)).len() <= 1024);
    }
}
