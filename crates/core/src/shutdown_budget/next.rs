//! The status after what happened.

use super::{Computed, Pods, ShutdownBudgetStatus, conditions};
use crate::duration::Seconds;
use crate::observation::{History, Stop, Timestamp};
use crate::report::{Event, EventKind, Reported};

/// How much the clocks of two API servers may differ: they say when workload and pod were created.
const CLOCKS: Seconds = Seconds::new(5);

/// What happened since the status was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Update<'a> {
    /// The evaluation, if the workload was evaluated again.
    pub computed: Option<&'a Computed>,
    /// The running pods, if they were counted again.
    pub pods: Option<Pods>,
    /// When the workload was created, if that is known.
    pub created: Option<Timestamp>,
    /// When the evaluation began to wait for this write. Counting begins then, if there is no status: the first write can be
    /// late, and what ends meanwhile was not counted before.
    pub evaluated: Option<Timestamp>,
    /// The observed stops, also those that may have been counted already. A pod that is older than the workload belonged to an
    /// earlier one with the same name: the pods of a `Deployment` name its `ReplicaSet` and not its UID.
    pub stops: &'a [Stop],
    /// Whether the workload, or its declaration, is new: without a status, everything about it is then reported. About one that
    /// existed, only errors are.
    pub is_new: bool,
}

/// The next status, and what follows from it once it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The status to write. If it equals the one before, there is nothing to write.
    pub status: ShutdownBudgetStatus,
    /// The Events to publish on the workload.
    pub events: Vec<Event>,
    /// The positions in `stops` of those that were counted now.
    pub admitted: Vec<usize>,
    /// When to call again without anything new, because an Event about kills is withheld.
    pub again: Option<Seconds>,
}

impl ShutdownBudgetStatus {
    /// The status after an update. It depends on the arguments only, and the same update a second time changes nothing.
    ///
    /// What somebody else wrote into the fields that Winddown reads again is replaced, and an Event tells that once.
    #[must_use]
    pub fn next(&self, update: &Update<'_>, now: Timestamp) -> Next {
        let mut problems = Vec::new();
        let mut history = self.history(update.evaluated, now, &mut problems);
        let mut reported = self.reported(&mut problems);
        let mut events: Vec<_> = (!problems.is_empty()).then(|| reset(&problems)).into_iter().collect();
        let shown = if let Some(computed) = update.computed {
            let (new, state) = computed.report(reported.as_ref(), update.is_new);
            events.extend(new);
            reported = Some(state);
            computed.shown.clone()
        } else {
            self.shown()
        };
        let is_own = |stop: &Stop| update.created.is_none_or(|created| stop.created.plus(CLOCKS) >= created);
        let stops = update.stops.iter().enumerate().filter(|(_, stop)| is_own(stop));
        let admitted: Vec<_> =
            stops.filter(|(_, stop)| history.admit(stop, now)).map(|(position, _)| position).collect();
        events.extend(history.due_event(now));
        let summary = history.summary();
        // The pods that were counted may carry another budget now.
        let pods = update.pods.or_else(|| self.pods.filter(|_| shown.carries_like(&self.shown())));
        let verdicts = (&shown.fits, &shown.injected);
        let conditions =
            conditions::all(self, verdicts, (pods, summary.promise, !admitted.is_empty()), shown.generation, now);
        let status = Self {
            budget: shown.budget,
            carried: pods.map(|pods| format!("{}/{}", pods.current, pods.all())),
            checkpoint: Some(history.checkpoint()),
            conditions,
            findings: shown.findings,
            not_honoured: summary.not_honoured,
            workload_generation: shown.generation,
            phases: shown.phases,
            pods,
            policy: shown.policy,
            recent: summary.recent,
            recommendation: Some(summary.recommendation),
            reported: reported.as_ref().map(Reported::to_text),
            shutdowns: Some((&summary.shutdowns).into()),
            workload: shown.workload,
        };
        Next { status, events, admitted, again: history.event_due_in(now) }
    }

    /// How long an Event about kills is still withheld; `None` if none waits. A leader asks for each budget that it takes over,
    /// and calls [`Self::next`] then.
    #[must_use]
    pub fn event_due_in(&self, now: Timestamp) -> Option<Seconds> {
        History::restore(self.checkpoint.as_deref()?, &[], &[], now).ok()?.event_due_in(now)
    }

    fn history(&self, evaluated: Option<Timestamp>, now: Timestamp, problems: &mut Vec<String>) -> History {
        let problem = match &self.checkpoint {
            Some(checkpoint) => match History::restore(checkpoint, &self.recent, &self.not_honoured, now) {
                Ok(history) => return history,
                Err(error) => error.to_string(),
            },
            None if self.shutdowns.is_none() => {
                return History::new(evaluated.map_or(now, |evaluated| evaluated.min(now)));
            }
            None => "the checkpoint was removed; counting starts again".to_owned(),
        };
        problems.push(format!("status.checkpoint: {problem}"));
        History::starting_again(now)
    }

    fn reported(&self, problems: &mut Vec<String>) -> Option<Reported> {
        let text = self.reported.as_deref()?;
        let reported = Reported::parse(text);
        if reported.is_none() {
            let problem = "it cannot be read or is of another version; errors are reported again";
            problems.push(format!("status.reported: {problem}"));
        }
        reported
    }
}

fn reset(problems: &[String]) -> Event {
    Event { kind: EventKind::Warning, reason: "StatusReset", note: problems.join("; ") }
}
