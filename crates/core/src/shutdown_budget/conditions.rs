//! The conditions of a budget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::computed::text;
use super::{Pods, ShutdownBudgetStatus};
use crate::annotations::Mode;
use crate::duration::Seconds;
use crate::evaluation::Evaluation;
use crate::finding::Finding;
use crate::observation::{Promise, Timestamp};

/// The condition that says whether the budget fits the grace period.
pub const FITS: &str = "Fits";
/// The condition that says whether the pod template has the budget.
pub const INJECTED: &str = "Injected";
/// The condition that says whether every running pod has the budget.
pub const ROLLED_OUT: &str = "RolledOut";
/// The condition that says whether the app exited in time.
pub const HONOURED: &str = "Honoured";

/// The longest reason that Winddown writes.
const LONGEST_REASON: usize = 32;

/// Status, reason and message of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Verdict {
    status: Status,
    reason: String,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    True,
    False,
    Unknown,
}

impl Verdict {
    fn new(status: Status, reason: &str, message: &str) -> Self {
        Self { status, reason: reason.to_owned(), message: text(message) }
    }

    pub(super) fn unknown(reason: &str, message: &str) -> Self {
        Self::new(Status::Unknown, reason, message)
    }

    fn no(reason: &str, message: &str) -> Self {
        Self::new(Status::False, reason, message)
    }

    fn yes(reason: &str, message: &str) -> Self {
        Self::new(Status::True, reason, message)
    }

    /// Of an earlier evaluation.
    pub(super) fn stored(condition: Option<&Condition>) -> Self {
        let Some(Condition { status, reason, message, .. }) = condition else {
            return Self::unknown("NotEvaluated", "not evaluated yet");
        };
        let status = match status.as_str() {
            "True" => Status::True,
            "False" => Status::False,
            _ => Status::Unknown,
        };
        let is_valid = !reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_alphabetic());
        let reason = Some(reason.as_str()).filter(|reason| is_valid && reason.len() <= LONGEST_REASON);
        Self::new(status, reason.unwrap_or("NotEvaluated"), message)
    }

    pub(super) fn fits(evaluation: &Evaluation) -> Self {
        match &evaluation.budget {
            _ if evaluation.mode == Mode::Off => Self::unknown("Off", OFF),
            Some(budget) if evaluation.fits => Self::yes("Fits", &budget.to_string()),
            budget => {
                let problem = misfit(evaluation);
                let problem = problem
                    .map(|finding| format!("{}: {}: {}", finding.code.as_str(), finding.field, finding.message()));
                let problem = problem.as_deref().unwrap_or("no budget could be computed");
                match budget {
                    Some(_) => Self::no("DoesNotFit", problem),
                    None if evaluation.findings.iter().any(Finding::is_error) => Self::no("Invalid", problem),
                    None => Self::unknown("NotEvaluated", problem),
                }
            }
        }
    }

    pub(super) fn injected(evaluation: &Evaluation) -> Self {
        let Evaluation { mode, budget, injected, fits, waiting, changes, .. } = evaluation;
        match mode {
            Mode::Off => return Self::no("Off", OFF),
            Mode::Audit => return Self::no("Audit", "winddown.dev/mode is Audit: nothing is injected"),
            Mode::Enforce => {}
        }
        match injected {
            _ if budget.is_none() => Self::no("NotEvaluated", "without a valid budget, nothing is injected"),
            Some(injected) if !changes.rolls_out() => {
                let what = if injected.is_empty() { "nothing was missing".to_owned() } else { injected.to_string() };
                let later = match (fits, waiting) {
                    (false, _) => "; from a budget that fitted, until the next change of the template",
                    (true, true) => {
                        "; another policy or namespace label counts from the next change of the template on"
                    }
                    (true, false) => "",
                };
                Self::yes("Injected", &format!("{what}{later}"))
            }
            _ if !fits => Self::no("DoesNotFit", "a budget that does not fit is not injected"),
            _ if *waiting => Self::no(
                "Waiting",
                "policy and label of the namespace count from the next change of the template or the annotations on",
            ),
            None if !changes.rolls_out() => {
                Self::no(SUFFICIENT, "nothing is missing in the pod template; a record follows at its next change")
            }
            _ => Self::no("Pending", PENDING),
        }
    }

    fn rolled_out(injected: &Self, pods: Option<Pods>) -> Self {
        if injected.status != Status::True {
            let is_sufficient = injected.reason == SUFFICIENT;
            let message = if is_sufficient { "pods cannot be told apart without a record" } else { "see Injected" };
            return Self::unknown("NotInjected", message);
        }
        let Some(pods) = pods else { return Self::unknown("NotCounted", "the pods were not counted yet") };
        if pods.all() == 0 {
            return Self::unknown("NoPods", "no pod is running");
        }
        let message = format!("{} of {} running pods carry the current budget", pods.current, pods.all());
        if pods.current == pods.all() { Self::yes("Complete", &message) } else { Self::no("InProgress", &message) }
    }

    fn honoured(promise: Option<Promise>) -> Self {
        match promise {
            None | Some(Promise::NotJudged) => {
                Self::unknown("NoStops", "no stop was observed that shows how long the app needs")
            }
            Some(Promise::Honoured) => {
                Self::yes("InTime", "the app exited in time in every stop of the template that stopped last")
            }
            Some(Promise::Overran) => Self::no("Overran", "the app exited after its deadline; see notHonoured"),
            Some(Promise::Failed) => Self::no("Failed", "the app exited with a failure; see notHonoured"),
            Some(Promise::Killed) => {
                Self::no("Killed", "the app was killed at the end of the grace period; see notHonoured")
            }
        }
    }
}

