//! The sampler: what a thread executes, looked at by the clock.

use aya_ebpf::{
    EbpfContext,
    bindings::{bpf_perf_event_data, bpf_user_pt_regs_t},
    helpers::{
        bpf_get_smp_processor_id,
        generated::{
            bpf_get_current_cgroup_id, bpf_get_current_task_btf, bpf_probe_read_kernel,
            bpf_probe_read_user, bpf_task_pt_regs,
        },
    },
    macros::perf_event,
    programs::PerfEventContext,
};
use monitor_ebpf::{
    CODE_BYTES, KIND_SAMPLE, REGISTERS, SAMPLE_COMPAT, SAMPLE_IO, SAMPLE_KERNEL, SAMPLE_ROUNDING,
    STACK_WORDS, SampleRecord, TASK_KTHREAD, TaskSlot,
};

use crate::{
    kernel::{
        HAS_TASK_BTF, HAS_TASK_PT_REGS, MIN_BURN_NS, Object, ROUNDING_IN_STATE, SAMPLE_CAP,
        SELF_TGID, TARGET_TGID, TASK_DEAD, TASK_MAJ_FLT, TASK_MIN_FLT, TASK_NIVCSW, TASK_NVCSW,
        TASK_PID, TASK_RCHAR, TASK_ROUNDING, TASK_RUNTIME, TASK_STATE, TASK_WCHAR, Typed, Untyped,
        image,
    },
    maps::{EVENTS, STATS, count},
    task::{self, NO_WAKEUP},
};

/// The bytes of a window, as helpers count.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
const WINDOW: u32 = CODE_BYTES as u32;

/// The bytes of the stack that are copied, as helpers count.
#[expect(clippy::cast_possible_truncation, reason = "it is 512")]
const STACK: u32 = (STACK_WORDS * size_of::<u64>()) as u32;

/// The smallest page of both architectures: code is readable at least up to
/// the next multiple of it.
const PAGE: u64 = 4096;

#[perf_event]
fn sample(ctx: PerfEventContext) -> u32 {
    if HAS_TASK_BTF.load() == 0 {
        look(&ctx, Untyped::current());
    } else {
        look(&ctx, typed_current());
    }
    0
}

/// The task that runs: `struct task_struct *`.
#[inline(always)]
fn typed_current() -> Typed {
    // SAFETY: the helper has no preconditions, and what it gives is typed.
    unsafe { Typed::new(bpf_get_current_task_btf().cast_const().cast()) }
}

#[inline(always)]
fn look(ctx: &PerfEventContext, current: impl Object) {
    let tid: u32 = current.read(&TASK_PID);
    if tid == 0 {
        return; // the idle task
    }
    let state: u32 = current.read(&TASK_STATE);
    if state & TASK_DEAD != 0 {
        return; // its slot is gone, or will be: making another would leak it
    }
    let Some(tracked) = task::track_in_interrupt(current, tid) else {
        return;
    };
    // A thread alone on its processor may not be switched for seconds.
    task::account(current, tracked);
    let leader = tracked.leader;
    let now = task::now();
    // SAFETY: pointers from the map are valid for the program's run.
    unsafe {
        if wanted(leader) && within_cap(leader, now) {
            emit(ctx, current, leader, tid, now);
        }
    }
}

/// Whether the process is worth a look: one that burns, and not ourselves.
///
/// # Safety
/// `leader` must be a slot of the map. Other processors write to it as well.
#[inline(always)]
unsafe fn wanted(leader: *const TaskSlot) -> bool {
    // SAFETY: the caller's contract.
    let (flags, tgid, group_ns) = unsafe { ((*leader).flags, (*leader).tgid, (*leader).group_ns) };
    if flags & TASK_KTHREAD != 0 || tgid == SELF_TGID.load() {
        return false;
    }
    match TARGET_TGID.load() {
        0 => group_ns >= MIN_BURN_NS.load(),
        target => tgid == target,
    }
}

