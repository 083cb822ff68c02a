//! The quota of a cgroup, and the limits that a process takes along.

use std::{io, path::Path};

use super::Means;
use crate::{
    host::cgroup::{Kind, Site},
    respond::action::folders::{Folders, is_gone},
};

/// Microseconds over which a quota counts: the kernel's default.
const PERIOD: u64 = 100_000;
/// Where version 1 has them apart from the quota.
const PERIOD_FILE: &str = "cpu.cfs_period_us";
/// Limits of the unified hierarchy that count for all in a cgroup together: the least
/// of those of the cgroups that a process leaves is given to ours.
const LIMITS: [&str; 4] = ["memory.max", "memory.high", "memory.swap.max", "pids.max"];
/// On which processors and in which memory a cgroup runs: what it is set to, and what
/// counts.
const SETS: [(&str, &str); 2] = [
    ("cpuset.cpus", "cpuset.cpus.effective"),
    ("cpuset.mems", "cpuset.mems.effective"),
];

/// Limits our cgroup to this share of a core.
pub(super) fn quota(kind: Kind, dir: &Path, share: f64, folders: &impl Folders) -> io::Result<()> {
    let (file, text) = (dir.join(quota_file(kind)), quota_text(kind, share, PERIOD));
    if kind == Kind::Unified {
        return folders.write(&file, &text);
    }
    folders.write(&dir.join(PERIOD_FILE), &PERIOD.to_string())?;
    match folders.write(&file, &text) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let share = least_above(dir, share, folders);
            folders.write(&file, &quota_text(kind, share, PERIOD))
        }
        written => written,
    }
}

/// The least of `share` and what those above a version-1 cgroup have: none may
/// have more than the one above it.
fn least_above(dir: &Path, share: f64, folders: &impl Folders) -> f64 {
    let above = dir.ancestors().skip(1);
    let has = above.filter_map(|dir| ratio(Kind::Cpu, dir, folders));
    has.fold(share, f64::min)
}

/// The quota of a cgroup, as a fraction of a core, if it has one.
fn ratio(kind: Kind, dir: &Path, folders: &impl Folders) -> Option<f64> {
    let read = |file: &str| folders.read(&dir.join(file)).ok();
    let mut text = read(quota_file(kind))?;
    if kind != Kind::Unified {
        text.push(' ');
        text += &read(PERIOD_FILE)?;
    }
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
    // "max" and -1 are none.
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn quota_file(kind: Kind) -> &'static str {
    if kind == Kind::Unified {
        "cpu.max"
    } else {
        "cpu.cfs_quota_us"
    }
}

fn quota_text(kind: Kind, share: f64, period: u64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is from 0.01 to 10"
    )]
    let micros = (share * period as f64) as u64;
    if kind == Kind::Unified {
        format!("{micros} {period}")
    } else {
        micros.to_string()
    }
}

/// Gives ours, if it is not below the cgroup that its processes leave, the limits
/// that counted for them there; and says which share of a core is left to them.
pub(super) fn carry(
    kind: Kind,
    dir: &Path,
    home: &Path,
    share: Option<f64>,
    folders: &impl Folders,
) -> io::Result<Option<f64>> {
    let above = dir.parent().unwrap_or(dir);
    let Some(share) = share.filter(|_| above != home) else {
        return Ok(share);
    };
    let left = || home.ancestors().take_while(|dir| *dir != above);
    let share = left()
        .filter_map(|dir| ratio(kind, dir, folders))
        .fold(share, f64::min);
    if kind != Kind::Unified {
        return Ok(Some(share));
    }
    for limit in LIMITS {
        let number = |dir: &Path| -> Option<u64> {
            let text = folders.read(&dir.join(limit)).ok()?;
            // "max" is none.
            text.trim().parse().ok()
        };
        let file = dir.join(limit);
        if let Some(least) = left().filter_map(number).min()
            && folders.read(&file).is_ok()
        {
            folders.write(&file, &least.to_string())?;
        }
    }
    for (set, counts) in SETS {
        let file = dir.join(set);
        if let Ok(counts) = folders.read(&home.join(counts))
            && !counts.trim().is_empty()
            && folders.read(&file).is_ok()
        {
            folders.write(&file, counts.trim())?;
        }
    }
    Ok(Some(share))
}

/// Whether our cgroup has no more than this share of a core.
pub(super) fn is_limited(kind: Kind, dir: &Path, share: f64, folders: &impl Folders) -> bool {
    // A millionth of a core is rounding.
    ratio(kind, dir, folders).is_some_and(|has| has <= share + 1e-6)
}

/// What it takes to hold a whole cgroup, and what was there before. One that has
/// less than the share already keeps that.
pub(super) fn whole(
    site: &Site,
    share: Option<f64>,
    folders: &impl Folders,
) -> io::Result<Vec<Means>> {
    let set = |file: &str, now: Option<String>| -> io::Result<Means> {
        let file = site.dir.join(file);
        let before = match folders.read(&file) {
            // There is no quota yet, as there is no cpu controller.
            Err(error) if is_gone(&error) && site.kind == Kind::Unified && share.is_some() => {
                format!("max {PERIOD}")
            }
            text => text?.trim().to_owned(),
        };
        Ok(Means::Set {
            mount: site.mount.clone(),
            file,
            now: now.unwrap_or_else(|| before.clone()),
            before,
        })
    };
    let Some(share) = share else {
        let (file, now) = match site.kind {
            Kind::Unified => ("cgroup.freeze", "1"),
            _ => ("freezer.state", "FROZEN"),
        };
        return Ok(vec![set(file, Some(now.to_owned()))?]);
    };
    let file = quota_file(site.kind);
    if ratio(site.kind, &site.dir, folders).is_some_and(|has| has <= share) {
        return Ok(vec![set(file, None)?]);
    }
    if site.kind == Kind::Unified {
        return Ok(vec![set(file, Some(quota_text(site.kind, share, PERIOD)))?]);
    }
    let share = least_above(&site.dir, share, folders);
    let before = folders.read(&site.dir.join(PERIOD_FILE))?;
    // A longer one stays: with a shorter one the old quota would be more, for a
    // moment, than it was.
    let period = before.trim().parse().unwrap_or(PERIOD).max(PERIOD);
    Ok(vec![
        set(PERIOD_FILE, Some(period.to_string()))?,
        set(file, Some(quota_text(site.kind, share, period)))?,
    ])
}
