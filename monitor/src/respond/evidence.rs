//! What is kept of a miner before it is gone: a folder a verdict.
//!
//! In: a process, the image it was judged by, and the [`Incident`] as far as
//! the verdict knows it. Out: a folder with `incident.json`, `code.txt`,
//! `maps.txt` and `image`, in the directory the operator named.
//!
//! The action waits for evidence, but not long. [`EvidenceWriter::take`] starts a
//! thread that reads `/proc` into memory and opens the image; then the action
//! goes on. Nothing is written before: the disk is never between a verdict and
//! its action, and the opened image outlives its process and its name. A caller
//! waits for [`HOLD`] at the most.
//!
//! Bounds: [`MAX_TAKERS`] folders at a time; the size and number of all that is
//! kept, the oldest going first ([`store`]); [`MAX_IMAGE_BYTES`] and
//! [`IMAGE_TIME`] for the image. What is not kept for one of them is counted by
//! its [`Loss`], and what a folder lacks stands in its `incident.json`.
//!
//! Texts in it are cleaned, its name has nothing of the process's in it, and
//! the image is data: it is never executable.

mod counts;
mod look;
mod loss;
pub mod store;

use std::{
    fmt::Write as _,
    io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use self::{counts::Counts, loss::Loss};
use self::{
    look::Look,
    store::{Folder, Store},
};
use crate::{
    detect::{collector::Piece, report::VerdictEvent},
    host::{Image, digest::Digest},
    policy::config::{Action, EvidenceLimits},
};
use unjack_core::{event::Process, profile::Summary};

/// How long an action waits for evidence, in all. A process may be held
/// stopped meanwhile; this leaves a fifth of the promised 250 ms for the rest.
pub const HOLD: Duration = Duration::from_millis(200);
/// Folders being filled at the same time. One whose file system hangs stays
/// until it does not: then there are the others.
pub const MAX_TAKERS: usize = 8;
/// Bytes of the largest image that is kept: larger than any miner known.
pub const MAX_IMAGE_BYTES: u64 = 64 << 20;
/// Time for copying an image, after the action.
pub const IMAGE_TIME: Duration = Duration::from_secs(20);
/// Pieces of hot code that are shown.
pub const MAX_PIECES: usize = 32;
/// How long the end waits for folders to be filled.
const PATIENCE: Duration = Duration::from_secs(3);
/// Kept folders that may wait to be told of.
const MAX_TOLD: usize = 64;

/// Evidence of a process was kept.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceEvent {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// The folder, in the directory of all evidence.
    pub folder: String,
    /// SHA-256 of its image; `None` if that was not kept.
    pub sha256: Option<String>,
    /// What the folder lacks, as in the metrics.
    pub lost: Vec<&'static str>,
}

/// What the verdict knows.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// As it was told.
    pub verdict: VerdictEvent,
    /// What is going to be done.
    pub action: Action,
    /// Seconds from the start of the burn to the verdict.
    pub delay_seconds: f64,
    /// What the verdict was computed from.
    pub summary: Summary,
    /// What it executes most.
    #[serde(skip)]
    pub code: Vec<Piece>,
}

/// `incident.json`.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    taken: String,
    process: Identity,
    #[serde(flatten)]
    incident: &'a Incident,
    code: &'a [Piece],
    #[serde(flatten)]
    look: Option<&'a Look>,
    image: Recovered,
    lost: &'a [Loss],
}

/// Who it is, for good.
#[derive(Serialize)]
struct Identity {
    pid: u32,
    start_ns: u64,
    image_device: u64,
    image_inode: u64,
}

/// What became of the image.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Recovered {
    /// Its bytes, as its file says.
    size: Option<u64>,
    /// SHA-256 of `image`; `None` if that is not there.
    sha256: Option<Digest>,
}

/// Takes evidence and keeps it. Clones share the directory and the bounds.
#[derive(Clone, Debug)]
pub struct EvidenceWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    takers: Mutex<usize>,
    changed: Condvar,
    counts: Arc<dyn Counts>,
    kept: SyncSender<EvidenceEvent>,
}

/// Evidence being taken.
#[derive(Debug)]
pub struct Taking {
    seen: Receiver<()>,
    counts: Arc<dyn Counts>,
}

impl Taking {
    /// Waits until everything was read, for `limit` at the most.
    pub fn wait(self, limit: Duration) {
        // A thread that is done, however, has dropped its end.
        if self.seen.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            self.counts.lose_evidence(Loss::Late);
        }
    }
}

impl EvidenceWriter {
    /// Keeps evidence in `directory`, which is made if it is not there. What
    /// was kept can be received.
    ///
    /// # Errors
    /// It cannot be made or opened, or others may write to it.
    pub fn open(
        directory: &Path,
        limits: EvidenceLimits,
        counts: impl Counts + 'static,
    ) -> io::Result<(Self, Receiver<EvidenceEvent>)> {
        let (kept, told) = sync_channel(MAX_TOLD);
        let writer = Self(Arc::new(Shared {
            store: Mutex::new(Store::open(directory, limits)?),
            takers: Mutex::new(0),
            changed: Condvar::new(),
            counts: Arc::new(counts),
            kept,
        }));
        Ok((writer, told))
    }

