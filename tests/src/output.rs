//! What a child prints, collected as it comes.
//!
//! Lines are kept as raw bytes, so that a suite can judge every byte, and the
//! JSON objects among them parsed, so that it can wait for one.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A stream of a child. Clones show the same stream.
#[derive(Clone)]
pub struct Output(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    closed: bool,
}

/// One line.
#[derive(Clone)]
pub struct Line {
    /// The bytes, with the newline if there was one.
    pub raw: Vec<u8>,
    /// The JSON value that the line is, if it is one.
    pub json: Option<Value>,
    /// When it arrived.
    pub at: Instant,
}

impl Output {
    /// Starts to collect the stream, until it is closed.
    pub fn collect(stream: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let writer = output.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            loop {
                let mut raw = Vec::new();
                let more = matches!(stream.read_until(b'\n', &mut raw), Ok(read) if read > 0);
                let mut state = writer.state();
                if more {
                    let json = serde_json::from_slice(&raw).ok();
                    let at = Instant::now();
                    state.lines.push(Line { raw, json, at });
                } else {
                    state.closed = true;
                }
                drop(state);
                writer.0.1.notify_all();
                if !more {
                    break;
                }
            }
        });
        output
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.state().lines.clone()
    }

    /// The lines after the first `seen`, for a reader that asks again and again.
    #[must_use]
    pub fn lines_since(&self, seen: usize) -> Vec<Line> {
        self.state().lines.get(seen..).unwrap_or_default().to_vec()
    }

    /// All bytes so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let state = self.state();
        state
            .lines
            .iter()
            .flat_map(|line| line.raw.clone())
            .collect()
    }

    /// The first line, past ones included, of which `matches` is true. None
    /// when `limit` is over or the stream closed without one.
    pub fn wait(&self, limit: Duration, matches: impl Fn(&Line) -> bool) -> Option<Line> {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        let mut seen = 0;
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| matches(line)) {
                return Some(line.clone());
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            state = self
                .0
                .1
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the child has closed the stream; false when `limit` is over.
    #[must_use]
    pub fn wait_closed(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .0
                .1
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}
