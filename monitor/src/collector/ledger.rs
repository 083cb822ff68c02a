//! CPU time of every process, to be charged to named groups.
//!
//! A process is charged under its own name once it has burned
//! [`NAMING_NS`] or exits; until then its time is pending. Only then is
//! `/proc` asked, so that a host full of short commands costs nothing here.

use std::collections::HashMap;

use monitor_ebpf::{MIN_EXIT_NS, TASK_KTHREAD, TaskSlot};

use crate::{event::Process, host::Seen, profile::seconds, text::clean};

/// Burn from which a live process is charged under its name.
const NAMING_NS: u64 = 1_000_000_000;
/// Characters of a group's name: a comm is 15 bytes, escaped fourfold.
const NAME_CHARS: usize = 60;

/// CPU time for a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Charge {
    /// Of processes with this (cleaned) name.
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
    name: Option<String>,
    /// Looks in a row that did not find it.
    missed: u8,
    here: bool,
}

/// Who has burned how much.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: HashMap<Process, Entry>,
    charges: Vec<Charge>,
    kernel_ns: u64,
}

impl Ledger {
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
        if slot.flags & TASK_KTHREAD != 0 {
            self.kernel_ns += burned;
            return;
        }
        entry.pending_ns += burned;
        if entry.name.is_none() && entry.pending_ns >= NAMING_NS {
            entry.name = name(process);
        }
        if let Some(name) = &entry.name
            && entry.pending_ns > 0
        {
            self.charges
                .push(Charge::Group(name.clone(), seconds(entry.pending_ns)));
            entry.pending_ns = 0;
        }
    }

    /// Ends the look. Who was not in the table is gone, but its exit may still
    /// be in the ring: only at the second look without it is it given up.
    pub(super) fn finish(&mut self) {
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

    /// A process exited after `cpu_ns` in all; `comm` is its last name.
    pub(super) fn exit(&mut self, process: Process, cpu_ns: u64, comm: &[u8]) {
        let Entry {
            total_ns,
            pending_ns,
            name,
            ..
        } = self.entries.remove(&process).unwrap_or_default();
        let rest = seconds(cpu_ns.saturating_sub(total_ns) + pending_ns);
        let end = comm
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(comm.len());
        let name = name.unwrap_or_else(|| clean(&comm[..end], NAME_CHARS));
        self.charges.push(Charge::Group(name, rest));
    }

    /// Takes what is to be charged since the last call.
    pub(super) fn take(&mut self) -> Vec<Charge> {
        std::mem::take(&mut self.charges)
    }
}

/// The name a process gave itself, cleaned.
fn name(process: Process) -> Option<String> {
    let facts = Seen::open(process).ok()?.comm().ok()?;
    Some(clean(&facts, NAME_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(tgid: u32, start_ns: u64, group_ns: u64) -> TaskSlot {
        TaskSlot {
            tid: tgid,
            tgid,
            start_ns,
            group_ns,
            ..TaskSlot::default()
        }
    }

    fn look(ledger: &mut Ledger, slots: &[TaskSlot]) -> Vec<Charge> {
        for slot in slots {
            ledger.see(slot);
        }
        ledger.finish();
        let nothing = Charge::Kernel(0.0);
        ledger
            .take()
            .into_iter()
            .filter(|charge| *charge != nothing)
            .collect()
    }

    /// A pid that no process has: its name cannot be had.
    const NOBODY: u32 = u32::MAX;

    #[test]
    fn a_short_process_is_charged_at_its_exit_under_its_last_name() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, &[slot(NOBODY, 1, 300_000_000)]), []);
        ledger.exit(
            Process {
                tgid: NOBODY,
                start_ns: 1,
            },
            500_000_000,
            b"cc1\0\0\0",
        );
        assert_eq!(ledger.take(), [Charge::Group("cc1".into(), 0.5)]);
    }

    #[test]
    fn a_process_never_seen_alive_is_charged_whole() {
        let mut ledger = Ledger::default();
        ledger.exit(
            Process {
                tgid: 9,
                start_ns: 1,
            },
            2_000_000,
            b"true",
        );
        assert_eq!(ledger.take(), [Charge::Group("true".into(), 0.002)]);
    }

    #[test]
    fn one_whose_exit_was_lost_goes_to_other() {
        let mut ledger = Ledger::default();
        look(&mut ledger, &[slot(NOBODY, 1, 400_000_000)]);
        assert_eq!(look(&mut ledger, &[]), []);
        assert_eq!(look(&mut ledger, &[]), [Charge::Other(0.4)]);
        assert_eq!(look(&mut ledger, &[]), []);
    }

    #[test]
    fn an_exit_that_comes_after_the_look_is_charged_once() {
        let mut ledger = Ledger::default();
        look(&mut ledger, &[slot(NOBODY, 1, 400_000_000)]);
        look(&mut ledger, &[]);
        ledger.exit(
            Process {
                tgid: NOBODY,
                start_ns: 1,
            },
            400_000_000,
            b"late",
        );
        assert_eq!(ledger.take(), [Charge::Group("late".into(), 0.4)]);
        assert_eq!(look(&mut ledger, &[]), []);
    }

    #[test]
    fn what_the_probes_sum_themselves_is_not_charged_twice() {
        let mut ledger = Ledger::default();
        look(&mut ledger, &[slot(NOBODY, 1, MIN_EXIT_NS - 1)]);
        look(&mut ledger, &[]);
        assert_eq!(look(&mut ledger, &[]), []);
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let mut ledger = Ledger::default();
        look(&mut ledger, &[slot(NOBODY, 1, 400_000_000)]);
        look(&mut ledger, &[slot(NOBODY, 2, 100_000_000)]);
        ledger.exit(
            Process {
                tgid: NOBODY,
                start_ns: 1,
            },
            400_000_000,
            b"old",
        );
        ledger.exit(
            Process {
                tgid: NOBODY,
                start_ns: 2,
            },
            100_000_000,
            b"new",
        );
        let expected = [
            Charge::Group("old".into(), 0.4),
            Charge::Group("new".into(), 0.1),
        ];
        assert_eq!(ledger.take(), expected);
    }

    #[test]
    fn kernel_threads_are_one_group() {
        let mut ledger = Ledger::default();
        let thread = TaskSlot {
            flags: TASK_KTHREAD,
            ..slot(2, 0, 250_000_000)
        };
        assert_eq!(look(&mut ledger, &[thread]), [Charge::Kernel(0.25)]);
    }

    #[test]
    fn hostile_names_are_cleaned() {
        let mut ledger = Ledger::default();
        ledger.exit(
            Process {
                tgid: 9,
                start_ns: 1,
            },
            2_000_000,
            b"a\nb\x1b[2J",
        );
        let [Charge::Group(name, _)] = &ledger.take()[..] else {
            panic!("no charge")
        };
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}
