//! From events to profiles: who burns, and what does it execute?
//!
//! In: decoded events, and a look at the task table once a tick. Out: per
//! process a [`Subject`] with its profile, and the CPU time of every process
//! for the metrics. It asks `/proc` only about processes that are sampled, and
//! decides nothing.
//!
//! Bounds: [`MAX_SUBJECTS`] profiles, of which a new process evicts the one whose
//! last sample is oldest; [`MAX_ALL_LOOKS`] samples in all of them, beyond which
//! the fullest forget their older half; [`MAX_REMAINS`] of those that left since
//! the last tick. What does not fit is counted. The burn ledger has an entry per live
//! process the probes track, which is bounded there.

mod ledger;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use monitor_ebpf::TaskSlot;
use serde::Serialize;

pub use self::ledger::{Charge, GroupBy, Ledger};
use crate::{
    event::{Event, ImageKey, Process, Sample},
    evidence::Piece,
    host::{Facts, Image, Seen, maps::CodeMap},
    isa::{self, Arch},
    journal::Quoted,
    profile::{Look, Place, Profile, Reading, Summary},
    verdict::{Judgement, MIN_SAMPLES},
};

/// Profiles kept at once.
pub const MAX_SUBJECTS: usize = 512;
/// Samples kept of all processes together, as of the last tick: some 45 MiB.
/// Sixty-four processors bring that in a quarter of a minute.
pub const MAX_ALL_LOOKS: usize = 100_000;
/// Processes that left between two ticks whose samples are kept.
pub const MAX_REMAINS: usize = 256;
/// Of each of them so many samples.
const REMAINS_LOOKS: usize = 200;
/// Looks at processes' mappings between two ticks, of all processes together:
/// a look may take milliseconds.
const MAPS_A_TICK: u32 = 32;
/// Least time between two looks at one process's mappings.
const MAPS_INTERVAL_NS: u64 = 2_000_000_000;

/// Whether something is to be done about a process that mines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
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
}

/// What was decided and done about one image of one process.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The verdict, and what leads to it.
    pub judgement: Judgement,
    /// The same for threads that hash by themselves.
    pub threads: BTreeMap<u32, Judgement>,
    /// The family of the last ruling.
    pub family: &'static str,
    /// Whether a rule allows it.
    pub allowed: bool,
    /// Its image is banned: known by its hash, not judged.
    pub banned: bool,
    /// What is to be done.
    pub standing: Standing,
    /// On-CPU nanoseconds already counted, as stolen or as allowed.
    pub stolen_ns: u64,
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

/// Samples of a process by where their code lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Homes {
    /// In the file it executes.
    pub image: u32,
    /// In another file.
    pub elsewhere: u32,
    /// In memory without a file.
    pub generated: u32,
}

/// A process that is sampled.
#[derive(Debug)]
pub struct Subject {
    /// What it executes and how much it burns.
    pub profile: Profile,
    /// What was decided and done about it.
    pub case: Case,
    /// It was signalled already, under this image or another.
    pub signalled: bool,
    /// The image its samples are of.
    image: Option<Image>,
    /// The same, as the probes tell it.
    image_key: ImageKey,
    /// Its cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// Images it executed since it was tracked, as of the last tick.
    execs: u32,
    seen: Option<Seen>,
    facts: Option<Facts>,
    code: CodeMap,
    code_read_ns: Option<u64>,
}

impl Subject {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(process: Process) -> Self {
        let seen = Seen::open(process).ok();
        Self {
            profile: Profile::new(process),
            case: Case::default(),
            signalled: false,
            image: seen.as_ref().and_then(|seen| seen.image().ok()),
            image_key: ImageKey::default(),
            cgroup: 0,
            execs: 0,
            seen,
            facts: None,
            code: CodeMap::default(),
            code_read_ns: None,
        }
    }

