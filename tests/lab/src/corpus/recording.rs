//! A recording as `unjack record` writes it: a header, then a window a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};
use unjack_core::event::{self, ImageKey};

use crate::code::Seen;

/// The formats whose windows are read. Since 2 there are other lines, too.
const FORMATS: [u64; 2] = [1, 2];

/// A recording of a program and its descendants.
pub(super) struct Recording {
    /// What the first line says.
    pub(super) header: Map<String, Value>,
    /// The windows of each process, in time.
    pub(super) processes: BTreeMap<Process, Vec<Window>>,
    /// CPU time that all processes burned.
    pub(super) cpu: Duration,
}

/// One life of a process with one image: an exec makes it another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    start_ns: u64,
    pid: u32,
    image: String,
}

impl Process {
    /// From what the probes know.
    pub(super) fn new(process: event::Process, image: ImageKey) -> Self {
        Self {
            start_ns: process.start_ns,
            pid: process.tgid,
            image: format!("[{},{}]", image.device, image.inode),
        }
    }
}

/// What a process executed in the seconds before `t`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    /// Seconds since the start of the recording.
    pub(super) t: f64,
    /// Samples in it.
    pub(super) samples: f64,
    /// All there is to know about it, as it was written.
    pub(super) summary: Map<String, Value>,
    /// The code of its samples, if these are there.
    pub(super) seen: Vec<Seen>,
}

/// What kind of line it is.
#[derive(Deserialize)]
struct Tagged {
    unit: String,
}

/// What a process has burned so far.
#[derive(Deserialize)]
struct Burned {
    process: Named,
    cpu_ns: u64,
}

/// A process, as lines that are for `unjack replay` name it.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    pid: u32,
    start_ns: u64,
}

/// A window. What a later recorder adds is not looked at.
#[derive(Deserialize)]
struct Line {
    t: f64,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    start_ns: u64,
    #[serde(default)]
    image: Value,
    summary: Map<String, Value>,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no recording.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let open = || -> Result<Self> { Self::parse(BufReader::new(File::open(file)?)) };
        open().with_context(|| file.display().to_string())
    }

    /// Reads lines.
    pub(super) fn parse(text: impl BufRead) -> Result<Self> {
        let mut lines = text.lines();
        let first = lines.next().context("it is empty")??;
        let header: Map<String, Value> =
            serde_json::from_str(&first).context("its header is no JSON object")?;
        let format = header.get("unjack_recording").and_then(Value::as_u64);
        ensure!(
            format.is_some_and(|format| FORMATS.contains(&format)),
            "its first line says neither of `\"unjack_recording\":` {FORMATS:?}"
        );
        let mut processes: BTreeMap<Process, Vec<Window>> = BTreeMap::new();
        let mut burned: BTreeMap<Named, u64> = BTreeMap::new();
        for (number, line) in lines.enumerate() {
            let at = || format!("line {}", number + 2);
            let text = line?;
            let Tagged { unit } = serde_json::from_str(&text).with_context(at)?;
            match unit.as_str() {
                "process" => {}
                "reading" | "exit" => {
                    let Burned { process, cpu_ns } =
                        serde_json::from_str(&text).with_context(at)?;
                    let most = burned.entry(process).or_default();
                    *most = cpu_ns.max(*most);
                    continue;
                }
                // The others are for `unjack replay`.
                _ => continue,
            }
            let line: Line = serde_json::from_str(&text).with_context(at)?;
            let samples = line.summary.get("samples").and_then(Value::as_f64);
            let process = Process {
                start_ns: line.start_ns,
                pid: line.pid,
                image: line.image.to_string(),
            };
            processes.entry(process).or_default().push(Window {
                t: line.t,
                samples: samples.context("no `samples`").with_context(at)?,
                summary: line.summary,
                seen: Vec::new(),
            });
        }
        for windows in processes.values_mut() {
            windows.sort_by(|a, b| a.t.total_cmp(&b.t));
        }
        let cpu = Duration::from_nanos(burned.values().sum());
        Ok(Self {
            header,
            processes,
            cpu,
        })
    }

    /// How many windows there are.
    pub(super) fn windows(&self) -> usize {
        self.processes.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_burned_is_the_most_that_is_said_of_it() {
        let said = |unit: &str, pid: u32, cpu_ns: u64| {
            format!(
                r#"{{"unit":"{unit}","process":{{"pid":{pid},"start_ns":{pid}00}},"cpu_ns":{cpu_ns}}}"#
            )
        };
        let lines = [
            r#"{"unjack_recording":2}"#.to_owned(),
            said("reading", 7, 1_000_000_000),
            said("reading", 8, 250_000_000),
            r#"{"unit":"tick","time_ns":1}"#.to_owned(),
            said("exit", 7, 1_500_000_000),
        ];
        let recording = Recording::parse(lines.join("\n").as_bytes()).unwrap();
        assert_eq!(recording.cpu, Duration::from_millis(1750));
    }
}
