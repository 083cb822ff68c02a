//! What the kernel counts of a TCP connection (`TCP_INFO`), and the other end of a
//! UNIX socket.
//!
//! `struct tcp_info` (`include/uapi/linux/tcp.h`) grows from kernel to kernel, at its
//! end alone: what came back is read by its length.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// Room for the structure: 248 bytes in Linux 6.18. What a later kernel adds is not
/// asked for.
const ROOM: usize = 512;
/// `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT`, `include/net/tcp_states.h`: this side has
/// not ended what it sends.
const OPEN: [u8; 2] = [1, 8];

/// What `TCP_INFO` says of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TcpInfo {
    state: u8,
    unacked: u32,
    bytes_acked: u64,
    /// Bytes that were sent, and of these again; since Linux 4.19.
    bytes_sent: Option<(u64, u64)>,
    pub(super) received: u64,
    pub(super) segments_out: u32,
    pub(super) segments_in: u32,
    pub(super) since_sent_ms: u32,
    pub(super) since_received_ms: u32,
    pub(super) rtt_us: u32,
}

impl TcpInfo {
    /// Asks a socket. `None` if it is not of TCP, or the kernel does not say enough
    /// (before Linux 4.6).
    pub(super) fn of(socket: impl AsFd) -> Option<Self> {
        let mut bytes = [0; ROOM];
        let length = option(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut bytes).ok()?;
        Self::parse(bytes.get(..length)?)
    }

    /// The structure as it came back.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let int = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            state: *bytes.first()?,
            unacked: int(24)?,
            since_sent_ms: int(44)?,
            since_received_ms: int(52)?,
            rtt_us: int(68)?,
            bytes_acked: long(120)?,
            received: long(128)?,
            segments_in: int(152)?,
            segments_out: int(156)?,
            bytes_sent: long(200).zip(long(208)),
        })
    }

    /// Bytes of data sent so far, without those sent again; on kernels that do not
    /// count these, as far as the other end has acknowledged them.
    pub(super) fn sent(&self) -> u64 {
        self.bytes_sent
            .map_or(self.bytes_acked, |(all, again)| all.saturating_sub(again))
    }

    /// Whether this side began the connection, if the counters tell. One that began
    /// it has sent a SYN, whose acknowledgement counts as a byte of data
    /// (`tcp_snd_una_update`, `net/ipv4/tcp_input.c`); the SYN of one that was called
    /// is acknowledged before the socket is made (`tcp_create_openreq_child`,
    /// `net/ipv4/tcp_minisocks.c`).
    pub(super) fn began(&self) -> Option<bool> {
        let (all, again) = self.bytes_sent?;
        if self.unacked != 0 || !OPEN.contains(&self.state) {
            return None;
        }
        match self.bytes_acked.checked_sub(all.checked_sub(again)?)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// The process at the other end of a UNIX socket: who connected or listened, or made
/// the pair. `None` if there is none.
pub(super) fn unix_peer(socket: impl AsFd) -> Option<u32> {
    let mut bytes = [0; size_of::<libc::ucred>()];
    let length = option(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut bytes).ok()?;
    // `pid` comes first; 0 where it is of another PID namespace, or has no process.
    let pid = bytes.get(..length)?.first_chunk().copied()?;
    u32::try_from(i32::from_ne_bytes(pid))
        .ok()
        .filter(|pid| *pid != 0)
}

/// Reads an option of a socket; how many bytes of `bytes` were written.
fn option(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    bytes: &mut [u8],
) -> io::Result<usize> {
    let socket = socket.as_fd();
    let mut length = libc::socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: `bytes` is writable, nothing else refers to it, and it is as long as
    // `length` says, beyond which the kernel writes nothing; the descriptor is open as
    // long as it is borrowed.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done == 0 {
        Ok(length as usize)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// As long as the structure of Linux 6.18, with these integers at these places.
    fn structure(ints: &[(usize, u32)], longs: &[(usize, u64)]) -> Vec<u8> {
        let mut bytes = vec![0; 248];
        bytes[0] = 1;
        for (at, value) in ints {
            bytes[*at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        for (at, value) in longs {
            bytes[*at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }

    #[track_caller]
    fn check_began(ints: &[(usize, u32)], longs: &[(usize, u64)], expected: Option<bool>) {
        let info = TcpInfo::parse(&structure(ints, longs)).unwrap();
        assert_eq!(info.began(), expected);
    }

    #[test]
    fn every_counter_is_read_from_its_place() {
        let ints = [(44, 1), (52, 2), (68, 3), (152, 4), (156, 5)];
        let longs = [(120, 61), (128, 7), (200, 100), (208, 40)];
        let bytes = structure(&ints, &longs);
        let info = TcpInfo::parse(&bytes).unwrap();
        assert_eq!((info.since_sent_ms, info.since_received_ms), (1, 2));
        assert_eq!((info.segments_in, info.segments_out), (4, 5));
        assert_eq!((info.rtt_us, info.received, info.sent()), (3, 7, 60));
        assert_eq!(info.began(), Some(true));
    }

    #[test]
    fn an_older_kernels_structure_is_read_as_far_as_it_goes() {
        let bytes = structure(&[], &[(120, 61), (128, 7), (200, 100)]);
        let info = TcpInfo::parse(&bytes[..160]).unwrap();
        assert_eq!((info.sent(), info.received, info.began()), (61, 7, None));
        assert_eq!(TcpInfo::parse(&bytes[..104]), None);
        assert_eq!(TcpInfo::parse(&[]), None);
    }

    #[test]
    fn who_began_it_is_told_only_when_all_is_acknowledged() {
        check_began(&[], &[(120, 60), (200, 60)], Some(false));
        check_began(&[], &[(120, 61), (200, 60)], Some(true));
        check_began(&[], &[(120, 61), (200, 70), (208, 10)], Some(true));
        check_began(&[(24, 1)], &[(120, 61), (200, 60)], None);
        check_began(&[], &[(120, 20), (200, 60)], None);
        check_began(&[], &[(120, 60), (200, 60), (208, 80)], None);
    }

    #[test]
    fn a_unix_sockets_other_end_is_named() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(unix_peer(&one), Some(std::process::id()));
        assert_eq!(TcpInfo::of(&one), None);
        let unconnected = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(unix_peer(&unconnected), None);
    }
}
