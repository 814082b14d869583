//! From snapshots of the sockets to samples.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::line::milliseconds;
use super::socket::unmapped;
use super::{Counters, PortSample, Sample, Socket, State};

/// Ports that are followed; later ones are not.
const MAX_PORTS: usize = 64;
/// Between two samples with changes.
const INTERVAL: Duration = Duration::from_millis(100);
/// Between two samples without.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A connection of this age does not carry its first request.
const KEPT: Duration = Duration::from_secs(1);

/// The sockets of the pod at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Since the start of the recording.
    pub at: Duration,
    /// All TCP sockets.
    pub sockets: Vec<Socket>,
    /// The counters of the kernel.
    pub counters: Counters,
}

/// Compares each snapshot with the one before.
#[derive(Debug)]
pub struct Recorder {
    node: HashSet<IpAddr>,
    /// When each connection was first seen; `None` for those that were there at the start.
    connections: HashMap<Connection, Option<Duration>>,
    /// Of the last snapshot.
    counters: Option<Counters>,
    /// What was not given out yet.
    next: Sample,
    ports: BTreeMap<u16, PortSample>,
    given: Option<Duration>,
}

type Connection = (SocketAddr, SocketAddr);

impl Recorder {
    /// A recorder that knows these addresses as those of the node.
    #[must_use]
    pub fn new(node: impl IntoIterator<Item = IpAddr>) -> Self {
        let node = node.into_iter().map(unmapped).collect();
        let (connections, ports) = (HashMap::new(), BTreeMap::new());
        Self { node, connections, counters: None, next: Sample::default(), ports, given: None }
    }

    /// Adds a snapshot. Gives a sample out at most every 100 ms, except where a port is opened or closed; and at least every
    /// second.
    pub fn take(&mut self, snapshot: &Snapshot) -> Option<Sample> {
        let before: Vec<_> = self.ports.values().map(|port| (port.port, port.listening, port.open)).collect();
        let listened = |(port, listening, _): &(u16, bool, usize)| (*port, *listening);
        self.update_ports(snapshot);
        let found = self.update_connections(snapshot);
        self.count(snapshot, found);
        let after: Vec<_> = self.ports.values().map(|port| (port.port, port.listening, port.open)).collect();

        let since = self.given.map(|given| snapshot.at.saturating_sub(given));
        let is_due = match since {
            None => true,
            _ if before.iter().map(listened).ne(after.iter().map(listened)) => true,
            Some(since) if since >= HEARTBEAT => true,
            Some(since) => since >= INTERVAL && (before != after || self.has_news()),
        };
        is_due.then(|| self.give_out(snapshot.at))
    }

    fn update_ports(&mut self, snapshot: &Snapshot) {
        self.ports.values_mut().for_each(|port| (port.listening, port.open) = (false, 0));
        for listener in snapshot.sockets.iter().filter(|socket| socket.is_external_listener()) {
            let port = listener.local.port();
            if self.ports.len() < MAX_PORTS || self.ports.contains_key(&port) {
                self.ports.entry(port).or_insert(PortSample { port, ..PortSample::default() }).listening = true;
            }
        }
    }

    /// The number of connections that were not seen before.
    fn update_connections(&mut self, snapshot: &Snapshot) -> u64 {
        let is_first = self.counters.is_none();
        let (mut seen, mut found) = (HashMap::with_capacity(self.connections.len()), 0);
        for socket in snapshot.sockets.iter().filter(|socket| socket.state != State::Listen) {
            let Some(port) = self.ports.get_mut(&socket.local.port()) else { continue };
            let connection = (socket.local, socket.remote);
            let known = self.connections.get(&connection);
            let is_new = known.is_none() && !is_first && socket.state != State::Opening;
            found += u64::from(is_new);
            if socket.state != State::Opening {
                let first_seen = known.copied().unwrap_or((!is_first).then_some(snapshot.at));
                seen.insert(connection, first_seen);
            }
            if socket.is_internal() {
                continue;
            }
            port.open += usize::from(socket.state == State::Established);
            let at = Some(milliseconds(snapshot.at));
            if is_new && self.node.contains(&unmapped(socket.remote.ip())) {
                (port.node_opened, port.node_opened_at) = (port.node_opened + 1, at);
            } else if is_new {
                (port.opened, port.opened_at) = (port.opened + 1, at);
            }
            let received = socket.received.and_then(|ago| snapshot.at.checked_sub(ago));
            let kept_since = known.map(|first_seen| first_seen.map_or(Duration::ZERO, |first| first + KEPT));
            if let (Some(received), Some(kept_since)) = (received, kept_since)
                && received >= kept_since
            {
                port.kept_at = port.kept_at.max(Some(milliseconds(received)));
            }
        }
        self.connections = seen;
        found
    }

    fn count(&mut self, snapshot: &Snapshot, found: u64) {
        let now = snapshot.counters;
        if let Some(before) = self.counters.replace(now) {
            let unseen = now.opened.saturating_sub(before.opened).saturating_sub(found);
            if unseen > 0 {
                self.next.unseen_at = Some(milliseconds(snapshot.at));
            }
            self.next.unseen += unseen;
            self.next.resets += now.resets.saturating_sub(before.resets);
            self.next.dropped += now.dropped.saturating_sub(before.dropped);
        }
    }

    fn has_news(&self) -> bool {
        let Sample { unseen, resets, dropped, .. } = &self.next;
        let in_port = |port: &PortSample| port.opened + port.node_opened > 0 || port.kept_at.is_some();
        unseen + resets + dropped > 0 || self.ports.values().any(in_port)
    }

    fn give_out(&mut self, at: Duration) -> Sample {
        self.given = Some(at);
        let ports = self.ports.values().copied().collect();
        for port in self.ports.values_mut() {
            *port = PortSample { port: port.port, listening: port.listening, open: port.open, ..PortSample::default() };
        }
        Sample { at: milliseconds(at), ports, ..std::mem::take(&mut self.next) }
    }
}

impl Snapshot {
    /// Whether a process of the pod still holds a TCP socket.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.sockets.iter().any(|socket| socket.held)
    }
}