    /// What `/proc` says of it, looked up once per image; `None` if it is gone
    /// or may not be looked at.
    pub fn facts(&mut self) -> Option<&Facts> {
        if self.facts.is_none() {
            self.facts = self.look().and_then(|seen| seen.facts().ok());
        }
        self.facts.as_ref()
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
            self.image = self.look().and_then(|seen| seen.image().ok());
        }
        self.image
    }

    /// Path of its image on the host; see [`Seen::host_exe`].
    pub fn host_exe(&mut self) -> Option<String> {
        let image = self.image()?;
        self.look()?.host_exe(image)
    }

    /// Whether its image is the host's own, and its path if so.
    pub fn system_exe(&mut self) -> (bool, Option<String>) {
        let Some(image) = self.image() else {
            return (false, None);
        };
        let system = self.look().is_some_and(|seen| seen.is_system(image));
        let exe = if system { self.host_exe() } else { None };
        (system, exe)
    }

    /// Where the code of its samples lies, seen from its image.
    pub fn homes(&mut self) -> Homes {
        let exe = self
            .facts()
            .map_or_else(String::new, |facts| facts.exe.clone());
        let mut homes = Homes::default();
        for look in self.profile.looks(0) {
            let Some(line) = look.code_line() else {
                continue;
            };
            match (look.place(), self.code.name(line)) {
                (Place::Anonymous, _) => homes.generated += 1,
                (Place::Unknown, _) => {}
                (_, Some(name)) if name == exe => homes.image += 1,
                _ => homes.elsewhere += 1,
            }
        }
        homes
    }

    /// Its folder, tried again if it could not be opened before.
    fn look(&mut self) -> Option<&Seen> {
        if self.seen.is_none() {
            self.seen = Seen::open(self.profile.process).ok();
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

    /// The kind of memory at an address. Mappings that are not known yet are
    /// looked up again, but not for every sample.
    fn place(&mut self, ip: u64, now_ns: u64, budget: &mut Budget) -> Place {
        let known = self.code.place(ip);
        let due = self
            .code_read_ns
            .is_none_or(|at| now_ns.saturating_sub(at) >= MAPS_INTERVAL_NS);
        if known != Place::Unknown || !due {
            return known;
        }
        if budget.maps == 0 {
            budget.maps_deferred += 1;
            return known;
        }
        budget.maps -= 1;
        self.code_read_ns = Some(now_ns);
        if let Some(Ok(code)) = self.seen.as_ref().map(Seen::maps) {
            budget.maps_truncated += u64::from(code.truncated);
            self.code = code;
        }
        self.code.place(ip)
    }

    /// It called exec. What was known is no longer true, unless it executes
    /// the same image again: a miner that does so every few seconds would never
    /// be judged.
    /// Returns what is left of the image before, if it was another.
    fn executes(&mut self) -> Option<Remains> {
        let before = self.image.take();
        self.facts = None;
        self.code = CodeMap::default();
        self.code_read_ns = None;
        if before.is_some() && self.image() == before {
            return None;
        }
        let remains = self.remains();
        let burned_ns = self.profile.latest().map_or(0, |reading| reading.cpu_ns);
        self.profile.reset();
        // What the image before it burned was not stolen by this one.
        self.case = Case {
            stolen_ns: burned_ns,
            ..Case::default()
        };
        remains
    }

    /// What it leaves behind for others like it to be judged by.
    fn remains(&self) -> Option<Remains> {
        let skipped = self.profile.len().saturating_sub(REMAINS_LOOKS);
        let looks: Vec<Look> = self.profile.looks(0).skip(skipped).copied().collect();
        (!looks.is_empty()).then_some(Remains {
            image: self.image_key,
            cgroup: self.cgroup,
            looks,
        })
    }

    fn sample(&mut self, arch: Arch, sample: &Sample, budget: &mut Budget) {
        let place = if sample.kernel || sample.ip == 0 {
            Place::Unknown
        } else {
            self.place(sample.ip, sample.time_ns, budget)
        };
        self.image_key = sample.image;
        self.cgroup = sample.cgroup;
        self.profile.add(arch, sample, place);
    }
}

/// The samples of a process that exited, or executes another image now.
#[derive(Clone, Debug)]
pub struct Remains {
    /// What it executed.
    pub image: ImageKey,
    /// Its cgroup.
    pub cgroup: u64,
    /// The newest of its samples, in order.
    pub looks: Vec<Look>,
}

/// What may still be read of `/proc` before the next tick, and what was cut.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    maps: u32,
    maps_deferred: u64,
    maps_truncated: u64,
}

