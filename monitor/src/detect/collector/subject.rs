//! One process that is sampled: what it executes, what was decided about it, and
//! what `/proc` says of it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{Budget, code::Code};
use crate::host::{Facts, Image, LookError, ProcHandle, digest::Digest};
use unjack_core::text::Quoted;
use unjack_core::{
    event::{ImageKey, Process, Sample},
    isa::{self, Arch},
    profile::{DecodedSample, Place, Profile, Summary},
    shape::Shape,
    verdict::{Judgement, MIN_SAMPLES, Verdict},
};

/// Samples that are kept of a process that left.
const EXITED_SAMPLES: usize = 200;

/// Whether something is to be done about a process that mines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionState {
    /// Nothing was done yet.
    #[default]
    Open,
    /// It is being acted on.
    UnderWay,
    /// Nothing more is to be done.
    Settled,
    /// It failed and is to be tried again, not before this (nanoseconds of
    /// `CLOCK_MONOTONIC`).
    Again(u64),
    /// It was reported that the action is not for it. That is looked at again, not before
    /// this.
    Outside(u64),
}

impl ActionState {
    /// Whether something is to be done at `now_ns`, nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn is_due(self, now_ns: u64) -> bool {
        match self {
            Self::Open => true,
            Self::UnderWay | Self::Settled => false,
            Self::Again(at_ns) | Self::Outside(at_ns) => now_ns >= at_ns,
        }
    }
}

/// What was decided and done about one image of one process.
#[derive(Clone, Debug, Default)]
pub struct ProcessState {
    /// The verdict, and what leads to it.
    pub judgement: Judgement,
    /// The same for threads that hash by themselves.
    pub threads: BTreeMap<u32, Judgement>,
    /// The family of the last detection.
    pub family: &'static str,
    /// It hashes now, or has a verdict: worth a closer look.
    pub suspected: bool,
    /// Whether a rule allows it.
    pub allowed: bool,
    /// Its image is banned: known by its hash, not judged.
    pub banned: bool,
    /// What is to be done.
    pub action_state: ActionState,
    /// On-CPU nanoseconds already counted, as stolen or as allowed.
    pub stolen_ns: u64,
}

impl ProcessState {
    /// What a miner has burned since this was last asked, nanoseconds, with its
    /// total now; nothing of who is none.
    pub(crate) fn burned(&mut self, cpu_ns: u64) -> u64 {
        if self.judgement.verdict() != Verdict::Miner {
            return 0;
        }
        let new_ns = cpu_ns.saturating_sub(self.stolen_ns);
        self.stolen_ns = self.stolen_ns.max(cpu_ns);
        new_ns
    }
}

/// A piece of code, for a person to check.
#[derive(Clone, Debug, Serialize)]
pub struct HotCode {
    /// Share of the samples in its cache line, 0 to 1.
    pub share: f64,
    /// Where it is.
    pub ip: u64,
    /// The file mapped there, cleaned; `None` for memory without one.
    pub file: Option<String>,
    /// Its instructions.
    pub instructions: Vec<String>,
}

impl fmt::Display for HotCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            share,
            ip,
            file,
            instructions: _,
        } = self;
        let file = file.as_deref().map_or_else(
            || "memory without a file".to_owned(),
            |file| Quoted(file).to_string(),
        );
        write!(
            f,
            "{:.0} % of the samples are in the cache line of {ip:#x}, in {file}",
            100.0 * share
        )
    }
}

/// A piece of code that was sampled.
#[derive(Clone, Debug, Serialize)]
pub struct Piece {
    /// How many of the kept samples are in its cache line.
    pub samples: usize,
    /// Where it is.
    pub ip: u64,
    /// The file mapped there, cleaned; `None` for memory without one.
    pub file: Option<String>,
    /// Its bytes, in hexadecimal.
    pub bytes: String,
    /// Its instructions.
    pub instructions: Vec<String>,
}

/// Samples of a process by where their code lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeOrigins {
    /// In the file it executes.
    pub image: u32,
    /// In another file.
    pub elsewhere: u32,
    /// In memory without a file.
    pub generated: u32,
}

