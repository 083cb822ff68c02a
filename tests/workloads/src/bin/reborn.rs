//! The workload program, with a second life: on SIGTERM it executes the program
//! that `REBORN_AS` names, with its own arguments, in the same process. A miner
//! that must die cleans up after itself; this one is what a hostile one does
//! with the grace that it is given.

use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use anyhow::{Context, Result, ensure};

/// The next program, and its arguments with the NULL at the end; set once,
/// never freed.
static PROGRAM: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
static ARGUMENTS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

extern "C" fn reborn(_signal: c_int) {
    // SAFETY: both are set before this handler is installed, stay valid for
    // ever, and execv may be called in a handler (signal-safety(7)).
    unsafe {
        libc::execv(
            PROGRAM.load(Ordering::Relaxed),
            ARGUMENTS.load(Ordering::Relaxed),
        );
    }
}

fn main() -> Result<()> {
    let program = std::env::var_os("REBORN_AS").context("REBORN_AS is not set")?;
    let program = CString::new(program.into_vec())?.into_raw();
    let mut arguments = std::env::args_os()
        .map(|argument| Ok(CString::new(argument.into_vec())?.into_raw().cast_const()))
        .collect::<Result<Vec<_>>>()?;
    arguments.push(ptr::null());
    PROGRAM.store(program, Ordering::Relaxed);
    ARGUMENTS.store(arguments.leak().as_mut_ptr(), Ordering::Relaxed);
    let handler: extern "C" fn(c_int) = reborn;
    // SAFETY: the action is all zeroes but for a handler of the right type and
    // a flag; zeroes are an empty mask. SA_NODEFER: the signal must not stay
    // blocked in the next program.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_NODEFER;
        libc::sigaction(libc::SIGTERM, &raw const action, ptr::null_mut())
    };
    ensure!(installed == 0, "cannot handle SIGTERM");
    workloads::main()
}
