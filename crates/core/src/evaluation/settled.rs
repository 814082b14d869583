//! `state.winddown.dev/settled`: for which template and declaration the workload was last found to need no new record.
//!
//! A record is part of the template, and a new one would replace the pods. So where nothing else would change, the template
//! keeps no record or an older one, and this annotation of the workload takes its place: without it, a later version with
//! other numbers could not tell that the template was already as it should be.

use serde::{Deserialize, Serialize};

use crate::annotations::{Declaration, SETTLED};
use crate::budget::Budget;
use crate::duration::Seconds;
use crate::fingerprint;
use crate::object::{Object, Template};
use crate::policy::{Numbers, Resolved};

/// A settled template. A forged one only keeps a template as it stands; findings do not depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settled {
    /// The fingerprint of the whole template.
    template: String,
    /// The fingerprint of the declaration in its canonical form.
    declared: String,
    drain: Seconds,
    deadline: Seconds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others: Option<Seconds>,
    margin: Seconds,
}

/// Longer texts are not from Winddown.
const LONGEST: usize = 256;

impl Settled {
    pub(super) fn new(template: Template<'_>, declaration: &Declaration, numbers: Numbers) -> Self {
        let Numbers { drain, deadline, others, margin } = numbers;
        Self {
            template: fingerprint::of_json(template.value()),
            declared: fingerprint::of_texts(&[&declaration.to_string()]),
            drain,
            deadline,
            others,
            margin,
        }
    }

    /// That of a workload, if it has one in this form.
    pub(super) fn of(object: Object<'_>) -> Option<Self> {
        let text = object.annotation(SETTLED).filter(|text| text.len() <= LONGEST)?;
        serde_json::from_str(text).ok()
    }

    pub(super) fn is_for(&self, template: Template<'_>, declaration: &Declaration) -> bool {
        *self == Self::new(template, declaration, self.numbers())
    }

    pub(super) fn numbers(&self) -> Numbers {
        Numbers { drain: self.drain, deadline: self.deadline, others: self.others, margin: self.margin }
    }

    /// The text of the annotation.
    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// The numbers in a budget text that Winddown wrote, if they agree with the declaration and with the template.
///
/// Versions that wrote no settled state left this text as the only trace that they found a template to be as it should be.
pub(super) fn numbers_in_text(text: &str, template: Template<'_>, resolved: &Resolved<'_>) -> Option<Numbers> {
    let (terms, sum) = text.split_once(" = ")?;
    let (needed, grace_period) = sum.split_once(" of ")?;
    let mut terms = terms.splitn(3, " + ");
    let drain_term = terms.next()?.strip_prefix("drain ")?;
    let (deadline, margin) =
        (seconds(terms.next()?.strip_prefix("deadline ")?)?, seconds(terms.next()?.strip_prefix("margin ")?)?);
    let drain = seconds(drain_term)?;
    // The length of a hook is not the number that the declaration or a default stands for.
    let of_hook = drain_term.contains("(preStop of ");
    let numbers = Numbers { drain: if of_hook { resolved.drain } else { drain }, deadline, others: None, margin };
    let needed = seconds(needed)?;
    let consistent = drain.plus(deadline).plus(margin) == needed
        && seconds(grace_period).is_some_and(|grace_period| {
            grace_period >= needed
                && template.grace_period().and_then(serde_json::Value::as_i64) == Some(grace_period.as_i64())
        });
    let applied = Numbers { others: None, ..resolved.with_numbers(numbers).numbers() };
    (consistent && applied == numbers).then_some(numbers)
}

/// A number of seconds, up to the name of its source.
fn seconds(term: &str) -> Option<Seconds> {
    Seconds::from_printed(term.split(' ').next()?)
}

/// The text of a budget as the given template keeps it.
pub(super) fn text_for(budget: Budget, template: Template<'_>) -> String {
    let kept = template.grace_period().and_then(serde_json::Value::as_i64).map(Seconds::from_api);
    Budget { grace_period: kept.unwrap_or(budget.grace_period), ..budget }.to_string()
}