/// All that is known of the host's processes.
#[derive(Debug)]
pub struct Collector {
    arch: Arch,
    subjects: HashMap<Process, Subject>,
    ledger: Ledger,
    budget: Budget,
    remains: Vec<Remains>,
    /// How long samples are kept.
    patience_ns: u64,
    /// Samples forgotten because there were [`MAX_ALL_LOOKS`], and processes
    /// that left unseen because there were [`MAX_REMAINS`].
    pub forgotten: u64,
    /// Profiles evicted because there were [`MAX_SUBJECTS`].
    pub dropped: u64,
    /// Records that were none of the ABI's.
    pub malformed: u64,
}

impl Collector {
    /// An empty one, for code of `arch`, that keeps samples for `patience_ns`.
    #[must_use]
    pub fn new(arch: Arch, patience_ns: u64) -> Self {
        Self {
            arch,
            subjects: HashMap::new(),
            ledger: Ledger::default(),
            budget: Budget {
                maps: MAPS_A_TICK,
                ..Budget::default()
            },
            remains: Vec::new(),
            patience_ns,
            forgotten: 0,
            dropped: 0,
            malformed: 0,
        }
    }

    /// The same, with CPU time charged to other groups.
    #[must_use]
    pub fn group_by(self, by: GroupBy) -> Self {
        Self {
            ledger: Ledger::by(by),
            ..self
        }
    }

    /// Takes in one event. A process that exits is returned if it had a
    /// subject, with its total burn in nanoseconds.
    pub fn take(&mut self, event: &Event) -> Option<(Subject, u64)> {
        match event {
            Event::Exec {
                process,
                time_ns: _,
            } => {
                self.ledger.exec(*process);
                let subject = self.subjects.get_mut(process)?;
                let remains = subject.executes();
                self.bury(remains);
                None
            }
            Event::Exit {
                process,
                cpu_ns,
                parent,
                comm,
            } => {
                self.ledger.exit(*process, *cpu_ns, *parent, comm);
                let subject = self.subjects.remove(process)?;
                self.bury(subject.remains());
                Some((subject, *cpu_ns))
            }
            // Whoever keeps contacts, or listens, takes those itself.
            Event::Connect(..) | Event::Payload(_) => None,
            Event::Sample(sample) => {
                self.make_room(sample.process);
                let subject = self
                    .subjects
                    .entry(sample.process)
                    .or_insert_with(|| Subject::new(sample.process));
                subject.sample(self.arch, sample, &mut self.budget);
                None
            }
        }
    }

    /// Brings everybody's counters up to date with the task table, as `visit`
    /// hands it over, and forgets processes that are in it no more.
    pub fn tick(&mut self, now_ns: u64, visit: impl FnOnce(&mut dyn FnMut(&TaskSlot))) {
        let mut voluntary: HashMap<u32, u64> = HashMap::new();
        let mut leaders: Vec<TaskSlot> = Vec::with_capacity(self.subjects.len());
        let profiled: HashSet<u32> = self.subjects.keys().map(|process| process.tgid).collect();
        visit(&mut |slot| {
            if profiled.contains(&slot.tgid) {
                *voluntary.entry(slot.tgid).or_default() += slot.voluntary;
            }
            if slot.tid == slot.tgid {
                self.ledger.see(slot);
                if profiled.contains(&slot.tgid) {
                    leaders.push(*slot);
                }
            }
        });
        self.ledger.finish();
        self.budget.maps = MAPS_A_TICK;
        let mut present = HashSet::with_capacity(leaders.len());
        for slot in leaders {
            let process = Process {
                tgid: slot.tgid,
                start_ns: slot.start_ns,
            };
            let Some(subject) = self.subjects.get_mut(&process) else {
                continue;
            };
            present.insert(process);
            // An exec whose record was lost.
            if subject.profile.latest().is_some() && subject.execs != slot.execs {
                let _unseen = subject.executes();
            }
            subject.execs = slot.execs;
            subject.profile.read(Reading {
                time_ns: now_ns,
                cpu_ns: slot.group_ns,
                voluntary: voluntary.get(&slot.tgid).copied().unwrap_or(0),
                io_bytes: subject.seen.as_ref().and_then(Seen::io_bytes),
            });
        }
        self.subjects.retain(|process, _| present.contains(process));
        self.forget(now_ns);
    }

