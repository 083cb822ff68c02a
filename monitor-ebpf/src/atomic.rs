//! The few read-modify-write operations the task table needs.
//!
//! Rust's BPF target declares no compare-and-swap, so `core::sync::atomic`
//! offers only loads and stores there, although the instruction set has had
//! the rest since Linux 5.12. The compiler's intrinsics reach them. All are 64
//! bits wide: narrower ones need a later instruction set than the linker is
//! told to use.

use core::intrinsics::{self, AtomicOrdering::Relaxed};

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

/// Sets bits.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn set_bits(at: *mut u64, bits: u64) {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_or::<u64, u64, { Relaxed }>(at, bits) };
}

/// Stores, and returns the former value.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn swap(at: *mut u64, value: u64) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_xchg::<u64, { Relaxed }>(at, value) }
}

/// Replaces 0 by `value`; whether it was 0.
///
/// # Safety
/// `at` must be a valid, aligned map value.
#[inline(always)]
pub(crate) unsafe fn claim(at: *mut u64, value: u64) -> bool {
    // SAFETY: the caller's contract.
    unsafe { intrinsics::atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(at, 0, value).1 }
}
