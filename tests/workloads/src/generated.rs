//! Code that is generated in memory and run, as engines of scripts do: a loop of
//! additions, which is no hash.

use anyhow::{Context, Result};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

/// Bytes of the mapping.
const SIZE: usize = 4096;
/// `mov ecx, 100000; add eax, ecx; dec ecx; jne -6; ret`.
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0xb9, 0xa0, 0x86, 0x01, 0x00, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xc3,
];
/// `mov w1, #65535; add w0, w0, w1; subs w1, w1, #1; b.ne -8; ret`.
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0xe1, 0xff, 0x9f, 0x52, 0x00, 0x00, 0x01, 0x0b, 0x21, 0x04, 0x00, 0x71, 0xc1, 0xff, 0xff, 0x54,
    0xc0, 0x03, 0x5f, 0xd6,
];

/// The code, for as long as the process lives.
pub(super) struct Generated(extern "C" fn() -> u32);

impl Generated {
    /// Writes it to new memory, which is then made executable.
    pub(super) fn new() -> Result<Self> {
        // SAFETY: a new mapping where the kernel likes; CODE is shorter than it, nothing
        // else knows of it, and it is never unmapped. The code is a function without
        // arguments that returns a word and touches no memory.
        unsafe {
            let memory = mmap_anonymous(
                std::ptr::null_mut(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
            .context("cannot map memory")?;
            std::ptr::copy_nonoverlapping(CODE.as_ptr(), memory.cast(), CODE.len());
            mprotect(memory, SIZE, MprotectFlags::READ | MprotectFlags::EXEC)
                .context("cannot make memory executable")?;
            Ok(Self(std::mem::transmute::<
                *mut std::ffi::c_void,
                extern "C" fn() -> u32,
            >(memory)))
        }
    }

    /// Runs it once: some ten microseconds.
    pub(super) fn run(&self) {
        std::hint::black_box((self.0)());
    }
}
