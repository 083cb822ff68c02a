//! A pool to mine at: Stratum on the loopback interface, the halves of it that
//! miners use, in the clear, behind TLS and through a WebSocket behind TLS.
//!
//! Both dialects that CPU miners speak: version 1 (`mining.…`), and the one of
//! `RandomX` and `CryptoNight` (`login`). Every client is given work, new work every
//! so often without asking for it, and a difficulty that follows its shares. Shares
//! are looked at and answered; they are not hashed, since the pool knows no
//! algorithm.
//!
//! | module | what it owns |
//! |---|---|
//! | `session` | what is said to one client, and when |
//! | `transport` | messages on a stream: lines, or frames of a WebSocket |

mod session;
mod transport;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use self::session::Session;
use self::transport::{Frames, Lines};
use crate::https::Authority;

/// How often a session looks whether something is due.
const TICK: Duration = Duration::from_millis(500);
/// A client that sends or takes nothing for as long while a connection begins, or
/// that takes nothing for as long later, is gone.
const GONE: Duration = Duration::from_secs(10);

/// How busy the pool is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// New work comes as often, unasked.
    pub job_every: Duration,
    /// A share as often is what the difficulty is set for, roughly.
    pub share_every: Duration,
    /// One hash in two to this is a share, until it is known how many come: what is
    /// slow finds few at first, what is fast sends a flood of them.
    pub first_bits: u32,
}

impl Default for Options {
    /// As busy pools are: their jobs come every ten seconds to a minute.
    fn default() -> Self {
        Self {
            job_every: Duration::from_secs(10),
            share_every: Duration::from_secs(4),
            first_bits: 10,
        }
    }
}

/// The addresses of a pool that ends with this process.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Stratum in the clear, a line a message.
    pub plain: SocketAddr,
    /// The same behind TLS, with a certificate that no authority has signed.
    pub tls: SocketAddr,
    /// A WebSocket behind TLS, at any path, a frame a message: for pages.
    pub wss: SocketAddr,
}

impl Pool {
    /// Starts one, on ports that are free.
    ///
    /// # Errors
    ///
    /// There is no port, or no randomness for a certificate.
    pub fn start(options: Options) -> Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), options)
    }

    /// The same with an address for Stratum in the clear.
    ///
    /// # Errors
    ///
    /// The address is another's, there is no other port, or no randomness for a
    /// certificate.
    pub fn start_at(plain: SocketAddr, options: Options) -> Result<Self> {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let config = Authority::new().sign().server()?;
        let for_frames = Arc::clone(&config);
        Ok(Self {
            plain: listen(plain, move |client, number| {
                Session::new(Lines::new(client), number, options).serve()
            })?,
            tls: listen(any, move |client, number| {
                let stream = StreamOwned::new(begin(&config)?, client);
                Session::new(Lines::new(stream), number, options).serve()
            })?,
            wss: listen(any, move |client, number| {
                let control = client.try_clone()?;
                control.set_read_timeout(Some(GONE))?;
                let stream = StreamOwned::new(begin(&for_frames)?, client);
                let frames = Frames::accept(stream)?;
                control.set_read_timeout(Some(TICK))?;
                Session::new(frames, number, options).serve()
            })?,
        })
    }

    /// Where the workload program mines behind TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("tls://{}", self.tls)
    }

    /// Where a page or a script mines.
    #[must_use]
    pub fn wss_url(&self) -> String {
        format!("wss://{}", self.wss)
    }
}

fn begin(config: &Arc<ServerConfig>) -> io::Result<ServerConnection> {
    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)
}

/// Has every client served on a thread of its own, with a number of its own, for as
/// long as this process lives.
fn listen(
    address: SocketAddr,
    serve: impl Fn(TcpStream, u32) -> io::Result<()> + Send + Sync + 'static,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).context("no port for a pool")?;
    let address = listener.local_addr()?;
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, client) in (1_u32..).zip(listener.incoming().flatten()) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || {
                // A miner that is killed ends this with an error, as it does any pool's.
                let _ = configure(&client).and_then(|()| serve(client, number));
            });
        }
    });
    Ok(address)
}

fn configure(client: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(TICK))?;
    client.set_write_timeout(Some(GONE))
}

#[cfg(test)]
mod tests;
