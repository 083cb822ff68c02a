//! Tells the service manager how the daemon is: systemd's `sd_notify` protocol.
//!
//! A datagram to the socket that `NOTIFY_SOCKET` names; without that variable
//! nothing is sent. The daemon never waits for it nor fails by it: the socket
//! does not block, and what cannot be sent is lost, with a diagnostic. So the
//! worst that can happen is that the manager takes a daemon that runs for one
//! that hangs, and starts it again.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Where the manager listens: a path, or an abstract name after an `@`.
const SOCKET: &str = "NOTIFY_SOCKET";

/// What the manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The probes are attached, and every series is there.
    Ready,
    /// The loop has just ticked. Sent from anywhere else it makes the watchdog
    /// worthless.
    Alive,
    /// The daemon is about to detach and to undo what it holds.
    Stopping,
}

impl State {
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1",
            Self::Alive => b"WATCHDOG=1",
            Self::Stopping => b"STOPPING=1",
        }
    }
}

/// Tells the manager, if there is one that wants to know.
pub fn tell(state: State) {
    let Some(name) = env::var_os(SOCKET).filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&name, state) {
        tracing::warn!(
            "cannot notify the service manager that unjack is {state:?}: {error}; \
             look at {SOCKET}={}",
            name.display()
        );
    }
}

fn send(name: &OsStr, state: State) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.message(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(receiver: &UnixDatagram, name: &OsStr) {
        for (state, expected) in [
            (State::Ready, "READY=1"),
            (State::Alive, "WATCHDOG=1"),
            (State::Stopping, "STOPPING=1"),
        ] {
            send(name, state).unwrap();
            let mut buffer = [0; 64];
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
    }

    #[test]
    fn a_socket_with_a_path_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        check(&UnixDatagram::bind(&path).unwrap(), path.as_os_str());
    }

    #[test]
    fn a_socket_with_an_abstract_name_is_told() {
        let name = format!("unjack-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        check(&receiver, OsStr::new(&format!("@{name}")));
    }

    #[test]
    fn no_receiver_is_an_error_and_a_full_queue_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        assert!(send(path.as_os_str(), State::Alive).is_err());

        let _unread = UnixDatagram::bind(&path).unwrap();
        // More than any queue holds.
        let outcome = (0..1_000_000).find_map(|_| send(path.as_os_str(), State::Alive).err());
        assert_eq!(outcome.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
