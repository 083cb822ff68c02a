//! Makes a process show another name, as miners in hiding do.
//!
//! Both places that ps reads: the memory of the arguments, which the kernel
//! shows as `/proc/PID/cmdline`, and the thread's name, which is `comm`.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result, bail};

/// Bytes of a thread's name, without the NUL.
const COMM: usize = 15;

/// Shows `title` instead of the arguments and the name. To be called before
/// any thread is started: they inherit the name.
///
/// A title longer than the arguments were is cut to their length.
pub(super) fn set(title: &OsStr) -> Result<()> {
    let title = title.as_bytes();
    let comm = CString::new(&title[..title.len().min(COMM)])
        .context("--title must not hold a NUL byte")?;
    rustix::thread::set_name(&comm).context("cannot set the thread's name")?;

    let (start, end) = arguments()?;
    let room = end - start;
    // One byte stays NUL: without it the kernel takes the environment for a
    // continuation of the arguments.
    let shown = title.len().min(room.saturating_sub(1));
    let area = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that [start, end) is the memory of this
    // process's argument strings: it lies on the initial stack, is writable
    // and stays mapped. No other thread runs yet, and std hands out only
    // copies of the arguments, so no reference into it exists.
    unsafe {
        area.write_bytes(0, room);
        area.copy_from_nonoverlapping(title.as_ptr(), shown);
    }
    Ok(())
}

/// First and one-past-last address of the argument strings.
fn arguments() -> Result<(usize, usize)> {
    let text = fs::read("/proc/self/stat").context("cannot read /proc/self/stat")?;
    // The name in parentheses may hold anything, also spaces and parentheses.
    let after = text
        .iter()
        .rposition(|&byte| byte == b')')
        .context("/proc/self/stat has no name")?;
    let fields = String::from_utf8_lossy(&text[after + 1..]);
    // The first field after the name is number 3; these are 48 and 49.
    let mut fields = fields.split_ascii_whitespace().skip(45);
    let mut next = || fields.next().and_then(|field| field.parse::<usize>().ok());
    match (next(), next()) {
        (Some(start), Some(end)) if 0 < start && start < end => Ok((start, end)),
        _ => bail!("the kernel does not tell where the arguments are"),
    }
}

/// Ends the calling thread, the process's first, and leaves `work` to another.
/// Returns only if that could not be started.
pub(super) fn leave(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .spawn(move || {
            let code = match work() {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("{error:#}");
                    1
                }
            };
            std::process::exit(code);
        })
        .context("cannot start a thread")?;
    // SAFETY: this thread holds nothing that the other one needs: it has moved
    // there. Only the thread ends, not the process.
    unsafe {
        libc::syscall(libc::SYS_exit, 0);
    }
    Ok(())
}
