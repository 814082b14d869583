//! Counters of the kernel for one network namespace.

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
}

impl Counters {
    /// From the texts of `/proc/net/snmp` and `/proc/net/netstat` (RFC 4022, and Linux).
    pub fn parse(snmp: &str, netstat: &str) -> Result<Self, ParseCountersError> {
        let counter = |text: &str, group, name| counter(text, group, name).ok_or(ParseCountersError(name));
        Ok(Self {
            opened: counter(snmp, "Tcp:", "PassiveOpens")?,
            resets: counter(snmp, "Tcp:", "OutRsts")?,
            // Some sandboxes have no such file.
            dropped: counter(netstat, "TcpExt:", "ListenDrops").unwrap_or(0),
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
