//! What bans cost those who are not banned: execs a second with a ban in force
//! and images being hashed, beside the same daemon without one, in turn.

use std::{
    ffi::OsStr,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tests::{Daemon, daemon, host};

/// Each round of execs.
const ROUND: Duration = Duration::from_secs(3);
/// Pairs of rounds: the machine's own drift is larger than what is measured.
const PAIRS: usize = 9;
/// For the daemon to notice that there is a ban, or none.
const NOTICE: Duration = Duration::from_secs(10);

/// Prints the loss.
pub(crate) fn bans() -> Result<()> {
    let home = tempfile::tempdir()?;
    let pins = format!("/sys/fs/bpf/unjack-bench-{}", std::process::id());
    let banned = home.path().join("banned");
    std::fs::copy(host::workload(), &banned)?;
    // Nobody burns ten thousand cores: nothing but execs is judged.
    let daemon = Daemon::start(&[
        "--action",
        "kill",
        "--min-cpu",
        "1000000",
        "--ban",
        "1h",
        "--pin-dir",
        &pins,
    ]);
    let mut losses = Vec::new();
    for pair in 0..PAIRS {
        eprintln!("bans: pair {} of {PAIRS}", pair + 1);
        let (mut with, mut without) = (0.0, 0.0);
        // In turn, so that neither always comes second.
        for ban in [pair % 2 == 0, pair % 2 != 0] {
            toggle(&daemon, &pins, ban.then_some(banned.as_os_str()))?;
            let rate = execs()?;
            *(if ban { &mut with } else { &mut without }) = rate;
        }
        losses.push(100.0 * (1.0 - with / without));
        println!("  {without:>8.0} execs a second without, {with:>8.0} with a ban");
    }
    let metrics = daemon.metrics();
    let hashed = metrics.sum("unjack_images_hashed_total", &[("result", "clean")]);
    toggle(&daemon, &pins, None)?;
    ensure!(hashed >= 1.0, "no image was hashed");
    let (least, median, most) = super::spread(losses);
    println!(
        "\nbans: {median:.1} % fewer execs with a ban in force and hashing on \
         ({least:.1} to {most:.1}; {hashed} images hashed)"
    );
    Ok(())
}

/// Bans a file, or lifts all bans, and waits until the daemon knows.
fn toggle(daemon: &Daemon, pins: &str, ban: Option<&OsStr>) -> Result<()> {
    let mut command = daemon::command(&host::unjack());
    command.args(["bans", "--pin-dir", pins]);
    match ban {
        Some(file) => command.arg("add").arg(file),
        None => command.arg("flush"),
    };
    ensure!(command.output()?.status.success(), "{command:?}");
    let expected = f64::from(u8::from(ban.is_some()));
    daemon.wait_metrics("the daemon knows", NOTICE, |metrics| {
        match metrics.sum("unjack_bans", &[]) {
            bans if (bans - expected).abs() < 0.5 => Ok(()),
            bans => Err(format!("{bans} bans")),
        }
    });
    // What it does about it once is not what is measured.
    thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// Execs a second of as many loops as there are processors, twice.
fn execs() -> Result<f64> {
    let (count, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let loops: Vec<_> = (0..2 * thread::available_parallelism()?.get())
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while !stop.load(Ordering::Relaxed) {
                        Command::new("/bin/true").status()?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
        for thread in loops {
            thread.join().ok().context("a thread panicked")??;
        }
        Ok(())
    })?;
    Ok(count.into_inner() as f64 / begun.elapsed().as_secs_f64())
}
