//! The ABI between the probes and the collector.
//!
//! Everything here is plain integers and arrays in C layout, so that both
//! sides agree on every byte; sizes and alignments are asserted at compile
//! time. The probes live in the binary beside this library and the collector in
//! the `monitor` crate; of behaviour there is only [`is_log_due`], as the probes
//! themselves cannot be unit-tested.
//!
//! Every text a process chose itself (`comm`) travels as raw bytes and is
//! hostile until the collector has cleaned it.
#![no_std]

pub mod bans;

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of code copied at a sampled instruction pointer.
pub const CODE_BYTES: usize = 64;
/// General registers copied with a sample: all that can hold a pointer into
/// the data a loop works on. (The stack pointer is not among them.)
pub const REGISTERS: usize = 15;
/// Words copied from the top of the stack with a sample: a hash's inner loop
/// wants all registers, so that the pointer to its data lies here, in a frame
/// that has room for the state and the message block.
pub const STACK_WORDS: usize = 64;
/// The kernel's `TASK_COMM_LEN`.
pub const COMM_BYTES: usize = 16;

/// Slots of the directly indexed task table: a power of two, so that a task id
/// maps to its slot with a mask. One slot is one cache line, 4 MiB in all.
pub const TASK_SLOTS: u32 = 1 << 16;
/// Tasks whose slot is taken by another live task spill into a hash map of
/// this many entries. Beyond that a task is not tracked, and counted.
pub const SPILL_ENTRIES: u32 = 1 << 14;
/// Least time between two log lines of the probes, nanoseconds. A line costs the
/// collector more than the fork it is about, and a fork storm is when there is
/// something to log: without a limit it fills the log.
pub const LOG_EVERY_NS: u64 = 60_000_000_000;

/// Whether the probes may log at `now_ns`, having last done so at `last_ns`; 0
/// if never. Both are `CLOCK_MONOTONIC`; another processor may have read the
/// later one, so that `last_ns` may be ahead.
#[must_use]
#[inline]
pub const fn is_log_due(last_ns: u64, now_ns: u64) -> bool {
    last_ns == 0 || now_ns.saturating_sub(last_ns) >= LOG_EVERY_NS
}

/// Bytes of the ring that carries exec, exit and sample records. A power of
/// two and a multiple of the page size, as the kernel demands.
pub const RING_BYTES: u32 = 1 << 22;

/// Exited processes that used less than this are summed in [`ProbeStats`], not
/// reported one by one: a host may start thousands of them a second.
pub const MIN_EXIT_NS: u64 = 1_000_000;

/// [`ExecRecord::kind`].
pub const KIND_EXEC: u32 = 1;
/// [`ExitRecord::kind`].
pub const KIND_EXIT: u32 = 2;
/// [`SampleRecord::kind`]. Kinds from 16 on are those of [`bans`], which have a ring of their own.
pub const KIND_SAMPLE: u32 = 3;

/// [`ConnectRecord::kind`].
pub const KIND_CONNECT: u32 = 8;

/// [`PayloadRecord::kind`].
pub const KIND_PAYLOAD: u32 = 9;

/// Bytes copied of a packet's payload: the head of a message says what it is.
pub const PAYLOAD_BYTES: usize = 256;
/// Packets copied of one watched socket in a second (2^30 ns) at the most.
/// Mining takes a message every few seconds.
pub const PAYLOADS_A_SECOND: u32 = 8;
/// Sockets watched at the same time at the most.
pub const WATCHED_SOCKETS: u32 = 256;

/// Prefixes of addresses of listed pools at the most: far more than any list of
/// pools there is, and 8 MiB.
pub const POOL_PREFIXES: u32 = 1 << 16;
/// Ports of one prefix at the most.
pub const POOL_PORTS: usize = 14;
/// Processes of which it is known that they were told of within this second.
pub const POOL_CALLERS: u32 = 1024;

/// [`TaskSlot::flags`]: a kernel thread (`PF_KTHREAD`).
pub const TASK_KTHREAD: u32 = 1;
/// [`TaskSlot::flags`]: the task began to exit and is counted in its leader's
/// [`TaskSlot::exiting`].
pub const TASK_EXITING: u32 = 1 << 1;
/// [`TaskSlot::flags`], in a group leader's slot: no thread of the group is
/// left that has not begun to exit.
pub const GROUP_EXITING: u32 = 1 << 2;

/// [`SampleRecord::flags`]: the sample interrupted the kernel, working for
/// the task; there is no code in it.
pub const SAMPLE_KERNEL: u32 = 1;

/// [`SampleRecord::flags`]: the thread runs 32-bit code on a 64-bit kernel.
pub const SAMPLE_COMPAT: u32 = 1 << 1;

/// [`SampleRecord::flags`]: [`SampleRecord::rounding`] could be read.
pub const SAMPLE_ROUNDING: u32 = 1 << 2;
/// [`SampleRecord::flags`]: the kernel counts [`SampleRecord::io_bytes`].
pub const SAMPLE_IO: u32 = 1 << 3;

