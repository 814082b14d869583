//! Real, damaged and hostile texts of the kernel.

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::super::{Counters, State, default_gateways, parse_sockets};

/// `/proc/net/tcp` of Linux 6.12.
const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 7406649 2 0000000091b88863 100 0 0 10 0                   
   1: 0500000A:1F90 0900000A:9C40 01 00000000:00000000 00:00000000 00000000 65532        0 7406700 1 00000000f1a2b3c4 20 4 30 10 -1                 
   2: 0500000A:1F90 0900000A:9C41 06 00000000:00000000 03:00001701 00000000     0        0 0 3 0000000000000000                                      
   3: 0500000A:1F90 0900000A:9C42 03 00000000:00000000 01:00000064 00000000     0        0 0 1 0000000000000000                                      
   4: 0500000A:1F90 0900000A:9C43 08 00000000:00000001 00:00000000 00000000 65532        0 7406701 1 00000000f1a2b3c5 20 4 30 10 -1                 
";
/// `/proc/net/tcp6` of the same.
const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7406650 1 000000004f1d2a66 100 0 0 10 0
   1: 0000000000000000FFFF00000500000A:1F90 0000000000000000FFFF00000900000A:9C44 01 00000000:00000000 00:00000000 00000000     0        0 7406651 1 0000000091b88863 20 4 30 10 -1
   2: 000000FD00000000000000000500000A:1F90 000000FD00000000000000000900000A:9C44 01 00000000:00000000 00:00000000 00000000     0        0 7406652 1 0000000091b88864 20 4 30 10 -1
";
/// Parts of `/proc/net/snmp` and `/proc/net/netstat` of the same.
const SNMP: &str = "\
Icmp: InMsgs InErrors
Icmp: 3 0
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 247665 240014 6767 30430 490 6677631 6629623 8150 0 36107 0
Udp: InDatagrams NoPorts
Udp: 3385 0
";
const NETSTAT: &str = "\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits
TcpExt: 0 5 7 1
IpExt: InNoRoutes ListenDrops
IpExt: 0 99
";
/// `/proc/net/dev` of a pod.
const INTERFACES: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 21697314270 8373124    0    0    0     0          0         0 21697314270 8373124    0    0    0     0       0          0
  eth0:  123456     210    0    0    0     0          0         0   654321     198    0    0    0     0       0          0
 net1:7 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
";
const ROUTE: &str = "\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100F40A	0003	0	0	0	00000000	0	0	0
eth0	0000F40A	0100F40A	0003	0	0	0	00FFFFFF	0	0	0
eth0	00000000	00000000	0001	0	0	0	00000000	0	0	0
";
const IPV6_ROUTE: &str = "\
fd000010024400000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000010024400000000000000000001 00000400 00000003 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";

#[test]
fn the_sockets_of_ipv4_have_addresses_states_and_whether_they_are_held() {
    let found: Vec<_> = parse_sockets(TCP, usize::MAX)
        .into_iter()
        .map(|socket| (socket.local.to_string(), socket.remote.to_string(), socket.state, socket.held))
        .collect();
    let expected = [
        ("0.0.0.0:8080", "0.0.0.0:0", State::Listen, true),
        ("10.0.0.5:8080", "10.0.0.9:40000", State::Established, true),
        ("10.0.0.5:8080", "10.0.0.9:40001", State::Closing, false),
        ("10.0.0.5:8080", "10.0.0.9:40002", State::Opening, false),
        ("10.0.0.5:8080", "10.0.0.9:40003", State::Closing, true),
    ];
    assert_eq!(found, expected.map(|(local, remote, state, held)| (local.to_owned(), remote.to_owned(), state, held)));
}

#[test]
fn the_sockets_of_ipv6_include_those_of_ipv4_clients() {
    let found = parse_sockets(TCP6, usize::MAX);
    let addresses: Vec<_> = found.iter().map(|socket| (socket.local.to_string(), socket.remote.to_string())).collect();
    let expected = [
        ("[::]:8080", "[::]:0"),
        ("[::ffff:10.0.0.5]:8080", "[::ffff:10.0.0.9]:40004"),
        ("[fd00::a00:5]:8080", "[fd00::a00:9]:40004"),
    ];
    assert_eq!(addresses, expected.map(|(local, remote)| (local.to_owned(), remote.to_owned())));
}

#[test]
fn every_state_of_the_kernel_is_one_of_four() {
    let states: Vec<_> = (0..=13).map(State::from_kernel).collect();
    for (state, expected) in [
        (1, State::Established),
        (2, State::Opening),
        (3, State::Opening),
        (10, State::Listen),
        (12, State::Opening),
        (4, State::Closing),
        (5, State::Closing),
        (6, State::Closing),
        (7, State::Closing),
        (8, State::Closing),
        (9, State::Closing),
        (11, State::Closing),
    ] {
        assert_eq!(states[state], expected, "{state}");
    }
}

#[test]
fn damaged_lines_are_left_out_and_the_others_are_read() {
    let whole = TCP.lines().nth(2).unwrap();
    for damaged in [
        "",
        "   1:",
        "   1: 0500000A:1F90",
        "   1: 0500000A:1F90 0900000A:9C40 01",
        "   1: 0500000A1F90 0900000A:9C40 01 0:0 00:0 0 65532 0 7406700",
        "   1: 0500000:1F90 0900000A:9C40 01 0:0 00:0 0 65532 0 7406700",
        "   1: 0500000A0500000A:1F90 0900000A:9C40 01 0:0 00:0 0 65532 0 7406700",
        "   1: :1F90 0900000A:9C40 01 0:0 00:0 0 65532 0 7406700",
        "   1: 0500000A:11F90 0900000A:9C40 01 0:0 00:0 0 65532 0 7406700",
        "   1: 0500000A:1F90 0900000A:9C40 XX 0:0 00:0 0 65532 0 7406700",
        "   1: 0500000A:1F90 0900000A:9C40 01 0:0 00:0 0 65532 0 inode",
        "   1: ääää:1F90 0900000A:9C40 01 0:0 00:0 0 65532 0 7406700",
    ] {
        let text = format!("{damaged}\n{whole}\n");
        assert_eq!(parse_sockets(&text, usize::MAX), parse_sockets(whole, 1), "{damaged}");
        assert_eq!(parse_sockets(damaged, usize::MAX), [], "{damaged}");
    }
}

