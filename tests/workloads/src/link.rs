//! A connection, in the clear or behind TLS, in two halves: one to read from and one
//! to write to, on threads of their own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use rustls::ClientConnection;

use ::tests::https::unverified;

/// What is read from the socket at once, in bytes.
const PIECE: usize = 4096;

/// Both halves of a connection.
pub(super) struct Link {
    /// The half to read from.
    pub(super) reader: Box<dyn Read + Send>,
    /// The other one. What is written is sent at once.
    pub(super) writer: Box<dyn Write + Send>,
    /// What both are halves of, if it is a connection: to end it.
    pub(super) socket: Option<TcpStream>,
}

impl Link {
    /// Connects to `HOST:PORT`, `tcp://HOST:PORT` or `tls://HOST:PORT`. Any
    /// certificate will do.
    pub(super) fn open(address: &str) -> Result<Self> {
        let (secret, place) = match address.split_once("://") {
            None | Some(("tcp", _)) => (false, address.trim_start_matches("tcp://")),
            Some(("tls", place)) => (true, place),
            Some((scheme, _)) => anyhow::bail!("no connection is made by {scheme}"),
        };
        let socket = TcpStream::connect(place).with_context(|| format!("nothing at {place}"))?;
        // As miners have it: what they send is small and late.
        socket.set_nodelay(true)?;
        if !secret {
            return Ok(Self {
                reader: Box::new(socket.try_clone()?),
                writer: Box::new(socket.try_clone()?),
                socket: Some(socket),
            });
        }
        let peer: SocketAddr = place.to_socket_addrs()?.next().context("no such host")?;
        let mut connection = ClientConnection::new(unverified(), peer.ip().into())?;
        while connection.is_handshaking() {
            connection.complete_io(&mut &socket)?;
        }
        let tls = Arc::new(Tls {
            connection: Mutex::new(connection),
            socket: socket.try_clone()?,
        });
        Ok(Self {
            reader: Box::new(TlsReader(Arc::clone(&tls))),
            writer: Box::new(TlsWriter(tls)),
            socket: Some(socket),
        })
    }
}

/// A connection behind TLS. The socket is waited for without the lock.
struct Tls {
    connection: Mutex<ClientConnection>,
    socket: TcpStream,
}

impl Tls {
    fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, connection: &mut ClientConnection) -> io::Result<()> {
        while connection.wants_write() {
            connection.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }
}

struct TlsReader(Arc<Tls>);

impl Read for TlsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tls = &*self.0;
        let mut piece = [0; PIECE];
        loop {
            match tls.lock().reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                answer => return answer,
            }
            let count = (&tls.socket).read(&mut piece)?;
            if count == 0 {
                return Ok(0);
            }
            let mut left = &piece[..count];
            let mut connection = tls.lock();
            while !left.is_empty() {
                connection.read_tls(&mut left)?;
                let state = connection.process_new_packets();
                state.map_err(io::Error::other)?;
            }
            tls.flush(&mut connection)?;
        }
    }
}

struct TlsWriter(Arc<Tls>);

impl Write for TlsWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let tls = &*self.0;
        let mut connection = tls.lock();
        let count = connection.writer().write(bytes)?;
        tls.flush(&mut connection)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