/// What the kernel side knows of one task. The collector maps the table of
/// these read-only and reads it without a system call.
///
/// Counters of the scheduler are stored as the kernel holds them, absolute, so
/// that storing one twice, or from an interrupt, does no harm.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TaskSlot {
    /// Thread id in the initial pid namespace; 0 marks a free slot.
    pub tid: u32,
    /// Thread-group id: the process.
    pub tgid: u32,
    /// `task_struct.start_boottime`: nanoseconds since boot.
    pub start_ns: u64,
    /// The task's on-CPU nanoseconds as of its last accounting
    /// (`sched_entity.sum_exec_runtime`).
    pub run_ns: u64,
    /// In a group leader's slot: on-CPU nanoseconds of the whole group since
    /// tracking of it began. Unused in other slots.
    pub group_ns: u64,
    /// Context switches the task asked for (`task_struct.nvcsw`).
    pub voluntary: u64,
    /// `TASK_*` and `GROUP_*` bits.
    pub flags: u32,
    /// In a group leader's slot: threads of the group between the start of
    /// their exit and their last context switch.
    pub exiting: u32,
    /// In a group leader's slot: the process that forked this one, as recorded
    /// then; 0 if that was before the probes were attached.
    pub parent: u32,
    /// In a group leader's slot: images executed since tracking began. A
    /// change tells the collector that what it knew of the process is stale.
    pub execs: u32,
    /// In a group leader's slot: the eighth of a second (2^27 ns) that
    /// `samples` counts.
    pub sample_slice: u32,
    /// In a group leader's slot: samples emitted in `sample_slice`.
    pub samples: u32,
}

/// Who forked a process: kept until another process gets the same slot, so
/// that a process can be traced to its ancestors when those are gone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ParentSlot {
    /// The process; 0 marks a free slot.
    pub tgid: u32,
    /// The process that forked it.
    pub parent: u32,
    /// Its start, nanoseconds since boot.
    pub start_ns: u64,
    /// Its parent's.
    pub parent_start_ns: u64,
}

/// A process began to execute an image.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ExecRecord {
    /// [`KIND_EXEC`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
    /// Its start, nanoseconds since boot.
    pub start_ns: u64,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Inode of the file it executes from now on.
    pub image_inode: u64,
    /// [`SampleRecord::image_device`].
    pub image_device: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its name, hostile.
    pub comm: [u8; COMM_BYTES],
}

/// A process is gone, its last thread accounted. Sent only for processes that
/// used at least [`MIN_EXIT_NS`]; smaller ones are summed in [`ProbeStats`].
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ExitRecord {
    /// [`KIND_EXIT`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
    /// Its start, nanoseconds since boot.
    pub start_ns: u64,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Final [`TaskSlot::group_ns`].
    pub cpu_ns: u64,
    /// [`TaskSlot::parent`].
    pub parent: u32,
    /// Always 0.
    pub reserved: u32,
    /// Name of its last thread, hostile.
    pub comm: [u8; COMM_BYTES],
}

/// One look at what a thread executes.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SampleRecord {
    /// [`KIND_SAMPLE`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
    /// The thread.
    pub tid: u32,
    /// `SAMPLE_*` bits.
    pub flags: u32,
    /// Start of the process, nanoseconds since boot.
    pub start_ns: u64,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// User instruction pointer; 0 if it could not be had.
    pub ip: u64,
    /// How many bytes of `code` are valid.
    pub code_len: u32,
    /// The processor it was taken on.
    pub cpu: u32,
    /// Device of the file the process executes, in the kernel's own encoding;
    /// with `image_inode` it tells images apart and means nothing else.
    pub image_device: u32,
    /// The register that holds the thread's floating-point rounding mode
    /// (`MXCSR`, `FPCR`), as saved at its last context switch.
    pub rounding: u32,
    /// Inode of the file the process executes.
    pub image_inode: u64,
    /// Id of its cgroup in the unified hierarchy.
    pub cgroup: u64,
    /// On-CPU nanoseconds of the thread so far.
    pub run_ns: u64,
    /// Context switches the thread asked for so far.
    pub voluntary: u64,
    /// Context switches forced on it so far.
    pub involuntary: u64,
    /// Bytes moved by the thread's read and write calls so far.
    pub io_bytes: u64,
    /// Page faults of the thread so far.
    pub faults: u64,
    /// General registers at `ip`; all 0 if the sample interrupted the kernel.
    pub registers: [u64; REGISTERS],
    /// The bytes at `ip`.
    pub code: [u8; CODE_BYTES],
    /// The words from the stack pointer upwards; all 0 if the sample interrupted
    /// the kernel or they could not be read.
    pub stack: [u64; STACK_WORDS],
}

/// The ports of a listed prefix.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct PoolPorts {
    /// How many of `ports` are valid; 0 stands for any port.
    pub count: u32,
    /// The ports.
    pub ports: [u16; POOL_PORTS],
}