const OFF: &str = "winddown.dev/mode is Off";
const SUFFICIENT: &str = "Sufficient";
pub(super) const PENDING: &str = "the pod template was not updated yet; if that lasts, an Event of the workload says why, or another \
                       object controls the workload";

/// How far the clock of another leader can be ahead.
const MAX_AHEAD: Seconds = Seconds::new(600);

/// The finding because of which a budget is not injected.
fn misfit(evaluation: &Evaluation) -> Option<&Finding> {
    let findings = &evaluation.findings;
    let error = findings.iter().find(|finding| finding.is_error());
    // The policy can make a misfit less than an error.
    error.or_else(|| findings.iter().find(|finding| finding.code.follows_validation_actions())).or(findings.first())
}

/// All conditions. One keeps its time while its status stays the same.
pub(super) fn all(
    before: &ShutdownBudgetStatus,
    (fits, injected): (&Verdict, &Verdict),
    (pods, promise, has_stopped): (Option<Pods>, Option<Promise>, bool),
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let rolled_out = Verdict::rolled_out(injected, pods);
    let honoured = Verdict::honoured(promise);
    let all = [(FITS, fits), (INJECTED, injected), (ROLLED_OUT, &rolled_out), (HONOURED, &honoured)];
    let condition = |(type_, verdict): (&str, &Verdict)| {
        let status = format!("{:?}", verdict.status);
        let same = before.condition(type_).filter(|before| before.status == status);
        let since = same.map(|before| Timestamp::from(&before.last_transition_time));
        let since = since.filter(|since| *since <= now.plus(MAX_AHEAD)).unwrap_or(now);
        // A change of the workload says nothing about the stops of pods.
        let stopped = same.filter(|_| type_ == HONOURED && !has_stopped).map(|before| before.observed_generation);
        Condition {
            type_: type_.to_owned(),
            last_transition_time: since.into(),
            status,
            reason: verdict.reason.clone(),
            message: verdict.message.clone(),
            observed_generation: stopped.unwrap_or(generation),
        }
    };
    all.map(condition).into()
}
