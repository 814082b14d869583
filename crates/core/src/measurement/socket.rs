//! A TCP socket of the pod, from `/proc/net/tcp` or from the kernel's `sock_diag`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The states that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Data can arrive.
    Established,
    /// New connections are accepted.
    Listen,
    /// The connection is being closed, or was.
    Closing,
    /// The connection is being opened.
    Opening,
}

/// A TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The address in the pod.
    pub local: SocketAddr,
    /// The address of the peer; unspecified while it listens.
    pub remote: SocketAddr,
    /// Its state.
    pub state: State,
    /// Whether a process holds it: it has an inode. One that the kernel alone still closes has none.
    pub held: bool,
    /// How long ago data last arrived, if any has, and the kernel says so.
    pub received: Option<Duration>,
}

impl State {
    /// From the kernel's number (`include/net/tcp_states.h`).
    #[must_use]
    pub fn from_kernel(state: u8) -> Self {
        match state {
            1 => Self::Established,
            2 | 3 | 12 => Self::Opening,
            10 => Self::Listen,
            _ => Self::Closing,
        }
    }
}

impl Socket {
    /// Whether it is a connection that was opened, and not only a listener or an attempt.
    pub(super) fn has_peer(&self) -> bool {
        matches!(self.state, State::Established | State::Closing)
    }

    /// Whether both ends are in the pod, such as a proxy and its app.
    pub(super) fn is_internal(&self) -> bool {
        let remote = unmapped(self.remote.ip());
        remote.is_loopback() || remote == unmapped(self.local.ip())
    }

    /// Whether it listens for connections from outside of the pod.
    pub(super) fn is_external_listener(&self) -> bool {
        self.state == State::Listen && !unmapped(self.local.ip()).is_loopback()
    }
}

/// An IPv4 address that an IPv6 socket shows as `::ffff:10.0.0.1`.
pub(super) fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
