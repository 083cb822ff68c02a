//! A recording as a source of events: lines up to the next tick, and what they said of
//! counters and facts by then.
//!
//! Bounds: [`Reader`]'s, and as many processes between two ticks as a collector keeps.

use std::{collections::BTreeMap, io::Read, mem};

use monitor_ebpf::{COMM_BYTES, TaskSlot};

use crate::{
    commands::record::{
        line::{Counted, End, Exec, Exit, Line, Samples, Who},
        read::{ReadError, Reader},
    },
    detect::{
        collector::{Collector, MAX_SUBJECTS},
        pipeline::{Input, RecordedSamples, Source},
    },
    host::Image,
};
use unjack_core::{
    event::{Event, ImageKey, Process},
    profile::DecodedSample,
};

/// A recording that is being replayed.
#[derive(Debug)]
pub(super) struct Recording<R> {
    reader: Reader<R>,
    /// Told since the last tick.
    who: BTreeMap<Process, Who>,
    counted: BTreeMap<Process, Counted>,
    /// The tick that the last drain came to.
    ticked_ns: Option<u64>,
    end: Option<End>,
}

impl<R: Read> Recording<R> {
    pub(super) fn new(reader: Reader<R>) -> Self {
        Self {
            reader,
            who: BTreeMap::new(),
            counted: BTreeMap::new(),
            ticked_ns: None,
            end: None,
        }
    }

    /// The tick that the last drain came to; `None` if that was the end.
    pub(super) fn ticked_ns(&self) -> Option<u64> {
        self.ticked_ns
    }

    /// The last line, if the recording was not cut off.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// Tells subjects what was read along with their counters.
    pub(super) fn tell_counters(&self, collector: &mut Collector) {
        for counted in self.counted.values() {
            if let Some(subject) = collector.subject(counted.process)
                && let Some(recorded) = subject.recorded_mut()
            {
                recorded.image = counted.file;
                recorded.io_bytes = counted.io_bytes;
                recorded.pool = counted.pool;
                recorded.stratum = counted.stratum;
                recorded.shape = counted.shape;
            }
        }
    }

    /// Tells subjects what they are, as far as that is news.
    pub(super) fn tell_facts(&mut self, collector: &mut Collector) {
        for (process, who) in mem::take(&mut self.who) {
            let Who {
                process: _,
                facts,
                host_exe,
                system,
                provenance,
                sha256,
            } = who;
            // One of a listed image is judged before there is any sample of it.
            if let Some(recorded) = collector.get_or_insert(process).recorded_mut() {
                recorded.facts = Some(facts);
                recorded.host_exe = host_exe;
                recorded.system = system;
                recorded.provenance = provenance;
                recorded.sha256 = sha256;
            }
        }
    }
}

impl<R: Read> Source for Recording<R> {
    type Error = ReadError;

    /// Hands over what is recorded up to the next tick, or to the end.
    fn events(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Result<(), ReadError> {
        self.ticked_ns = None;
        self.counted.clear();
        while let Some(line) = self.reader.next_line()? {
            match line {
                Line::Samples(samples) => take(self.samples(samples)?),
                Line::Exec(line) => {
                    let (event, file) = exec(&line);
                    take(Input::Event(&event, file));
                }
                Line::Exit(line) => take(Input::Event(&exit(&line), None)),
                Line::Who(who) => {
                    self.who.insert(who.process, *who);
                }
                Line::Reading(counted) => {
                    self.counted.insert(counted.process, counted);
                }
                Line::Tick(tick) => {
                    self.ticked_ns = Some(tick.time_ns);
                    break;
                }
                Line::End(end) => {
                    self.end = Some(end);
                    break;
                }
                Line::Process(_) => {}
            }
            if self.who.len().max(self.counted.len()) > MAX_SUBJECTS {
                let problem = format!("more than {MAX_SUBJECTS} processes in a second");
                return Err(self.reader.bad(problem));
            }
        }
        Ok(())
    }

    fn counters(&mut self, visit: &mut dyn FnMut(bool, &TaskSlot)) {
        for counted in self.counted.values() {
            visit(false, &slot(counted));
        }
    }
}

impl<R: Read> Recording<R> {
    fn samples(&self, samples: Samples) -> Result<Input<'static>, ReadError> {
        let Samples {
            process,
            image,
            file,
            cgroup,
            rows,
        } = samples;
        let looks: Result<Vec<DecodedSample>, _> =
            rows.into_iter().map(DecodedSample::try_from).collect();
        Ok(Input::Samples(RecordedSamples {
            process,
            image: key(image),
            file,
            cgroup,
            looks: looks.map_err(|error| self.reader.bad(error.to_string()))?,
        }))
    }
}

fn key((device, inode): (u32, u64)) -> ImageKey {
    ImageKey { device, inode }
}

fn exec(line: &Exec) -> (Event, Option<Image>) {
    let Exec {
        process,
        image,
        file,
    } = *line;
    let event = Event::Exec {
        process,
        time_ns: 0,
        image: key(image),
    };
    (event, file)
}

fn exit(line: &Exit) -> Event {
    let Exit { process, cpu_ns } = *line;
    Event::Exit {
        process,
        cpu_ns,
        parent: 0,
        comm: [0; COMM_BYTES],
    }
}

/// The counters of a process, as a task table has them.
fn slot(counted: &Counted) -> TaskSlot {
    let Process { tgid, start_ns } = counted.process;
    TaskSlot {
        tid: tgid,
        tgid,
        start_ns,
        group_ns: counted.cpu_ns,
        voluntary: counted.voluntary,
        execs: counted.execs,
        ..TaskSlot::default()
    }
}
