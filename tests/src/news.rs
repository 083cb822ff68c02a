//! A web server that has news whenever it is asked, over TLS, on connections that
//! are kept.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::https::Authority;

/// No line of a request is longer, in bytes.
const MAX_LINE: u64 = 8 << 10;

/// A server that ends with this process.
pub struct News {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl News {
    /// Starts it on loopback.
    ///
    /// # Panics
    ///
    /// When there is no port, or no randomness for a certificate.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let config = Authority::new().sign().server().expect("its own key");
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, asked) = (Arc::clone(&config), Arc::clone(&counter));
                // Who goes ends it with an error.
                thread::spawn(move || serve(client, config, &asked));
            }
        });
        Self { address, asked }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was asked, by all.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve(client: TcpStream, config: Arc<ServerConfig>, asked: &AtomicU64) -> io::Result<()> {
    client.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, client));
    loop {
        let mut line = String::new();
        if (&mut stream).take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        if !line.trim_end().is_empty() {
            continue;
        }
        let number = asked.fetch_add(1, Ordering::Relaxed);
        // As long as a job of a pool.
        let body = format!(
            "{{\"number\":{number},\"news\":\"{}\"}}\n",
            "none".repeat(100)
        );
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let stream = stream.get_mut();
        stream.write_all((head + &body).as_bytes())?;
        stream.flush()?;
    }
}
