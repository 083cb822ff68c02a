//! The task table: which tasks there are and what they have used.
//!
//! Owns [`TaskSlot`] life cycles. A slot is born at fork, or when a task that
//! is older than the probes is first seen; it dies with the task's last
//! context switch. A group leader's slot carries the whole group and outlives
//! its task until the group's last thread is switched out for good.
//!
//! On-CPU time is the scheduler's own `sum_exec_runtime`, not a clock of ours:
//! it agrees with `/proc` by construction and saves reading a clock.

use core::mem::offset_of;

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{bpf_get_current_comm, bpf_ktime_get_ns},
};
use monitor_ebpf::{
    COMM_BYTES, ExitRecord, GROUP_EXITING, KIND_EXIT, MIN_EXIT_NS, TASK_EXITING, TASK_KTHREAD,
    TASK_SLOTS, TaskSlot,
};

use crate::{
    atomic,
    kernel::{
        Object, PF_EXITING, PF_KTHREAD, TASK_FLAGS, TASK_LEADER, TASK_NVCSW, TASK_RUNTIME,
        TASK_START, TASK_TGID,
    },
    maps::{EVENTS, SPILL, STATS, TASKS, count},
};

/// Do not wake the collector for every record: it drains the ring by the clock.
pub(crate) const NO_WAKEUP: u64 = BPF_RB_NO_WAKEUP as u64;

/// A task's slot and its group leader's (the same one for a leader).
#[derive(Clone, Copy)]
pub(crate) struct Tracked {
    pub(crate) task: *mut TaskSlot,
    pub(crate) leader: *mut TaskSlot,
}

/// The slot of task `tid`, if it has one.
#[inline(always)]
pub(crate) fn find(tid: u32) -> Option<*mut TaskSlot> {
    let direct = TASKS.get_ptr_mut(tid & (TASK_SLOTS - 1))?;
    // SAFETY: a pointer from the map is valid for the program's run.
    if unsafe { (*direct).tid } == tid {
        return Some(direct);
    }
    SPILL.get_ptr_mut(tid)
}

/// `tid` and `tgid` of a slot as the one word they are claimed with.
#[inline(always)]
unsafe fn tag(slot: *mut TaskSlot) -> *mut u64 {
    slot.cast()
}

/// `flags` (low half) and `exiting` (high half) of a slot as one word.
#[inline(always)]
unsafe fn state(slot: *mut TaskSlot) -> *mut u64 {
    // SAFETY: within the slot, and aligned, as the ABI asserts.
    unsafe { slot.byte_add(offset_of!(TaskSlot, flags)).cast() }
}

/// One thread in the `exiting` half of [`state`].
const ONE_EXITING: u64 = 1 << 32;

/// A slot for a task that has none. Time already used is taken as the
/// baseline: it is not burn that we saw.
#[inline(always)]
fn claim(task: impl Object, tid: u32) -> Option<*mut TaskSlot> {
    let direct = TASKS.get_ptr_mut(tid & (TASK_SLOTS - 1))?;
    let tgid: u32 = task.read(&TASK_TGID);
    // SAFETY: as in `find`; the tag is only ever taken from 0, by one winner.
    let (won, holder) = unsafe {
        let value = u64::from(tid) | u64::from(tgid) << 32;
        let won = atomic::claim(tag(direct), value, tid & (TASK_SLOTS - 1))?;
        (won, (*direct).tid)
    };
    if !won && holder == tid {
        // Another processor was faster, for the same task: a leader may be
        // claimed by two of its threads at once.
        return Some(direct);
    }
    let slot = if won {
        direct
    } else {
        let new = TaskSlot { tid, tgid, ..EMPTY };
        if SPILL.insert(tid, new, 0).is_err() {
            count!(STATS.tasks_lost += 1);
            return None;
        }
        SPILL.get_ptr_mut(tid)?
    };
    let flags: u32 = task.read(&TASK_FLAGS);
    // SAFETY: as above; until the caller returns only this program writes it.
    unsafe {
        (*slot).start_ns = task.read(&TASK_START);
        (*slot).run_ns = task.read(&TASK_RUNTIME);
        (*slot).flags = if flags & PF_KTHREAD == 0 {
            0
        } else {
            TASK_KTHREAD
        };
    }
    Some(slot)
}

/// A cleared slot.
const EMPTY: TaskSlot = TaskSlot {
    tid: 0,
    tgid: 0,
    start_ns: 0,
    run_ns: 0,
    group_ns: 0,
    voluntary: 0,
    exiting: 0,
    flags: 0,
    parent: 0,
    execs: 0,
    sample_slice: 0,
    samples: 0,
};

/// Gives the slot of `tid` back.
#[inline(always)]
pub(crate) fn free(slot: *mut TaskSlot, tid: u32) {
    let Some(direct) = TASKS.get_ptr_mut(tid & (TASK_SLOTS - 1)) else {
        return;
    };
    // SAFETY: pointers from the map are valid for the program's run. The tag
    // is cleared last, so no other program run claims a slot that is still being
    // cleared.
    unsafe {
        if (*direct).tid == tid {
            *slot = TaskSlot { tid, ..EMPTY };
            tag(slot).write_volatile(0);
        } else {
            let _gone = SPILL.remove(tid);
        }
    }
}

