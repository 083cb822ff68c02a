//! CPU time of every process, to be charged to named groups.
//!
//! A process is charged under the name of its group once it has burned
//! [`NAMING_NS`]; until then its time is pending. Only then is `/proc` asked, of
//! at most [`LOOKS`] processes a second, so that a host full of short commands
//! costs little here. One that exits before is charged under its own name, or,
//! where that is no name of a group, to the group of who forked it.

use std::{collections::HashMap, os::unix::ffi::OsStrExt as _};

use clap::ValueEnum;
use monitor_ebpf::{MIN_EXIT_NS, TASK_KTHREAD, TaskSlot};

use crate::host::{LookError, ProcHandle};
use unjack_core::{event::Process, profile::seconds, text::clean};

/// Characters of a group's name: a label is a name, not a place to store data.
pub const MAX_GROUP_CHARS: usize = 128;

/// Burn from which a live process is charged to its group.
const NAMING_NS: u64 = 100_000_000;
/// Processes whose group is looked up between two ticks: some 5 ms.
const LOOKS: u32 = 64;
/// Ticks until a group that could not be told is asked for again.
const RETRY_TICKS: u8 = 10;
/// Characters of a process's own name: 15 bytes, escaped fourfold.
const NAME_CHARS: usize = 60;
/// Digits of a container's id, as many as its engine shows.
const ID_CHARS: usize = 12;

/// What processes of one group have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// The path of the program, or `comm:NAME` if the process ended before it
    /// was looked up.
    #[default]
    Image,
    /// The systemd unit, or `none`.
    Unit,
    /// The container, or `host`.
    Container,
}

impl GroupBy {
    /// The group of a process, its name cleaned.
    fn group(self, seen: &ProcHandle) -> Result<String, LookError> {
        let name = match self {
            Self::Image => {
                let path = seen.exe()?;
                return Ok(ending(&clean(path.as_os_str().as_bytes(), 4096)));
            }
            Self::Unit => seen.identity()?.unit.unwrap_or("none".to_owned()),
            Self::Container => match seen.identity()?.container {
                None => "host".to_owned(),
                Some(mut id) => {
                    if id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        id.truncate(ID_CHARS);
                    }
                    id
                }
            },
        };
        Ok(clean(name.as_bytes(), MAX_GROUP_CHARS))
    }
}

/// The end of a path that is too long: what tells most of it.
fn ending(path: &str) -> String {
    let excess = path.chars().count().saturating_sub(MAX_GROUP_CHARS);
    if excess == 0 {
        return path.to_owned();
    }
    std::iter::once('…')
        .chain(path.chars().skip(excess + 1))
        .collect()
}

/// CPU time for a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Charge {
    /// Of the processes of this group; the name is cleaned.
    Group(String, f64),
    /// Of kernel threads.
    Kernel(f64),
    /// Of processes that left before their name was worth asking for.
    Other(f64),
}

#[derive(Debug, Default)]
struct Entry {
    /// What the probes counted, as of the last look.
    total_ns: u64,
    /// Not charged yet.
    pending_ns: u64,
    group: Option<String>,
    /// Looks in a row that did not find it.
    missed: u8,
    /// Ticks until its group is asked for again, as it could not be told.
    wait: u8,
    here: bool,
}

/// Who has burned how much.
#[derive(Debug, Default)]
pub struct Ledger {
    by: GroupBy,
    entries: HashMap<Process, Entry>,
    /// Groups of those who forked others that are gone, since the last tick.
    parents: HashMap<u32, Option<String>>,
    /// Looks since the last tick.
    looks: u32,
    deferred: u64,
    charges: Vec<Charge>,
    kernel_ns: u64,
    accounted: bool,
}

impl Ledger {
    pub(super) fn by(by: GroupBy) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// Looks that had to wait for a second, or were not made, as there were
    /// [`LOOKS`].
    pub(super) fn deferred(&self) -> u64 {
        self.deferred
    }

    /// Whether `/proc` may be asked once more.
    fn may_look(&mut self) -> bool {
        let may = self.looks < LOOKS;
        self.looks += u32::from(may);
        self.deferred += u64::from(!may);
        may
    }

