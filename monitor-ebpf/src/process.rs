//! `sched_process_{fork,exec,exit}`: births, images and deaths.

use aya_ebpf::{
    helpers::bpf_get_current_comm, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use aya_log_ebpf::warn;
use monitor_ebpf::{COMM_BYTES, ExecRecord, KIND_EXEC, ParentSlot, TASK_SLOTS, is_log_due};

use crate::{
    atomic,
    kernel::{
        Object as _, SIGNAL_LIVE, TASK_LEADER, TASK_PID, TASK_RUNTIME, TASK_SIGNAL, TASK_START,
        TASK_TGID, Typed, image,
    },
    maps::{EVENTS, LOGGED, PARENTS, STATS, count},
    task::{self, NO_WAKEUP},
};

/// `(struct task_struct *parent, struct task_struct *child)`. The child has
/// not run yet, so from here on all it uses is seen.
#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: arguments of the hook: `parent` and `child`.
    let (parent, child) = unsafe { (Typed::new(ctx.arg(0)), Typed::new(ctx.arg(1))) };
    let tid: u32 = child.read(&TASK_PID);
    // Whatever still stands under this id belonged to a task that is gone.
    if let Some(stale) = task::find(tid) {
        task::free(stale, tid);
    }
    let tgid: u32 = child.read(&TASK_TGID);
    if tgid == tid
        && let Some(parents) = PARENTS.get_ptr_mut(tid & (TASK_SLOTS - 1))
    {
        // SAFETY: a pointer from the map is valid for the program's run; who
        // reads it meanwhile compares it with the start times.
        unsafe {
            *parents = ParentSlot {
                tgid,
                parent: parent.read(&TASK_TGID),
                start_ns: child.read(&TASK_START),
                parent_start_ns: parent.follow(&TASK_LEADER).read(&TASK_START),
            };
        }
    }
    let Some(tracked) = task::track(child, tid) else {
        // All are counted, in `ProbeStats::tasks_lost`.
        if may_log() {
            warn!(
                &ctx,
                "task {} is not tracked: the task tables are full (logged once a minute; all are counted in unjack_tasks_untracked_total)",
                tid
            );
        }
        return 0;
    };
    if tgid == tid {
        // SAFETY: pointers from the map are valid for the program's run.
        unsafe { (*tracked.leader).parent = parent.read(&TASK_TGID) };
    }
    0
}

/// Whether a line may be logged, on whichever processor: of two that ask at the
/// same time one may.
#[inline(always)]
fn may_log() -> bool {
    let Some(last) = LOGGED.get_ptr_mut(0) else {
        return false;
    };
    let now = task::now();
    // SAFETY: a pointer from the map is valid for the program's run, and aligned.
    unsafe {
        let before = last.read_volatile();
        is_log_due(before, now) && atomic::renew(last, before, now)
    }
}

/// `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`. All
/// other threads of the group are gone, and if a thread other than the leader
/// called exec it has taken over the leader's id, `old_pid` being its former.
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: an argument of the hook: `p`.
    let task = unsafe { Typed::new(ctx.arg(0)) };
    let old: u32 = ctx.arg(1);
    let tid: u32 = task.read(&TASK_PID);
    let Some(tracked) = task::track(task, tid) else {
        return 0;
    };
    if old != tid
        && let Some(former) = task::find(old)
    {
        let was = task::Tracked {
            task: former,
            leader: tracked.leader,
        };
        task::account(task, was);
        // SAFETY: pointers from the map are valid for the program's run.
        unsafe { (*tracked.leader).run_ns = task.read(&TASK_RUNTIME) };
        task::free(former, old);
    }
    // SAFETY: as above; the group has one thread, this one.
    let start_ns = unsafe {
        let leader = tracked.leader;
        (*leader).execs += 1;
        (*leader).exiting = 0;
        // No kernel thread either, once it executes a program.
        (*leader).flags = 0;
        (*leader).start_ns
    };
    let (image_device, image_inode) = image(task);
    let record = ExecRecord {
        kind: KIND_EXEC,
        tgid: tid,
        start_ns,
        time_ns: task::now(),
        image_inode,
        image_device,
        reserved: 0,
        comm: bpf_get_current_comm().unwrap_or([0; COMM_BYTES]),
    };
    if EVENTS
        .output_untyped::<ExecRecord>(&record, NO_WAKEUP)
        .is_err()
    {
        count!(STATS.events_lost += 1);
    }
    0
}

/// `(struct task_struct *p, …)`, after `p` left its group's count of live
/// threads. It still runs: its last switch ends it.
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: an argument of the hook: `p`.
    let task = unsafe { Typed::new(ctx.arg(0)) };
    let tid: u32 = task.read(&TASK_PID);
    if let Some(tracked) = task::track(task, tid) {
        let live: i32 = task.follow(&TASK_SIGNAL).read(&SIGNAL_LIVE);
        task::begin_exit(tracked, live <= 0);
    }
    0
}
