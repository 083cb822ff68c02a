//! A small HTTP server on loopback that keeps the JSON it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What one message may be long: Alertmanager's have some kilobytes.
const MAX_BODY: u64 = 1 << 20;
/// For a client that says nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Takes messages until the test ends.
pub struct Webhook {
    /// Where it listens.
    pub address: SocketAddr,
    messages: Receiver<(String, Value)>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self::listen()
    }
}

impl Webhook {
    /// Listens on a free port.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("it is bound");
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that breaks off loses its message, and will repeat it.
                if let Ok(message) = answer(&stream)
                    && sender.send(message).is_err()
                {
                    break;
                }
            }
        });
        Self { address, messages }
    }

    /// The first message from now on of which `matches` is true, given the path
    /// it was sent to.
    ///
    /// # Panics
    ///
    /// With all others, when there is none within `limit`.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        matches: impl Fn(&str, &Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + limit;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok((path, message)) if matches(&path, &message) => return message,
                Ok(other) => others.push(other),
                Err(error) => panic!("no {what} within {limit:?} ({error}), but {others:#?}"),
            }
        }
    }
}

/// Reads a POST and answers that it was taken.
fn answer(stream: &TcpStream) -> std::io::Result<(String, Value)> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(stream).take(MAX_BODY);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let mut writer = stream;
    writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok((path, serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_kept() {
        let webhook = Webhook::listen();
        let mut client = TcpStream::connect(webhook.address).expect("it listens");
        client
            .write_all(b"POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 7\r\n\r\n{\"c\":1}")
            .expect("it reads");
        let mut said = String::new();
        client.read_to_string(&mut said).expect("it answers");
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        let message = webhook.wait("message", TIMEOUT, |path, _| path == "/a");
        assert_eq!(message["c"], 1);
    }
}
