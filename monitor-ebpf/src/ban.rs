//! The programs that refuse banned images.
//!
//! | program | hook |
//! |---|---|
//! | `ban_check` | LSM `bprm_check_security`: the exec fails, nothing was executed |
//! | `ban_exec` | BTF tracepoint `sched_process_exec`: kills what the first did not see, and asks about images that are not known |
//!
//! An object of its own, because it is pinned: the collector may go, the bans
//! stay. Scripts: the first hook sees the script, and then its interpreter; the
//! second sees only the interpreter.
//!
//! On any other target than BPF this binary is empty.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "the target declares no atomics"),
    expect(
        clippy::inline_always,
        reason = "the verifier follows typed pointers best in one body"
    ),
    expect(
        clippy::needless_pass_by_value,
        reason = "aya's macros hand contexts over by value"
    )
)]

#[cfg(target_arch = "bpf")]
mod object;

#[cfg(target_arch = "bpf")]
mod bpf {
    use core::intrinsics::{self, AtomicOrdering::Relaxed};

    use aya_ebpf::{
        btf_maps::{Array, HashMap, LruHashMap, RingBuf},
        helpers::generated::{
            bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns,
            bpf_probe_read_kernel, bpf_send_signal,
        },
        macros::{btf_map, btf_tracepoint, lsm},
        programs::{BtfTracePointContext, LsmContext},
    };
    use monitor_ebpf::{
        COMM_BYTES,
        bans::{
            ANCESTORS, ASK_EVERY_NS, Ancestor, BAN_RING_BYTES, BY_LSM, BY_SIGNAL, Ban, BanCount,
            BanKey, BanRecord, BanState, BanStats, KIND_REFUSED, KIND_UNKNOWN, KNOWN_IMAGES,
            KnownImage, MAX_BANS, SLICE_SHIFT, TOLD_A_SLICE,
        },
    };

    use crate::object::{Object, Offset, Typed, Untyped};

    /// `linux_binprm.file`.
    #[unsafe(no_mangle)]
    static BPRM_FILE: Offset = Offset::new(0);
    /// `file.f_inode`.
    #[unsafe(no_mangle)]
    static FILE_INODE: Offset = Offset::new(0);
    /// `inode.i_ino`.
    #[unsafe(no_mangle)]
    static INODE_NUMBER: Offset = Offset::new(0);
    /// `inode.i_sb`.
    #[unsafe(no_mangle)]
    static INODE_SUPER: Offset = Offset::new(0);
    /// `inode.i_ctime_sec`, or wherever else the kernel keeps it.
    #[unsafe(no_mangle)]
    static INODE_CTIME_SEC: Offset = Offset::new(0);
    /// `inode.i_ctime_nsec`, as above.
    #[unsafe(no_mangle)]
    static INODE_CTIME_NSEC: Offset = Offset::new(0);
    /// `super_block.s_dev`.
    #[unsafe(no_mangle)]
    static SUPER_DEVICE: Offset = Offset::new(0);
    /// `task_struct.tgid`.
    #[unsafe(no_mangle)]
    static TASK_TGID: Offset = Offset::new(0);
    /// `task_struct.group_leader`.
    #[unsafe(no_mangle)]
    static TASK_LEADER: Offset = Offset::new(0);
    /// `task_struct.start_boottime`.
    #[unsafe(no_mangle)]
    static TASK_START: Offset = Offset::new(0);
    /// `task_struct.real_parent`.
    #[unsafe(no_mangle)]
    static TASK_PARENT: Offset = Offset::new(0);
    /// `task_struct.comm`.
    #[unsafe(no_mangle)]
    static TASK_COMM: Offset = Offset::new(0);

