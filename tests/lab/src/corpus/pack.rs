//! `corpus pack`: from recordings to the one small file that the model is
//! trained from.
//!
//! Windows of a second's distance overlap; only such as do not are taken, so
//! that the file counts nothing twice. Of a program that starts many processes
//! those count that do its work.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::job::samples_of;
use super::manifest::{Label, Program};
use super::recording::{Recording, Window};
use super::refold;
use super::subject::Subject;
use crate::code::{self, Kept};

/// The file of the code, beside that of the windows.
pub(crate) const CODE: &str = "code.jsonl.gz";
/// Seconds between windows that share nothing.
const STRIDE: f64 = 5.0;
/// How far the recorder's second may be off.
const JITTER: f64 = 0.5;
/// Windows of a process at most: a minute's worth.
const PER_PROCESS: usize = 12;
/// A process counts that has this much of the samples of the busiest one.
const SHARE: f64 = 0.25;
/// Processes of a recording at most. A compiler's loop has hundreds of one
/// kind, and must not outvote a program that is one process.
const PROCESSES: usize = 12;
/// Digits of a number that matter; the rest is noise, and makes a large file.
const DIGITS: usize = 4;
/// What the header of a recording says about the host and unjack that later
/// readers need. Paths, names and times are of no use to anyone else.
const FACTS: [&str; 6] = [
    "unjack_recording",
    "unjack",
    "kernel",
    "processor",
    "sample_hz",
    "window_seconds",
];
/// What a summary says that is another at every start of a program: where its
/// hottest code lies.
const ADDRESSES: [&str; 1] = ["hottest"];

/// Which recording a line is from.
#[derive(Clone, Serialize)]
struct Origin<'a> {
    program: &'a str,
    label: Label,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// It mined at a pool.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pool: bool,
}

/// The first line of a recording.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(flatten)]
    origin: &'a Origin<'a>,
    source: &'a str,
    header: Map<String, Value>,
}

/// A window.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    origin: &'a Origin<'a>,
    t: f64,
    /// 0 is the process with the most samples.
    pid_index: usize,
    summary: Map<String, Value>,
}

/// The lines of a packed file by recording: program and variant.
type Packed = BTreeMap<(String, String), Vec<String>>;

/// Reads a packed file.
fn packed(file: &Path) -> Result<Packed> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut packed = Packed::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line)?;
        let member = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let recording = (member("program"), member("variant"));
        packed.entry(recording).or_default().push(line.to_owned());
    }
    Ok(packed)
}

/// Packs the recordings of these programs; with `update`, what `out` has of those
/// that are not recorded stays.
pub(super) fn run(programs: &[Program], from: &Path, out: &Path, update: bool) -> Result<()> {
    let kept_in = out.with_file_name(CODE);
    let mut before = if update { packed(out)? } else { Packed::new() };
    let code_before = if update && kept_in.is_file() {
        Kept::read(&kept_in)?
    } else {
        Kept::default()
    };
    let (mut fresh, mut code) = (Kept::default(), Kept::default());
    let mut subjects: Vec<Subject> = programs.iter().flat_map(Program::subjects).collect();
    let order = |subject: &Subject| {
        let variant = subject.variant.map(|v| (v.threads, v.duty));
        (subject.program.name.clone(), variant)
    };
    subjects.sort_by_key(order);
    let (mut text, mut missing) = (String::new(), Vec::new());
    let (mut packed, mut kept, mut windows) = (0, 0, 0);
    let mut known = Vec::new();
    for subject in &subjects {
        let name = format!("{}.jsonl", subject.stem());
        let file = from.join(&name);
        known.push(name);
        if !file.is_file() {
            let variant = subject.variant.map_or_else(String::new, |v| v.to_string());
            match before.remove(&(subject.program.name.clone(), variant)) {
                Some(lines) => {
                    same(subject.program, &lines[0])?;
                    kept += 1;
                    windows += lines.len() - 1;
                    let program = &subject.program.name;
                    let variant = subject.variant.map_or_else(String::new, |v| v.to_string());
                    let of_it = code_before.windows.iter();
                    for window in of_it.filter(|w| w.program == *program && w.variant == variant) {
                        code.take(&code_before, window);
                    }
                    text.extend(lines.iter().flat_map(|line| [line.as_str(), "\n"]));
                }
                None => missing.push(subject.stem()),
            }
            continue;
        }
        let mut recording = Recording::read(&file)?;
        let samples = samples_of(&file);
        if samples.is_file() {
            recording.processes = refold::windows(&samples, &mut fresh)?;
        }
        let mut seen = Vec::new();
        let lines =
            lines(subject, recording, &mut seen).with_context(|| file.display().to_string())?;
        for window in &seen {
            code.take(&fresh, window);
        }
        packed += 1;
        windows += lines.len() - 1;
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.extension().is_some_and(|ext| ext == "jsonl")
            && !known.iter().any(|known| name == known.as_str())
        {
            eprintln!(
                "corpus: {} is of no program of the manifests; left out",
                name.display()
            );
        }
    }
    if !missing.is_empty() {
        eprintln!("corpus: not recorded: {}", missing.join(", "));
    }
    ensure!(
        packed > 0,
        "no recording of any program in {}",
        from.display()
    );
    fs::write(out, &text).with_context(|| format!("cannot write {}", out.display()))?;
    code.write(&kept_in)?;
    eprintln!(
        "corpus: {} distinct windows of code in {} ({} KiB)",
        code.codes.len(),
        kept_in.display(),
        fs::metadata(&kept_in)?.len().div_ceil(1024)
    );
    eprintln!(
        "corpus: {windows} windows of {packed} recordings and {kept} that were there in {} ({} KiB)",
        out.display(),
        text.len().div_ceil(1024)
    );
    Ok(())
}

