//! `/proc/PID/net/{tcp,tcp6,udp,udp6}` to sockets: pure.
//!
//! The kernel writes these; a process chooses only how many lines there are.
//! What is no such line is skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

/// The tables there are, each with the protocol its sockets are of.
pub const TABLES: [&str; 4] = ["tcp", "tcp6", "udp", "udp6"];

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// `tcp` or `udp`, and the version of the Internet Protocol.
    pub protocol: &'static str,
    /// This end.
    pub local: SocketAddr,
    /// The other end; port 0 if there is none.
    pub remote: SocketAddr,
    /// `established`, `listen` and so on.
    pub state: &'static str,
    /// Its inode.
    #[serde(skip)]
    pub inode: u64,
}

/// The sockets in a table's text.
pub fn parse<'a>(protocol: &'static str, text: &'a str) -> impl Iterator<Item = Socket> + 'a {
    text.lines()
        .skip(1)
        .filter_map(move |line| parse_line(protocol, line))
}

/// `sl local remote st queues timer retransmits uid timeout inode …`.
fn parse_line(protocol: &'static str, line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = parse_end(fields.next()?)?;
    let remote = parse_end(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket {
        protocol,
        local,
        remote,
        state: state_name(state),
        inode,
    })
}

/// `ADDRESS:PORT` in hexadecimal; the address in words of the host's order.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() {
        return None;
    }
    let mut words = [0_u8; 16];
    let chunks = address.as_bytes().chunks(8);
    let count = chunks.len();
    for (word, digits) in words.chunks_exact_mut(4).zip(chunks) {
        let digits = str::from_utf8(digits).ok()?;
        word.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
    }
    let address = match (count, address.len()) {
        (1, 8) => IpAddr::V4(Ipv4Addr::new(words[0], words[1], words[2], words[3])),
        (4, 32) => IpAddr::V6(Ipv6Addr::from(words)),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// As in `include/net/tcp_states.h`, unchanged for decades.
fn state_name(state: u8) -> &'static str {
    match state {
        1 => "established",
        2 => "syn-sent",
        3 => "syn-received",
        4 => "fin-wait-1",
        5 => "fin-wait-2",
        6 => "time-wait",
        7 => "closed",
        8 => "close-wait",
        9 => "last-ack",
        10 => "listen",
        11 => "closing",
        12 => "new-syn-received",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, &str, &str, u64)>) {
        let text = format!("{HEAD}{line}\n");
        let found: Vec<_> = parse("tcp", &text).collect();
        let shown = found.first().map(|socket| {
            (
                socket.local.to_string(),
                socket.remote.to_string(),
                socket.state,
                socket.inode,
            )
        });
        let expected = expected.map(|(local, remote, state, inode)| {
            (local.to_owned(), remote.to_owned(), state, inode)
        });
        assert_eq!(shown, expected);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_connection() {
        check(
            "   0: 0100007F:1F90 0200007F:0D05 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0",
            Some(("127.0.0.1:8080", "127.0.0.2:3333", "established", 4242)),
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_listener_of_version_6() {
        check(
            "   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0",
            Some(("[::1]:80", "[::]:0", "listen", 17)),
        );
    }

    #[test]
    fn what_is_no_line_is_skipped() {
        for line in [
            "",
            "0:",
            "0: 0100007F 0200007F:0D05 01 0:0 0:0 0 0 0 1",
            "0: 0100007F:1F90 0200007F:0D05 zz 0:0 0:0 0 0 0 1",
            "0: 0100007F:1F90 0200007F:0D05 01 0:0 0:0 0 0 0 x",
            "0: 01:1F90 0200007F:0D05 01 0:0 0:0 0 0 0 1",
            "0: é00007F:1F90 0200007F:0D05 01 0:0 0:0 0 0 0 1",
        ] {
            check(line, None);
        }
    }
}
