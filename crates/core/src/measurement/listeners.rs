//! The ports of the pod: when each was closed, and how long traffic arrived at it.

use std::collections::BTreeMap;

use super::probes::Opened;
use super::{Sample, Subject};

/// All ports that were open when the pod began to stop, or later.
pub(super) struct Listeners {
    ports: Vec<Listener>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Listener {
    port: u16,
    /// Since when nothing listens.
    closed: Option<u64>,
    /// Whether it has traffic: a connection from another address than those of the node, or more from the node than all
    /// probes can open.
    has_traffic: bool,
    /// Connections from the node.
    node_opened: u64,
    /// The last connection from another address; at least the start of the termination.
    last_opened: u64,
    /// Whether it is only for monitoring.
    monitoring: bool,
}

impl Listeners {
    pub(super) fn of(samples: &[&Sample], signal: u64, subject: &Subject) -> Self {
        let mut all: BTreeMap<u16, Listener> = BTreeMap::new();
        for sample in samples {
            for port in &sample.ports {
                let listener = all.entry(port.port).or_default();
                listener.port = port.port;
                listener.monitoring = subject.monitors(port.port);
                listener.closed = if port.listening { None } else { listener.closed.or(Some(sample.at)) };
                listener.has_traffic |= port.opened > 0 || port.open > 0;
                listener.node_opened = listener.node_opened.saturating_add(port.node_opened);
                let opened_at = port.opened_at.filter(|_| port.opened > 0);
                listener.last_opened = opened_at.unwrap_or(signal).max(listener.last_opened);
            }
        }
        let span = |first: &&Sample, last: &&Sample| last.at.saturating_sub(first.at);
        let probes =
            samples.first().zip(samples.last()).map_or(0, |(first, last)| subject.most_probes(span(first, last)));
        let mut ports: Vec<Listener> = all.into_values().collect();
        for port in &mut ports {
            // The node also forwards traffic with its own address.
            port.has_traffic |= port.node_opened > probes;
        }
        // Those that were closed before say nothing about the stop.
        ports.retain(|port| port.closed.is_none_or(|closed| closed > signal));
        Self { ports }
    }

    /// When the first port was closed.
    pub(super) fn any_closed(&self) -> Option<u64> {
        self.ports.iter().filter_map(|port| port.closed).min()
    }

    /// When the first port with traffic was closed.
    pub(super) fn closed(&self) -> Option<u64> {
        self.of_interest(&[]).filter_map(|port| port.closed).min()
    }

    /// Whether traffic at a port ended so shortly before it was closed, or before the last line of the recording, that
    /// it may have gone on. `anonymous` are the connections from the node, or to an unknown port.
    pub(super) fn are_cut(&self, anonymous: &[Opened], quiet: u64, last_line: u64) -> bool {
        self.of_interest(anonymous).any(|port| port.is_cut(anonymous, quiet, port.closed.unwrap_or(last_line)))
    }

    /// The last connection at a port that was closed so shortly afterwards; `None` without such a port.
    pub(super) fn last_before_closed(&self, anonymous: &[Opened], quiet: u64) -> Option<u64> {
        let closed = self.of_interest(anonymous).filter_map(|port| Some((port, port.closed?)));
        let cut = closed.filter(|(port, closed)| port.is_cut(anonymous, quiet, *closed));
        cut.map(|(port, closed)| port.last(anonymous, closed)).max()
    }

    /// Those with traffic, of which `anonymous` can be a part; if no port is known to have any, all. None that is only for
    /// monitoring.
    fn of_interest(&self, anonymous: &[Opened]) -> impl Iterator<Item = &Listener> {
        let serving = || self.ports.iter().filter(|port| !port.monitoring);
        let has_traffic =
            |port: &Listener| port.has_traffic || anonymous.iter().any(|opened| opened.port == Some(port.port));
        let none = !serving().any(has_traffic);
        serving().filter(move |port| none || has_traffic(port))
    }
}

impl Listener {
    /// The last connection before this time. One to an unknown port may have been at this one.
    fn last(&self, anonymous: &[Opened], end: u64) -> u64 {
        let own = anonymous.iter().filter(|opened| opened.port.is_none_or(|port| port == self.port));
        let last = own.map(|opened| opened.at).filter(|at| *at <= end).max();
        self.last_opened.max(last.unwrap_or(0))
    }

    fn is_cut(&self, anonymous: &[Opened], quiet: u64, end: u64) -> bool {
        self.last(anonymous, end).saturating_add(quiet) >= end
    }
}
