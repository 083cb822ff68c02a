//! Processes in whose `/proc` folders reads hang: each works for a moment, opens a file
//! and executes another program. The kernel closes the file then, and asks its file
//! system; until that answers, it holds the lock that most of the folder is read under
//! (`begin_new_exec`, fs/exec.c).
//!
//! Usage: hanger FILE COUNT. COUNT is 0 for the one process that does so itself.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use anyhow::{Context as _, Result};

/// What each works before: a little more than it takes to be sampled.
const WORK: Duration = Duration::from_millis(150);

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let file = args.next().context("usage: hanger FILE COUNT")?;
    let count: u32 = args.next().context("usage: hanger FILE COUNT")?.parse()?;
    if count == 0 {
        return hang(&file);
    }
    for _ in 0..count {
        let mut child = Command::new("/proc/self/exe");
        child.args([file.as_str(), "0"]).spawn()?;
        // As fast as two processors can do it.
        thread::sleep(WORK / 2);
    }
    loop {
        thread::park();
    }
}

fn hang(file: &str) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < WORK {
        hint::black_box(begun.elapsed());
    }
    // Closed by an exec, as Rust opens all files.
    let _file = File::open(file)?;
    Err(Command::new("/bin/sleep").arg("3600").exec().into())
}