/// Refuses a packed recording of a program that is now said to be something else.
fn same(program: &Program, head: &str) -> Result<()> {
    let head: Value = serde_json::from_str(head)?;
    let label = serde_json::to_value(program.label)?;
    ensure!(
        head["label"] == label && head["family"].as_str() == program.family.as_deref(),
        "{} has another label or family than its packed recording: record it anew",
        program.name
    );
    Ok(())
}

/// The lines of one recording.
fn lines(
    subject: &Subject,
    mut recording: Recording,
    seen: &mut Vec<code::Window>,
) -> Result<Vec<String>> {
    let program = subject.program;
    let origin = Origin {
        program: &program.name,
        label: program.label,
        family: program.family.as_deref(),
        variant: subject.variant.map(|variant| variant.to_string()),
        pool: program.pool,
    };
    let header = (recording.header.iter())
        .filter(|(name, _)| FACTS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut lines = vec![serde_json::to_string(&Head {
        origin: &origin,
        source: &program.source,
        header,
    })?];
    if program.warmup > 0 {
        // The window itself begins before its end.
        let from = program.warmup as f64 + STRIDE;
        for windows in recording.processes.values_mut() {
            windows.retain(|window| window.t >= from);
        }
    }
    for (pid_index, windows) in choose(&recording).into_iter().enumerate() {
        for window in windows {
            if !window.seen.is_empty() {
                seen.push(code::Window {
                    program: program.name.clone(),
                    variant: origin.variant.clone().unwrap_or_default(),
                    pid_index: u32::try_from(pid_index)?,
                    t: rounded(window.t),
                    seen: window.seen.clone(),
                });
            }
            lines.push(serde_json::to_string(&Row {
                origin: &origin,
                t: rounded(window.t),
                pid_index,
                summary: (window.summary.iter())
                    .filter(|(name, _)| !ADDRESSES.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), round(value)))
                    .collect(),
            })?);
        }
    }
    Ok(lines)
}

/// The windows that count, by process, the busiest first.
fn choose(recording: &Recording) -> Vec<Vec<&Window>> {
    let mut chosen: Vec<_> = recording
        .processes
        .values()
        .map(|windows| apart(windows))
        .collect();
    // Stable: of equals, the one that started first.
    chosen.sort_by(|a, b| samples(b).total_cmp(&samples(a)));
    let most = chosen.first().map_or(0.0, |windows| samples(windows));
    chosen.retain(|windows| samples(windows) > 0.0 && samples(windows) >= SHARE * most);
    chosen.truncate(PROCESSES);
    chosen
}

fn samples(windows: &[&Window]) -> f64 {
    windows.iter().map(|window| window.samples).sum()
}

/// Windows of one process that do not overlap. Where to begin is open within
/// the first stride: where the most samples are got, so that a short process
/// is told by a full window rather than by its first second.
fn apart(windows: &[Window]) -> Vec<&Window> {
    let step = STRIDE - JITTER;
    let chain = |first: usize| {
        let mut chain: Vec<&Window> = Vec::new();
        for window in &windows[first..] {
            if chain.last().is_none_or(|last| window.t - last.t >= step) {
                chain.push(window);
            }
        }
        chain.truncate(PER_PROCESS);
        chain
    };
    let begin = windows.first().map_or(0.0, |window| window.t);
    (0..windows.len())
        .take_while(|&first| windows[first].t - begin < step)
        .map(chain)
        // Of equals the earliest: `max_by` would take the latest.
        .reduce(|best, next| {
            if samples(&next) > samples(&best) {
                next
            } else {
                best
            }
        })
        .unwrap_or_default()
}

/// The same value with all its fractions rounded; whole numbers are kept.
fn round(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .and_then(|number| Number::from_f64(rounded(number)))
            .map_or(Value::Null, Value::Number),
        Value::Array(values) => values.iter().map(round).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), round(value)))
            .collect(),
        other => other.clone(),
    }
}

fn rounded(number: f64) -> f64 {
    format!("{number:.*e}", DIGITS - 1)
        .parse()
        .unwrap_or(number)
}

#[cfg(test)]
mod tests;
