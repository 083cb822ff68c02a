//! The one way from events to detections, for every command.
//!
//! In: what a [`Source`] hands over (the probes, or a recording), and the counters of
//! tasks once a tick. Out: [`Detection`]s. What else wants to see events is a [`Tap`].
//! No I/O but the source's, and no clock: time is handed in. A command drains as
//! [`Cadence`] says, and at each tick calls [`tick`](Pipeline::tick), then
//! [`judge`](Pipeline::judge).
//!
//! The collector is handed in, too: a command reads it between these steps.

mod one_process;

use monitor_ebpf::TaskSlot;

pub(crate) use self::one_process::OneProcess;
use super::{
    cadence::{Cadence, DRAIN_LIMIT},
    collector::{Collector, Subject},
    detector::{Detector, PolicyContext, Witnesses},
};
use crate::{host::Image, kernel::probe::Probes};
use unjack_core::{
    event::{self, Event, ImageKey, Malformed, Process},
    profile::{DecodedSample, Summary},
    verdict::Detection,
};

/// Something that happened.
pub(crate) enum Input<'a> {
    /// A record of the probes, not decoded yet.
    Record(&'a [u8]),
    /// An event of a recording, and what the process executes by then, as `stat` tells.
    Event(&'a Event, Option<Image>),
    /// Samples of a recording.
    Samples(RecordedSamples),
}

/// Samples of one process, decoded when they were recorded.
#[derive(Debug)]
pub(crate) struct RecordedSamples {
    pub(crate) process: Process,
    /// What it executes, as the probes tell it.
    pub(crate) image: ImageKey,
    /// The same, as `stat` does.
    pub(crate) file: Option<Image>,
    /// Its cgroup in the unified hierarchy.
    pub(crate) cgroup: u64,
    pub(crate) looks: Vec<DecodedSample>,
}

/// Where events come from.
pub(crate) trait Source {
    /// Why it cannot go on.
    type Error;

    /// Hands over what happened since the last call.
    fn events(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Result<(), Self::Error>;

    /// Shows the counters of every task, and whether its slot had to spill.
    fn counters(&mut self, visit: &mut dyn FnMut(bool, &TaskSlot));
}

impl Source for Probes {
    type Error = std::convert::Infallible;

    fn events(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Result<(), Self::Error> {
        self.drain(DRAIN_LIMIT, |record| take(Input::Record(record)));
        Ok(())
    }

    fn counters(&mut self, visit: &mut dyn FnMut(bool, &TaskSlot)) {
        self.tasks(visit);
    }
}

/// An event that the collector took in.
pub(crate) struct Taken<'a> {
    pub(crate) event: &'a Event,
    /// The same as the probes wrote it; empty in a recording.
    pub(crate) record: &'a [u8],
    /// The process, if this was its exit and it had a subject, and its total burn in
    /// nanoseconds.
    pub(crate) exited: Option<(Subject, u64)>,
}

/// What sees each event besides the collector.
pub(crate) trait Tap {
    /// The collector took in an event.
    fn taken(&mut self, _: Taken<'_>, _: &mut Collector) {}
    /// A contact was forgotten, as there were too many.
    fn contact_forgotten(&mut self) {}
    /// A record was none of the ABI's.
    fn malformed(&mut self, _: &Malformed) {}
}

/// Nothing else sees them.
impl Tap for () {}

/// Judges what a source tells.
#[derive(Debug)]
pub(crate) struct Pipeline<W> {
    detector: Detector,
    /// What is known of processes besides their samples.
    pub(crate) witnesses: W,
    cadence: Cadence,
    /// The last tick, nanoseconds.
    now_ns: u64,
}

impl<W: Witnesses> Pipeline<W> {
    pub(crate) fn new(detector: Detector, witnesses: W, cadence: Cadence) -> Self {
        Self {
            detector,
            witnesses,
            cadence,
            now_ns: 0,
        }
    }

    pub(crate) fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Takes in what the source has. Whether a tick is due.
    pub(crate) fn step<S: Source>(
        &mut self,
        source: &mut S,
        collector: &mut Collector,
        tap: &mut impl Tap,
    ) -> Result<bool, S::Error> {
        self.drain(source, collector, tap)?;
        Ok(self.drained())
    }

    /// A drain is over. Whether a tick is due.
    pub(crate) fn drained(&mut self) -> bool {
        self.cadence.drained()
    }

    /// Takes in what the source has, out of turn.
    pub(crate) fn drain<S: Source>(
        &mut self,
        source: &mut S,
        collector: &mut Collector,
        tap: &mut impl Tap,
    ) -> Result<(), S::Error> {
        source.events(&mut |input| self.take(input, collector, tap))
    }

    fn take(&mut self, input: Input<'_>, collector: &mut Collector, tap: &mut impl Tap) {
        match input {
            Input::Record(record) => match event::decode(record) {
                Ok(event) => self.take_event(&event, record, collector, tap),
                Err(error) => {
                    collector.malformed += 1;
                    tap.malformed(&error);
                }
            },
            Input::Event(event, file) => {
                if let Event::Exec { process, .. } = event
                    && let Some(subject) = collector.subject(*process)
                    && let Some(recorded) = subject.recorded_mut()
                {
                    recorded.image = file;
                }
                self.take_event(event, &[], collector, tap);
            }
            Input::Samples(samples) => {
                let RecordedSamples {
                    process,
                    image,
                    file,
                    cgroup,
                    looks,
                } = samples;
                if let Some(recorded) = collector.get_or_insert(process).recorded_mut() {
                    recorded.image = file;
                }
                collector.recall(process, image, cgroup, looks);
            }
        }
    }

    fn take_event(
        &mut self,
        event: &Event,
        record: &[u8],
        collector: &mut Collector,
        tap: &mut impl Tap,
    ) {
        match event {
            Event::Connect(process, contact) => {
                if self.witnesses.connects(*process, *contact) {
                    tap.contact_forgotten();
                }
                return;
            }
            Event::Payload(payload) => return self.witnesses.hears(payload),
            Event::Exec { process, .. } => self.witnesses.executes(*process),
            Event::Sample(_) | Event::Exit { .. } => {}
        }
        let exited = collector.take(event);
        let taken = Taken {
            event,
            record,
            exited,
        };
        tap.taken(taken, collector);
    }

    /// Reads the counters of all tasks, as of `now_ns`. `see` is shown each, too, with
    /// whether its slot had to spill.
    pub(crate) fn tick(
        &mut self,
        now_ns: u64,
        source: &mut impl Source,
        collector: &mut Collector,
        mut see: impl FnMut(bool, &TaskSlot),
    ) {
        self.now_ns = now_ns;
        collector.tick(now_ns, |visit| {
            source.counters(&mut |spilled, slot| {
                see(spilled, slot);
                visit(slot);
            });
        });
    }

    /// Judges all processes, as of the last tick. Returns what is to be reported.
    pub(crate) fn judge(
        &mut self,
        collector: &mut Collector,
        policy: &mut impl PolicyContext,
    ) -> Vec<(Process, Detection)> {
        self.detector
            .judge(self.now_ns, collector, &mut self.witnesses, policy)
    }

    /// What a process was seen to do since `since_ns`, with what else is known of it.
    pub(crate) fn summary(&self, subject: &mut Subject, since_ns: u64) -> Summary {
        super::detector::summary(subject, since_ns, &self.witnesses)
    }
}

#[cfg(test)]
mod tests;
