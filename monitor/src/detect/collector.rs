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

mod code;
mod ledger;
mod subject;

use std::collections::{BTreeMap, HashMap, HashSet};

use monitor_ebpf::TaskSlot;

pub use self::{
    ledger::{Charge, GroupBy, Ledger, MAX_GROUP_CHARS},
    subject::{CodeOrigins, ExitedSamples, HotCode, Piece, RecordedFacts, Subject},
};
pub use super::state::{ActionState, ProcessState};
use crate::host;
use unjack_core::{
    event::{Event, ImageKey, Process},
    isa::Arch,
    profile::{DecodedSample, Reading},
};

/// Profiles kept at once.
pub const MAX_SUBJECTS: usize = 512;
/// Samples kept of all processes together, as of the last tick: some 45 MiB.
/// Sixty-four processors bring that in a quarter of a minute.
pub const MAX_ALL_LOOKS: usize = 100_000;
/// Processes that left between two ticks whose samples are kept.
pub const MAX_REMAINS: usize = 256;
/// Looks at processes' mappings between two ticks, of all processes together:
/// a look may take milliseconds.
const MAPS_A_TICK: u32 = 32;

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
    /// In an order of their own: what is judged does not hang on a hash.
    subjects: BTreeMap<Process, Subject>,
    /// Everything is recorded, from a recording; this host is not looked at.
    recorded: bool,
    /// None where the caller does not take the charges.
    ledger: Option<Ledger>,
    budget: Budget,
    /// None where the caller does not take what is left.
    exited: Option<Vec<ExitedSamples>>,
    /// How long samples are kept.
    patience_ns: u64,
    /// Samples forgotten because there were [`MAX_ALL_LOOKS`], and processes
    /// that left unseen because there were [`MAX_REMAINS`].
    pub forgotten: u64,
    /// Profiles with samples that were evicted because there were
    /// [`MAX_SUBJECTS`].
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
            subjects: BTreeMap::new(),
            recorded: false,
            ledger: None,
            budget: Budget {
                maps: MAPS_A_TICK,
                ..Budget::default()
            },
            exited: None,
            patience_ns,
            forgotten: 0,
            dropped: 0,
            malformed: 0,
        }
    }

    /// An empty one for a recording: it asks this host's `/proc` nothing, and
    /// keeps samples of exited processes.
    #[must_use]
    pub fn recorded(patience_ns: u64) -> Self {
        Self {
            recorded: true,
            // Samples were decoded when they were recorded.
            ..Self::new(Arch::X86_64, patience_ns).with_remains()
        }
    }

    /// The same, with CPU time charged to groups: [`Self::charges`] must be called
    /// every tick.
    #[must_use]
    pub fn with_groups(self, by: GroupBy) -> Self {
        Self {
            ledger: Some(Ledger::by(by)),
            ..self
        }
    }

    /// The same, which keeps what is left of those that exit, for
    /// [`Self::take_exited`].
    #[must_use]
    pub fn with_remains(self) -> Self {
        Self {
            exited: Some(Vec::new()),
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
                image,
            } => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.exec(*process);
                }
                let subject = self.subjects.get_mut(process)?;
                let exited = subject.executes(*image);
                self.retire(exited);
                None
            }
            Event::Exit {
                process,
                cpu_ns,
                parent,
                comm,
            } => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.exit(*process, *cpu_ns, *parent, comm);
                }
                let subject = self.subjects.remove(process)?;
                self.retire(subject.exited());
                Some((subject, *cpu_ns))
            }
            // The caller that keeps contacts, or listens, takes those itself.
            Event::Connect(..) | Event::Payload(_) => None,
            Event::Sample(sample) => {
                self.make_room(sample.process);
                let subject = self
                    .subjects
                    .entry(sample.process)
                    .or_insert_with(|| Subject::new(sample.process));
                let exited = subject.sample(self.arch, sample, &mut self.budget);
                self.retire(exited);
                None
            }
        }
    }

    /// Takes in samples that were recorded.
    pub fn recall(
        &mut self,
        process: Process,
        image: ImageKey,
        cgroup: u64,
        looks: Vec<DecodedSample>,
    ) {
        let exited = self.get_or_insert(process).recall(image, cgroup, looks);
        self.retire(exited);
    }

    /// Brings the counters of all processes up to date with the task table, as
    /// `visit` hands it over, and forgets processes that are in it no more.
    pub fn tick(&mut self, now_ns: u64, visit: impl FnOnce(&mut dyn FnMut(&TaskSlot))) {
        let mut voluntary: HashMap<u32, u64> = HashMap::new();
        let mut leaders: Vec<TaskSlot> = Vec::with_capacity(self.subjects.len());
        let profiled: HashSet<u32> = self.subjects.keys().map(|process| process.tgid).collect();
        visit(&mut |slot| {
            if profiled.contains(&slot.tgid) {
                let sum = voluntary.entry(slot.tgid).or_default();
                *sum = sum.saturating_add(slot.voluntary);
            }
            if slot.tid == slot.tgid {
                if let Some(ledger) = &mut self.ledger {
                    ledger.see(slot);
                }
                if profiled.contains(&slot.tgid) {
                    leaders.push(*slot);
                }
            }
        });
        if let Some(ledger) = &mut self.ledger {
            ledger.finish();
        }
        self.budget.maps = MAPS_A_TICK;
        let moved = self.io_bytes(&leaders);
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
                let _unseen = subject.executes(ImageKey::default());
            }
            subject.execs = slot.execs;
            subject.profile.read(Reading {
                time_ns: now_ns,
                cpu_ns: slot.group_ns,
                voluntary: voluntary.get(&slot.tgid).copied().unwrap_or(0),
                io_bytes: match subject.recorded_facts() {
                    Some(recorded) => recorded.io_bytes,
                    None => moved.get(&process).copied(),
                },
            });
        }
        self.subjects.retain(|process, _| present.contains(process));
        self.forget(now_ns);
    }

    /// What the processes of these slots read and wrote so far, as far as that can be told:
    /// read in one go, as each on its own would wait for another thread.
    fn io_bytes(&self, leaders: &[TaskSlot]) -> HashMap<Process, u64> {
        let opened = |slot: &TaskSlot| {
            let process = Process {
                tgid: slot.tgid,
                start_ns: slot.start_ns,
            };
            let handle = self.subjects.get(&process)?.handle()?.clone();
            Some((process, handle))
        };
        let (processes, handles): (Vec<_>, Vec<_>) = leaders.iter().filter_map(opened).unzip();
        if handles.is_empty() {
            return HashMap::new();
        }
        let moved = host::io_bytes(handles);
        let known = processes.into_iter().zip(moved);
        known
            .filter_map(|(process, moved)| Some((process, moved?)))
            .collect()
    }

    /// Takes what is left of processes that exited, or executed another image,
    /// since the last call; none without [`Self::with_remains`].
    pub fn take_exited(&mut self) -> Vec<ExitedSamples> {
        self.exited.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn retire(&mut self, exited: Option<ExitedSamples>) {
        match (&mut self.exited, exited) {
            (Some(all), Some(_)) if all.len() == MAX_REMAINS => self.forgotten += 1,
            (Some(all), Some(exited)) => all.push(exited),
            _ => {}
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

    /// All processes that are sampled.
    pub fn subjects(&mut self) -> impl Iterator<Item = &mut Subject> {
        self.subjects.values_mut()
    }

    /// One that is sampled.
    pub fn subject(&mut self, process: Process) -> Option<&mut Subject> {
        self.subjects.get_mut(&process)
    }

    /// One that may not have been sampled yet.
    pub fn get_or_insert(&mut self, process: Process) -> &mut Subject {
        self.make_room(process);
        let recorded = self.recorded;
        self.subjects.entry(process).or_insert_with(|| {
            if recorded {
                Subject::recorded(process)
            } else {
                Subject::new(process)
            }
        })
    }

    /// Whether one is sampled.
    #[must_use]
    pub fn knows(&self, process: Process) -> bool {
        self.subjects.contains_key(&process)
    }

    /// How often one turned to another image since it was first sampled, if it is.
    #[must_use]
    pub fn images(&self, process: Process) -> Option<u32> {
        self.subjects.get(&process).map(|subject| subject.images)
    }

    /// CPU time a process had used when its counters were last read, nanoseconds.
    #[must_use]
    pub fn cpu_ns(&self, process: Process) -> u64 {
        let subject = self.subjects.get(&process);
        let latest = subject.and_then(|subject| subject.profile.latest());
        latest.map_or(0, |reading| reading.cpu_ns)
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
        self.ledger.as_ref().map_or(0, Ledger::deferred)
    }

    /// Whether the probes accounted CPU time of any process since the last call;
    /// false without [`Self::with_groups`].
    pub fn accounted(&mut self) -> bool {
        self.ledger.as_mut().is_some_and(Ledger::accounted)
    }

    /// Takes the CPU time to be charged to groups since the last call; none without
    /// [`Self::with_groups`].
    pub fn charges(&mut self) -> Vec<Charge> {
        self.ledger.as_mut().map(Ledger::take).unwrap_or_default()
    }

    fn make_room(&mut self, process: Process) {
        if self.subjects.len() < MAX_SUBJECTS || self.subjects.contains_key(&process) {
            return;
        }
        // A process with a verdict stays as long as there are others without: what
        // it stole is known.
        let oldest = self
            .subjects
            .values()
            .min_by_key(|subject| (subject.case.is_judged(), subject.profile.last_sample_ns()));
        if let Some(subject) = oldest
            .map(|subject| subject.profile.process)
            .and_then(|process| self.subjects.remove(&process))
        {
            // One that has not burned for long had nothing to lose.
            self.dropped += u64::from(!subject.profile.is_empty());
        }
    }
}

#[cfg(test)]
mod tests;
