//! What the kernel shows of the network namespace that this process is in, without any right.

mod kernel;

use std::fs;
use std::io;
use std::net::IpAddr;

use kernel::Kernel;
use winddown_core::measurement::{Counters, ParseCountersError, Socket, default_gateways, parse_sockets};

/// Sockets that are read at a time; of more, the rest is left out.
const MAX_SOCKETS: usize = 100_000;

/// Why the namespace cannot be sampled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {file}")]
    Read {
        file: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot ask the kernel for sockets")]
    Kernel(#[source] io::Error),
    #[error("/proc/net/snmp")]
    Counters(#[from] ParseCountersError),
}

/// A network namespace.
pub(crate) struct Namespace {
    /// `None` where the kernel does not offer it, as in a sandbox. Then `/proc/net/tcp` is read.
    kernel: Option<Kernel>,
}

impl Namespace {
    /// The one that this process is in.
    pub(crate) fn own() -> Self {
        Self { kernel: Kernel::connect().ok() }
    }

    /// Whether the sockets say when data arrived.
    pub(crate) fn has_receipts(&self) -> bool {
        self.kernel.is_some()
    }

    /// All TCP sockets.
    pub(crate) fn sockets(&mut self) -> Result<Vec<Socket>, Error> {
        if let Some(kernel) = &mut self.kernel {
            return kernel.sockets(MAX_SOCKETS).map_err(Error::Kernel);
        }
        let mut sockets = parse_sockets(&read("/proc/net/tcp")?, MAX_SOCKETS);
        // Without IPv6 there is no such file.
        let more = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
        sockets.extend(parse_sockets(&more, MAX_SOCKETS - sockets.len()));
        Ok(sockets)
    }

    /// The counters of the kernel.
    pub(crate) fn counters() -> Result<Counters, Error> {
        let optional = |file| fs::read_to_string(file).unwrap_or_default();
        Ok(Counters::parse(&read("/proc/net/snmp")?, &optional("/proc/net/netstat"), &optional("/proc/net/dev"))?)
    }

    /// The gateways of the default routes.
    pub(crate) fn gateways() -> Vec<IpAddr> {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        default_gateways(&read("/proc/net/route"), &read("/proc/net/ipv6_route"))
    }
}

fn read(file: &'static str) -> Result<String, Error> {
    fs::read_to_string(file).map_err(|source| Error::Read { file, source })
}
