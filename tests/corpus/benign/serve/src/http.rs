//! As much of HTTP/1.1 as load.py speaks: a thread for each connection on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Bytes that are read of a body at a time.
const PIECE: usize = 1 << 16;

/// What answers requests.
pub trait Service: Sync {
    /// The answer to a request with this body.
    fn answer(&self, body: &mut Body<'_>) -> String;
}

/// The body of a request, read piece by piece.
pub struct Body<'a> {
    from: &'a mut BufReader<TcpStream>,
    left: usize,
    piece: Box<[u8; PIECE]>,
}

impl Body<'_> {
    /// The next piece; none at the end.
    pub fn next(&mut self) -> Option<&[u8]> {
        // A buffered reader would wait for bytes even if none are asked for.
        if self.left == 0 {
            return None;
        }
        let most = self.left.min(PIECE);
        let got = self.from.read(&mut self.piece[..most]).ok()?;
        self.left -= got;
        (got > 0).then(|| &self.piece[..got])
    }
}

/// Serves on loopback until killed.
pub fn serve(port: &str, service: &dyn Service) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            scope.spawn(|| {
                let mut from = BufReader::new(stream);
                while request(&mut from, service).is_some() {}
            });
        }
    });
}

/// One request and its answer; none at the end of the connection.
fn request(from: &mut BufReader<TcpStream>, service: &dyn Service) -> Option<()> {
    let mut left = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(length) = line.strip_prefix("content-length:") {
            left = length.trim().parse().ok()?;
        }
    }
    let piece = Box::new([0; PIECE]);
    let text = service.answer(&mut Body { from, left, piece });
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    from.get_mut().write_all(answer.as_bytes()).ok()
}
