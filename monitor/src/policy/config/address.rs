//! Where the endpoint listens, as `--web.listen-address` says it.

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// Longest path of a socket: what `sockaddr_un` has room for, less the zero.
const MAX_PATH_BYTES: usize = 107;

/// Sockets taken over from systemd.
pub const MAX_SOCKETS: usize = 16;

const FORMS: &str = "write ADDRESS:PORT such as 127.0.0.1:10066 or [::1]:10066, :PORT for every \
                     address of this host, or unix:/PATH for a socket";

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address of this host and a port.
    Tcp(SocketAddr),
    /// A port on every address, of IPv4 and of IPv6.
    Every(u16),
    /// A socket in the file system, by its absolute path.
    Unix(PathBuf),
}

impl Address {
    /// The addresses of the internet's that this is; `None` for a file.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Every(port) => Some((Ipv6Addr::UNSPECIFIED, *port).into()),
            Self::Unix(_) => None,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if !path.starts_with('/') || path.ends_with('/') {
                Err("the path of a socket must be absolute, such as unix:/run/unjack.sock".into())
            } else if path.len() > MAX_PATH_BYTES {
                Err(format!(
                    "the path of a socket has room for {MAX_PATH_BYTES} bytes: choose a shorter one"
                ))
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if text.starts_with("vsock:") {
            return Err(format!("unjack does not listen on vsock: {FORMS}"));
        }
        if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
            return Ok(Self::Every(port));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| format!("not an address to listen on: {FORMS}"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Every(port) => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Address) {
        assert_eq!(text.parse().as_ref(), Ok(expected));
        assert_eq!(expected.to_string(), text);
    }

    #[test]
    fn addresses_of_both_versions() {
        for text in ["127.0.0.1:10066", "[::1]:10066", "[::]:0"] {
            check(text, &Address::Tcp(text.parse().unwrap()));
        }
    }

    #[test]
    fn a_port_alone_is_every_address() {
        check(":10066", &Address::Every(10066));
    }

    #[test]
    fn a_socket_in_the_file_system() {
        check("unix:/run/u.sock", &Address::Unix("/run/u.sock".into()));
    }

    #[test]
    fn what_is_none_is_told_the_forms_there_are() {
        for text in [
            "10066",
            "localhost:10066",
            "unix:u.sock",
            "unix:/",
            "unix:@a",
            ":99999",
            "vsock://10066",
            "",
        ] {
            let problem = text.parse::<Address>().unwrap_err();
            assert!(problem.contains("such as"), "{text}: {problem}");
        }
        let long = format!("unix:/{}", "x".repeat(MAX_PATH_BYTES));
        assert!(long.parse::<Address>().unwrap_err().contains("107"));
    }
}
