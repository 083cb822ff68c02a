//! The lines of a recording: the one place that says what may be in it.
//!
//! JSON, a line each: a [`Header`], then [`Line`]s in the order in which things
//! were seen. What `unjack run` judges by is in it (samples, cut down to numbers;
//! counters; what a process is), and a [`Line::Tick`] wherever it judged. No code,
//! no register, no word of a stack, no argument, no environment.

use serde::{Deserialize, Serialize};

use crate::host::{Facts, Image, digest::Digest};
use unjack_core::{
    event::Process,
    profile::{Row, Summary},
    shape::Shape,
};

/// Version of the format. Of 1 there were windows only.
pub const VERSION: u32 = 2;
/// Bytes of the longest line.
pub const MAX_LINE: usize = 1 << 20;
/// Samples in one line.
pub(super) const MAX_ROWS: usize = 256;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub unjack_recording: u32,
    /// Version of unjack that recorded.
    pub unjack: String,
    /// Release of the kernel.
    pub kernel: String,
    /// The processor's name for itself.
    pub processor: String,
    /// Samples a second on each processor.
    pub sample_hz: u32,
    /// Length of the windows, if there are samples enough.
    pub window_seconds: f64,
    /// When it began: seconds since the Unix epoch, …
    pub begun: u64,
    /// … and nanoseconds of the clock of everything else.
    pub begun_ns: u64,
    /// The process that recorded and all it descends from, itself first.
    pub lineage: Vec<u32>,
}

/// Any other line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "unit", rename_all = "lowercase")]
pub enum Line {
    /// What a process did over a window: for people and the corpus, not replayed.
    Process(Box<Window>),
    /// Samples of a process, in order.
    Samples(Samples),
    /// It executes an image.
    Exec(Exec),
    /// It is gone.
    Exit(Exit),
    /// Who it is: told anew when that changes.
    Who(Box<Who>),
    /// Its counters, as of the tick that follows.
    Reading(Counted),
    /// All processes were judged, by what was told so far.
    Tick(Tick),
    /// The end, if the recording was not cut off.
    End(End),
}

/// A process's profile over one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Seconds since the recording began.
    pub t: f64,
    /// Process id.
    pub pid: u32,
    /// Start of the process, nanoseconds since boot.
    pub start_ns: u64,
    /// Device and inode of what it executes.
    pub image: (u32, u64),
    /// The name it gave itself, cleaned.
    pub comm: String,
    /// The profile.
    pub summary: Summary,
}

/// Samples of one process that executes one image in one cgroup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Whose.
    pub process: Process,
    /// Device and inode of the image, as the probes tell them.
    pub image: (u32, u64),
    /// The same, as `stat` does.
    pub file: Option<Image>,
    /// Its cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// The samples.
    pub rows: Vec<Row>,
}

/// An image was executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// Whose.
    pub process: Process,
    /// [`Samples::image`]; inode 0 where it is not known.
    #[serde(default)]
    pub image: (u32, u64),
    /// The image.
    pub file: Option<Image>,
}

/// A process is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// Whose.
    pub process: Process,
    /// On-CPU nanoseconds in all.
    pub cpu_ns: u64,
}

/// What a process is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Who {
    /// Whose.
    pub process: Process,
    /// What `/proc` said.
    pub facts: Facts,
    /// Path of its image on the host, if that was looked up and leads there.
    pub host_exe: Option<String>,
    /// The image is the host's own program.
    pub system: bool,
    /// SHA-256 of its image, if it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// The counters of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Whose.
    pub process: Process,
    /// What it executes.
    pub file: Option<Image>,
    /// On-CPU nanoseconds so far.
    pub cpu_ns: u64,
    /// Voluntary context switches so far.
    pub voluntary: u64,
    /// Images executed so far.
    pub execs: u32,
    /// Bytes its read and write calls moved so far.
    pub io_bytes: Option<u64>,
    /// It has connected to a pool on the list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pool: bool,
    /// It was heard to speak Stratum.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stratum: bool,
    /// How its connections behaved.
    #[serde(default, skip_serializing_if = "Shape::is_unknown")]
    pub shape: Shape,
}

/// A second is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Nanoseconds of the clock of everything else.
    pub time_ns: u64,
}

/// The recording is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub why: Why,
    /// Samples that the probes lost, or the collector forgot for want of room
    /// ([`Collector::forgotten`](crate::detect::collector::Collector::forgotten)), and
    /// profiles it dropped ([`Collector::dropped`](crate::detect::collector::Collector::dropped)).
    pub lost: u64,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It was to end.
    Done,
    /// It had grown to the largest size allowed.
    Size,
    /// The disk did not keep up.
    Slow,
}

impl Line {
    /// Reads one. Its kind is read first: that costs less than to read it as
    /// anything at all.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Unit {
            Process,
            Samples,
            Exec,
            Exit,
            Who,
            Reading,
            Tick,
            End,
        }
        #[derive(Deserialize)]
        struct Tagged {
            unit: Unit,
        }
        let Tagged { unit } = serde_json::from_slice(text)?;
        Ok(match unit {
            Unit::Process => Self::Process(serde_json::from_slice(text)?),
            Unit::Samples => Self::Samples(serde_json::from_slice(text)?),
            Unit::Exec => Self::Exec(serde_json::from_slice(text)?),
            Unit::Exit => Self::Exit(serde_json::from_slice(text)?),
            Unit::Who => Self::Who(serde_json::from_slice(text)?),
            Unit::Reading => Self::Reading(serde_json::from_slice(text)?),
            Unit::Tick => Self::Tick(serde_json::from_slice(text)?),
            Unit::End => Self::End(serde_json::from_slice(text)?),
        })
    }
}
