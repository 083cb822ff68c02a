//! The sampler's perf events, one a processor, following them on and off line.

use std::{collections::BTreeMap, fmt};

use aya::programs::{
    PerfEvent, ProgramError,
    perf_event::{
        HardwareEvent, PerfEventConfig, PerfEventLinkId, PerfEventScope, SamplePolicy,
        SoftwareEvent,
    },
};
use aya::util::online_cpus;

use super::{ProbeError, SAMPLER};

/// What drives the sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The processor's cycle counter: only burning processors are sampled.
    Cycles,
    /// The kernel's clock, where there is no cycle counter.
    CpuClock,
}

impl Source {
    fn config(self) -> PerfEventConfig {
        match self {
            Self::Cycles => PerfEventConfig::Hardware(HardwareEvent::CpuCycles),
            Self::CpuClock => PerfEventConfig::Software(SoftwareEvent::CpuClock),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cycles => "cycles",
            Self::CpuClock => "cpu-clock",
        })
    }
}

/// The attached events, by processor.
pub(super) struct Sampler {
    source: Source,
    hz: u64,
    links: BTreeMap<u32, PerfEventLinkId>,
}

impl Sampler {
    /// Loads the program and attaches it to every processor that is online:
    /// by cycles if the first processor has them, else by the clock.
    pub(super) fn attach(program: &mut PerfEvent, hz: u32) -> Result<Self, ProbeError> {
        program.load().map_err(refused)?;
        let mut sampler = Self {
            source: Source::Cycles,
            hz: hz.into(),
            links: BTreeMap::new(),
        };
        if sampler.follow(program).is_err() {
            sampler.detach(program);
            sampler.source = Source::CpuClock;
            sampler.follow(program)?;
        }
        Ok(sampler)
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }

    /// Attaches to processors that came online, detaches from those that left.
    pub(super) fn follow(&mut self, program: &mut PerfEvent) -> Result<(), ProbeError> {
        let online = online_cpus().map_err(|(what, source)| ProbeError::Io { what, source })?;
        let gone: Vec<u32> = self
            .links
            .keys()
            .copied()
            .filter(|cpu| !online.contains(cpu))
            .collect();
        for cpu in gone {
            if let Some(link) = self.links.remove(&cpu) {
                program.detach(link).map_err(refused)?;
            }
        }
        for cpu in online {
            if self.links.contains_key(&cpu) {
                continue;
            }
            let scope = PerfEventScope::AllProcessesOneCpu { cpu };
            match program.attach(
                self.source.config(),
                scope,
                SamplePolicy::Frequency(self.hz),
                false,
            ) {
                Ok(link) => {
                    self.links.insert(cpu, link);
                }
                // It left between the two looks.
                Err(error) if gone_meanwhile(&error) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(())
    }

    fn detach(&mut self, program: &mut PerfEvent) {
        for (_, link) in std::mem::take(&mut self.links) {
            // The link is gone either way: the fd is closed.
            let _closed = program.detach(link);
        }
    }
}

fn refused(source: ProgramError) -> ProbeError {
    ProbeError::Program {
        name: SAMPLER,
        source,
    }
}

/// What `perf_event_open` says of a processor that is off line.
fn gone_meanwhile(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(error)
        if error.io_error.raw_os_error() == Some(libc::ENODEV))
}
