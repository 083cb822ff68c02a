//! Who forked whom, as the probes record it.

use aya::Ebpf;
use monitor_ebpf::ParentSlot;

use super::{ProbeError, Probes, table::Table};
use unjack_core::event::Process;

/// The record of forks since the probes were attached.
pub struct Parents {
    table: Table<ParentSlot>,
}

impl Parents {
    pub(super) fn new(ebpf: &Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            table: Table::map(ebpf, "PARENTS")?,
        })
    }

    /// Calls `visit` with every child in the record and who forked it.
    pub fn each(&self, visit: &mut impl FnMut(Process, Process)) {
        self.table.each(&mut |slot: &ParentSlot| {
            let process = |tgid, start_ns| Process { tgid, start_ns };
            visit(
                process(slot.tgid, slot.start_ns),
                process(slot.parent, slot.parent_start_ns),
            );
        });
    }
}

impl Probes {
    /// Which process forked a process, if that was since the probes were attached
    /// and no other process took its place in the table.
    #[must_use]
    pub fn parent(&self, of: Process) -> Option<Process> {
        let slot = self.parents.table.get(of.tgid)?;
        ((slot.tgid, slot.start_ns) == (of.tgid, of.start_ns)).then_some(Process {
            tgid: slot.parent,
            start_ns: slot.parent_start_ns,
        })
    }
}