/// A process connects to a listed pool.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ConnectRecord {
    /// [`KIND_CONNECT`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
    /// Its start, nanoseconds since boot.
    pub start_ns: u64,
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Where to; an address of version 4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// The port.
    pub port: u32,
    /// 1 if it was refused.
    pub refused: u32,
}

/// Counters of connections to listed pools, one set per processor, only ever
/// growing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PoolStats {
    /// Connections that were begun.
    pub begun: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Of both, those there is no record of: the process was told of within the
    /// same second, or the ring was full.
    pub untold: u64,
    /// Calls of connect that were looked at before they were made.
    pub checked: u64,
}

/// A watched socket, as the probes keep it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Watched {
    /// The second (2^30 ns) that `copied` counts, of those since boot.
    pub second: u32,
    /// Packets copied in it.
    pub copied: u32,
    /// Packets so far that are no message, or were not copied: who uploads a file
    /// sends whatever is in it.
    pub foreign: u32,
    /// The sequence number after the last byte seen, if any was.
    pub next: u32,
    /// Any was.
    pub begun: u32,
}

/// The head of the payload of a packet that was sent on a watched socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PayloadRecord {
    /// [`KIND_PAYLOAD`].
    pub kind: u32,
    /// How many bytes of `payload` are valid.
    pub len: u32,
    /// The socket: its cookie, which no other has or will have.
    pub cookie: u64,
    /// When it was sent, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// [`Watched::foreign`] by then.
    pub foreign: u32,
    /// Always 0.
    pub reserved: u32,
    /// The bytes, hostile.
    pub payload: [u8; PAYLOAD_BYTES],
}

/// Counters of packets on watched sockets, one set per processor, only ever
/// growing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WatchStats {
    /// Packets with a payload.
    pub packets: u64,
    /// Of these, those that begin as a message does and were not copied: the
    /// socket had its share for the second, or the ring was full.
    pub dropped: u64,
}

/// The probes' own counters, one set per processor, only ever growing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ProbeStats {
    /// Samples handed to the collector.
    pub samples: u64,
    /// Samples lost because the ring was full.
    pub samples_lost: u64,
    /// Samples not taken because the process's cap for the second was reached.
    pub samples_capped: u64,
    /// User samples whose code could not be read.
    pub code_faults: u64,
    /// Exec and exit records lost because the ring was full.
    pub events_lost: u64,
    /// Times a task could not be tracked because table and spill were full.
    pub tasks_lost: u64,
    /// On-CPU nanoseconds of exited processes too small for an [`ExitRecord`].
    pub small_exit_ns: u64,
    /// How many such processes.
    pub small_exits: u64,
}

const _: () = {
    assert!(size_of::<TaskSlot>() == 64 && align_of::<TaskSlot>() == 8);
    assert!(size_of::<ParentSlot>() == 24 && align_of::<ParentSlot>() == 8);
    // The probes change these two pairs with one 64-bit operation each.
    assert!(offset_of!(TaskSlot, tid) == 0 && offset_of!(TaskSlot, tgid) == 4);
    assert!(offset_of!(TaskSlot, flags) == 40 && offset_of!(TaskSlot, exiting) == 44);
    assert!(size_of::<ExecRecord>() == 56 && align_of::<ExecRecord>() == 8);
    assert!(size_of::<ExitRecord>() == 56 && align_of::<ExitRecord>() == 8);
    assert!(size_of::<SampleRecord>() == 808 && align_of::<SampleRecord>() == 8);
    // The probes clear these two as one array of words.
    assert!(offset_of!(SampleRecord, registers) + 8 * REGISTERS == offset_of!(SampleRecord, code));
    assert!(size_of::<PoolPorts>() == 32 && align_of::<PoolPorts>() == 4);
    assert!(size_of::<ConnectRecord>() == 48 && align_of::<ConnectRecord>() == 8);
    assert!(size_of::<PoolStats>() == 32 && align_of::<PoolStats>() == 8);
    assert!(size_of::<Watched>() == 20 && align_of::<Watched>() == 4);
    assert!(size_of::<PayloadRecord>() == 288 && align_of::<PayloadRecord>() == 8);
    assert!(size_of::<WatchStats>() == 16 && align_of::<WatchStats>() == 8);
    assert!(size_of::<ProbeStats>() == 64 && align_of::<ProbeStats>() == 8);
    assert!(TASK_SLOTS.is_power_of_two());
    assert!(RING_BYTES.is_power_of_two() && RING_BYTES.is_multiple_of(65536));
};

#[cfg(test)]
mod tests {
    use super::{LOG_EVERY_NS, is_log_due};

    #[test]
    fn the_probes_log_once_a_minute() {
        for (last_ns, now_ns, due) in [
            (0, 1, true),
            (7, 7, false),
            (7, 6, false),
            (7, 6 + LOG_EVERY_NS, false),
            (7, 7 + LOG_EVERY_NS, true),
        ] {
            assert_eq!(is_log_due(last_ns, now_ns), due, "{last_ns} {now_ns}");
        }
    }
}
