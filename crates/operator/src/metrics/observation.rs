//! What this replica's observation of pods sees, and what it could not see.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Type};
use winddown_core::observation::Counts;

pub(super) const PODS: Family =
    Family::new(Type::Gauge, "winddown_observer_pods", &[], "Number of managed pods that this replica follows");
pub(super) const SYNCED: Family = Family::new(
    Type::Gauge,
    "winddown_observer_synced",
    &[],
    "1 while this replica knows all managed pods and their EndpointSlices, 0 until their lists are complete",
);
pub(super) const LOST_SIGHT: Family = Family::new(
    Type::Counter,
    "winddown_observer_lost_sight",
    &[],
    "Number of pods that lost the label winddown.dev/managed while they ran: their stops are not seen",
);
pub(super) const MISSED: Family = Family::new(
    Type::Counter,
    "winddown_observer_missed",
    &[],
    "Number of pods that were gone after a list of pods, and whose deletion was not seen in time: their stops are not counted",
);
pub(super) const RELISTS: Family = Family::new(
    Type::Counter,
    "winddown_observer_relists",
    &[],
    "Number of complete lists of pods after the first one",
);
pub(super) const UNTRACKED: Family = Family::new(
    Type::Counter,
    "winddown_observer_untracked",
    &[],
    "Number of events of pods beyond the limit of 200,000 pods that are followed",
);

/// What the observation of this replica has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The number of pods that it follows.
    pub(crate) pods: usize,
    /// Whether its lists are complete.
    pub(crate) synced: bool,
    pub(crate) counts: Counts,
}

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Observed(Mutex<Seen>);

impl Observed {
    pub(crate) fn set(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Seen { pods, synced, counts } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        PODS.start(encoder)?.only_gauge(pods as u64)?;
        SYNCED.start(encoder)?.only_gauge(synced.into())?;
        let Counts { lost_sight, missed, relists, untracked } = counts;
        for (family, count) in [(LOST_SIGHT, lost_sight), (MISSED, missed), (RELISTS, relists), (UNTRACKED, untracked)]
        {
            family.start(encoder)?.only_counter(count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Seen};
    use crate::metrics::Metrics;
    use crate::metrics::exposition::tests::text;

    #[test]
    fn every_replica_exports_what_it_follows() {
        let metrics = Metrics::default();
        let counts = Counts { lost_sight: 1, missed: 2, relists: 3, untracked: 4 };
        metrics.observed.set(Seen { pods: 7, synced: true, counts });
        let text = text(&metrics, false);
        for series in
            ["pods 7", "synced 1", "lost_sight_total 1", "missed_total 2", "relists_total 3", "untracked_total 4"]
        {
            assert!(text.contains(&format!("\nwinddown_observer_{series}\n")), "{series}: {text}");
        }
    }
}
