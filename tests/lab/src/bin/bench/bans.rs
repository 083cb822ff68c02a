//! What bans cost those who are not banned: `stress-ng --exec 4` beside a daemon
//! with a ban in force that hashes what is executed, and with no daemon at all,
//! in turn.
//!
//! By the wall clock that is execs a second, of which a shared machine gives now
//! more and now less; by stress-ng's own CPU time it is steadier, but leaves out
//! what the daemon does beside it. Both are printed, with an interval.

use std::{path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::pins::Pins;
use tests::{Daemon, daemon, host};

/// Each round of execs, in seconds.
const ROUND: u32 = 4;
/// Pairs of rounds: the machine's own drift is larger than what is measured.
const PAIRS: usize = 16;
/// The median of so many lies between the values of these ranks (from 0) with
/// 97.9 % certainty, however they are distributed: 1 - 2 P(B(16, 1/2) <= 3).
const INTERVAL: (usize, usize) = (4, PAIRS - 5);
/// For the daemon to notice that there is a ban.
const NOTICE: Duration = Duration::from_secs(10);

/// Execs a second, by two clocks.
#[derive(Clone, Copy, Debug)]
struct Rates {
    wall: f64,
    cpu: f64,
}

/// Prints the loss.
pub(crate) fn bans() -> Result<()> {
    let home = tempfile::tempdir()?;
    let pins = Pins::beside(&home);
    let (mut wall, mut cpu, mut hashed) = (Vec::new(), Vec::new(), 0.0);
    for pair in 0..PAIRS {
        eprintln!("bans: pair {} of {PAIRS}", pair + 1);
        let (mut with, mut without) = (None, None);
        // In turn, so that neither always comes second.
        for ban in [pair % 2 == 0, pair % 2 != 0] {
            if ban {
                let (rates, images) = beside(home.path(), pins.arg())?;
                with = Some(rates);
                hashed += images;
            } else {
                without = Some(execs(home.path())?);
            }
        }
        let (with, without) = with.zip(without).context("both were measured")?;
        wall.push(100.0 * (1.0 - with.wall / without.wall));
        cpu.push(100.0 * (1.0 - with.cpu / without.cpu));
        println!(
            "  {:>6.0} execs a second without, {:>6.0} with; {:>6.0} and {:>6.0} a CPU second",
            without.wall, with.wall, without.cpu, with.cpu
        );
    }
    ensure!(hashed >= 1.0, "no image was hashed");
    println!("\nbans: execs lost with a ban in force and hashing on, {hashed} images hashed");
    for (name, mut losses) in [("by the wall clock", wall), ("by CPU time", cpu)] {
        losses.sort_by(f64::total_cmp);
        println!(
            "  {name}: {:.1} %, median of {PAIRS} pairs (97.9 % certain: {:.1} to {:.1})",
            f64::midpoint(losses[PAIRS / 2 - 1], losses[PAIRS / 2]),
            losses[INTERVAL.0],
            losses[INTERVAL.1]
        );
    }
    Ok(())
}

/// The same beside a daemon that has banned something and looks for digests of
/// what is executed; and how many images that hashed.
fn beside(home: &Path, pins: &str) -> Result<(Rates, f64)> {
    let (banned, list) = (home.join("banned"), home.join("deny"));
    std::fs::copy(host::workload(), &banned)?;
    std::fs::write(&list, format!("{} none\n", "0".repeat(64)))?;
    let list = list.to_str().context("UTF-8")?;
    // No host burns ten thousand cores: nothing but execs is judged.
    let daemon = Daemon::start(&[
        "--action",
        "kill",
        "--min-cpu",
        "1000000",
        "--ban",
        "1h",
        "--pin-dir",
        pins,
        "--deny-file",
        list,
    ]);
    let bans = |args: &[&str]| -> Result<()> {
        let mut command = daemon::command(&host::unjack());
        command.args(["bans", "--pin-dir", pins]).args(args);
        ensure!(command.output()?.status.success(), "{command:?}");
        Ok(())
    };
    bans(&["add", banned.to_str().context("UTF-8")?])?;
    daemon.wait_metrics("the daemon knows", NOTICE, |metrics| {
        match metrics.sum("unjack_bans", &[]) {
            1.0 => Ok(()),
            bans => Err(format!("{bans} bans")),
        }
    });
    // What it does about it once is not what is measured.
    thread::sleep(Duration::from_secs(1));
    let rates = execs(home)?;
    let hashed = daemon.metrics().sum("unjack_images_hashed_total", &[]);
    bans(&["flush"])?;
    Ok((rates, hashed))
}

/// Execs a second of stress-ng's four loops.
fn execs(home: &Path) -> Result<Rates> {
    let dir = tempfile::tempdir_in(home)?;
    // Its exec stressor refuses to run as root.
    rustix::fs::chown(dir.path(), Some(rustix::fs::Uid::from_raw(NOBODY)), None)?;
    for open in [home, dir.path()] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(open, mode)?;
    }
    let report = dir.path().join("report");
    let output = Command::new("setpriv")
        .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}")])
        .args(["--clear-groups", "stress-ng", "--exec", "4", "--quiet"])
        .args(["--timeout", &format!("{ROUND}s"), "--metrics", "--yaml"])
        .arg(&report)
        .arg("--temp-path")
        .arg(dir.path())
        .current_dir(dir.path())
        .output()
        .context("setpriv and stress-ng: `cargo xtask setup --tests` installs them")?;
    ensure!(output.status.success(), "stress-ng: {output:?}");
    let text = std::fs::read_to_string(&report)?;
    let rate = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        let value = line.with_context(|| format!("no {name} in {text}"))?;
        Ok(value.trim().parse()?)
    };
    Ok(Rates {
        wall: rate("bogo-ops-per-second-real-time:")?,
        cpu: rate("bogo-ops-per-second-usr-sys-time:")?,
    })
}

/// The user `nobody`.
const NOBODY: u32 = 65534;
