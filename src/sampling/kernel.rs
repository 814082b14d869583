//! Asks the kernel for TCP sockets over netlink (`man 7 sock_diag`). Unlike `/proc/net/tcp`, it says when data arrived.

use std::io;
use std::net::SocketAddr as Address;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket as Netlink, SocketAddr};

use winddown_core::measurement::{Socket, State};

/// Offsets in `struct tcp_info` (`include/uapi/linux/tcp.h`), which only grows at its end.
const LAST_DATA_RECV: usize = 52;
const BYTES_RECEIVED: usize = 128;

/// A netlink socket.
pub(super) struct Kernel {
    netlink: Netlink,
    buffer: Vec<u8>,
}

impl Kernel {
    pub(super) fn connect() -> io::Result<Self> {
        let mut netlink = Netlink::new(NETLINK_SOCK_DIAG)?;
        netlink.bind_auto()?;
        netlink.connect(&SocketAddr::new(0, 0))?;
        let mut kernel = Self { netlink, buffer: Vec::with_capacity(64 * 1024) };
        // Fails at once where a sandbox has no sock_diag.
        kernel.sockets(1)?;
        Ok(kernel)
    }

    /// All TCP sockets, at most `limit`.
    pub(super) fn sockets(&mut self, limit: usize) -> io::Result<Vec<Socket>> {
        let mut sockets = Vec::new();
        for family in [AF_INET, AF_INET6] {
            self.ask(family)?;
            while self.receive(&mut sockets, limit)? {}
        }
        Ok(sockets)
    }

    fn ask(&self, family: u8) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let request = InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            // A pod with many short connections has thousands in TIME_WAIT, and a look at all of them takes too long.
            states: StateFlags::all().difference(StateFlags::TIME_WAIT),
            socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
        };
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.netlink.send(&bytes, 0).map(|_| ())
    }

    /// Reads one datagram, which has several messages. Whether there are more.
    fn receive(&mut self, sockets: &mut Vec<Socket>, limit: usize) -> io::Result<bool> {
        self.buffer.clear();
        self.netlink.recv(&mut self.buffer, 0)?;
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) if sockets.len() < limit => {
                    sockets.push(socket(&response));
                }
                NetlinkPayload::Done(_) => return Ok(false),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                _ => {}
            }
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(length.max(16)..).unwrap_or_default();
        }
        Ok(true)
    }
}

fn socket(response: &InetResponse) -> Socket {
    let header = &response.header;
    let id = &header.socket_id;
    let info =
        response.nlas.iter().find_map(|nla| if let Nla::TcpInfo(info) = nla { Some(info.as_slice()) } else { None });
    Socket {
        local: Address::new(id.source_address, id.source_port),
        remote: Address::new(id.destination_address, id.destination_port),
        state: State::from_kernel(header.state),
        held: header.inode != 0,
        received: info.and_then(received),
    }
}

/// How long ago data last arrived; `None` if none has.
fn received(info: &[u8]) -> Option<Duration> {
    let bytes = info.get(BYTES_RECEIVED..BYTES_RECEIVED + 8)?;
    let is_none = bytes.iter().all(|byte| *byte == 0);
    let ago = info.get(LAST_DATA_RECV..LAST_DATA_RECV + 4)?;
    let ago = u32::from_ne_bytes(ago.try_into().ok()?);
    (!is_none).then(|| Duration::from_millis(ago.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::thread::sleep;

    use super::*;

    #[test]
    fn the_kernel_says_when_data_arrived_over_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let _accepted = listener.accept().unwrap();
        let mut kernel = Kernel::connect().unwrap();
        let mut of_server = || {
            let sockets = kernel.sockets(usize::MAX).unwrap();
            let listens = sockets.iter().any(|socket| socket.local == address && socket.state == State::Listen);
            assert!(listens, "{sockets:?}");
            sockets.into_iter().find(|socket| socket.local == address && socket.state == State::Established).unwrap()
        };
        let silent = of_server();
        assert!(
            silent.held && silent.received.is_none() && silent.remote == client.local_addr().unwrap(),
            "{silent:?}"
        );
        client.write_all(b"GET").unwrap();
        sleep(Duration::from_millis(60));
        let received = of_server().received.unwrap();
        assert!(received >= Duration::from_millis(50), "{received:?}");
    }
}
