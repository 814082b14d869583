//! From snapshots of the sockets to samples.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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
/// Two times of the same arrival differ by less, in milliseconds: the kernel counts back from when it is asked.
const SAME: u64 = 25;

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
#[derive(Debug, Default)]
pub struct Recorder {
    node: HashSet<IpAddr>,
    connections: HashMap<Connection, Known>,
    /// Those that the last snapshot did not have, but the one before. A list of the kernel can miss one while others
    /// close.
    missing: HashMap<Connection, Known>,
    /// Of the last snapshot.
    counters: Option<Counters>,
    /// New connections of the last snapshot that its counters did not have, as they are read before the sockets.
    ahead: u64,
    /// Ports on which only the pod itself is heard.
    inner_ports: BTreeSet<u16>,
    /// The last `kept_at` of each port that was given out.
    kept: BTreeMap<u16, u64>,
    /// What was not given out yet.
    next: Sample,
    ports: BTreeMap<u16, PortSample>,
    given: Option<Duration>,
}

/// The address that was connected to, and that of the client.
type Connection = (SocketAddr, SocketAddr);

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// When it was first seen; `None` if it was there at the start.
    since: Option<Duration>,
    /// Whether it is established, and counts as traffic or as a probe when it is closed.
    open: bool,
}

impl Recorder {
    /// A recorder that knows these addresses as those of the node.
    #[must_use]
    pub fn new(node: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { node: node.into_iter().map(unmapped).collect(), ..Self::default() }
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
        for listener in snapshot.sockets.iter().filter(|socket| socket.state == State::Listen) {
            let port = listener.local.port();
            if !listener.is_external_listener() {
                if self.inner_ports.len() < MAX_PORTS {
                    self.inner_ports.insert(port);
                }
            } else if self.ports.len() < MAX_PORTS || self.ports.contains_key(&port) {
                self.ports.entry(port).or_insert(PortSample { port, ..PortSample::default() }).listening = true;
            }
        }
    }

    /// The number of connections that were not seen before, also those with both ends in the pod.
    fn update_connections(&mut self, snapshot: &Snapshot) -> u64 {
        let is_first = self.counters.is_none();
        let (mut seen, mut found) = (HashMap::with_capacity(self.connections.len()), 0);
        for socket in snapshot.sockets.iter().filter(|socket| socket.has_peer()) {
            let Some(connection) = self.accepted(socket) else { continue };
            let known = self.connections.get(&connection).or_else(|| self.missing.get(&connection)).copied();
            let is_new = known.is_none() && !is_first;
            let is_counted = !socket.is_internal() && self.ports.contains_key(&socket.local.port());
            let now = Known {
                since: known.map_or((!is_first).then_some(snapshot.at), |known| known.since),
                open: is_counted && socket.state == State::Established,
            };
            // Of a connection inside of the pod there are two sockets.
            if seen.contains_key(&connection) {
                continue;
            }
            seen.insert(connection, now);
            found += u64::from(is_new);
            if !is_counted {
                continue;
            }
            if !now.open && known.map_or(is_new, |known| known.open) {
                self.close(&connection);
            }
            let Some(port) = self.ports.get_mut(&socket.local.port()) else { continue };
            let kept_since = known.map(|known| known.since.map_or(Duration::ZERO, |since| since.saturating_add(KEPT)));
            let is_kept = kept_since.is_some_and(|since| snapshot.at >= since);
            let is_node = self.node.contains(&connection.1.ip());
            port.open += usize::from(now.open && (!is_node || is_kept));
            let at = Some(milliseconds(snapshot.at));
            if is_new && is_node {
                (port.node_opened, port.node_opened_at) = (port.node_opened + 1, at);
            } else if is_new {
                (port.opened, port.opened_at) = (port.opened + 1, at);
            }
            let received = socket.received.and_then(|ago| snapshot.at.checked_sub(ago));
            let Some(received) = received.filter(|at| kept_since.is_some_and(|since| *at >= since)) else { continue };
            let received = milliseconds(received);
            if self.kept.get(&port.port).is_none_or(|given| received >= given.saturating_add(SAME)) {
                port.kept_at = port.kept_at.max(Some(received));
            }
        }
        let before = std::mem::replace(&mut self.connections, seen);
        let missing: HashMap<_, _> =
            before.into_iter().filter(|(connection, _)| !self.connections.contains_key(connection)).collect();
        let gone = std::mem::replace(&mut self.missing, missing);
        for (connection, known) in gone {
            if known.open && !self.connections.contains_key(&connection) {
                self.close(&connection);
            }
        }
        found
    }

