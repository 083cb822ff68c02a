//! A recording in the making: from what a collector takes in to lines.
//!
//! The owner of a collector hands each event over here after the collector has
//! taken it, and a tick after all processes were judged. Lines come out a tick at a
//! time, so that a file always ends with a whole second. No I/O but the looks at a
//! subject's facts.
//!
//! Bounds: the file's size, after which the recording ends and says so. Between
//! two ticks as many samples wait as the probes hand over.

use std::collections::BTreeMap;

use super::line::{
    Counted, End, Exec, Exit, Header, Line, MAX_ROWS, Samples, Tick, Who, Why, Window,
};
use crate::{
    detect::{
        collector::{Collector, Subject},
        detector::Heard,
    },
    host::{Facts, Image, digest::Digest},
};
use unjack_core::{
    event::{Event, ImageKey, Process},
    profile::Row,
};

/// Bytes kept free for the last line.
const END_BYTES: u64 = 128;

/// What only the one who judges knows of a subject.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// What was learned by other ways than samples.
    pub(crate) heard: Heard,
    /// SHA-256 of its image.
    pub(crate) sha256: Option<Digest>,
    /// Its image's path on the host is worth a look: at a file system that the
    /// process chose.
    pub(crate) look: bool,
}

/// A process that is in the recording.
#[derive(Debug)]
struct Told {
    image: Option<Image>,
    /// Its path was looked at.
    looked: bool,
    who: Who,
}

/// The lines, and how many of them there may be.
#[derive(Debug)]
pub(crate) struct RecordingEncoder {
    /// Since the last tick, in order, and whose each is.
    waiting: Vec<(Process, Line)>,
    /// Where in it the newest samples of a process are.
    open: BTreeMap<Process, usize>,
    told: BTreeMap<Process, Told>,
    /// Lines to be written.
    text: Vec<u8>,
    max_size: u64,
    /// Bytes so far.
    size: u64,
    /// What [`End::lost`] says so far.
    lost: u64,
    ended: bool,
}

impl RecordingEncoder {
    /// One that begins with this line and may have `max_size` bytes.
    pub(crate) fn new(header: &Header, max_size: u64) -> Self {
        let mut encoder = Self {
            waiting: Vec::new(),
            open: BTreeMap::new(),
            told: BTreeMap::new(),
            text: Vec::new(),
            max_size,
            size: 0,
            lost: 0,
            ended: false,
        };
        write(&mut encoder.text, header);
        encoder.size = encoder.text.len() as u64;
        encoder
    }

    /// The collector has taken in an event; keeps what came of it. `exited` is the
    /// process, if this was its exit, and its total burn in nanoseconds.
    pub(crate) fn taken(
        &mut self,
        collector: &mut Collector,
        event: &Event,
        exited: Option<&(Subject, u64)>,
    ) {
        match event {
            Event::Sample(sample) => {
                if let Some(subject) = collector.subject(sample.process) {
                    self.sample(subject);
                }
            }
            Event::Exec { process, .. } => {
                if let Some(subject) = collector.subject(*process) {
                    self.exec(subject);
                }
            }
            Event::Exit { .. } => {
                if let Some((subject, cpu_ns)) = exited {
                    self.exit(subject.profile.process, *cpu_ns);
                }
            }
            Event::Connect(..) | Event::Payload(_) => {}
        }
    }

    /// A sample was taken in: the subject's newest.
    fn sample(&mut self, subject: &mut Subject) {
        let (process, file) = (subject.profile.process, subject.image());
        let ImageKey { device, inode } = subject.image_key();
        let (image, cgroup) = ((device, inode), subject.cgroup);
        let Some(row) = subject.profile.last().map(Row::from) else {
            return;
        };
        if let Some(at) = self.open.get(&process)
            && let Some((_, Line::Samples(open))) = self.waiting.get_mut(*at)
            && (open.image, open.cgroup, open.file) == (image, cgroup, file)
            && open.rows.len() < MAX_ROWS
        {
            open.rows.push(row);
            return;
        }
        self.open.insert(process, self.waiting.len());
        let samples = Samples {
            process,
            image,
            file,
            cgroup,
            rows: vec![row],
        };
        self.waiting.push((process, Line::Samples(samples)));
    }

    /// A subject called exec.
    fn exec(&mut self, subject: &mut Subject) {
        let (process, file) = (subject.profile.process, subject.image());
        self.open.remove(&process);
        let ImageKey { device, inode } = subject.image_key();
        let exec = Exec {
            process,
            image: (device, inode),
            file,
        };
        self.waiting.push((process, Line::Exec(exec)));
    }

    /// A subject is gone, with this total burn in nanoseconds.
    fn exit(&mut self, process: Process, cpu_ns: u64) {
        self.open.remove(&process);
        let exit = Exit { process, cpu_ns };
        self.waiting.push((process, Line::Exit(exit)));
    }

