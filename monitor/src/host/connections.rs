//! The TCP connections a process holds, each by its cookie: a number that no
//! other socket of this kernel has or will have, in whatever namespace.
//!
//! Only the socket itself tells its cookie. So its descriptor is duplicated
//! (`pidfd_getfd`), asked, and closed when the look ends, milliseconds later; if
//! the process closes its own meanwhile, the connection ends then. What is no
//! socket is not touched.
//!
//! A process can make both last: a thread that asks a socket for its peer waits for
//! its lock (`inet_getname`, `net/ipv4/af_inet.c`), which a send holds while its
//! data is read from memory that the process fills when it likes; and a thread that
//! closes the last descriptor waits as long as the process said (`SO_LINGER`),
//! unless it is by exiting (`PF_EXITING` in `inet_release`, the same file). So
//! every look has a thread, with descriptors of its own that only its exit closes,
//! and none of ours beside them: one that hangs keeps no client's connection to us
//! open. It is waited for for a limited time.
//!
//! A process that also serves others passes on what they say: its words are not its
//! own.

use std::{
    collections::HashSet, fs, io, net::SocketAddr, ops::RangeInclusive, os::fd::IntoRawFd,
    time::Duration,
};

use procfs::process::{FDTarget, Process as Folder};
use rustix::{
    fd::AsFd,
    io::Errno,
    net::{SocketType, getpeername, getsockname, sockopt},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::{
    LookError, ProcHandle,
    tcp_info::TcpInfo,
    timed_read::{What, alone},
};
use crate::host::clock::monotonic_ns;
use unjack_core::shape::{MAX_CONNECTIONS, Observation};

/// Descriptors looked at, some ten microseconds each if they are of connections.
const MAX_DESCRIPTORS: usize = 1024;
/// Threads that are tried for one that has not ended.
const MAX_THREADS: usize = 64;
/// A pidfd of a thread that is not the first (`PIDFD_THREAD`, include/uapi/linux/pidfd.h),
/// which the kernel has had since Linux 6.9; before, such a process cannot be looked at.
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());
/// How long a look is waited for: it takes a few milliseconds, on a busy host some
/// more until its thread runs.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// Where the kernel says which ports it gives to who connects.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The TCP connections of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The process that started it, or adopted it.
    pub parent: u32,
    /// When they were looked at, nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// Of which it has [`MAX_CONNECTIONS`] at the most: those that it began and on
    /// which data went both ways come first, so that idle ones hide none.
    pub kept: Vec<Observation>,
    /// It serves others, or may: it listens on a socket of any kind, holds a
    /// connection that was begun by the other end, or has more descriptors or
    /// connections than are looked at.
    pub serves: bool,
    /// It listens on a socket of any kind.
    pub listens: bool,
}

impl ProcHandle {
    /// The TCP connections it holds.
    ///
    /// # Errors
    /// It is gone or may not be looked at, or that hangs.
    pub fn connections(&self) -> Result<Connections, LookError> {
        self.connections_within(PATIENCE)
    }

    /// The same, waiting no longer than this.
    ///
    /// # Errors
    /// The same.
    pub fn connections_within(&self, patience: Duration) -> Result<Connections, LookError> {
        self.sockets_within(patience, Self::ask_sockets)
    }

