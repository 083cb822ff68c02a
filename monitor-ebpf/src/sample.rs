//! The sampler: what a thread executes, looked at by the clock.

use aya_ebpf::{
    EbpfContext,
    bindings::{bpf_perf_event_data, bpf_user_pt_regs_t},
    helpers::{
        bpf_get_smp_processor_id,
        generated::{bpf_get_current_task_btf, bpf_probe_read_user, bpf_task_pt_regs},
    },
    macros::perf_event,
    programs::PerfEventContext,
};
use monitor_ebpf::{
    CODE_BYTES, KIND_SAMPLE, SAMPLE_COMPAT, SAMPLE_KERNEL, SampleRecord, TASK_KTHREAD, TaskSlot,
};

use crate::{
    kernel::{
        MIN_BURN_NS, Object, SAMPLE_CAP, SELF_TGID, TARGET_TGID, TASK_DEAD, TASK_PID, TASK_STATE,
    },
    maps::{EVENTS, count},
    task::{self, NO_WAKEUP},
};

/// The bytes of a window, as helpers count.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
const WINDOW: u32 = CODE_BYTES as u32;

/// The smallest page of both architectures: code is readable at least up to
/// the next multiple of it.
const PAGE: u64 = 4096;

#[perf_event]
fn sample(ctx: PerfEventContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let current = Object(unsafe { bpf_get_current_task_btf() }.cast_const().cast());
    let tid: u32 = current.read(&TASK_PID);
    if tid == 0 {
        return 0; // the idle task
    }
    let state: u32 = current.read(&TASK_STATE);
    if state & TASK_DEAD != 0 {
        return 0; // its slot is gone, or will be: making another would leak it
    }
    let Some(tracked) = task::track(current, tid) else {
        return 0;
    };
    // A thread alone on its processor may not be switched for seconds.
    task::account(current, tracked);
    // SAFETY: pointers from the map are valid for the program's run.
    let leader = unsafe { &mut *tracked.leader };
    let now = task::now();
    if !wanted(leader) || !within_cap(leader, now) {
        return 0;
    }
    emit(&ctx, current, leader, tid, now);
    0
}

/// Whether the process is worth a look: one that burns, and not ourselves.
#[inline(always)]
fn wanted(leader: &TaskSlot) -> bool {
    if leader.flags & TASK_KTHREAD != 0 || leader.tgid == SELF_TGID.load() {
        return false;
    }
    match TARGET_TGID.load() {
        0 => leader.group_ns >= MIN_BURN_NS.load(),
        target => leader.tgid == target,
    }
}

/// Counts the sample against the process's cap for this eighth of a second:
/// over a whole second a process of many threads would be looked at in its
/// first moments only. Two processors may both take the last one: the cap is a
/// bound on cost, and one more does not matter.
#[inline(always)]
fn within_cap(leader: &mut TaskSlot, now: u64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "18 years of uptime")]
    let slice = (now >> 27) as u32;
    if leader.sample_slice != slice {
        leader.sample_slice = slice;
        leader.samples = 0;
    }
    if leader.samples >= SAMPLE_CAP.load() {
        count(|stats| stats.samples_capped += 1);
        return false;
    }
    leader.samples += 1;
    true
}

#[inline(always)]
fn emit(ctx: &PerfEventContext, current: Object, leader: &TaskSlot, tid: u32, now: u64) {
    let Some(mut entry) = EVENTS.reserve_untyped::<SampleRecord>(0) else {
        count(|stats| stats.samples_lost += 1);
        return;
    };
    let (mut ip, flags) = interrupted(ctx);
    let record = entry.as_mut_ptr();
    // SAFETY: `record` points to a reserved, writable record; every field is
    // written before it is submitted. The helpers check the user address.
    unsafe {
        (*record).code = [0; CODE_BYTES];
        let mut code_len = 0;
        if flags & SAMPLE_KERNEL == 0 {
            code_len = read_code(ip, (&raw mut (*record).code).cast());
            if code_len == 0 {
                count(|stats| stats.code_faults += 1);
            }
        } else {
            ip =
                user_ip(bpf_task_pt_regs(current.0.cast_mut().cast()) as *const bpf_user_pt_regs_t);
        }
        (*record).kind = KIND_SAMPLE;
        (*record).tgid = leader.tgid;
        (*record).tid = tid;
        (*record).flags = flags;
        (*record).start_ns = leader.start_ns;
        (*record).time_ns = now;
        (*record).ip = ip;
        (*record).code_len = code_len;
        (*record).cpu = bpf_get_smp_processor_id();
    }
    entry.submit(NO_WAKEUP);
    count(|stats| stats.samples += 1);
}

/// Copies code at `ip`, all of it or what the page still holds: the next page
/// may not be mapped. Returns the bytes copied.
#[inline(always)]
unsafe fn read_code(ip: u64, code: *mut core::ffi::c_void) -> u32 {
    let from = ip as *const core::ffi::c_void;
    // SAFETY: `code` has room for CODE_BYTES, and the helper checks `from`.
    unsafe {
        if bpf_probe_read_user(code, WINDOW, from) == 0 {
            return WINDOW;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most a page")]
        let rest = (PAGE - (ip & (PAGE - 1))) as u32;
        if rest < WINDOW && bpf_probe_read_user(code, rest, from) == 0 {
            return rest;
        }
    }
    0
}

/// The interrupted instruction pointer, and the `SAMPLE_*` bits that say what
/// it points into.
#[inline(always)]
fn interrupted(ctx: &PerfEventContext) -> (u64, u32) {
    // SAFETY: the context of a perf event program is a bpf_perf_event_data.
    let regs = unsafe { &(*ctx.as_ptr().cast::<bpf_perf_event_data>()).regs };
    #[cfg(bpf_target_arch = "x86_64")]
    {
        // The low bits of the code segment are the privilege level, and the
        // segment of 64-bit user code is fixed: __USER_CS,
        // arch/x86/include/asm/segment.h.
        const USER_64: u64 = 0x33;
        let flags = match regs.cs {
            USER_64 => 0,
            cs if cs % 4 == 0 => SAMPLE_KERNEL,
            _ => SAMPLE_COMPAT,
        };
        (regs.rip, flags)
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        // Exception level 0 is user space; PSR_MODE32_BIT says it is AArch32,
        // arch/arm64/include/uapi/asm/ptrace.h.
        let flags = match (regs.pstate & 0xf, regs.pstate & 0x10) {
            (0, 0) => 0,
            (0, _) => SAMPLE_COMPAT,
            _ => SAMPLE_KERNEL,
        };
        (regs.pc, flags)
    }
}

/// Where user space entered the kernel: the member is part of the ptrace ABI.
#[inline(always)]
unsafe fn user_ip(regs: *const bpf_user_pt_regs_t) -> u64 {
    // SAFETY: the verifier knows `regs` for a struct pt_regs and checks the
    // member; the kernel makes the load fault-safe.
    unsafe {
        #[cfg(bpf_target_arch = "x86_64")]
        let ip = &raw const (*regs).rip;
        #[cfg(bpf_target_arch = "aarch64")]
        let ip = &raw const (*regs).pc;
        ip.read_volatile()
    }
}
