//! How long a drain of a node can wait for its pods.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::duration::Seconds;
use crate::kind::Kind;
use crate::observation::PodView;

/// The pods that run on each node, by grace period.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: HashMap<Arc<str>, BTreeMap<Seconds, u32>>,
    /// Those whose longest grace period changed.
    changed: HashSet<Arc<str>>,
}

/// Where a pod runs, and its grace period.
#[derive(Debug)]
pub(crate) struct Place {
    node: Arc<str>,
    grace_period: Seconds,
}

impl Nodes {
    /// Adds a pod that runs. `None` for one of a `DaemonSet`, which a drain leaves where it is.
    pub(crate) fn join(&mut self, kind: Kind, pod: &PodView) -> Option<Place> {
        let node = pod.spec.node_name.as_deref().filter(|_| kind != Kind::DaemonSet)?;
        let node: Arc<str> = self.nodes.get_key_value(node).map_or_else(|| node.into(), |(known, _)| known.clone());
        let place = Place { node, grace_period: pod.grace_period() };
        let before = self.longest(&place.node);
        let pods = self.nodes.entry(place.node.clone()).or_default().entry(place.grace_period).or_default();
        *pods = pods.saturating_add(1);
        self.compare(&place.node, before);
        Some(place)
    }

    /// Removes a pod that has ended or is gone.
    pub(crate) fn leave(&mut self, Place { node, grace_period }: &Place) {
        let before = self.longest(node);
        let Some(pods) = self.nodes.get_mut(node) else { return };
        if let Some(count) = pods.get_mut(grace_period) {
            *count = count.saturating_sub(1);
        }
        pods.retain(|_, count| *count > 0);
        if pods.is_empty() {
            self.nodes.remove(node);
        }
        self.compare(node, before);
    }

    /// The nodes whose longest grace period changed since the last call, with the new one; `None` if no pod is left.
    pub(crate) fn take_changed(&mut self) -> Vec<(Arc<str>, Option<Seconds>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|node| (node.clone(), self.longest(&node))).collect()
    }

    fn longest(&self, node: &str) -> Option<Seconds> {
        self.nodes.get(node)?.last_key_value().map(|(grace_period, _)| *grace_period)
    }

    fn compare(&mut self, node: &Arc<str>, before: Option<Seconds>) {
        if self.longest(node) != before {
            self.changed.insert(node.clone());
        }
    }
}