    /// What is refused. Written by the collector and by `unjack bans`.
    #[btf_map]
    static BANS: HashMap<BanKey, Ban, { MAX_BANS as usize }> = HashMap::new();
    /// How often. Has an entry for every ban.
    #[btf_map]
    static BAN_COUNTS: HashMap<BanKey, BanCount, { MAX_BANS as usize }> = HashMap::new();
    /// Images that were asked about, and which are not banned.
    #[btf_map]
    static BAN_IMAGES: LruHashMap<BanKey, KnownImage, { KNOWN_IMAGES as usize }> =
        LruHashMap::new();
    /// Records for the collector.
    #[btf_map]
    static BAN_EVENTS: RingBuf<u8, { BAN_RING_BYTES as usize }> = RingBuf::new();
    /// What the collector says.
    #[btf_map]
    static BAN_STATE: Array<BanState, 1> = Array::new();
    /// What these programs count.
    #[btf_map]
    static BAN_STATS: Array<BanStats, 1> = Array::new();

    /// Adds one to a counter. By raw pointer: all processors write to them.
    macro_rules! count {
        ($counter:ident) => {
            if let Some(stats) = BAN_STATS.get_ptr_mut(0) {
                // SAFETY: a pointer from the map is valid for the program's run.
                unsafe { add(&raw mut (*stats).$counter) };
            }
        };
    }

    /// The exec fails with "operation not permitted".
    const EPERM: i32 = 1;
    const SIGKILL: u32 = 9;
    /// The bytes of a name, as helpers count.
    #[expect(clippy::cast_possible_truncation, reason = "it is 16")]
    const COMM: u32 = COMM_BYTES as u32;

    /// `(struct linux_binprm *bprm)`, once for the file and once for every
    /// interpreter it names.
    #[lsm(hook = "bprm_check_security")]
    fn ban_check(ctx: LsmContext) -> i32 {
        count!(checked);
        // SAFETY: an argument of the hook: `bprm`.
        let bprm = unsafe { Typed::new(ctx.arg(0)) };
        let key = image(bprm);
        if is_init() || !banned(&key) {
            return 0;
        }
        refused(Untyped::current(), &key, BY_LSM);
        -EPERM
    }

    /// `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`. The
    /// process is not yet back in user mode: a signal ends it before that.
    #[btf_tracepoint(function = "sched_process_exec")]
    fn ban_exec(ctx: BtfTracePointContext) -> i32 {
        // SAFETY: arguments of the hook: `p` and `bprm`.
        let (task, bprm) = unsafe { (Typed::new(ctx.arg(0)), Typed::new(ctx.arg(2))) };
        let key = image(bprm);
        if is_init() {
            return 0;
        }
        if banned(&key) {
            // SAFETY: the helper has no preconditions.
            if unsafe { bpf_send_signal(SIGKILL) } != 0 {
                count!(signals_failed);
            }
            refused(task, &key, BY_SIGNAL);
        } else if wanted(&key) {
            emit(task, &key, KIND_UNKNOWN, 0);
        }
        0
    }

    /// Whether this is process 1, whose end is that of the host.
    #[inline(always)]
    fn is_init() -> bool {
        // SAFETY: the helper has no preconditions.
        unsafe { bpf_get_current_pid_tgid() >> 32 == 1 }
    }

    #[inline(always)]
    fn image(bprm: Typed) -> BanKey {
        let inode = bprm.follow(&BPRM_FILE).follow(&FILE_INODE);
        BanKey {
            inode: inode.read(&INODE_NUMBER),
            ctime_ns: ctime_ns(inode),
            device: inode.follow(&INODE_SUPER).read(&SUPER_DEVICE),
            reserved: 0,
        }
    }

    /// Since 6.13 the top bit of the nanoseconds says that the time was asked
    /// for (`I_CTIME_QUERIED`, include/linux/fs.h); before it is never set.
    #[inline(always)]
    fn ctime_ns(inode: Typed) -> u64 {
        const QUERIED: u32 = 1 << 31;
        let seconds: u64 = inode.read(&INODE_CTIME_SEC);
        let nanoseconds: u32 = inode.read(&INODE_CTIME_NSEC);
        seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(u64::from(nanoseconds & !QUERIED))
    }

