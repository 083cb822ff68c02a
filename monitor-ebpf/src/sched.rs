//! `sched_switch`: accounts the task that leaves the processor.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    kernel::{Object as _, TASK_DEAD, TASK_PID, TASK_STATE, Typed},
    task,
};

/// `(bool preempt, struct task_struct *prev, struct task_struct *next, …)`,
/// include/trace/events/sched.h. The scheduler has brought `prev`'s runtime up
/// to date before it calls this.
#[btf_tracepoint(function = "sched_switch")]
fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: an argument of the hook: `prev`.
    let prev = unsafe { Typed::new(ctx.arg(1)) };
    let tid: u32 = prev.read(&TASK_PID);
    if tid == 0 {
        return 0; // the idle task
    }
    let state: u32 = prev.read(&TASK_STATE);
    let last = state & TASK_DEAD != 0;
    if last && task::find(tid).is_none() {
        return 0; // making a slot for a task that is gone would leak it
    }
    if let Some(tracked) = task::track(prev, tid) {
        task::account(prev, tracked);
    }
    if last {
        task::end(tid);
    }
    0
}