/// Counts the sample against the process's cap for this eighth of a second:
/// over a whole second a process of many threads would be looked at in its
/// first moments only. Two processors may both take the last one: the cap is a
/// bound on cost, and one more does not matter.
///
/// # Safety
/// As for [`wanted`].
#[inline(always)]
unsafe fn within_cap(leader: *mut TaskSlot, now: u64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "18 years of uptime")]
    let slice = (now >> 27) as u32;
    // SAFETY: the caller's contract.
    unsafe {
        if (*leader).sample_slice != slice {
            (*leader).sample_slice = slice;
            (*leader).samples = 0;
        }
        if (*leader).samples < SAMPLE_CAP.load() {
            (*leader).samples += 1;
            return true;
        }
    }
    count!(STATS.samples_capped += 1);
    false
}

/// # Safety
/// As for [`wanted`].
#[inline(always)]
unsafe fn emit(
    ctx: &PerfEventContext,
    current: impl Object,
    leader: *const TaskSlot,
    tid: u32,
    now: u64,
) {
    let Some(mut entry) = EVENTS.reserve_untyped::<SampleRecord>(0) else {
        count!(STATS.samples_lost += 1);
        return;
    };
    let (mut ip, flags) = interrupted(ctx);
    let record = entry.as_mut_ptr();
    // SAFETY: `record` points to a reserved, writable record; every field is
    // written before it is submitted. The helpers check the user address. For
    // `leader` the caller's contract.
    let faulted = unsafe {
        (*record).code = [0; CODE_BYTES];
        let (mut code_len, mut sp) = (0, 0);
        if flags & SAMPLE_KERNEL == 0 {
            sp = stack_pointer(ctx);
            copy_registers(ctx, &mut (*record).registers);
            code_len = read_code(ip, (&raw mut (*record).code).cast());
        } else {
            (*record).registers = [0; REGISTERS];
            ip = 0;
            if HAS_TASK_PT_REGS.load() != 0 {
                let entered = bpf_task_pt_regs(typed_current().as_ptr().cast_mut().cast());
                ip = user_ip(entered as *const bpf_user_pt_regs_t);
            }
        }
        // Where that fails, it leaves zeroes.
        bpf_probe_read_user(
            (&raw mut (*record).stack).cast(),
            STACK,
            sp as *const core::ffi::c_void,
        );
        let (rounding, found) = rounding(current);
        (*record).rounding = rounding;
        let (io_bytes, counted) = io_bytes(current);
        (*record).io_bytes = io_bytes;
        (*record).run_ns = current.read(&TASK_RUNTIME);
        (*record).voluntary = current.read(&TASK_NVCSW);
        (*record).involuntary = current.read(&TASK_NIVCSW);
        let (minor, major): (u64, u64) = (current.read(&TASK_MIN_FLT), current.read(&TASK_MAJ_FLT));
        (*record).faults = minor + major;
        ((*record).image_device, (*record).image_inode) = image(current);
        (*record).cgroup = bpf_get_current_cgroup_id();
        (*record).kind = KIND_SAMPLE;
        (*record).tgid = (*leader).tgid;
        (*record).tid = tid;
        (*record).flags = flags | found | counted;
        (*record).start_ns = (*leader).start_ns;
        (*record).time_ns = now;
        (*record).ip = ip;
        (*record).code_len = code_len;
        (*record).cpu = bpf_get_smp_processor_id();
        flags & SAMPLE_KERNEL == 0 && code_len == 0
    };
    entry.submit(NO_WAKEUP);
    if faulted {
        count!(STATS.code_faults += 1);
    }
    count!(STATS.samples += 1);
}

/// Bytes the thread's read and write calls moved, and the flag that says so.
#[inline(always)]
fn io_bytes(current: impl Object) -> (u64, u32) {
    if TASK_RCHAR.load() == 0 {
        return (0, 0);
    }
    let (read, written): (u64, u64) = (current.read(&TASK_RCHAR), current.read(&TASK_WCHAR));
    (read + written, SAMPLE_IO)
}