    #[inline(always)]
    fn now() -> u64 {
        // SAFETY: the helper has no preconditions.
        unsafe { bpf_ktime_get_boot_ns() }
    }

    #[inline(always)]
    fn banned(key: &BanKey) -> bool {
        BANS.get_ptr(key)
            // SAFETY: a pointer from the map is valid for the program's run.
            .is_some_and(|ban| unsafe { (*ban).expires_ns } > now())
    }

    /// Counts a refused exec, and tells of it unless enough was told.
    #[inline(always)]
    fn refused(task: impl Object, key: &BanKey, by: u32) {
        count!(refused);
        let Some(counter) = BAN_COUNTS.get_ptr_mut(key) else {
            return;
        };
        // SAFETY: a pointer from the map is valid for the program's run. Two
        // processors may both take the last record of a slice: one more does
        // not matter.
        let tell = unsafe {
            add(&raw mut (*counter).refused);
            #[expect(clippy::cast_possible_truncation, reason = "100 years of uptime")]
            let slice = (now() >> SLICE_SHIFT) as u32;
            if (*counter).slice != slice {
                (*counter).slice = slice;
                (*counter).told = 0;
            }
            (*counter).told += 1;
            (*counter).told <= TOLD_A_SLICE
        };
        if tell {
            emit(task, key, KIND_REFUSED, by);
        }
    }

    /// Whether the collector is to be asked about an image.
    #[inline(always)]
    fn wanted(key: &BanKey) -> bool {
        let Some(state) = BAN_STATE.get_ptr(0) else {
            return false;
        };
        // SAFETY: a pointer from the map is valid for the program's run.
        let (asking, generation) = unsafe { ((*state).asking, (*state).generation) };
        if asking == 0 {
            return false;
        }
        let now = now();
        if let Some(known) = BAN_IMAGES.get_ptr_mut(key) {
            // SAFETY: as above.
            unsafe {
                if (*known).generation == generation || now - (*known).asked_ns < ASK_EVERY_NS {
                    return false;
                }
                (*known).asked_ns = now;
            }
            return true;
        }
        let known = KnownImage {
            asked_ns: now,
            generation: 0,
            reserved: 0,
        };
        // Without room it is asked about again.
        let _full = BAN_IMAGES.insert(key, known, 0);
        true
    }

    #[inline(always)]
    fn emit(task: impl Object, key: &BanKey, kind: u32, by: u32) {
        let Some(mut entry) = BAN_EVENTS.reserve_untyped::<BanRecord>(0) else {
            count!(events_lost);
            return;
        };
        let record = entry.as_mut_ptr();
        let mut process = task.follow(&TASK_LEADER);
        // SAFETY: `record` points to a reserved, writable record; every field is
        // written before it is submitted. The helper checks the source.
        unsafe {
            (*record).kind = kind;
            (*record).by = by;
            (*record).key = *key;
            (*record).cgroup = bpf_get_current_cgroup_id();
            for step in 0..ANCESTORS {
                let ancestor = (&raw mut (*record).lineage).cast::<Ancestor>().add(step);
                (*ancestor).start_ns = process.read(&TASK_START);
                (*ancestor).tgid = process.read(&TASK_TGID);
                (*ancestor).reserved = 0;
                let comm = process.as_ptr().add(TASK_COMM.load() as usize);
                // Where that fails, it leaves zeroes.
                bpf_probe_read_kernel((&raw mut (*ancestor).comm).cast(), COMM, comm.cast());
                process = process.follow(&TASK_PARENT).follow(&TASK_LEADER);
            }
        }
        // Wakes the collector: what it is asked about may be gone in a moment.
        entry.submit(0);
    }

    /// Adds one, atomically.
    ///
    /// # Safety
    /// `at` must be a valid, aligned map value.
    #[inline(always)]
    unsafe fn add(at: *mut u64) {
        // SAFETY: the caller's contract.
        unsafe { intrinsics::atomic_xadd::<u64, u64, { Relaxed }>(at, 1) };
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
