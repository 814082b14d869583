//! Reads `/proc/net/route`: the address through which a node reaches its pods is often their gateway.

use std::net::{IpAddr, Ipv4Addr};

/// The gateways of all default routes. Probes of the kubelet come from there, or from an address of the node.
#[must_use]
pub fn default_gateways(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(gateway).take(16).collect()
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`
fn gateway(line: &str) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (destination, gateway) = (fields.next()?, fields.next()?);
    let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
    (destination == "00000000").then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
}
