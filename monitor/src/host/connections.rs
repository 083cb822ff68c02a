//! The TCP connections a process holds, each by its cookie: a number that no
//! other socket of this kernel has or will have, in whatever namespace.
//!
//! Only the socket itself tells its cookie. So its descriptor is duplicated
//! (`pidfd_getfd`), asked, and closed at once; if the process closes its own in
//! these microseconds, the connection ends as much later. What is no socket is
//! not touched.
//!
//! Whoever also serves others passes on what they say: its words are not its own.

use std::{fs, net::SocketAddr, ops::RangeInclusive};

use procfs::process::FDTarget;
use rustix::{
    fd::AsFd,
    io::Errno,
    net::{SocketType, getpeername, getsockname, sockopt},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::{LookError, Seen};

/// Descriptors looked at, a microsecond or two each.
const MAX_DESCRIPTORS: usize = 1024;
/// Connections that are kept: a miner has one, or one a thread.
pub const MAX_CONNECTIONS: usize = 16;

/// Where the kernel says which ports it gives to who connects.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The TCP connections of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Of which it has [`MAX_CONNECTIONS`] at the most.
    pub kept: Vec<Connection>,
    /// It serves others, or may: it listens on a socket of any kind, holds a
    /// connection that was begun by the other end, or has more descriptors or
    /// connections than are looked at.
    pub serves: bool,
}

/// A TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its socket.
    pub cookie: u64,
    /// The other end.
    pub peer: SocketAddr,
}

impl Seen {
    /// The TCP connections it holds.
    ///
    /// # Errors
    /// It is gone or may not be looked at.
    pub fn connections(&self) -> Result<Connections, LookError> {
        let pid = Pid::from_raw(self.folder.pid()).ok_or(LookError::Gone)?;
        let held = pidfd_open(pid, PidfdFlags::empty()).map_err(std::io::Error::from)?;
        // The pidfd is by id. If this process is still there, it is that one.
        self.start_ticks()?;
        let mut found = Connections::default();
        let ephemeral = fs::read_to_string(EPHEMERAL).ok();
        let ephemeral = ephemeral.as_deref().and_then(range);
        for (looked, descriptor) in self.folder.fd()?.enumerate() {
            if looked == MAX_DESCRIPTORS || found.kept.len() == MAX_CONNECTIONS {
                found.serves = true;
                break;
            }
            let Ok(descriptor) = descriptor else {
                continue;
            };
            if !matches!(descriptor.target, FDTarget::Socket(_)) {
                continue;
            }
            match pidfd_getfd(&held, descriptor.fd, PidfdGetfdFlags::empty()) {
                Ok(socket) => {
                    found.kept.extend(connection(&socket));
                    found.serves |= serves(&socket, ephemeral.as_ref());
                }
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
        }
        // Two descriptors may be of one socket.
        found
            .kept
            .sort_by_key(|connection: &Connection| connection.cookie);
        found.kept.dedup();
        Ok(found)
    }
}

/// What a socket says of itself, if it is of a TCP connection.
fn connection(socket: impl AsFd) -> Option<Connection> {
    if sockopt::socket_type(&socket).ok()? != SocketType::STREAM {
        return None;
    }
    // Others than Internet sockets have no such address; who is not connected
    // has none at all.
    let peer = SocketAddr::try_from(getpeername(&socket).ok()??).ok()?;
    Some(Connection {
        cookie: sockopt::socket_cookie(&socket).ok()?,
        peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
    })
}

/// Whether a socket shows that its process serves others: it listens, or is of a
/// connection whose own port is none that is given to who connects.
fn serves(socket: impl AsFd, ephemeral: Option<&RangeInclusive<u16>>) -> bool {
    if sockopt::socket_acceptconn(&socket).unwrap_or(true) {
        return true;
    }
    let connected = getpeername(&socket).is_ok_and(|peer| peer.is_some());
    let own = getsockname(&socket).ok();
    let port = own.and_then(|own| SocketAddr::try_from(own).ok().map(|own| own.port()));
    match (port, ephemeral) {
        (Some(port), Some(ephemeral)) => connected && !ephemeral.contains(&port),
        // It is no Internet socket, or the range is not known.
        _ => false,
    }
}

/// The kernel's own words for a range of ports.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(str::parse);
    Some(ends.next()?.ok()?..=ends.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_and_nothing_else() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let _twice = client.try_clone().unwrap();
        let found = Seen::open_pid(std::process::id())
            .unwrap()
            .connections()
            .unwrap();
        let peers = [
            (&client, client.peer_addr().unwrap()),
            (&server, server.peer_addr().unwrap()),
        ];
        for (socket, peer) in peers {
            let cookie = sockopt::socket_cookie(socket).unwrap();
            let expected = Connection { cookie, peer };
            let same = found.kept.iter().filter(|found| **found == expected);
            assert_eq!(same.count(), 1, "{expected:?} in {found:?}");
        }
        let listening = sockopt::socket_cookie(&listener).unwrap();
        assert!(found.kept.iter().all(|found| found.cookie != listening));
        assert!(found.serves, "it listens");
    }

    #[test]
    fn who_listens_or_was_called_serves() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        let own = client.local_addr().unwrap().port();
        let ephemeral = own..=own;
        assert!(serves(&listener, Some(&ephemeral)));
        assert!(serves(&server, Some(&ephemeral)));
        assert!(!serves(&client, Some(&ephemeral)));
        // Of a socket that is not connected the port says nothing.
        let bound = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!serves(&bound, Some(&ephemeral)));
        assert_eq!(range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(range(""), None);
    }
}