/// The slots of a live task, made if need be.
#[inline(always)]
pub(crate) fn track(task: impl Object, tid: u32) -> Option<Tracked> {
    let slot = find(tid);
    if let Some(slot) = slot {
        // SAFETY: pointers from the map are valid for the program's run.
        let tgid = unsafe { (*slot).tgid };
        if tgid == tid {
            return Some(Tracked {
                task: slot,
                leader: slot,
            });
        }
        if let Some(leader) = find(tgid) {
            return Some(Tracked { task: slot, leader });
        }
    }
    adopt(task, tid, slot)
}

/// As [`track`], from an interrupt, which may have come between any two instructions.
#[inline(always)]
pub(crate) fn track_in_interrupt(task: impl Object, tid: u32) -> Option<Tracked> {
    if atomic::CLAIMS_IN_INTERRUPTS {
        return track(task, tid);
    }
    let task = find(tid)?;
    // SAFETY: pointers from the map are valid for the program's run.
    let leader = find(unsafe { (*task).tgid })?;
    Some(Tracked { task, leader })
}

/// The slow half of [`track`]: a task or leader older than the probes.
#[inline(always)]
fn adopt(task: impl Object, tid: u32, slot: Option<*mut TaskSlot>) -> Option<Tracked> {
    let slot = match slot {
        Some(slot) => slot,
        None => claim(task, tid)?,
    };
    let tgid: u32 = task.read(&TASK_TGID);
    let leader = if tgid == tid {
        slot
    } else {
        match find(tgid) {
            Some(leader) => leader,
            None => claim(task.follow(&TASK_LEADER), tgid)?,
        }
    };
    Some(Tracked { task: slot, leader })
}

/// Brings a tracked task's counters up to now.
///
/// Should the sampler interrupt this halfway, the two differences still sum to what
/// the scheduler counted.
#[inline(always)]
pub(crate) fn account(task: impl Object, tracked: Tracked) {
    // SAFETY: pointers from the map are valid for the program's run.
    if unsafe { (*tracked.task).flags } & TASK_EXITING != 0 {
        let flags: u32 = task.read(&TASK_FLAGS);
        if flags & PF_EXITING == 0 {
            // A thread that called exec already has its leader's id, and this
            // is the dead leader's slot: the exec probe settles it.
            return;
        }
    }
    let now: u64 = task.read(&TASK_RUNTIME);
    // SAFETY: pointers from the map are valid for the program's run, and the
    // fields are naturally aligned.
    unsafe {
        let used = atomic::advance(&raw mut (*tracked.task).run_ns, now);
        atomic::add(&raw mut (*tracked.leader).group_ns, used);
        (*tracked.task).voluntary = task.read(&TASK_NVCSW);
    }
}

/// A task begins to exit; `last` if no thread of its group is left that has
/// not. The increment comes before the flag, so that a thread that ends
/// meanwhile on another processor does not take itself for the last.
#[inline(always)]
pub(crate) fn begin_exit(tracked: Tracked, last: bool) {
    // SAFETY: pointers from the map are valid for the program's run.
    unsafe {
        atomic::set_bit(state(tracked.task), TASK_EXITING.into());
        atomic::add(state(tracked.leader), ONE_EXITING);
        if last {
            atomic::set_bit(state(tracked.leader), GROUP_EXITING.into());
        }
    }
}

/// A task was switched out for the last time. Its slot is given back, and its
/// leader's too if this was the group's last thread.
///
/// Two threads may both find that no thread is left after them; the one that
/// takes the start time reports. `exiting` may have gone below zero where an
/// exec reset it under a thread that was still on its way out, hence the
/// signed comparison.
#[inline(never)]
pub(crate) fn end(tid: u32) -> i32 {
    let Some(slot) = find(tid) else { return 0 };
    // SAFETY: pointers from the map are valid for the program's run, and the
    // fields are naturally aligned.
    unsafe {
        let tgid = (*slot).tgid;
        let counted = (*slot).flags & TASK_EXITING != 0;
        if tid != tgid {
            free(slot, tid);
        }
        if !counted {
            return 0;
        }
        let Some(leader) = find(tgid) else { return 0 };
        atomic::add(state(leader), ONE_EXITING.wrapping_neg());
        let left = state(leader).read_volatile().cast_signed();
        // The highest of the bits: more than one thread may have set it, see `plain`.
        let exiting = left & i64::from(u32::MAX) >= i64::from(GROUP_EXITING);
        if exiting && left >> 32 <= 0 {
            let start_ns = atomic::take(&raw mut (*leader).start_ns, tgid);
            if start_ns != 0 {
                report_exit(leader, start_ns);
                free(leader, tgid);
            }
        }
    }
    0
}

/// Tells the collector that a process is gone, or sums it if it was small.
#[inline(always)]
fn report_exit(leader: *mut TaskSlot, start_ns: u64) {
    // SAFETY: pointers from the map are valid for the program's run.
    let TaskSlot {
        tgid,
        group_ns,
        parent,
        flags,
        ..
    } = unsafe { *leader };
    if flags & TASK_KTHREAD != 0 {
        return;
    }
    if group_ns < MIN_EXIT_NS {
        count!(STATS.small_exits += 1);
        count!(STATS.small_exit_ns += group_ns);
        return;
    }
    let record = ExitRecord {
        kind: KIND_EXIT,
        tgid,
        start_ns,
        time_ns: now(),
        cpu_ns: group_ns,
        parent,
        reserved: 0,
        comm: bpf_get_current_comm().unwrap_or([0; COMM_BYTES]),
    };
    if EVENTS
        .output_untyped::<ExitRecord>(&record, NO_WAKEUP)
        .is_err()
    {
        count!(STATS.events_lost += 1);
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}
