//! The operations of `atomic.rs` for kernels without the instructions, which are those
//! before Linux 5.12: of all read-modify-write operations they have the addition.
//!
//! What takes more is done under a lock, an entry of a hash map: the kernel inserts one
//! key only once. A program that finds it locked does not wait. A hash map must not be written to in
//! an interrupt that came between any two instructions: before Linux 5.11 its own lock
//! would hang the processor (20b6cc34ea74, "bpf: Avoid hashtab deadlock with `map_locked`").

use core::intrinsics::{self, AtomicOrdering::Relaxed};

use aya_ebpf::{bindings::BPF_NOEXIST, btf_maps::HashMap, macros::btf_map};

/// As in `atomic.rs`.
pub(crate) const CLAIMS_IN_INTERRUPTS: bool = false;

/// Locks held, by what is locked. One for each processor at the most: 1,024 are more than
/// there are, and where there are more, a lock is not had now.
#[btf_map]
static LOCKS: HashMap<u32, u32, 1024> = HashMap::new();

/// In a key of [`LOCKS`]: a start time is taken, not a slot claimed. (Process ids are below
/// 2^22, slots below 2^16.)
const TAKE: u32 = 1 << 31;

/// As in `atomic.rs`.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn add(at: *mut u64, value: u64) {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_xadd::<u64, u64, { Relaxed }>(at, value) };
}

/// Sets a bit, or, where two do so at the same time, the next one.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn set_bit(at: *mut u64, bit: u64) {
    // SAFETY: the caller's contract.
    unsafe {
        if at.read_volatile() & bit == 0 {
            add(at, bit);
        }
    }
}

/// Brings a counter to `now`; returns by how much, wrapping. If an interrupt does the
/// same in between, both add their difference: the counter is ahead by what was added
/// twice, and the next difference is less by as much.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn advance(at: *mut u64, now: u64) -> u64 {
    // SAFETY: the caller's contract.
    unsafe {
        let by = now.wrapping_sub(at.read_volatile());
        add(at, by);
        by
    }
}

/// Takes a value and leaves 0; of several that take it at the same time, one gets it.
///
/// # Safety
/// `at` must be a valid, aligned map value, and `holder` the same for all that take it.
#[inline(always)]
pub(crate) unsafe fn take(at: *mut u64, holder: u32) -> u64 {
    let key = holder | TAKE;
    if !lock(key) {
        return 0;
    }
    // SAFETY: the caller's contract.
    let value = unsafe {
        let value = at.read_volatile();
        at.write_volatile(0);
        value
    };
    unlock(key);
    value
}

/// Replaces `before`; another value that has come to stand there, too: two lines are
/// logged then.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn renew(at: *mut u64, _before: u64, value: u64) -> bool {
    // SAFETY: the caller's contract.
    unsafe { at.write_volatile(value) };
    true
}

/// Replaces 0 by `value`; whether it was 0. Nothing if that cannot be told, because
/// another processor claims the same slot now.
///
/// # Safety
/// `at` must be a valid, aligned map value, and `slot` the same for all that claim it.
#[inline(always)]
pub(crate) unsafe fn claim(at: *mut u64, value: u64, slot: u32) -> Option<bool> {
    // SAFETY: the caller's contract.
    unsafe {
        if at.read_volatile() != 0 {
            return Some(false);
        }
        if !lock(slot) {
            return None;
        }
        let free = at.read_volatile() == 0;
        if free {
            at.write_volatile(value);
        }
        unlock(slot);
        Some(free)
    }
}

#[inline(always)]
fn lock(key: u32) -> bool {
    LOCKS.insert(key, 0, BPF_NOEXIST.into()).is_ok()
}

#[inline(always)]
fn unlock(key: u32) {
    let _held = LOCKS.remove(key);
}
