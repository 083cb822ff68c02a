//! How far something long is, on a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Least time between two lines.
const EVERY: Duration = Duration::from_millis(200);

/// A line that is written over and over; nothing without a terminal to show it on.
pub(crate) struct Progress {
    /// Standard error is a terminal.
    seen: bool,
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            seen: io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Shows a line, unless one was shown just now. What cannot be shown is no
    /// reason to end.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.seen && self.shown.is_none_or(|shown| shown.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            let _shown = write!(io::stderr(), "\r\x1b[K{}", line());
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _cleared = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
