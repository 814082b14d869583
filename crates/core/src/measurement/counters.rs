//! Counters of the kernel for one network namespace.

/// Interfaces that are read of `/proc/net/dev`.
const MAX_INTERFACES: usize = 256;

/// Why the text has no counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has no counter {0}")]
pub struct ParseCountersError(&'static str);

/// What the kernel counted since the namespace was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `Tcp: PassiveOpens`: connections from peers that reached the state ESTABLISHED.
    pub opened: u64,
    /// `Tcp: OutRsts`: segments with RST that were sent, for example to a port where nothing listens.
    pub resets: u64,
    /// `TcpExt: ListenDrops`: connections that were dropped, because the app did not accept them fast enough (this includes
    /// `ListenOverflows`) or for another reason.
    pub dropped: u64,
    /// `TcpExt: ListenOverflows`: connections that were dropped because the queue of the app was full.
    pub overflows: u64,
    /// Bytes that arrived at all interfaces but the loopback, of every protocol, with all headers.
    pub received: u64,
    /// Bytes that were sent over them.
    pub sent: u64,
}

impl Counters {
    /// From the texts of `/proc/net/snmp` and `/proc/net/netstat` (RFC 4022, and Linux), and of `/proc/net/dev`.
    pub fn parse(snmp: &str, netstat: &str, interfaces: &str) -> Result<Self, ParseCountersError> {
        let counter = |text: &str, group, name| counter(text, group, name).ok_or(ParseCountersError(name));
        let (received, sent) = bytes(interfaces);
        Ok(Self {
            opened: counter(snmp, "Tcp:", "PassiveOpens")?,
            resets: counter(snmp, "Tcp:", "OutRsts")?,
            // Some sandboxes have no such file.
            dropped: counter(netstat, "TcpExt:", "ListenDrops").unwrap_or(0),
            overflows: counter(netstat, "TcpExt:", "ListenOverflows").unwrap_or(0),
            received,
            sent,
        })
    }
}

/// A line with the names of a group is followed by one with its numbers.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.split_ascii_whitespace().next() == Some(group));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_ascii_whitespace().position(|known| known == name)?;
    numbers.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// Bytes in and out of all interfaces but the loopback: `name: bytes packets errs drop fifo frame compressed multicast bytes …`.
fn bytes(interfaces: &str) -> (u64, u64) {
    let read = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_ascii_whitespace();
        let received: u64 = numbers.next()?.parse().ok()?;
        let sent: u64 = numbers.nth(7)?.parse().ok()?;
        (name.trim() != "lo").then_some((received, sent))
    };
    let add = |sum: (u64, u64), of: (u64, u64)| (sum.0.saturating_add(of.0), sum.1.saturating_add(of.1));
    interfaces.lines().filter_map(read).take(MAX_INTERFACES).fold((0, 0), add)
}