    /// Takes what is left of processes that exited, or executed another image,
    /// since the last call.
    pub fn take_remains(&mut self) -> Vec<Remains> {
        std::mem::take(&mut self.remains)
    }

    fn bury(&mut self, remains: Option<Remains>) {
        match remains {
            Some(_) if self.remains.len() == MAX_REMAINS => self.forgotten += 1,
            Some(remains) => self.remains.push(remains),
            None => {}
        }
    }

    /// Forgets what is too old, and what is too much.
    fn forget(&mut self, now_ns: u64) {
        let since_ns = now_ns.saturating_sub(self.patience_ns);
        let mut sizes = Vec::with_capacity(self.subjects.len());
        for (process, subject) in &mut self.subjects {
            subject.profile.forget_before(since_ns);
            sizes.push((subject.profile.len(), *process));
        }
        let mut all: usize = sizes.iter().map(|(size, _)| size).sum();
        if all <= MAX_ALL_LOOKS {
            return;
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (size, process) in sizes {
            if let Some(subject) = self.subjects.get_mut(&process) {
                subject.profile.halve();
                let gone = size - subject.profile.len();
                self.forgotten += gone as u64;
                all -= gone;
            }
            if all <= MAX_ALL_LOOKS {
                return;
            }
        }
    }

    /// Everybody that is sampled.
    pub fn subjects(&mut self) -> impl Iterator<Item = &mut Subject> {
        self.subjects.values_mut()
    }

    /// One that is sampled.
    pub fn subject(&mut self, process: Process) -> Option<&mut Subject> {
        self.subjects.get_mut(&process)
    }

    /// One that may not have been sampled yet.
    pub fn summon(&mut self, process: Process) -> &mut Subject {
        self.make_room(process);
        self.subjects
            .entry(process)
            .or_insert_with(|| Subject::new(process))
    }

    /// Whether one is sampled.
    #[must_use]
    pub fn knows(&self, process: Process) -> bool {
        self.subjects.contains_key(&process)
    }

    /// The instruction set code is decoded for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Looks at mappings that were cut short, by the number of looks there may
    /// be or by the size of the mappings.
    #[must_use]
    pub fn maps_cut(&self) -> u64 {
        self.budget.maps_deferred + self.budget.maps_truncated
    }

    /// Looks for a process's group that had to wait for a second, or were not
    /// made, as there were too many.
    #[must_use]
    pub fn looks_deferred(&self) -> u64 {
        self.ledger.deferred()
    }

    /// Whether the probes accounted CPU time of anybody since the last call.
    pub fn accounted(&mut self) -> bool {
        self.ledger.accounted()
    }

    /// Takes the CPU time to be charged to groups since the last call.
    pub fn charges(&mut self) -> Vec<Charge> {
        self.ledger.take()
    }

    fn make_room(&mut self, process: Process) {
        if self.subjects.len() < MAX_SUBJECTS || self.subjects.contains_key(&process) {
            return;
        }
        let oldest = self
            .subjects
            .values()
            .min_by_key(|subject| subject.profile.last_sample_ns());
        if let Some(process) = oldest.map(|subject| subject.profile.process) {
            self.subjects.remove(&process);
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
