//! The lines that the container in the pod logs, as JSON: one object each.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One line. Times are milliseconds since the start of the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Line {
    /// The first one.
    Start(Start),
    /// What happened since the last sample.
    Sample(Sample),
    /// The container got SIGTERM.
    Signal {
        /// When.
        at: u64,
    },
    /// The last one.
    End {
        /// When.
        at: u64,
        /// Why it ends.
        reason: EndReason,
    },
}

/// What the container can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The time by the clock of the node, in milliseconds since 1970.
    pub clock: u64,
    /// The version of Winddown.
    pub version: String,
    /// The addresses that count as those of the node.
    pub node: Vec<IpAddr>,
    /// Whether the kernel says when data arrived.
    pub receipts: bool,
}

/// A part of the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sample {
    /// When it was taken.
    pub at: u64,
    /// Every port on which something listens, or did.
    pub ports: Vec<PortSample>,
    /// Connections that were opened and closed between two looks: from which address, and to which port, is unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub unseen: u64,
    /// When the last of them was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen_at: Option<u64>,
    /// Segments with RST that were sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub resets: u64,
    /// Connections that the kernel dropped.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Those of them for which the queue of the app was full.
    #[serde(skip_serializing_if = "is_zero")]
    pub overflows: u64,
    /// Bytes that arrived over the network, of every protocol, with all headers.
    #[serde(skip_serializing_if = "is_zero")]
    pub received: u64,
    /// Bytes that were sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub sent: u64,
}

/// One port. Connections with both ends in the pod do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortSample {
    /// Its number.
    pub port: u16,
    /// Whether something listens.
    pub listening: bool,
    /// Established connections; from the node only those that are at least a second old, which are no probes.
    pub open: usize,
    /// Connections from other addresses than those of the node that were opened.
    #[serde(skip_serializing_if = "is_zero")]
    pub opened: u64,
    /// When the last of them was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<u64>,
    /// Connections from the node that were opened: probes of the kubelet, and traffic that the node forwards with its own
    /// address.
    #[serde(skip_serializing_if = "is_zero")]
    pub node_opened: u64,
    /// When the last of them was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_opened_at: Option<u64>,
    /// Connections from other addresses than those of the node that are no longer established.
    #[serde(skip_serializing_if = "is_zero")]
    pub closed: u64,
    /// The same, from the node.
    #[serde(skip_serializing_if = "is_zero")]
    pub node_closed: u64,
    /// When data last arrived over a connection that was at least a second old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_at: Option<u64>,
}

/// Why a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    /// No process of the pod holds a TCP socket any more: the app has exited, or has nothing to do with the network.
    NoSockets,
    /// No SIGTERM came in time.
    NoSignal,
    /// SIGTERM came too long ago.
    TooLong,
}

impl Line {
    /// Reads a line of the log; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// As a number of milliseconds in a line.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