/// The rounding mode the thread had when it was last switched out, and the flag
/// that says it could be read. What it has now is in the processor, where no
/// program of this kind can look; what was saved then is as good a witness.
#[inline(always)]
fn rounding(current: impl Object) -> (u32, u32) {
    let at = TASK_ROUNDING.load() as usize;
    if at == 0 {
        return (0, 0);
    }
    let (mut state, mut mode) = (0_u64, 0_u32);
    // SAFETY: the destinations are this program's own and of the sizes named;
    // the helper checks the sources.
    let read = unsafe {
        let mut from = current.as_ptr().add(at).cast::<core::ffi::c_void>();
        let inside = u64::from(ROUNDING_IN_STATE.load());
        let followed = if inside == 0 {
            0
        } else {
            let read = bpf_probe_read_kernel((&raw mut state).cast(), 8, from);
            from = (state + inside) as *const core::ffi::c_void;
            read
        };
        followed | bpf_probe_read_kernel((&raw mut mode).cast(), 4, from)
    };
    if read == 0 {
        (mode, SAMPLE_ROUNDING)
    } else {
        (0, 0)
    }
}

/// Copies the interrupted general registers.
#[inline(always)]
fn copy_registers(ctx: &PerfEventContext, to: &mut [u64; REGISTERS]) {
    // SAFETY: the context of a perf event program is a bpf_perf_event_data.
    let regs = unsafe { &(*ctx.as_ptr().cast::<bpf_perf_event_data>()).regs };
    #[cfg(bpf_target_arch = "x86_64")]
    {
        to[0] = regs.rax;
        to[1] = regs.rbx;
        to[2] = regs.rcx;
        to[3] = regs.rdx;
        to[4] = regs.rsi;
        to[5] = regs.rdi;
        to[6] = regs.rbp;
        to[7] = regs.r8;
        to[8] = regs.r9;
        to[9] = regs.r10;
        to[10] = regs.r11;
        to[11] = regs.r12;
        to[12] = regs.r13;
        to[13] = regs.r14;
        to[14] = regs.r15;
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        to[0] = regs.regs[0];
        to[1] = regs.regs[1];
        to[2] = regs.regs[2];
        to[3] = regs.regs[3];
        to[4] = regs.regs[4];
        to[5] = regs.regs[5];
        to[6] = regs.regs[6];
        to[7] = regs.regs[7];
        to[8] = regs.regs[8];
        to[9] = regs.regs[9];
        to[10] = regs.regs[10];
        to[11] = regs.regs[19];
        to[12] = regs.regs[20];
        to[13] = regs.regs[21];
        to[14] = regs.regs[22];
    }
}

/// The interrupted stack pointer.
#[inline(always)]
fn stack_pointer(ctx: &PerfEventContext) -> u64 {
    // SAFETY: the context of a perf event program is a bpf_perf_event_data.
    let regs = unsafe { &(*ctx.as_ptr().cast::<bpf_perf_event_data>()).regs };
    #[cfg(bpf_target_arch = "x86_64")]
    {
        regs.rsp
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        regs.sp
    }
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
        // Where less than a window is left of the page, it is what is left to the
        // next multiple of a window too: masked, so that every verifier sees how
        // little it is at most (Linux 6.1 forgets a comparison when the register
        // is spilled).
        #[expect(clippy::cast_possible_truncation, reason = "less than a window")]
        let rest = (ip.wrapping_neg() & u64::from(WINDOW - 1)) as u32;
        let left = PAGE - (ip & (PAGE - 1));
        if left < u64::from(WINDOW) && bpf_probe_read_user(code, rest, from) == 0 {
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
        // The low bits of the code segment are the privilege level. The segment of
        // 32-bit user code is fixed: __USER32_CS, arch/x86/include/asm/segment.h,
        // or in a paravirtual guest Xen's, FLAT_USER_CS32; 64-bit user code has
        // more than one. Of a process's own making (TABLE: in its LDT) it is
        // never a segment of 64-bit code: fill_ldt, arch/x86/include/asm/desc.h.
        const USER_32: u64 = 0x23;
        const XEN_USER_32: u64 = 0xe023;
        const TABLE: u64 = 4;
        let flags = match regs.cs {
            cs if cs % 4 == 0 => SAMPLE_KERNEL,
            USER_32 | XEN_USER_32 => SAMPLE_COMPAT,
            cs if cs & TABLE != 0 => SAMPLE_COMPAT,
            _ => 0,
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
