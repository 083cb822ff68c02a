//! The maps, and why each is as large as it is. Their names are part of the
//! ABI: the collector finds them by name.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use monitor_ebpf::{
    POOL_CALLERS, POOL_PREFIXES, ParentSlot, PoolPorts, PoolStats, ProbeStats, RING_BYTES,
    SPILL_ENTRIES, TASK_SLOTS, TaskSlot, WATCHED_SOCKETS, WatchStats, Watched,
};

/// One slot per task, at its id modulo the size: an array lookup costs a few
/// instructions where a hash costs tens of nanoseconds, and the collector can
/// map an array and read it without system calls. 65,536 slots of a cache line
/// are 4 MiB, enough that a host with thousands of threads seldom has two on
/// one slot.
#[btf_map]
pub(crate) static TASKS: Array<TaskSlot, { TASK_SLOTS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();

/// The parent of each process at fork, at the process's id modulo the size. Nothing
/// is taken out: a process is traced to its ancestors after those are gone, as long
/// as no other process took their slot. 65,536 slots are 1.5 MiB; with larger ids
/// (`pid_max` above that) two may share one, and then the older's ancestry is
/// unknown.
#[btf_map]
pub(crate) static PARENTS: Array<ParentSlot, { TASK_SLOTS as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();

/// Tasks whose slot another live task holds. 16,384 entries are what a host
/// with some 45,000 live threads would spill (n² / 2m of the birthday bound).
/// Preallocated: the scheduler's path must not allocate.
#[btf_map]
pub(crate) static SPILL: HashMap<u32, TaskSlot, { SPILL_ENTRIES as usize }> = HashMap::new();

/// Exec, exit and sample records. At 4 MiB it holds a quarter second (the
/// collector's drain interval) of 140,000 samples a second.
#[btf_map]
pub(crate) static EVENTS: RingBuf<u8, { RING_BYTES as usize }> = RingBuf::new();

/// The probes' own counters.
#[btf_map]
pub(crate) static STATS: PerCpuArray<ProbeStats, 1> = PerCpuArray::new();

/// When the probes last logged, nanoseconds of `CLOCK_MONOTONIC`; 0 if never.
#[btf_map]
pub(crate) static LOGGED: Array<u64, 1> = Array::new();

/// Prefixes of listed pools and their ports; addresses of version 4 are mapped
/// into version 6. Takes memory only for what is in it.
#[btf_map]
pub(crate) static POOLS: LpmTrie<[u8; 16], PoolPorts, { POOL_PREFIXES as usize }> = LpmTrie::new();

/// Processes that connected to a listed pool, and the second (2^30 ns) in which
/// they were told of. The least recent makes room.
#[btf_map]
pub(crate) static POOL_CALLS: LruHashMap<u32, u64, { POOL_CALLERS as usize }> = LruHashMap::new();

/// Counters of connections to listed pools.
#[btf_map]
pub(crate) static POOL_STATS: PerCpuArray<PoolStats, 1> = PerCpuArray::new();

/// Sockets whose traffic is looked at, by cookie. Empty but while a process is
/// suspected.
#[btf_map]
pub(crate) static WATCHED: HashMap<u64, Watched, { WATCHED_SOCKETS as usize }> = HashMap::new();

/// Counters of packets on them.
#[btf_map]
pub(crate) static WATCH_STATS: PerCpuArray<WatchStats, 1> = PerCpuArray::new();

/// Adds to one of this processor's counters: `count!(STATS.samples += 1)`.
///
/// By raw pointer: the sampler may interrupt another program halfway and write
/// to the same slot, so that no reference to it would be the only one.
macro_rules! count {
    ($map:ident.$counter:ident += $by:expr) => {
        let by: u64 = $by;
        if let Some(stats) = $map.get_ptr_mut(0) {
            // SAFETY: a pointer from the map is valid for the program's run, and
            // the slot is this processor's own; an interrupting sampler may lose
            // one increment of a diagnostic counter, which is accepted.
            unsafe {
                let counter = &raw mut (*stats).$counter;
                counter.write(counter.read().wrapping_add(by));
            }
        }
    };
}
pub(crate) use count;
