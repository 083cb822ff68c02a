//! Messages on a stream: one a line, as Stratum has it on TCP and TLS, or one a frame
//! of a WebSocket, as pages that mine have it.
//!
//! The stream has a read timeout, so that the receiving thread can do something
//! else now and then.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket, accept_with_config};

/// No message of a miner is longer, in bytes.
const MAX_MESSAGE: usize = 16 << 10;

/// What came of waiting for a message.
pub(super) enum Received {
    /// A message.
    Message(Vec<u8>),
    /// None before the timeout.
    Nothing,
    /// The client has ended the connection, or broke the bounds.
    End,
}

/// A way to and from a client.
pub(super) trait Transport {
    /// Waits for a message until the stream's read timeout.
    fn receive(&mut self) -> io::Result<Received>;
    /// Sends one, all of it.
    fn send(&mut self, message: &str) -> io::Result<()>;
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A message a line.
pub(super) struct Lines<S> {
    stream: BufReader<S>,
    /// What there is of the next one.
    line: Vec<u8>,
}

impl<S: Read> Lines<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            line: Vec::new(),
        }
    }
}

impl<S: Read + Write> Transport for Lines<S> {
    fn receive(&mut self) -> io::Result<Received> {
        let room = (MAX_MESSAGE - self.line.len()) as u64;
        let read = (&mut self.stream)
            .take(room)
            .read_until(b'\n', &mut self.line);
        match read {
            Ok(_) if self.line.ends_with(b"\n") => {
                Ok(Received::Message(std::mem::take(&mut self.line)))
            }
            Ok(0) => Ok(Received::End),
            Ok(_) => Ok(Received::Nothing),
            Err(error) if is_timeout(&error) => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, message: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{message}\n").as_bytes())?;
        stream.flush()
    }
}

/// A message a frame.
pub(super) struct Frames<S>(WebSocket<S>);

impl<S: Read + Write> Frames<S> {
    /// Answers the client's handshake.
    pub(super) fn accept(stream: S) -> io::Result<Self> {
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        match accept_with_config(stream, Some(bounds)) {
            Ok(socket) => Ok(Self(socket)),
            Err(HandshakeError::Interrupted(_)) => Err(ErrorKind::TimedOut.into()),
            Err(HandshakeError::Failure(error)) => Err(io::Error::other(error)),
        }
    }
}

impl<S: Read + Write> Transport for Frames<S> {
    fn receive(&mut self) -> io::Result<Received> {
        match self.0.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                Ok(Received::Message(message.into_data().to_vec()))
            }
            // A ping was answered.
            Ok(_) => Ok(Received::Nothing),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(Received::End),
            Err(Error::Io(error)) if is_timeout(&error) => Ok(Received::Nothing),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn send(&mut self, message: &str) -> io::Result<()> {
        (self.0.send(Message::text(message))).map_err(io::Error::other)
    }
}
