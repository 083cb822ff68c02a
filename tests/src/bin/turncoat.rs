//! A process of several threads whose first thread never executes anything: another
//! executes this program anew, again and again. The kernel then ends all others
//! and gives that thread the ids of the first (`de_thread`, fs/exec.c).
//!
//! Usage: turncoat EXECS MILLISECONDS, the CPU time from one to the next.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use anyhow::{Context as _, Result};

/// Threads beside the first and the one that executes.
const OTHERS: usize = 2;

fn main() -> Result<()> {
    let mut numbers = env::args().skip(1).map(|number| number.parse::<u64>());
    let mut number = || numbers.next().context("usage: turncoat EXECS MILLISECONDS");
    let (left, milliseconds) = (number()??, number()??);
    if left == 0 {
        return Ok(());
    }
    for _ in 0..OTHERS {
        thread::spawn(|| burn(Duration::MAX));
    }
    thread::spawn(move || {
        burn(Duration::from_millis(milliseconds));
        let error = Command::new("/proc/self/exe")
            .args([(left - 1).to_string(), milliseconds.to_string()])
            .exec();
        eprintln!("cannot execute this program again: {error}");
        std::process::exit(1);
    });
    burn(Duration::MAX);
    Ok(())
}

fn burn(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        hint::black_box(begun.elapsed());
    }
}
