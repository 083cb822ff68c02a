//! The code that was sampled, kept: what lies between a recording and the model.
//!
//! A recording of a program is hundreds of megabytes; what a feature of its code can be
//! computed from is much less, as the same windows of code are sampled again and again.
//! So each distinct window is kept once, and of each packed window of time how often
//! each of them was seen. A new feature is then fitted without a new recording.
//!
//! The file is gzip of JSON lines: first every distinct [`Code`], then a [`Window`] for
//! each that is packed, which counts them.

use std::collections::{HashMap, hash_map::Entry};
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use unjack_core::event::{Process, Sample};
use unjack_core::isa::Arch;
use unjack_core::profile::{DecodedSample, Place};

/// Distinct windows of code that are read at the most: a damaged file must not fill
/// the memory. The corpus has some hundred thousand.
const MAX_CODES: usize = 1 << 22;

/// A window of code: up to 64 bytes at an instruction pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Code {
    /// Its bytes, in hexadecimal.
    code: String,
    /// It is 32-bit code of a 64-bit processor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    compat: bool,
}

impl Code {
    /// That of a sample.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        let hex = |byte: &u8| format!("{byte:02x}");
        Self {
            code: sample.code().iter().map(hex).collect(),
            compat: sample.compat,
        }
    }

    /// As it is when sampled at that place, in no particular process.
    ///
    /// # Errors
    /// It is not hexadecimal.
    pub fn look(&self, place: Place) -> Result<DecodedSample> {
        let digits = self.code.as_bytes();
        ensure!(digits.len().is_multiple_of(2), "half a byte of code");
        let bytes = digits.chunks(2).map(|pair| {
            let text = std::str::from_utf8(pair)?;
            Ok(u8::from_str_radix(text, 16)?)
        });
        let bytes: Vec<u8> = bytes.collect::<Result<_>>()?;
        let process = Process {
            tgid: 1,
            start_ns: 1,
        };
        let mut sample = Sample::user(process, 1, 0, 0, &bytes);
        sample.compat = self.compat;
        let arch = Arch::HOST.context("no decoder for this processor")?;
        Ok(DecodedSample::new(arch, &sample, place))
    }
}

/// One code that was seen in a window: its number among all, the number of its place
/// in [`Place::ALL`], and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen(pub u32, pub u8, pub u32);

/// What was seen in a packed window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its program.
    pub program: String,
    /// Its variant, or nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Which of the recording's processes.
    pub pid_index: u32,
    /// When it ends, seconds.
    pub t: f64,
    /// What was seen.
    pub seen: Vec<Seen>,
}

/// All that is kept.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Each once.
    pub codes: Vec<Code>,
    /// In the order of the packed windows.
    pub windows: Vec<Window>,
    numbers: HashMap<Code, u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Code(Code),
    Window(Window),
}

impl Kept {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not of its form.
    pub fn read(file: &Path) -> Result<Self> {
        let at = || file.display().to_string();
        let open = File::open(file).with_context(at)?;
        let lines = BufReader::new(GzDecoder::new(BufReader::new(open))).lines();
        let mut kept = Self::default();
        for line in lines {
            match serde_json::from_str(&line.with_context(at)?).with_context(at)? {
                Line::Code(code) => _ = kept.number(code),
                Line::Window(window) => kept.windows.push(window),
            }
            ensure!(kept.codes.len() <= MAX_CODES, "{}: too much code", at());
        }
        Ok(kept)
    }

    /// Writes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let at = || format!("cannot write {}", file.display());
        let out = File::create(file).with_context(at)?;
        let mut out = GzEncoder::new(out, Compression::best());
        for code in &self.codes {
            serde_json::to_writer(&mut out, code)?;
            out.write_all(b"\n").with_context(at)?;
        }
        for window in &self.windows {
            serde_json::to_writer(&mut out, window)?;
            out.write_all(b"\n").with_context(at)?;
        }
        out.finish().with_context(at)?;
        Ok(())
    }

    /// The number of a code, which is kept from now on.
    pub fn number(&mut self, code: Code) -> u32 {
        let next = u32::try_from(self.codes.len()).unwrap_or(u32::MAX);
        match self.numbers.entry(code) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.codes.push(new.key().clone());
                *new.insert(next)
            }
        }
    }

    /// Takes over a window of another, and its code.
    pub fn take(&mut self, other: &Self, window: &Window) {
        let mut window = window.clone();
        window.seen.retain_mut(|seen| {
            let code = other.codes.get(seen.0 as usize);
            if let Some(code) = code {
                seen.0 = self.number(code.clone());
            }
            code.is_some()
        });
        self.windows.push(window);
    }

    /// The looks of a window, each as often as it was seen.
    ///
    /// # Errors
    /// It names a code or a place that there is not.
    pub fn looks(&self, window: &Window) -> Result<Vec<DecodedSample>> {
        let mut looks = Vec::new();
        for Seen(code, place, count) in &window.seen {
            let code = self.codes.get(*code as usize).context("no such code")?;
            let place = Place::ALL
                .get(usize::from(*place))
                .context("no such place")?;
            let look = code.look(*place)?;
            looks.extend((0..*count).map(|_| look));
        }
        Ok(looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let process = Process {
            tgid: 1,
            start_ns: 1,
        };
        // xor eax, ecx; rol eax, 5; add eax, edx
        let bytes = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
        let sample = Sample::user(process, 1, 0, 0, &bytes);
        let mut kept = Kept::default();
        let number = kept.number(Code::of(&sample));
        kept.windows.push(Window {
            program: "a".to_owned(),
            variant: String::new(),
            pid_index: 0,
            t: 5.0,
            seen: vec![Seen(number, 0, 3)],
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        kept.write(file.path()).unwrap();
        let read = Kept::read(file.path()).unwrap();
        assert_eq!((&read.codes, &read.windows), (&kept.codes, &kept.windows));
        let looks = read.looks(&read.windows[0]).unwrap();
        let expected = DecodedSample::new(Arch::HOST.unwrap(), &sample, Place::File);
        assert_eq!(looks, [expected; 3]);
        let mut none = read.windows[0].clone();
        none.seen = vec![Seen(1, 0, 1)];
        assert!(read.looks(&none).is_err());
    }
}