/// What a recording says of a process, in place of `/proc`.
#[derive(Clone, Debug, Default)]
pub struct RecordedFacts {
    /// What it executes.
    pub image: Option<Image>,
    /// What was known of it.
    pub facts: Option<Facts>,
    /// Path of its image on the host, if that was looked up and leads there.
    pub host_exe: Option<String>,
    /// Its image was the host's own program.
    pub system: bool,
    /// Bytes its read and write calls had moved.
    pub io_bytes: Option<u64>,
    /// SHA-256 of its image, if it was computed.
    pub sha256: Option<Digest>,
    /// It had connected to a pool on the list.
    pub pool: bool,
    /// It had been heard to speak Stratum.
    pub stratum: bool,
    /// How its connections had behaved.
    pub shape: Shape,
}

/// A process that is sampled.
#[derive(Debug)]
pub struct Subject {
    /// What it executes and how much it burns.
    pub profile: Profile,
    /// What was decided and done about it.
    pub case: ProcessState,
    /// It was signalled already, under this image or another.
    pub signalled: bool,
    /// The image its samples are of.
    image: Option<Image>,
    /// The same, as the probes tell it.
    image_key: ImageKey,
    /// How often it turned to another image since it was first sampled.
    pub(super) images: u32,
    /// Its cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// Images it executed since it was tracked, as of the last tick.
    pub(super) execs: u32,
    seen: Option<ProcHandle>,
    /// Of a recording: nothing else is looked at.
    recorded: Option<Box<RecordedFacts>>,
    facts: Option<Facts>,
    code: Code,
}

impl Subject {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(process: Process) -> Self {
        let seen = ProcHandle::open(process).ok();
        Self {
            image: seen.as_ref().and_then(|seen| seen.image().ok()),
            seen,
            recorded: None,
            ..Self::recorded(process)
        }
    }

    /// One of a recording, of which nothing was recorded yet.
    #[must_use]
    pub fn recorded(process: Process) -> Self {
        Self {
            profile: Profile::new(process),
            case: ProcessState::default(),
            signalled: false,
            image: None,
            image_key: ImageKey::default(),
            images: 0,
            cgroup: 0,
            execs: 0,
            seen: None,
            recorded: Some(Box::default()),
            facts: None,
            code: Code::default(),
        }
    }

    /// What `/proc` says of it, looked up once per image; `None` if it is gone
    /// or may not be looked at.
    pub fn facts(&mut self) -> Option<&Facts> {
        if self.recorded.is_some() {
            return self
                .recorded
                .as_ref()
                .and_then(|recorded| recorded.facts.as_ref());
        }
        if self.facts.is_none() {
            self.facts = self.look().and_then(|seen| seen.facts().ok());
        }
        self.facts.as_ref()
    }

    /// The same, looked up anew: who it belongs to may have changed since.
    pub fn renew_facts(&mut self) -> Option<&Facts> {
        self.facts = None;
        self.facts()
    }

    /// Its profile since `since_ns`, with what only `/proc` can tell.
    pub fn summary(&mut self, since_ns: u64) -> Summary {
        let summary = self.profile.summary(since_ns);
        if summary.samples < MIN_SAMPLES {
            return summary;
        }
        let hides = self.facts().map(|facts| (facts.hidden, facts.poses));
        let (hidden, poses) = hides.unwrap_or_default();
        Summary {
            hidden,
            poses,
            ..summary
        }
    }

    /// What it executes, as the probes tell it.
    #[must_use]
    pub fn image_key(&self) -> ImageKey {
        self.image_key
    }

    /// The image it was judged by: read when it was first sampled, and again
    /// when it executed another, not when it is acted on.
    pub fn image(&mut self) -> Option<Image> {
        if self.image.is_none() {
            self.image = match &self.recorded {
                Some(recorded) => recorded.image,
                None => self.look().and_then(|seen| seen.image().ok()),
            };
        }
        self.image
    }

    /// What a recording says of it, to be changed as that goes on; `None` of a
    /// process of this host.
    pub fn told_mut(&mut self) -> Option<&mut RecordedFacts> {
        self.recorded.as_deref_mut()
    }

    /// The same.
    #[must_use]
    pub fn told_ref(&self) -> Option<&RecordedFacts> {
        self.recorded.as_deref()
    }

    /// Bytes its read and write calls moved so far, if that can be had.
    pub(super) fn io_bytes(&self) -> Option<u64> {
        match &self.recorded {
            Some(recorded) => recorded.io_bytes,
            None => self.seen.as_ref().and_then(ProcHandle::io_bytes),
        }
    }