    /// A group leader's slot.
    pub(super) fn see(&mut self, slot: &TaskSlot) {
        let process = Process {
            tgid: slot.tgid,
            start_ns: slot.start_ns,
        };
        let entry = self.entries.entry(process).or_default();
        entry.here = true;
        let burned = slot.group_ns.saturating_sub(entry.total_ns);
        entry.total_ns = slot.group_ns;
        self.accounted |= burned > 0;
        if slot.flags & TASK_KTHREAD != 0 {
            self.kernel_ns += burned;
            return;
        }
        entry.pending_ns += burned;
        if entry.group.is_none() {
            entry.wait = entry.wait.saturating_sub(1);
            if entry.pending_ns < NAMING_NS || entry.wait > 0 || !self.may_look() {
                return;
            }
            let by = self.by;
            let group = ProcHandle::ask(process, move |seen| by.group(seen));
            if let Some(entry) = self.entries.get_mut(&process) {
                // Those that hang must not use up the looks of all others.
                entry.wait = if group.is_err() { RETRY_TICKS } else { 0 };
                entry.group = group.ok();
            }
        }
        self.charge(process);
    }

    fn charge(&mut self, process: Process) {
        if let Some(entry) = self.entries.get_mut(&process)
            && let Some(group) = &entry.group
            && entry.pending_ns > 0
        {
            let time = seconds(std::mem::take(&mut entry.pending_ns));
            self.charges.push(Charge::Group(group.clone(), time));
        }
    }

    /// A process executes another image: its unit and container stay.
    pub(super) fn exec(&mut self, process: Process) {
        if self.by == GroupBy::Image
            && let Some(entry) = self.entries.get_mut(&process)
        {
            entry.group = None;
        }
    }

    /// Ends the look. Who was not in the table is gone, but its exit may still
    /// be in the ring: only at the second look without it is it given up.
    pub(super) fn finish(&mut self) {
        self.looks = 0;
        self.parents.clear();
        let charges = &mut self.charges;
        self.entries.retain(|_, entry| {
            entry.missed = if std::mem::take(&mut entry.here) {
                0
            } else {
                entry.missed + 1
            };
            let keep = entry.missed < 2;
            // The probes sum the small ones themselves.
            if !keep && entry.pending_ns > 0 && entry.total_ns >= MIN_EXIT_NS {
                charges.push(Charge::Other(seconds(entry.pending_ns)));
            }
            keep
        });
        charges.push(Charge::Kernel(seconds(std::mem::take(&mut self.kernel_ns))));
    }

    /// A process exited after `cpu_ns` in all; `comm` is its last name, and
    /// `parent` who forked it, or 0.
    pub(super) fn exit(&mut self, process: Process, cpu_ns: u64, parent: u32, comm: &[u8]) {
        let Entry {
            total_ns,
            pending_ns,
            group,
            ..
        } = self.entries.remove(&process).unwrap_or_default();
        let rest = seconds(cpu_ns.saturating_sub(total_ns) + pending_ns);
        let group = group.or_else(|| {
            if self.by == GroupBy::Image {
                let end = comm.iter().position(|byte| *byte == 0);
                let name = &comm[..end.unwrap_or(comm.len())];
                Some(format!("comm:{}", clean(name, NAME_CHARS)))
            } else {
                self.group_of_parent(parent)
            }
        });
        self.charges.push(match group {
            Some(group) => Charge::Group(group, rest),
            None => Charge::Other(rest),
        });
    }

    /// A unit or container is that of the parent, if it was not left since.
    fn group_of_parent(&mut self, parent: u32) -> Option<String> {
        if let Some(known) = self.parents.get(&parent) {
            return known.clone();
        }
        if parent == 0 || !self.may_look() {
            return None;
        }
        let seen = ProcHandle::open_pid(parent).ok();
        let group = seen.and_then(|seen| self.by.group(&seen).ok());
        self.parents.insert(parent, group.clone());
        group
    }

    /// Whether any process burned CPU time since the last call.
    pub(super) fn accounted(&mut self) -> bool {
        std::mem::take(&mut self.accounted)
    }

    /// Takes what is to be charged since the last call.
    pub(super) fn take(&mut self) -> Vec<Charge> {
        std::mem::take(&mut self.charges)
    }
}

#[cfg(test)]
mod tests;
