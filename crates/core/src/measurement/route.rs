//! Reads `/proc/net/route` and `/proc/net/ipv6_route`: the address through which a node reaches its pods is often their
//! gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Gateways that are read of each text.
const MAX_GATEWAYS: usize = 16;

/// The gateways of all default routes, from the routes of IPv4 and of IPv6. Probes of the kubelet come from there, or
/// from an address of the node.
#[must_use]
pub fn default_gateways(routes: &str, ipv6_routes: &str) -> Vec<IpAddr> {
    let v4 = routes.lines().filter_map(gateway).take(MAX_GATEWAYS);
    v4.chain(ipv6_routes.lines().filter_map(ipv6_gateway).take(MAX_GATEWAYS)).collect()
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`
fn gateway(line: &str) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (destination, gateway) = (fields.next()?, fields.next()?);
    let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
    (destination == "00000000").then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
}

/// `destination length source length gateway …`, with addresses in network byte order.
fn ipv6_gateway(line: &str) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace();
    let (destination, length) = (address(fields.next()?)?, fields.next()?);
    let gateway = address(fields.nth(2)?)?;
    (destination.is_unspecified() && length == "00" && !gateway.is_unspecified()).then_some(gateway.into())
}

fn address(text: &str) -> Option<Ipv6Addr> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(Ipv6Addr::from(number))
}
