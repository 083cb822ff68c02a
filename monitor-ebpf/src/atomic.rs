//! The few read-modify-write operations the task table needs, of kernels that have the
//! instructions: Linux 5.12 and later. `plain.rs` has them for others.
//!
//! Rust's BPF target declares no compare-and-swap, so `core::sync::atomic`
//! offers only loads and stores there, although the instruction set has
//! the rest. The compiler's intrinsics reach them. All are 64
//! bits wide: narrower ones need a later instruction set than the linker is
//! told to use.

use core::intrinsics::{self, AtomicOrdering::Relaxed};

/// Whether [`claim`] may be called in an interrupt that came between any two
/// instructions.
pub(crate) const CLAIMS_IN_INTERRUPTS: bool = true;

/// Adds, wrapping. (An addition that returns the former value would be one of
/// those later instructions.)
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn add(at: *mut u64, value: u64) {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_xadd::<u64, u64, { Relaxed }>(at, value) };
}

/// Sets a bit.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn set_bit(at: *mut u64, bit: u64) {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_or::<u64, u64, { Relaxed }>(at, bit) };
}

/// Brings a counter to `now`; returns by how much, wrapping.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn advance(at: *mut u64, now: u64) -> u64 {
    // SAFETY: the caller's contract.
    now.wrapping_sub(unsafe { swap(at, now) })
}

/// Takes a value and leaves 0; of several that take it at the same time, one gets it.
/// `_holder` tells values apart that are taken at the same time.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn take(at: *mut u64, _holder: u32) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { swap(at, 0) }
}

/// Replaces `before`, unless another value has come to stand there; whether it did.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn renew(at: *mut u64, before: u64, value: u64) -> bool {
    // SAFETY: the caller's contract.
    unsafe { swap(at, value) == before }
}

/// Replaces 0 by `value`; whether it was 0. Nothing if that cannot be told now, which
/// is never so here. `_slot` tells values apart that are claimed at the same time.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
#[expect(clippy::unnecessary_wraps, reason = "plain.rs has the same functions")]
pub(crate) unsafe fn claim(at: *mut u64, value: u64, _slot: u32) -> Option<bool> {
    // SAFETY: the caller's contract.
    Some(unsafe { intrinsics::atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(at, 0, value).1 })
}

/// # Safety
/// As for [`take`].
#[inline(always)]
unsafe fn swap(at: *mut u64, value: u64) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_xchg::<u64, { Relaxed }>(at, value) }
}