#[test]
fn no_more_sockets_are_read_than_the_limit() {
    let line = TCP.lines().nth(2).unwrap();
    let many = format!("{line}\n").repeat(1_000);
    assert_eq!(parse_sockets(&many, 300).len(), 300);
    assert_eq!(parse_sockets(&many, 0), []);
}

#[test]
fn the_counters_are_found_by_their_names() {
    let found = Counters::parse(SNMP, NETSTAT, INTERFACES).unwrap();
    let (received, sent) = (123_463, 654_330);
    assert_eq!(found, Counters { opened: 240_014, resets: 36_107, dropped: 7, overflows: 5, received, sent });
    let reordered = "Tcp: OutRsts PassiveOpens\nTcp: 4 5\n";
    let found = Counters::parse(reordered, "", "").unwrap();
    assert_eq!(found, Counters { opened: 5, resets: 4, ..Counters::default() });
}

#[test]
fn the_bytes_of_interfaces_that_are_not_understood_are_left_out() {
    let bytes = |text: &str| Counters::parse(SNMP, NETSTAT, text).map(|found| (found.received, found.sent));
    assert_eq!(bytes("eth0: 1 2 3\neth1: 1 1 1 1 1 1 1 1 x\neth2: -1 1 1 1 1 1 1 1 1\neth3 5\n"), Ok((0, 0)));
    assert_eq!(bytes(&"e: 1 0 0 0 0 0 0 0 2\n".repeat(1_000)), Ok((256, 512)));
    let largest = format!("e: {0} 0 0 0 0 0 0 0 {0}\n", u64::MAX);
    assert_eq!(bytes(&largest.repeat(2)), Ok((u64::MAX, u64::MAX)));
}

#[test]
fn counters_that_are_missing_are_named() {
    for (text, missing) in [
        ("", "PassiveOpens"),
        ("Tcp: PassiveOpens OutRsts\n", "PassiveOpens"),
        ("Tcp: PassiveOpens OutRsts\nTcp: 5\n", "OutRsts"),
        ("Tcp: PassiveOpens OutRsts\nTcp: 5 -4\n", "OutRsts"),
        ("Tcp: PassiveOpens OutRsts\nTcp: 18446744073709551616 4\n", "PassiveOpens"),
        ("Tcp: ActiveOpens OutRsts\nTcp: 5 4\n", "PassiveOpens"),
        ("Udp: PassiveOpens OutRsts\nUdp: 5 4\n", "PassiveOpens"),
    ] {
        let error = Counters::parse(text, NETSTAT, INTERFACES).unwrap_err();
        assert_eq!(error.to_string(), format!("has no counter {missing}"), "{text:?}");
    }
}

#[test]
fn the_gateways_of_default_routes_are_read() {
    assert_eq!(default_gateways(ROUTE, ""), [IpAddr::from([10, 244, 0, 1])]);
    let v6: IpAddr = "fd00:10:244::1".parse().unwrap();
    assert_eq!(default_gateways("", IPV6_ROUTE), [v6]);
    assert_eq!(default_gateways(ROUTE, IPV6_ROUTE).len(), 2);
    for text in ["", "eth0", "eth0\t00000000", "eth0\t00000000\tXYZ", "eth0\t00000000\t00000000"] {
        assert_eq!(default_gateways(text, text), Vec::<IpAddr>::new(), "{text:?}");
    }
    let many = "eth0\t00000000\t0100F40A\t0003\n".repeat(1_000);
    assert_eq!(default_gateways(&many, &IPV6_ROUTE.repeat(1_000)).len(), 32);
}

proptest! {
    #[test]
    fn no_text_causes_a_panic(text in "[ 0-9A-Fa-f:\\-+\t\nTcpOutRsPavOenäx]{0,400}") {
        prop_assert!(parse_sockets(&text, 5).len() <= 5);
        prop_assert!(default_gateways(&text, &text).len() <= 32);
        let _ = Counters::parse(&text, &text, &text);
    }

    #[test]
    fn what_the_kernel_writes_is_read_back(address in any::<[u8; 16]>(), port: u16, remote in any::<[u8; 4]>(), inode: u64) {
        let words = |bytes: &[u8]| bytes.chunks(4).fold(String::new(), |text, chunk| {
            format!("{text}{:08X}", u32::from_ne_bytes(chunk.try_into().unwrap()))
        });
        let fields = format!("01 00000000:00000000 00:00000000 00000000 0 0 {inode} 1");
        let v6 = format!("  7: {}:{port:04X} {}:0001 {fields}", words(&address), words(&address));
        let v4 = format!("  7: {}:{port:04X} {}:0001 {fields}", words(&remote), words(&remote));
        let [v6, v4] = [v6, v4].map(|text| parse_sockets(&text, 1).remove(0));
        prop_assert_eq!(v6.local, (IpAddr::from(Ipv6Addr::from(address)), port).into());
        prop_assert_eq!(v4.remote, (IpAddr::from(remote), 1).into());
        prop_assert!(v4.held == (inode != 0) && v6.held == v4.held);
    }
}