    /// Begins to take evidence of a process that was judged by `image`; `None`
    /// if that cannot be, which is counted.
    #[must_use]
    pub fn take(&self, process: Process, image: Image, incident: Incident) -> Option<Taking> {
        let counts = Arc::clone(&self.0.counts);
        {
            let mut takers = self.0.takers.lock().unwrap_or_else(PoisonError::into_inner);
            if *takers >= MAX_TAKERS {
                counts.lose_evidence(Loss::Busy);
                return None;
            }
            *takers += 1;
        }
        let slot = Slot(self.clone());
        let (done, seen) = sync_channel(1);
        let started = thread::Builder::new()
            .name("evidence".to_owned())
            .spawn(move || {
                let look = Look::at(process, image);
                // An error means that the caller no longer waits.
                let _sent = done.send(());
                slot.0.keep(process, image, &incident, look);
                drop(slot);
            });
        match started {
            Ok(_) => Some(Taking { seen, counts }),
            Err(error) => {
                tracing::warn!("no thread for evidence: {error}");
                counts.lose_evidence(Loss::Busy);
                None
            }
        }
    }

    /// Waits until all that was taken is kept, for a few seconds at the most.
    pub fn finish(&self) {
        let takers = self.0.takers.lock().unwrap_or_else(PoisonError::into_inner);
        let (takers, _) = self
            .0
            .changed
            .wait_timeout_while(takers, PATIENCE, |takers| *takers > 0)
            .unwrap_or_else(PoisonError::into_inner);
        if *takers > 0 {
            tracing::warn!("evidence is still being written: it is lost");
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a folder. Whatever goes wrong is counted, and logged.
    fn keep(&self, process: Process, image: Image, incident: &Incident, mut look: Option<Look>) {
        let counts = &self.0.counts;
        let now = SystemTime::now();
        let mut lost = Vec::new();
        match &look {
            Some(look) if look.is_cut() => lost.push(Loss::Cut),
            Some(_) => {}
            None => lost.push(Loss::Gone),
        }
        let name = name(now, process, image);
        let file = look.as_mut().and_then(Look::take_image);
        let size = file.as_ref().map(|(_, size)| *size);
        let begun = self
            .store()
            .begin(&name, size.unwrap_or(0).min(MAX_IMAGE_BYTES));
        let mut recovered = Recovered { size, sha256: None };
        let written = begun.and_then(|(folder, pruned)| {
            counts.prune_evidence(pruned);
            match file.map(|(file, _)| folder.copy("image", file, MAX_IMAGE_BYTES, IMAGE_TIME)) {
                Some(Ok(digest)) => recovered.sha256 = Some(digest),
                Some(Err(why)) => lost.push(why),
                None if look.is_some() => lost.push(Loss::ImageUnreadable),
                None => {}
            }
            let report = Report {
                version: env!("CARGO_PKG_VERSION"),
                taken: humantime::format_rfc3339_millis(now).to_string(),
                process: Identity {
                    pid: process.tgid,
                    start_ns: process.start_ns,
                    image_device: image.device,
                    image_inode: image.inode,
                },
                incident,
                code: &incident.code,
                look: look.as_ref(),
                image: recovered,
                lost: &lost,
            };
            let maps = look.as_ref().map(|look| look.maps.cleaned());
            let filled = write_texts(&folder, &report, maps.as_deref());
            self.store().finish(&folder, filled)
        });
        for loss in &lost {
            counts.lose_evidence(*loss);
        }
        match written {
            Ok(pruned) => {
                counts.prune_evidence(pruned);
                counts.keep_evidence();
                // At the end there is no receiver, and events beyond what fits are
                // dropped.
                let _told = self.0.kept.try_send(EvidenceEvent {
                    pid: process.tgid,
                    folder: name,
                    sha256: recovered.sha256.map(|digest| digest.to_string()),
                    lost: lost.iter().map(|loss| loss.name()).collect(),
                });
            }
            Err(error) => {
                counts.lose_evidence(Loss::from(&error));
                tracing::warn!(
                    "evidence of process {} is lost: {error}; see to the space in --evidence-dir",
                    process.tgid
                );
            }
        }
    }
}

fn write_texts(folder: &Folder, report: &Report<'_>, maps: Option<&str>) -> io::Result<()> {
    folder.write("code.txt", code_text(report.code).as_bytes())?;
    if let Some(maps) = maps {
        folder.write("maps.txt", maps.as_bytes())?;
    }
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    folder.write("incident.json", &json)
}

/// A taker's place. Given back however the taker ends.
struct Slot(EvidenceWriter);

impl Drop for Slot {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let mut takers = shared.takers.lock().unwrap_or_else(PoisonError::into_inner);
        *takers = takers.saturating_sub(1);
        shared.changed.notify_all();
    }
}

/// Name of a folder: sorts by time, and holds nothing a process chose.
fn name(now: SystemTime, process: Process, image: Image) -> String {
    let time = humantime::format_rfc3339_millis(now).to_string();
    let time = time.replace(['-', ':'], "");
    let Process { tgid, start_ns } = process;
    let Image { device, inode } = image;
    let seed = format!("{time} {tgid} {start_ns} {device} {inode}");
    let hash = Sha256::digest(seed.as_bytes());
    format!(
        "{time}-{tgid}-{:02x}{:02x}{:02x}{:02x}",
        hash[0], hash[1], hash[2], hash[3]
    )
}

/// Hot code for a person to read.
fn code_text(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        let file = piece.file.as_deref().unwrap_or("memory without a file");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} samples in {file}", piece.samples);
        let _ = writeln!(text, "{:x}: {}", piece.ip, piece.bytes);
        for instruction in &piece.instructions {
            let _ = writeln!(text, "    {instruction}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
