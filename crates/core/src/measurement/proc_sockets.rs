//! Reads `/proc/net/tcp` and `/proc/net/tcp6` (`Documentation/networking/proc_net_tcp.rst` of Linux).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Socket, State};

/// The sockets in a text of the kernel, at most `limit`. Lines that are not understood, such as the heading, are left out.
#[must_use]
pub fn parse(text: &str, limit: usize) -> Vec<Socket> {
    text.lines().filter_map(socket).take(limit).collect()
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn socket(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let (_, local, remote) = (fields.next()?, fields.next()?, fields.next()?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let inode: u64 = fields.nth(5)?.parse().ok()?;
    let (local, remote, state) = (address(local)?, address(remote)?, State::from_kernel(state));
    Some(Socket { local, remote, state, held: inode != 0, received: None })
}

/// `0100007F:1F90`: each group of four bytes in the byte order of the machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Option<Vec<_>> = (0..address.len()).step_by(8).map(|at| word(address.get(at..at + 8)?)).collect();
    let words = words?;
    let address = match words.as_slice() {
        [only] => IpAddr::V4(Ipv4Addr::from(*only)),
        [a, b, c, d] => {
            let bytes = [*a, *b, *c, *d].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

fn word(text: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
}