    /// A window, for people.
    pub(crate) fn window(&mut self, window: Window) {
        let process = Process {
            tgid: window.pid,
            start_ns: window.start_ns,
        };
        self.waiting
            .push((process, Line::Process(Box::new(window))));
    }

    /// A tick is over at `now_ns`, and all processes were judged. Only processes
    /// for which `wanted` returns true are recorded.
    pub(crate) fn tick<'a>(
        &mut self,
        now_ns: u64,
        subjects: impl Iterator<Item = &'a mut Subject>,
        wanted: impl Fn(Process) -> bool,
        mut known: impl FnMut(&mut Subject) -> Known,
    ) {
        self.open.clear();
        let mut text = Vec::new();
        for (process, line) in std::mem::take(&mut self.waiting) {
            if wanted(process) {
                write(&mut text, &line);
            }
        }
        let mut before = std::mem::take(&mut self.told);
        for subject in subjects {
            let process = subject.profile.process;
            if !wanted(process) {
                continue;
            }
            let known = known(subject);
            let (told, new) = told(subject, before.remove(&process), &known);
            if new {
                write(&mut text, &Line::Who(Box::new(told.who.clone())));
            }
            self.told.insert(process, told);
            if let Some(counted) = counted(subject, now_ns, known.heard) {
                write(&mut text, &Line::Reading(counted));
            }
        }
        write(&mut text, &Line::Tick(Tick { time_ns: now_ns }));
        self.add(&text);
    }

    /// So much was lost so far: the end, whenever it comes, tells. To be said
    /// before each tick, after which its size may end it.
    pub(crate) fn loses(&mut self, lost: u64) {
        self.lost = self.lost.max(lost);
    }

    /// It is over, unless it was before.
    pub(crate) fn end(&mut self, why: Why) {
        if !self.ended {
            self.ended = true;
            let lost = self.lost;
            write(&mut self.text, &Line::End(End { why, lost }));
        }
    }

    /// Whether it is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Takes what is to be written.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    fn add(&mut self, text: &[u8]) {
        if self.ended {
            return;
        }
        let size = self.size.saturating_add(text.len() as u64);
        if size.saturating_add(END_BYTES) > self.max_size {
            return self.end(Why::Size);
        }
        self.size = size;
        self.text.extend_from_slice(text);
    }
}

/// What a process is, and whether that is news.
fn told(subject: &mut Subject, before: Option<Told>, known: &Known) -> (Told, bool) {
    let process = subject.profile.process;
    let image = subject.image();
    let facts = subject.facts().cloned();
    let same = before.filter(|told| told.image == image);
    // What was looked up of an image once is not looked up again.
    let (looked, system, host_exe, provenance) = match &same {
        Some(told) if told.looked || !known.look => {
            let Who {
                system,
                host_exe,
                provenance,
                ..
            } = &told.who;
            (told.looked, *system, host_exe.clone(), provenance.clone())
        }
        _ if known.look => {
            let (system, exe) = subject.system_exe();
            let exe = exe.or_else(|| subject.host_exe().ok().flatten());
            (true, system, exe, subject.provenance())
        }
        _ => (false, false, None, None),
    };
    let who = Who {
        process,
        facts: facts.unwrap_or_else(|| {
            // It is gone by now: what was known of it holds.
            same.as_ref()
                .map_or_else(Facts::default, |told| told.who.facts.clone())
        }),
        host_exe,
        system,
        provenance,
        sha256: known.sha256,
    };
    let new = same.is_none_or(|told| told.who != who);
    let told = Told { image, looked, who };
    (told, new)
}

/// Its counters, if they are of this tick.
fn counted(subject: &mut Subject, now_ns: u64, heard: Heard) -> Option<Counted> {
    let reading = *subject.profile.latest()?;
    (reading.time_ns == now_ns).then(|| Counted {
        process: subject.profile.process,
        file: subject.image(),
        cpu_ns: reading.cpu_ns,
        voluntary: reading.voluntary,
        execs: subject.execs(),
        io_bytes: reading.io_bytes,
        pool: heard.pool,
        stratum: heard.stratum,
        shape: heard.shape,
    })
}

fn write(text: &mut Vec<u8>, line: &impl serde::Serialize) {
    // Numbers, texts and lists always have a form in JSON, and memory takes it.
    let _written = serde_json::to_writer(&mut *text, line);
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::record::header;
    use unjack_core::{profile::SAMPLE_HZ, verdict::Thresholds};

    #[test]
    fn one_that_its_size_ends_says_what_was_lost() {
        let mut encoder = RecordingEncoder::new(&header(SAMPLE_HZ, &Thresholds::DEFAULT, 0), 1);
        encoder.loses(7);
        // A number that lags behind takes nothing back.
        encoder.loses(3);
        let no_subjects = std::iter::empty();
        encoder.tick(1, no_subjects, |_| true, |_| Known::default());
        let text = encoder.take();
        let line = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        let expected = End {
            why: Why::Size,
            lost: 7,
        };
        assert_eq!(Line::parse(line.unwrap()).unwrap(), Line::End(expected));
    }
}