    /// Counts a connection that is no longer established.
    fn close(&mut self, (local, remote): &Connection) {
        let is_node = self.node.contains(&remote.ip());
        let Some(port) = self.ports.get_mut(&local.port()) else { return };
        let closed = if is_node { &mut port.node_closed } else { &mut port.closed };
        *closed = closed.saturating_add(1);
    }

    /// The connection of a socket, if the pod accepted it. The end of a client in the pod says so, too: it stays for a
    /// while after both are closed.
    fn accepted(&self, socket: &Socket) -> Option<Connection> {
        let canonical = |address: SocketAddr| SocketAddr::new(unmapped(address.ip()), address.port());
        let (local, remote) = (canonical(socket.local), canonical(socket.remote));
        let is_internal = socket.is_internal();
        let accepts = |port: u16| self.ports.contains_key(&port) || (is_internal && self.inner_ports.contains(&port));
        if accepts(local.port()) {
            return Some((local, remote));
        }
        (is_internal && accepts(remote.port())).then_some((remote, local))
    }

    fn count(&mut self, snapshot: &Snapshot, found: u64) {
        let now = snapshot.counters;
        let Some(before) = self.counters.replace(now) else { return };
        let counted = now.opened.saturating_sub(before.opened);
        let listed = found.saturating_add(self.ahead);
        let unseen = counted.saturating_sub(listed);
        self.ahead = listed.saturating_sub(counted).min(found);
        let next = &mut self.next;
        if unseen > 0 {
            next.unseen_at = Some(milliseconds(snapshot.at));
        }
        next.unseen = next.unseen.saturating_add(unseen);
        let add = |sum: &mut u64, now: u64, before: u64| *sum = sum.saturating_add(now.saturating_sub(before));
        add(&mut next.resets, now.resets, before.resets);
        add(&mut next.dropped, now.dropped, before.dropped);
        add(&mut next.overflows, now.overflows, before.overflows);
        add(&mut next.received, now.received, before.received);
        add(&mut next.sent, now.sent, before.sent);
    }

    fn has_news(&self) -> bool {
        let Sample { unseen, resets, dropped, .. } = &self.next;
        let in_port = |port: &PortSample| {
            let counts = [port.opened, port.node_opened, port.closed, port.node_closed];
            counts.into_iter().any(|count| count > 0) || port.kept_at.is_some()
        };
        [unseen, resets, dropped].into_iter().any(|count| *count > 0) || self.ports.values().any(in_port)
    }

    /// What was not given out yet, so that what happened before SIGTERM is not in the next sample.
    pub fn so_far(&mut self, at: Duration) -> Sample {
        self.give_out(at)
    }

    /// What was not given out yet, at the end of the recording. What the last snapshot did not have is closed.
    pub fn rest(&mut self, at: Duration) -> Sample {
        for (connection, known) in std::mem::take(&mut self.missing) {
            if known.open {
                self.close(&connection);
            }
        }
        self.give_out(at)
    }

    fn give_out(&mut self, at: Duration) -> Sample {
        self.given = Some(at);
        let ports = self.ports.values().copied().collect();
        for port in self.ports.values_mut() {
            if let Some(kept) = port.kept_at {
                self.kept.insert(port.port, kept);
            }
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
