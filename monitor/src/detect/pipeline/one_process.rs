//! The probes on one process, for the commands that look at one.

use monitor_ebpf::TaskSlot;

use super::{Input, Source};
use crate::kernel::probe::Probes;

/// The probes, as far as they are about one process. They were attached to sample
/// nothing else; here the counters of all others are left out, too.
pub(crate) struct OneProcess<'a> {
    probes: &'a mut Probes,
    pid: u32,
    cpu_ns: Option<u64>,
}

impl<'a> OneProcess<'a> {
    pub(crate) fn new(probes: &'a mut Probes, pid: u32) -> Self {
        Self {
            probes,
            pid,
            cpu_ns: None,
        }
    }

    /// On-CPU nanoseconds it had used at the last tick; `None` if the probes have no slot
    /// of it, as it has not run since.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        self.cpu_ns
    }
}

impl Source for OneProcess<'_> {
    type Error = <Probes as Source>::Error;

    fn events(&mut self, take: &mut dyn FnMut(Input<'_>)) -> Result<(), Self::Error> {
        self.probes.events(take)
    }

    fn counters(&mut self, visit: &mut dyn FnMut(bool, &TaskSlot)) {
        self.cpu_ns = None;
        self.probes.tasks(|spilled, slot| {
            if slot.tid == self.pid {
                self.cpu_ns = Some(slot.group_ns);
            }
            if slot.tgid == self.pid {
                visit(spilled, slot);
            }
        });
    }
}
