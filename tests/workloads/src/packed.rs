//! A program whose own code lies in memory without a file, as a packer (UPX) leaves it.

use std::fs;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::mm::{
    MapFlags, MprotectFlags, MremapFlags, ProtFlags, mmap_anonymous, mprotect, mremap_fixed,
};

/// Moves this program's code to memory without a file, under the addresses it has. Once
/// for all threads.
///
/// # Errors
/// The kernel refuses, or no code of this program is found.
pub(super) fn unpack() -> Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| move_code().map_err(|error| format!("{error:#}")));
    done.clone().map_err(anyhow::Error::msg)
}

fn move_code() -> Result<()> {
    let program = fs::read_link("/proc/self/exe").context("cannot find this program")?;
    let maps = fs::read_to_string("/proc/self/maps").context("cannot read the mappings")?;
    let mut moved = 0;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else {
            continue;
        };
        let ours = fields
            .nth(3)
            .is_some_and(|path| program.as_os_str() == path);
        if !ours || !rights.contains('x') {
            continue;
        }
        let address = |text: &str| usize::from_str_radix(text, 16);
        let (from, to) = range.split_once('-').context("a mapping has two ends")?;
        let (from, to) = (address(from)?, address(to)?);
        replace(from, to - from).context("cannot move the code")?;
        moved += 1;
    }
    if moved == 0 {
        bail!("{} has no code mapped", program.display());
    }
    Ok(())
}

/// Puts a copy of this code in its place.
fn replace(from: usize, len: usize) -> rustix::io::Result<()> {
    let code = std::ptr::with_exposed_provenance_mut::<std::ffi::c_void>(from);
    // SAFETY: the range is a mapping of code, which is not written to. The copy is a new
    // mapping that nothing else knows of, and takes the place of the range in one system
    // call: whatever executes there finds the same instructions before and after.
    unsafe {
        let copy = mmap_anonymous(
            std::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )?;
        std::ptr::copy_nonoverlapping(code.cast::<u8>(), copy.cast::<u8>(), len);
        mprotect(copy, len, MprotectFlags::READ | MprotectFlags::EXEC)?;
        mremap_fixed(copy, len, len, MremapFlags::MAYMOVE, code)?;
    }
    Ok(())
}
