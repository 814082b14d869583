//! What this replica's observation of pods sees, and what it could not see.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Type};
use winddown_core::duration::Seconds;
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

pub(super) const NODE_DRAIN: Family = Family::new(
    Type::Gauge,
    "winddown_node_drain_seconds",
    &["node"],
    "Longest grace period of the managed pods that run on a node, without those of DaemonSets: how long a drain can wait for \
     them. Only the leader exports it",
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
pub(crate) struct Observed {
    seen: Mutex<Seen>,
    drains: Mutex<BTreeMap<Arc<str>, Seconds>>,
}

impl Observed {
    pub(crate) fn set(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// How long a drain of a node can wait; `None` if nothing is known of it any more.
    pub(crate) fn set_drain(&self, node: Arc<str>, longest: Option<Seconds>) {
        let mut drains = self.drains.lock().unwrap_or_else(PoisonError::into_inner);
        match longest {
            Some(longest) => drains.insert(node, longest),
            None => drains.remove(&node),
        };
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>, leading: bool) -> fmt::Result {
        let Seen { pods, synced, counts } = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        PODS.start(encoder)?.only_gauge(pods as u64)?;
        SYNCED.start(encoder)?.only_gauge(synced.into())?;
        let Counts { lost_sight, missed, relists, untracked } = counts;
        for (family, count) in [(LOST_SIGHT, lost_sight), (MISSED, missed), (RELISTS, relists), (UNTRACKED, untracked)]
        {
            family.start(encoder)?.only_counter(count)?;
        }
        let mut series = NODE_DRAIN.start(encoder)?;
        let drains = self.drains.lock().unwrap_or_else(PoisonError::into_inner);
        for (node, longest) in drains.iter().filter(|_| leading) {
            series.gauge(&[("node", &**node)], longest.as_i64().unsigned_abs())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Seconds, Seen};
    use crate::metrics::Metrics;
    use crate::metrics::exposition::tests::{series, text};

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

    #[test]
    fn the_leader_exports_the_longest_drain_of_each_node() {
        let metrics = Metrics::default();
        let exported = |leading| series(&text(&metrics, leading), "winddown_node_drain_seconds");
        for (node, longest) in [("a", Some(15)), ("b", Some(40)), ("a", Some(60)), ("b", None)] {
            metrics.observed.set_drain(node.into(), longest.map(Seconds::new));
        }
        assert_eq!(exported(true), ["winddown_node_drain_seconds{node=\"a\"} 60"]);
        assert_eq!(exported(false), Vec::<String>::new());
    }
}
