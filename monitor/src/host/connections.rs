//! The TCP connections a process holds, each by its cookie: a number that no
//! other socket of this kernel has or will have, in whatever namespace.
//!
//! Only the socket itself tells its cookie. So its descriptor is duplicated
//! (`pidfd_getfd`), asked, and closed when the look ends, milliseconds later; if
//! the process closes its own meanwhile, the connection ends then. What is no
//! socket is not touched.
//!
//! A process can make both last: who asks a socket for its peer waits for its lock
//! (`inet_getname`, `net/ipv4/af_inet.c`), which a send holds while its data is read
//! from memory that the process fills when it likes; and who closes the last
//! descriptor waits as long as the process said (`SO_LINGER`), unless it is by
//! exiting (`PF_EXITING` in `inet_release`, the same file). So every look has a
//! thread, with descriptors of its own that only its exit closes, and none of ours
//! beside them: one that hangs keeps nobody's connection to us open. It is waited
//! for for so long.
//!
//! Whoever also serves others passes on what they say: its words are not its own.

use std::{fs, io, net::SocketAddr, ops::RangeInclusive, os::fd::IntoRawFd, time::Duration};

use procfs::process::FDTarget;
use rustix::{
    fd::AsFd,
    io::Errno,
    net::{SocketType, getpeername, getsockname, sockopt},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::{
    LookError, Seen,
    aside::{What, alone},
};

/// Descriptors looked at, a microsecond or two each.
const MAX_DESCRIPTORS: usize = 1024;
/// Connections that are kept: a miner has one, or one a thread.
pub const MAX_CONNECTIONS: usize = 16;
/// How long a look is waited for: it takes a few milliseconds, on a busy host some
/// more until its thread runs.
const PATIENCE: Duration = Duration::from_millis(100);

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
    /// It is gone or may not be looked at, or keeps us waiting.
    pub fn connections(&self) -> Result<Connections, LookError> {
        self.connections_within(PATIENCE)
    }

    fn connections_within(&self, patience: Duration) -> Result<Connections, LookError> {
        let (pid, start) = (self.folder.pid(), self.start_ticks()?);
        alone((pid, What::Sockets), patience, move || {
            leave_descriptors()?;
            // Opened again: this thread's descriptors are its own.
            let seen = Self::open_pid(pid.unsigned_abs())?;
            if seen.start_ticks()? == start {
                seen.ask_sockets()
            } else {
                Err(LookError::Gone)
            }
        })
    }

    /// The same, on a thread whose descriptors are closed by its exit alone.
    fn ask_sockets(&self) -> Result<Connections, LookError> {
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
                    // Not closed: see above.
                    let _ = socket.into_raw_fd();
                }
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                // More than we may have ourselves.
                Err(Errno::MFILE) => {
                    found.serves = true;
                    break;
                }
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

/// Leaves this thread no descriptors but the standard ones, and those it opens from
/// now on. (`/proc/self/fd` is still the process's.)
fn leave_descriptors() -> io::Result<()> {
    const UNSHARE: libc::c_int = libc::CLOSE_RANGE_UNSHARE.cast_signed();
    // SAFETY: a new table of descriptors is this thread's alone, and nothing that
    // holds one of the process's goes into what runs on it or comes out of it.
    match unsafe { libc::close_range(3, libc::c_uint::MAX, UNSHARE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
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

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// No process has such an id: looks at it are in nobody's way.
    const NOBODY: (i32, What) = (-1, What::Sockets);
    /// Longer than any test takes.
    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_is_opened_aside_is_not_ours() {
        const NAME: &str = "unjack-aside";
        let held = |pid: &str| {
            let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            let mut links = links.filter_map(|link| fs::read_link(link.path()).ok());
            links.any(|link| link.to_string_lossy().contains(NAME))
        };
        let there = alone(NOBODY, LONG, move || {
            leave_descriptors()?;
            let file = memfd_create(NAME, MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
            let _ = file.into_raw_fd();
            Ok(held("thread-self"))
        });
        assert!(there.unwrap());
        assert!(!held("self"));
        let _ours = memfd_create(NAME, MemfdFlags::CLOEXEC).unwrap();
        assert!(held("self"));
        let there = alone(NOBODY, LONG, move || {
            leave_descriptors()?;
            Ok(held("thread-self"))
        });
        assert!(!there.unwrap(), "a look has none of ours");
    }

    #[test]
    fn both_ends_of_a_connection_and_nothing_else() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let _twice = client.try_clone().unwrap();
        let found = Seen::open_pid(std::process::id())
            .unwrap()
            .connections_within(LONG)
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
