//! Who forked whom: what the probes record, and what `/proc` showed before.

use aya::Ebpf;
use monitor_ebpf::KinSlot;

use super::{ProbeError, Probes, table::Table};
use crate::{
    host::{self, Member},
    policy::kin::{Forks, Record},
};
use unjack_core::event::Process;

/// The record of forks.
pub(super) struct Kin {
    table: Table<KinSlot>,
    /// Of processes that are older than the probes: their parents then. Who was
    /// adopted before that has an unknown parent, or process 1.
    before: Forks,
}

impl Kin {
    /// To be called once the probes are attached: whoever is forked later is in
    /// the table.
    pub(super) fn new(ebpf: &Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            table: Table::map(ebpf, "KIN")?,
            before: host::parents(),
        })
    }
}

impl Probes {
    /// Who forked a process, if that was since the probes were attached and
    /// nobody else got its place in the table.
    #[must_use]
    pub fn parent(&self, of: Process) -> Option<Process> {
        let slot = self.kin.table.get(of.tgid)?;
        ((slot.tgid, slot.start_ns) == (of.tgid, of.start_ns)).then_some(Process {
            tgid: slot.parent,
            start_ns: slot.parent_start_ns,
        })
    }
}

impl Record for Kin {
    fn forks(&self) -> Forks {
        let mut forks = self.before.clone();
        self.table.each(&mut |slot: &KinSlot| {
            let member = |tgid, start_ns| Member::from(Process { tgid, start_ns });
            let child = member(slot.tgid, slot.start_ns);
            forks.add(child, member(slot.parent, slot.parent_start_ns));
        });
        forks
    }
}
