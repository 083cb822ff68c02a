//! The TCP connections a process holds, each by its cookie: a number that no
//! other socket of this kernel has or will have, in whatever namespace.
//!
//! Only the socket itself tells its cookie. So its descriptor is duplicated
//! (`pidfd_getfd`), asked, and closed at once; if the process closes its own in
//! these microseconds, the connection ends as much later. What is no socket is
//! not touched.

use std::net::SocketAddr;

use procfs::process::FDTarget;
use rustix::{
    fd::AsFd,
    io::Errno,
    net::{SocketType, getpeername, sockopt},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::{LookError, Seen, deep::Bounded};

/// Descriptors looked at, a microsecond or two each.
const MAX_DESCRIPTORS: usize = 1024;
/// Connections that are kept: a miner has one, or one a thread.
pub const MAX_CONNECTIONS: usize = 16;

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
    pub fn connections(&self) -> Result<Bounded<Connection>, LookError> {
        let pid = Pid::from_raw(self.folder.pid()).ok_or(LookError::Gone)?;
        let held = pidfd_open(pid, PidfdFlags::empty()).map_err(std::io::Error::from)?;
        // The pidfd is by id. If this process is still there, it is that one.
        self.start_ticks()?;
        let mut found = Bounded::default();
        for (looked, descriptor) in self.folder.fd()?.enumerate() {
            if looked == MAX_DESCRIPTORS || found.kept.len() == MAX_CONNECTIONS {
                found.cut = true;
                break;
            }
            let Ok(descriptor) = descriptor else {
                continue;
            };
            if !matches!(descriptor.target, FDTarget::Socket(_)) {
                continue;
            }
            match pidfd_getfd(&held, descriptor.fd, PidfdGetfdFlags::empty()) {
                Ok(socket) => found.kept.extend(connection(socket)),
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
    }
}