    /// Images it executed since it was tracked, as of the last tick.
    #[must_use]
    pub fn execs(&self) -> u32 {
        self.execs
    }

    /// The path its link reads, as it is: hostile.
    pub fn link(&mut self) -> Option<String> {
        if let Some(recorded) = &self.recorded {
            return recorded.host_exe.clone();
        }
        let link = self.look()?.link().ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    /// Path of its image on the host; see [`ProcHandle::host_exe`].
    pub fn host_exe(&mut self) -> Option<String> {
        let image = self.image()?;
        match &self.recorded {
            Some(recorded) => recorded.host_exe.clone(),
            None => self.look()?.host_exe(image),
        }
    }

    /// Whether its image is the host's own, and its path if so.
    pub fn system_exe(&mut self) -> (bool, Option<String>) {
        let Some(image) = self.image() else {
            return (false, None);
        };
        let system = match &self.recorded {
            Some(recorded) => recorded.system,
            None => self.look().is_some_and(|seen| seen.is_system(image)),
        };
        let exe = if system { self.host_exe() } else { None };
        (system, exe)
    }

    /// Where the code of its samples lies, seen from its image.
    pub fn code_origins(&mut self) -> CodeOrigins {
        let image = self.image();
        let mut code_origins = CodeOrigins::default();
        for look in self.profile.looks(0) {
            let Some(line) = look.code_line() else {
                continue;
            };
            match (look.place(), self.code.image(line)) {
                (Place::Anonymous, _) => code_origins.generated += 1,
                (Place::Unknown | Place::Unread, _) => {}
                // By its name it may be any file, mounted over the image.
                (_, file @ Some(_)) if file == image => code_origins.image += 1,
                _ => code_origins.elsewhere += 1,
            }
        }
        code_origins
    }

    /// Its folder, tried again if it could not be opened before.
    fn look(&mut self) -> Option<&ProcHandle> {
        if self.seen.is_none() && self.recorded.is_none() {
            self.seen = ProcHandle::open(self.profile.process).ok();
        }
        self.seen.as_ref()
    }

    /// The code it executes most, of those parts whose bytes are still kept.
    #[must_use]
    pub fn hot_code(&self, arch: Arch, summary: &Summary) -> Option<HotCode> {
        let (line, share) = summary.hottest?;
        let sample = self.profile.code(line)?;
        let arch = if sample.compat { arch.compat()? } else { arch };
        Some(HotCode {
            share,
            ip: sample.ip,
            file: self.code.name(sample.ip).map(str::to_owned),
            instructions: isa::disassemble(arch, sample.ip, sample.code()),
        })
    }

    /// The code it executes most, of what is still kept: of code that is spread
    /// out, as `RandomX`'s is, the hottest part may not be.
    #[must_use]
    pub fn kept_code(&self, arch: Arch) -> Option<HotCode> {
        let piece = self.pieces(arch, 1).pop()?;
        let lines = || self.profile.looks(0).filter_map(DecodedSample::code_line);
        let here = lines().filter(|line| line / 64 == piece.ip / 64).count();
        Some(HotCode {
            share: here as f64 / lines().count().max(1) as f64,
            ip: piece.ip,
            file: piece.file,
            instructions: piece.instructions,
        })
    }

    /// The code it executes, as far as its bytes are still kept: a piece a cache
    /// line, the hottest first, at most `most`.
    #[must_use]
    pub fn pieces(&self, arch: Arch, most: usize) -> Vec<Piece> {
        let mut lines: BTreeMap<u64, (usize, &Sample)> = BTreeMap::new();
        for sample in self.profile.codes() {
            let (samples, newest) = lines.entry(sample.ip / 64).or_insert((0, sample));
            *samples += 1;
            *newest = sample;
        }
        let mut lines: Vec<_> = lines.into_values().collect();
        lines.sort_by_key(|(samples, sample)| (std::cmp::Reverse(*samples), sample.ip));
        let piece = |(samples, sample): (usize, &Sample)| {
            let arch = if sample.compat { arch.compat()? } else { arch };
            let bytes = sample.code().iter().map(|byte| format!("{byte:02x}"));
            Some(Piece {
                samples,
                ip: sample.ip,
                file: self.code.name(sample.ip).map(str::to_owned),
                bytes: bytes.collect(),
                instructions: isa::disassemble(arch, sample.ip, sample.code()),
            })
        };
        lines.into_iter().filter_map(piece).take(most).collect()
    }

    /// The kind of memory at an address; see [`Code::place`].
    fn place(&mut self, ip: u64, now_ns: u64, budget: &mut Budget) -> Place {
        let (seen, image) = (self.seen.as_ref(), &mut self.image);
        self.code.place(ip, now_ns, budget, || {
            let seen = seen.ok_or(LookError::Gone)?;
            *image = image.or_else(|| seen.image().ok());
            seen.maps(*image)
        })
    }

    /// It called exec. What was known is no longer true, unless it executes
    /// the same image again: a miner that does so every few seconds would never
    /// be judged.
    /// Returns what is left of the image before, if it was another.
    pub(super) fn executes(&mut self, image: ImageKey) -> Option<ExitedSamples> {
        let before = self.forget_image();
        // `/proc` was asked some time after the samples were taken, maybe after
        // this exec: of which image they are, only they can tell.
        let same = if self.image_key.inode == 0 || image.inode == 0 {
            before.is_some() && self.image() == before
        } else {
            self.image_key == image
        };
        if same {
            return None;
        }
        let exited = self.begins_anew();
        self.image_key = image;
        exited
    }

    /// A sample is of this image: another one means an exec of which nothing was
    /// recorded, or not yet.
    fn turns_to(&mut self, image: ImageKey) -> Option<ExitedSamples> {
        let known = self.image_key.inode != 0 && image.inode != 0;
        if !known || self.image_key == image {
            return None;
        }
        self.forget_image();
        self.begins_anew()
    }

    fn forget_image(&mut self) -> Option<Image> {
        self.facts = None;
        self.code = Code::default();
        self.image.take()
    }

    /// Returns what is left of the image before.
    fn begins_anew(&mut self) -> Option<ExitedSamples> {
        let exited = self.exited();
        // Two in one second: nothing was read since the first.
        let before_ns = self.case.stolen_ns;
        let latest = self.profile.latest();
        let burned_ns = latest.map_or(before_ns, |reading| reading.cpu_ns);
        self.profile.reset();
        self.images = self.images.wrapping_add(1);
        // What the image before it burned was not stolen by this one.
        self.case = ProcessState {
            stolen_ns: burned_ns,
            ..ProcessState::default()
        };
        exited
    }

    /// What it leaves behind for others like it to be judged by.
    pub(super) fn exited(&self) -> Option<ExitedSamples> {
        let skipped = self.profile.len().saturating_sub(EXITED_SAMPLES);
        let looks = self.profile.looks(0).skip(skipped);
        let looks: Vec<DecodedSample> = looks.map(|look| look.left()).collect();
        (!looks.is_empty()).then_some(ExitedSamples {
            image: self.image_key,
            cgroup: self.cgroup,
            looks,
        })
    }

    /// Takes in a sample. Returns what is left of the image before, if it is of
    /// another.
    pub(super) fn sample(
        &mut self,
        arch: Arch,
        sample: &Sample,
        budget: &mut Budget,
    ) -> Option<ExitedSamples> {
        let exited = self.turns_to(sample.image);
        let place = if sample.kernel || sample.ip == 0 {
            Place::Unknown
        } else {
            self.place(sample.ip, sample.time_ns, budget)
        };
        self.image_key = sample.image;
        self.cgroup = sample.cgroup;
        self.profile.add(arch, sample, place);
        exited
    }

    /// Takes in samples that were recorded. Returns what is left of the image
    /// before, if they are of another.
    pub(super) fn recall(
        &mut self,
        image: ImageKey,
        cgroup: u64,
        looks: Vec<DecodedSample>,
    ) -> Option<ExitedSamples> {
        let exited = self.turns_to(image);
        self.image_key = image;
        self.cgroup = cgroup;
        for look in looks {
            self.profile.recall(look);
        }
        exited
    }
}

/// The samples of a process that exited, or executes another image now.
#[derive(Clone, Debug)]
pub struct ExitedSamples {
    /// What it executed.
    pub image: ImageKey,
    /// Its cgroup.
    pub cgroup: u64,
    /// The newest of its samples, in order.
    pub looks: Vec<DecodedSample>,
}
