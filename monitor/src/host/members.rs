//! Processes as `/proc` tells them apart, and who is whose parent.

use std::collections::HashMap;

use super::{ProcHandle, root, ticks, timed_read::scan};
use unjack_core::event::Process;

/// A process, for good, as `/proc` tells it apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Member {
    /// Thread-group id.
    pub pid: u32,
    /// Its start in clock ticks since boot.
    pub start_time: u64,
}

impl From<Process> for Member {
    fn from(process: Process) -> Self {
        Self {
            pid: process.tgid,
            start_time: ticks(process.start_ns),
        }
    }
}

/// Every process whose parent there is now, and that, as `/proc` shows them, but for those
/// of which reading hangs.
#[must_use]
pub fn parents() -> Vec<(Member, Member)> {
    scan(read_parents).unwrap_or_default()
}

fn read_parents() -> Vec<(Member, Member)> {
    let mut stats: HashMap<u32, (Member, u32)> = HashMap::new();
    for pid in root::pids() {
        let Ok(stat) = ProcHandle::open_pid(pid).and_then(|seen| seen.stat()) else {
            continue;
        };
        let member = Member {
            pid,
            start_time: stat.starttime,
        };
        stats.insert(pid, (member, u32::try_from(stat.ppid).unwrap_or(0)));
    }
    let of = |(member, parent): &(Member, u32)| {
        let (parent, _) = stats.get(parent)?;
        // No process is older than its parent: a younger parent got the id later.
        (parent.start_time <= member.start_time).then_some((*member, *parent))
    };
    stats.values().filter_map(of).collect()
}

/// Every process there is now, but for those of which reading hangs.
#[must_use]
pub fn living() -> Vec<Member> {
    scan(read_living).unwrap_or_default()
}

fn read_living() -> Vec<Member> {
    let alive = |pid| {
        let start_time = ProcHandle::open_pid(pid).ok()?.start_ticks().ok()?;
        Some(Member { pid, start_time })
    };
    root::pids().into_iter().filter_map(alive).collect()
}
