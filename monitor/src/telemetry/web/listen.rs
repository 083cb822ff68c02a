//! The sockets: opened by the daemon, or handed over by systemd.
//!
//! A socket in the file system gets [`MODE`], and its folder's rules decide which
//! users reach it. The file that a killed daemon left is replaced: no process
//! answers there. One that a process answers on, or that is no socket, is never
//! touched.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, fchmod},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as bind_socket, listen,
        socket_with, sockopt,
    },
};

use crate::policy::config::{Address, MAX_SOCKETS};

/// Rights on a socket in the file system: its owner and its group may connect.
pub const MODE: u32 = 0o660;
/// Connections the kernel keeps waiting: a thousand scrapers at once are made to
/// wait rather than to try again a second later. The kernel caps it too.
const BACKLOG: i32 = 1024;
/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; {remedy}")]
pub struct BindError {
    address: String,
    remedy: String,
    cause: io::Error,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Socket(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Tcp(TcpListener),
    /// With the file, if it is ours to remove.
    Unix(UnixListener, Option<SocketFile>),
}

impl Socket {
    /// Its address, as `--web.listen-address` would say it.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.0 {
            Kind::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |addr| addr.to_string()),
            Kind::Unix(listener, _) => {
                let addr = listener.local_addr().ok();
                let path = addr.as_ref().and_then(|addr| addr.as_pathname());
                path.map_or_else(
                    || "a socket without a path".to_owned(),
                    |path| format!("unix:{}", path.display()),
                )
            }
        }
    }
}

/// A file that is removed with its socket, if it still is that socket.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // One that stays is replaced by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes all the addresses. Separate from serving, so that a port in use is
/// known before probes are loaded.
///
/// # Errors
/// Names the first that cannot be had, the cause and what to do.
pub fn bind(addresses: &[Address]) -> Result<Vec<Socket>, BindError> {
    addresses
        .iter()
        .map(|address| {
            bind_one(address, addresses).map_err(|cause| BindError {
                address: address.to_string(),
                remedy: remedy(address, cause.kind()),
                cause,
            })
        })
        .collect()
}

fn bind_one(address: &Address, all: &[Address]) -> io::Result<Socket> {
    match address {
        Address::Unix(path) => unix(path),
        Address::Tcp(addr) => {
            // Side by side with IPv4's own, [::] is IPv6 alone.
            let beside = |other: &Address| matches!(other, Address::Tcp(SocketAddr::V4(v4)) if v4.port() == addr.port());
            tcp(*addr, all.iter().any(beside))
        }
        Address::Every(port) => match tcp((IpAddr::from([0_u16; 8]), *port).into(), false) {
            // A host without IPv6.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => {
                tcp((Ipv4Addr::UNSPECIFIED, *port).into(), false)
            }
            other => other,
        },
    }
}

fn socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, None)
}

fn tcp(addr: SocketAddr, v6_only: bool) -> io::Result<Socket> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket(family)?;
    // A daemon that is started again need not wait for old connections.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, v6_only)?;
    }
    bind_socket(&socket, &addr)?;
    listen(&socket, BACKLOG)?;
    Ok(Socket(Kind::Tcp(socket.into())))
}

fn unix(path: &Path) -> io::Result<Socket> {
    let socket = socket(AddressFamily::UNIX)?;
    // The file never has more rights than it will have: it is made with those
    // of the socket, less the umask.
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    let address = SocketAddrUnix::new(path)?;
    match bind_socket(&socket, &address) {
        Err(Errno::ADDRINUSE) if is_stale(path) => {
            tracing::info!("{} was left by a daemon that is gone", path.display());
            fs::remove_file(path)?;
            bind_socket(&socket, &address)?;
        }
        other => other?,
    }
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    let file = SocketFile {
        path: path.to_owned(),
        inode: inode(path)?,
    };
    listen(&socket, BACKLOG)?;
    Ok(Socket(Kind::Unix(socket.into(), Some(file))))
}

/// Whether it is a socket that no process listens on.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Takes over the sockets that systemd opened for this process (`LISTEN_FDS`).
///
/// # Errors
/// There is none, or one that is no listening socket of TCP or a file.
pub fn inherited() -> Result<Vec<Socket>, BindError> {
    let fail = |what: String, cause, remedy: &str| BindError {
        address: what,
        remedy: remedy.to_owned(),
        cause,
    };
    let mut handed = listenfd::ListenFd::from_env();
    let count = handed.len();
    if !(1..=MAX_SOCKETS).contains(&count) {
        let cause = io::Error::other(format!("systemd handed over {count} sockets"));
        let remedy = "start unjack by a .socket unit with 1 to 16 ListenStream= lines, \
                      or without --web.systemd-socket";
        return Err(fail("systemd's sockets".to_owned(), cause, remedy));
    }
    (0..count)
        .map(|at| {
            let unix = handed.take_unix_listener(at);
            let kind = match unix {
                Ok(Some(listener)) => Ok(Kind::Unix(listener, None)),
                _ => handed
                    .take_tcp_listener(at)
                    .and_then(|listener| listener.ok_or_else(|| io::ErrorKind::NotFound.into()))
                    .map(Kind::Tcp),
            };
            let kind = kind.and_then(|kind| {
                match &kind {
                    Kind::Tcp(listener) => listener.set_nonblocking(true),
                    Kind::Unix(listener, _) => listener.set_nonblocking(true),
                }?;
                Ok(kind)
            });
            kind.map(Socket).map_err(|cause| {
                let remedy = "only ListenStream= sockets can be served";
                fail(format!("socket {} of systemd's", at + 1), cause, remedy)
            })
        })
        .collect()
}

fn remedy(address: &Address, cause: io::ErrorKind) -> String {
    const OTHER: &str = "choose another address with --web.listen-address";
    let Some(addr) = address.socket_addr() else {
        return match cause {
            io::ErrorKind::AddrInUse => {
                "something answers there, perhaps another unjack, or the file is no socket: \
                 stop it, remove the file, or choose another path with --web.listen-address unix:/PATH"
            }
            io::ErrorKind::NotFound => "make its folder first",
            _ => OTHER,
        }
        .to_owned();
    };
    let (port, host) = match addr {
        SocketAddr::V4(addr) => (addr.port(), addr.ip().to_string()),
        SocketAddr::V6(addr) => (addr.port(), format!("[{}]", addr.ip())),
    };
    match cause {
        io::ErrorKind::AddrInUse => format!(
            "another program, perhaps another unjack, holds port {port} (`ss -ltnp 'sport = :{port}'` \
             shows it): stop it, or choose another port with --web.listen-address {host}:PORT"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address (`ip addr` shows those it has): \
             choose one with --web.listen-address ADDR:PORT"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one with --web.listen-address {host}:PORT"
        ),
        _ => OTHER.to_owned(),
    }
}

#[cfg(test)]
mod tests;