    /// Asks its sockets something, on a thread whose descriptors are closed by its
    /// exit alone.
    pub(super) fn sockets_within<T: Send + 'static>(
        &self,
        patience: Duration,
        ask: impl FnOnce(&Self) -> Result<T, LookError> + Send + 'static,
    ) -> Result<T, LookError> {
        let (pid, start) = (self.folder.pid(), self.start_ticks()?);
        alone((pid, What::Sockets), patience, move || {
            leave_descriptors()?;
            // Opened again: this thread's descriptors are its own.
            let seen = Self::open_pid(pid.unsigned_abs())?;
            if seen.start_ticks()? == start {
                ask(&seen)
            } else {
                Err(LookError::Gone)
            }
        })
    }

    fn ask_sockets(&self) -> Result<Connections, LookError> {
        let mut found = self.ask_all_sockets()?;
        found.serves |= found.kept.len() > MAX_CONNECTIONS;
        let talks = |it: &Observation| it.sent > 0 && it.received > 0;
        let rank = |it: &Observation| (!it.outward, !talks(it), it.cookie);
        found.kept.sort_by_key(rank);
        found.kept.truncate(MAX_CONNECTIONS);
        Ok(found)
    }

    /// The same, with all connections there are.
    fn ask_all_sockets(&self) -> Result<Connections, LookError> {
        let mut found = Connections {
            time_ns: monotonic_ns(),
            parent: self.stat()?.ppid.unsigned_abs(),
            ..Connections::default()
        };
        let ephemeral = fs::read_to_string(EPHEMERAL).ok();
        let ephemeral = ephemeral.as_deref().and_then(range);
        // Each with its own port, and what its counters say of who began it.
        let mut all: Vec<(Observation, u16, Option<bool>)> = Vec::new();
        let mut listening = HashSet::new();
        let more = self.each_socket(|socket| {
            if sockopt::socket_acceptconn(socket).unwrap_or(true) {
                (found.listens, found.serves) = (true, true);
                listening.extend(own_port(socket));
            } else {
                all.extend(connection(socket));
                found.serves |= is_others(socket, ephemeral.as_ref());
            }
        })?;
        found.serves |= more;
        // Two descriptors may be of one socket.
        all.sort_by_key(|(connection, ..)| connection.cookie);
        all.dedup_by_key(|(connection, ..)| connection.cookie);
        found.kept = all
            .into_iter()
            .map(|(mut connection, port, began)| {
                // A socket that is listened on begins no connection from its port.
                connection.outward = !listening.contains(&port)
                    && began.unwrap_or_else(|| {
                        ephemeral.as_ref().is_none_or(|range| range.contains(&port))
                    });
                connection
            })
            .collect();
        Ok(found)
    }

    /// A thread that holds the descriptors, if the first one has ended: that one has
    /// none any more, while the process goes on.
    fn living_thread(&self) -> Result<Option<Folder>, LookError> {
        let zombie = |folder: &Folder| Ok::<_, LookError>(folder.stat()?.state == 'Z');
        if !zombie(&self.folder)? {
            return Ok(None);
        }
        let pid = self.folder.pid();
        for task in self.folder.tasks()?.take(MAX_THREADS).flatten() {
            let path = format!("/proc/{pid}/task/{}", task.tid);
            if let Ok(thread) = Folder::new_with_root(path.into())
                && !zombie(&thread)?
            {
                return Ok(Some(thread));
            }
        }
        Err(LookError::Gone)
    }

    /// Calls `visit` with a duplicate of each of its sockets. Whether there are more
    /// than are looked at. To be called by [`Self::sockets_within`] alone.
    pub(super) fn each_socket(
        &self,
        mut visit: impl FnMut(&rustix::fd::OwnedFd),
    ) -> Result<bool, LookError> {
        let (pid, flags, thread) = match self.living_thread()? {
            None => (self.folder.pid(), PidfdFlags::empty(), None),
            Some(thread) => (thread.pid(), THREAD, Some(thread)),
        };
        let folder = thread.as_ref().unwrap_or(&self.folder);
        let pid = Pid::from_raw(pid).ok_or(LookError::Gone)?;
        let held = pidfd_open(pid, flags).map_err(std::io::Error::from)?;
        // The pidfd is by id. If this process is still there, it is that one.
        self.start_ticks()?;
        for (looked, descriptor) in folder.fd()?.enumerate() {
            if looked == MAX_DESCRIPTORS {
                return Ok(true);
            }
            let Ok(descriptor) = descriptor else {
                continue;
            };
            if !matches!(descriptor.target, FDTarget::Socket(_)) {
                continue;
            }
            match pidfd_getfd(&held, descriptor.fd, PidfdGetfdFlags::empty()) {
                Ok(socket) => {
                    visit(&socket);
                    // Not closed: see above.
                    let _ = socket.into_raw_fd();
                }
                // Closed meanwhile.
                Err(Errno::BADF) => {}
                // More than we may have ourselves.
                Err(Errno::MFILE) => return Ok(true),
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
        }
        Ok(false)
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

/// What a socket says of itself, if it is of a TCP connection: with its own port, and
/// whether this side began it if its counters tell.
fn connection(socket: impl AsFd) -> Option<(Observation, u16, Option<bool>)> {
    if sockopt::socket_type(&socket).ok()? != SocketType::STREAM {
        return None;
    }
    // Others than Internet sockets have no such address; who is not connected
    // has none at all.
    let peer = SocketAddr::try_from(getpeername(&socket).ok()??).ok()?;
    let info = TcpInfo::of(&socket)?;
    let observation = Observation {
        cookie: sockopt::socket_cookie(&socket).ok()?,
        peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
        outward: false,
        sent: info.sent(),
        received: info.received,
        segments_out: info.segments_out,
        segments_in: info.segments_in,
        since_sent_ms: info.since_sent_ms,
        since_received_ms: info.since_received_ms,
        rtt_us: info.rtt_us,
    };
    Some((observation, own_port(&socket)?, info.began()))
}

/// The port of this end, of an Internet socket.
fn own_port(socket: impl AsFd) -> Option<u16> {
    let own = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    Some(own.port())
}

/// Whether a socket is of a connection whose own port is none that is given to who
/// connects.
fn is_others(socket: impl AsFd, ephemeral: Option<&RangeInclusive<u16>>) -> bool {
    let connected = getpeername(&socket).is_ok_and(|peer| peer.is_some());
    match (own_port(&socket), ephemeral) {
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
    use std::{
        io::{Read as _, Write as _},
        net::{Ipv4Addr, TcpListener, TcpStream},
    };

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// No process has such an id: looks at it are in the way of no other test.
    const NO_PROCESS: (i32, What) = (-1, What::Sockets);
    /// Longer than any test takes.
    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_is_opened_aside_is_not_ours() {
        const NAME: &str = "unjack-timed-read";
        let held = |pid: &str| {
            let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            let mut links = links.filter_map(|link| fs::read_link(link.path()).ok());
            links.any(|link| link.to_string_lossy().contains(NAME))
        };
        let there = alone(NO_PROCESS, LONG, move || {
            leave_descriptors()?;
            let file = memfd_create(NAME, MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
            let _ = file.into_raw_fd();
            Ok(held("thread-self"))
        });
        assert!(there.unwrap());
        assert!(!held("self"));
        let _ours = memfd_create(NAME, MemfdFlags::CLOEXEC).unwrap();
        assert!(held("self"));
        let there = alone(NO_PROCESS, LONG, move || {
            leave_descriptors()?;
            Ok(held("thread-self"))
        });
        assert!(!there.unwrap(), "a look has none of ours");
    }

    fn own_connections() -> Connections {
        let own = ProcHandle::open_pid(std::process::id()).unwrap();
        loop {
            // Another test may be looking; the others' connections are many.
            match own.sockets_within(LONG, ProcHandle::ask_all_sockets) {
                Err(LookError::CannotTell(_)) => std::thread::yield_now(),
                found => return found.unwrap(),
            }
        }
    }

    #[test]
    fn both_ends_of_a_connection_and_nothing_else() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let _twice = client.try_clone().unwrap();
        let found = own_connections();
        let peers = [
            (&client, client.peer_addr().unwrap()),
            (&server, server.peer_addr().unwrap()),
        ];
        for (socket, peer) in peers {
            let cookie = sockopt::socket_cookie(socket).unwrap();
            let same = (found.kept.iter()).filter(|it| (it.cookie, it.peer) == (cookie, peer));
            assert_eq!(same.count(), 1, "{peer} in {found:?}");
        }
        let listening = sockopt::socket_cookie(&listener).unwrap();
        assert!(found.kept.iter().all(|found| found.cookie != listening));
        assert!(found.serves && found.listens, "it listens");
    }

    #[test]
    fn who_began_a_connection_and_what_flowed_on_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        // A port that is listened on no more says nothing of who called whom.
        drop(listener);
        let cookies = [&client, &server].map(|it| sockopt::socket_cookie(it).unwrap());
        let look = || {
            let found = own_connections();
            cookies.map(|cookie| {
                let mut kept = found.kept.iter();
                *kept.find(|it| it.cookie == cookie).unwrap()
            })
        };
        let [called, answered] = look();
        assert!(called.outward && !answered.outward);
        client.write_all(&[1; 100]).unwrap();
        server.read_exact(&mut [0; 100]).unwrap();
        server.write_all(&[2; 300]).unwrap();
        client.read_exact(&mut [0; 300]).unwrap();
        let [called, answered] = look();
        assert!(called.outward && !answered.outward);
        assert_eq!((called.sent, called.received), (100, 300));
        assert_eq!((answered.sent, answered.received), (300, 100));
        assert_eq!((called.segments_out, called.segments_in), (1, 1));
        assert!(called.since_sent_ms < 10_000 && called.since_received_ms < 10_000);
    }

    #[test]
    fn who_listens_or_was_called_serves() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        let own = client.local_addr().unwrap().port();
        let ephemeral = own..=own;
        assert!(sockopt::socket_acceptconn(&listener).unwrap());
        assert!(is_others(&server, Some(&ephemeral)));
        assert!(!is_others(&client, Some(&ephemeral)));
        // Of a socket that is not connected the port says nothing.
        let bound = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_others(&bound, Some(&ephemeral)));
        assert_eq!(range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(range(""), None);
    }
}
