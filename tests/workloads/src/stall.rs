//! Holds the lock of the process's own memory for as long as a file is not read.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// By then everything that works has the memory it needs.
const WORKING: Duration = Duration::from_secs(1);
/// How often memory is wanted.
const WANTED: Duration = Duration::from_millis(100);
const PAGE: usize = 4096;

/// Does so from a moment after the work has begun.
///
/// # Errors
///
/// The file cannot be mapped.
pub(super) fn begin(file: &Path) -> Result<()> {
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    // SAFETY: it is mapped where the kernel likes, and nothing refers into it.
    let page = unsafe {
        let (read, shared) = (ProtFlags::READ, MapFlags::SHARED);
        mmap(std::ptr::null_mut(), PAGE, read, shared, &opened, 0).context("cannot map it")?
    };
    let page = page.expose_provenance();
    // Its pages are here before they can only be had by waiting.
    thread::spawn(move || {
        thread::sleep(WORKING);
        let first = std::ptr::with_exposed_provenance::<u8>(page);
        // SAFETY: mapped above, readable, and never unmapped. Who reads it waits.
        let _ = unsafe { first.read_volatile() };
    });
    thread::spawn(|| {
        loop {
            thread::sleep(WANTED);
            let (read, private) = (ProtFlags::READ, MapFlags::PRIVATE);
            // SAFETY: nothing refers to what is mapped where the kernel likes.
            let _ = unsafe {
                mmap_anonymous(std::ptr::null_mut(), PAGE, read, private)
                    .and_then(|page| munmap(page, PAGE))
            };
        }
    });
    Ok(())
}
