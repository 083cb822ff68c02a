//! Reads a recording, which any user may have written.
//!
//! Bounds: the length of a line, by its kind, and the samples between two ticks.
//! What a line says is checked as far as the code relies on it.

use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;

use super::line::{Header, Line, MAX_LINE, VERSION};
use unjack_core::text::clean;

/// Bytes of the longest line that is not of samples: a path has 4096 at the most,
/// each of which takes up to six.
const MAX_TEXT: usize = 64 << 10;
/// Samples between two ticks: twice what the ring holds.
const MAX_SAMPLES: usize = 200_000;
/// The latest moment there is: all that is added to one fits.
const MAX_NS: u64 = 1 << 62;
/// Characters of an error that are shown: it may quote the line.
const ERROR_CHARS: usize = 256;

/// A file that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk.
    #[error("line {line}: it cannot be read: {source}")]
    Io {
        /// From 1.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// Something else.
    #[error("line 1: this is no recording of unjack ({0}); make one with `unjack record FILE`")]
    Other(String),
    /// Another version.
    #[error(
        "line 1: it has format {found}, made by unjack {unjack}, and this unjack replays \
         format {VERSION}: {}",
        remedy(*found)
    )]
    Version {
        /// The format's.
        found: u32,
        /// The recorder's.
        unjack: String,
    },
    /// A line.
    #[error(
        "line {line}: {problem}; the file is damaged: to replay what comes before, \
         cut it with `head -n {}`",
        line - 1
    )]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

fn remedy(found: u32) -> &'static str {
    if found < VERSION {
        "such a file has no samples, so record again"
    } else {
        "replay it with that unjack, or a newer one"
    }
}

/// What is wrong with a text, on one line of visible characters.
fn shown(error: &serde_json::Error) -> String {
    clean(error.to_string().as_bytes(), ERROR_CHARS)
}

/// A recording that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    from: BufReader<R>,
    text: Vec<u8>,
    /// Lines read.
    line: usize,
    /// Samples since the last tick.
    samples: usize,
    /// The last tick.
    time_ns: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// There is none, or of another version.
    pub fn new(from: R) -> Result<(Header, Self), ReadError> {
        #[derive(Deserialize)]
        struct Versioned {
            unjack_recording: u32,
            #[serde(default)]
            unjack: String,
        }
        let mut reader = Self {
            from: BufReader::with_capacity(1 << 20, from),
            text: Vec::new(),
            line: 0,
            samples: 0,
            time_ns: 0,
        };
        if !reader.fill()? {
            return Err(ReadError::Other(
                "it is empty or has no whole line".to_owned(),
            ));
        }
        let other = |error: serde_json::Error| ReadError::Other(shown(&error));
        let versioned: Versioned = serde_json::from_slice(&reader.text).map_err(other)?;
        if versioned.unjack_recording != VERSION {
            return Err(ReadError::Version {
                found: versioned.unjack_recording,
                unjack: clean(versioned.unjack.as_bytes(), 32),
            });
        }
        let header: Header = serde_json::from_slice(&reader.text).map_err(other)?;
        if !(1..=999).contains(&header.sample_hz) || header.begun_ns > MAX_NS {
            return Err(ReadError::Other("its header is out of range".to_owned()));
        }
        reader.time_ns = header.begun_ns;
        Ok((header, reader))
    }

    /// Reads the next line; `None` at the end.
    ///
    /// # Errors
    /// It is none, or too long, or says what cannot be.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        if !self.fill()? {
            return Ok(None);
        }
        let line = match Line::parse(&self.text) {
            Ok(line) => line,
            Err(error) => return Err(self.bad(shown(&error))),
        };
        match &line {
            Line::Samples(samples) => {
                self.samples += samples.rows.len();
                if self.samples > MAX_SAMPLES {
                    return Err(self.bad(format!("more than {MAX_SAMPLES} samples in a second")));
                }
            }
            Line::Tick(tick) => {
                if tick.time_ns < self.time_ns || tick.time_ns > MAX_NS {
                    return Err(self.bad("time goes back, or out of range".to_owned()));
                }
                self.time_ns = tick.time_ns;
                self.samples = 0;
            }
            _ if self.text.len() > MAX_TEXT => {
                return Err(self.bad(format!("longer than {MAX_TEXT} bytes")));
            }
            _ => {}
        }
        Ok(Some(line))
    }

    /// An error about the line that was read last.
    pub fn bad(&self, problem: String) -> ReadError {
        ReadError::Line {
            line: self.line,
            problem,
        }
    }

    /// Reads a line; whether there was one that is whole.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.text.clear();
        let line = self.line + 1;
        (&mut self.from)
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut self.text)
            .map_err(|source| ReadError::Io { line, source })?;
        if self.text.pop_if(|last| *last == b'\n').is_some() {
            self.line = line;
            return Ok(true);
        }
        if self.text.len() > MAX_LINE {
            self.line = line;
            return Err(self.bad(format!("longer than {MAX_LINE} bytes")));
        }
        // A line that is not whole is of a recording that was cut off.
        Ok(false)
    }
}
