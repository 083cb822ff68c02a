//! Where the running kernel keeps what the probes read, and the reads.
//!
//! aya-ebpf has no CO-RE relocations, so the collector looks the offsets up in
//! the kernel's own BTF and sets these globals before it loads the object.
//! They live in a frozen read-only map: the verifier takes their values for
//! constants, and turns a load at such an offset from a BTF-typed pointer into
//! one plain, fault-safe instruction. No helper call, nothing to fail.

use aya_ebpf::Global;

pub(crate) use crate::object::{Object, Offset, Typed, Untyped};

/// `task_struct.pid`: what user space calls a thread id.
#[unsafe(no_mangle)]
pub(crate) static TASK_PID: Offset = Global::new(0);
/// `task_struct.tgid`: what user space calls a process id.
#[unsafe(no_mangle)]
pub(crate) static TASK_TGID: Offset = Global::new(0);
/// `task_struct.flags`: the `PF_*` bits.
#[unsafe(no_mangle)]
pub(crate) static TASK_FLAGS: Offset = Global::new(0);
/// `task_struct.__state` (`state` before 5.14).
#[unsafe(no_mangle)]
pub(crate) static TASK_STATE: Offset = Global::new(0);
/// `task_struct.start_boottime`.
#[unsafe(no_mangle)]
pub(crate) static TASK_START: Offset = Global::new(0);
/// `task_struct.se.sum_exec_runtime`.
#[unsafe(no_mangle)]
pub(crate) static TASK_RUNTIME: Offset = Global::new(0);
/// `task_struct.nvcsw`: voluntary context switches.
#[unsafe(no_mangle)]
pub(crate) static TASK_NVCSW: Offset = Global::new(0);
/// `task_struct.group_leader`.
#[unsafe(no_mangle)]
pub(crate) static TASK_LEADER: Offset = Global::new(0);
/// `task_struct.signal`.
#[unsafe(no_mangle)]
pub(crate) static TASK_SIGNAL: Offset = Global::new(0);
/// `signal_struct.live.counter`: threads that did not begin to exit.
#[unsafe(no_mangle)]
pub(crate) static SIGNAL_LIVE: Offset = Global::new(0);
/// `task_struct.nivcsw`: context switches forced on it.
#[unsafe(no_mangle)]
pub(crate) static TASK_NIVCSW: Offset = Global::new(0);
/// `task_struct.min_flt`: page faults served from memory.
#[unsafe(no_mangle)]
pub(crate) static TASK_MIN_FLT: Offset = Global::new(0);
/// `task_struct.maj_flt`: page faults served from a disk.
#[unsafe(no_mangle)]
pub(crate) static TASK_MAJ_FLT: Offset = Global::new(0);
/// `task_struct.mm`.
#[unsafe(no_mangle)]
pub(crate) static TASK_MM: Offset = Global::new(0);
/// `mm_struct.exe_file`.
#[unsafe(no_mangle)]
pub(crate) static MM_EXE: Offset = Global::new(0);
/// `file.f_inode`.
#[unsafe(no_mangle)]
pub(crate) static FILE_INODE: Offset = Global::new(0);
/// `inode.i_ino`.
#[unsafe(no_mangle)]
pub(crate) static INODE_NUMBER: Offset = Global::new(0);
/// `inode.i_sb`.
#[unsafe(no_mangle)]
pub(crate) static INODE_SUPER: Offset = Global::new(0);
/// `super_block.s_dev`.
#[unsafe(no_mangle)]
pub(crate) static SUPER_DEVICE: Offset = Global::new(0);
/// `task_struct.ioac.rchar`; 0 on a kernel that does not count them.
#[unsafe(no_mangle)]
pub(crate) static TASK_RCHAR: Offset = Global::new(0);
/// `task_struct.ioac.wchar`, as above.
#[unsafe(no_mangle)]
pub(crate) static TASK_WCHAR: Offset = Global::new(0);
/// From a task to its saved rounding mode, or, if [`ROUNDING_IN_STATE`] is not
/// 0, to the pointer to the state that holds it; 0 if it is not known.
#[unsafe(no_mangle)]
pub(crate) static TASK_ROUNDING: Offset = Global::new(0);
/// From the state that [`TASK_ROUNDING`] leads to, to the rounding mode.
#[unsafe(no_mangle)]
pub(crate) static ROUNDING_IN_STATE: Offset = Global::new(0);

/// `sock_common.skc_family`.
#[unsafe(no_mangle)]
pub(crate) static SOCK_FAMILY: Offset = Global::new(0);
/// `sock_common.skc_daddr`: destination of version 4.
#[unsafe(no_mangle)]
pub(crate) static SOCK_ADDRESS4: Offset = Global::new(0);
/// `sock_common.skc_v6_daddr`: destination of version 6.
#[unsafe(no_mangle)]
pub(crate) static SOCK_ADDRESS6: Offset = Global::new(0);
/// `sock_common.skc_dport`.
#[unsafe(no_mangle)]
pub(crate) static SOCK_PORT: Offset = Global::new(0);

/// Process to sample; 0 samples every one that burns enough.
#[unsafe(no_mangle)]
pub(crate) static TARGET_TGID: Global<u32> = Global::new(0);
/// The collector, which is never sampled: it would feed itself.
#[unsafe(no_mangle)]
pub(crate) static SELF_TGID: Global<u32> = Global::new(0);
/// Nanoseconds a process must have burned before it is worth a sample.
#[unsafe(no_mangle)]
pub(crate) static MIN_BURN_NS: Global<u64> = Global::new(100_000_000);
/// Samples of one process in an eighth of a second at the most.
#[unsafe(no_mangle)]
pub(crate) static SAMPLE_CAP: Global<u32> = Global::new(12);
/// Not 0 if the kernel has `bpf_get_current_task_btf` (Linux 5.11). The verifier does not
/// look at what is only done otherwise.
#[unsafe(no_mangle)]
pub(crate) static HAS_TASK_BTF: Global<u32> = Global::new(0);
/// Not 0 if the kernel has `bpf_task_pt_regs` (Linux 5.15), too.
#[unsafe(no_mangle)]
pub(crate) static HAS_TASK_PT_REGS: Global<u32> = Global::new(0);

/// `PF_KTHREAD`, include/linux/sched.h, unchanged from 5.10 to 6.18.
pub(crate) const PF_KTHREAD: u32 = 0x0020_0000;
/// `PF_EXITING`, as above.
pub(crate) const PF_EXITING: u32 = 0x4;
/// `TASK_DEAD`, include/linux/sched.h, unchanged from 5.10 to 6.18: set for a
/// task's very last switch.
pub(crate) const TASK_DEAD: u32 = 0x80;

/// Device, in the kernel's own encoding, and inode of the file a task executes; 0 if
/// it executes none.
#[inline(always)]
pub(crate) fn image(task: impl Object) -> (u32, u64) {
    let inode = task.follow(&TASK_MM).follow(&MM_EXE).follow(&FILE_INODE);
    (
        inode.follow(&INODE_SUPER).read(&SUPER_DEVICE),
        inode.read(&INODE_NUMBER),
    )
}
