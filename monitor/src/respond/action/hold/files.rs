//! The files of the cgroups in which processes are held.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Fault, Means, PREFIX};
use crate::{
    host::cgroup::{Kind, Site},
    policy::refusal::Refusal,
    respond::action::{
        Signals, check,
        folders::{Folders, ids, is_gone, is_threaded},
        scope::{Looks, Target},
        signals,
    },
};

/// Microseconds over which a quota counts: the kernel's default.
const PERIOD: u64 = 100_000;
/// Where version 1 has them apart from the quota.
const PERIOD_FILE: &str = "cpu.cfs_period_us";
/// How long a cgroup may take to be frozen: something in it may be deep in the
/// kernel.
const FREEZE_WAIT: Duration = Duration::from_secs(1);
/// How often a cgroup is emptied before it is given up: who is in it may fork.
const EMPTY_ROUNDS: usize = 50;
/// A process leaves its cgroup a moment after it is seen to have ended.
const EMPTY_PAUSE: Duration = Duration::from_millis(10);

/// Where a process can be held now.
pub(super) fn site_of(
    pid: u32,
    throttle: bool,
    folders: &impl Folders,
) -> io::Result<Option<Site>> {
    let membership = folders.membership(pid)?;
    let site = if throttle {
        folders.layout().cpu(&membership)
    } else {
        folders.layout().freezer(&membership)
    };
    Ok(site)
}

/// Makes our cgroup, ready for processes to be moved to.
pub(super) fn make(
    kind: Kind,
    mount: &Path,
    dir: &Path,
    share: Option<f64>,
    enabled: &mut Vec<PathBuf>,
    folders: &impl Folders,
) -> io::Result<()> {
    match folders.make(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    if kind != Kind::Unified || share.is_none() {
        return Ok(());
    }
    let above = dir.parent().unwrap_or(mount);
    // The root alone may have processes and ordinary cgroups below.
    if above != mount {
        folders.write(&dir.join("cgroup.type"), "threaded")?;
    }
    enable(mount, above, enabled, folders)
}

/// Hands the cpu controller down to what is below this cgroup.
pub(super) fn enable(
    mount: &Path,
    above: &Path,
    enabled: &mut Vec<PathBuf>,
    folders: &impl Folders,
) -> io::Result<()> {
    for file in lacking(mount, above, folders)? {
        folders.write(&file, "+cpu")?;
        enabled.push(file);
    }
    Ok(())
}

/// The files in which that takes a word of ours, from the top: a controller can
/// only be handed on where it is.
pub(super) fn lacking(
    mount: &Path,
    above: &Path,
    folders: &impl Folders,
) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for dir in above.ancestors().take_while(|dir| dir.starts_with(mount)) {
        let file = dir.join("cgroup.subtree_control");
        let has = folders.read(&file)?;
        if !has.split_ascii_whitespace().any(|name| name == "cpu") {
            files.push(file);
        }
    }
    files.reverse();
    Ok(files)
}

/// Moves a process to our cgroup, and makes sure that it was this one.
///
/// Ids are given out in turn. For another process to be moved, the judged one
/// would have to go and all other ids be used up between a check and the very
/// next system call. That is found out right after, before there is a quota or
/// a freeze.
pub(super) fn place<H>(target: Target, dir: &Path, throttle: bool, host: &H) -> Result<(), Fault>
where
    H: Signals + Looks + Folders,
{
    let pid = target.member.pid;
    let held = signals::hold(pid, host)?;
    check(target.member, target.image, host)?;
    host.write(&dir.join("cgroup.procs"), &pid.to_string())
        .map_err(Fault::Kernel)?;
    // If it still is, it was: its id was its own all the while.
    let result = check(target.member, target.image, host);
    let there = site_of(pid, throttle, host).is_ok_and(|site| site.is_some_and(|s| s.dir == *dir));
    match result {
        Ok(()) if there => {
            drop(held);
            Ok(())
        }
        result => {
            // Whichever process it is, it is put back.
            if let Some(above) = dir.parent() {
                let _gone = host.write(&above.join("cgroup.procs"), &pid.to_string());
            }
            result?;
            Err(Refusal::Vanished.into())
        }
    }
}

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

/// Freezes a cgroup and waits until it is, or thaws it.
pub(in crate::respond::action) fn freeze_folder(
    dir: &Path,
    freeze: bool,
    folders: &impl Folders,
) -> io::Result<()> {
    let unified = dir.join("cgroup.freeze");
    if folders.read(&unified).is_ok() {
        folders.write(&unified, if freeze { "1" } else { "0" })?;
    } else {
        let state = if freeze { "FROZEN" } else { "THAWED" };
        folders.write(&dir.join("freezer.state"), state)?;
    }
    let frozen = || {
        let events = folders.read(&dir.join("cgroup.events"));
        let state = folders.read(&dir.join("freezer.state"));
        events.is_ok_and(|text| text.lines().any(|line| line == "frozen 1"))
            || state.is_ok_and(|text| text.trim() == "FROZEN")
    };
    let deadline = Instant::now() + FREEZE_WAIT;
    while freeze && !frozen() && Instant::now() < deadline {
        thread::sleep(EMPTY_PAUSE);
    }
    Ok(())
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

/// The file that lists who is in a cgroup of ours: of a threaded one only the
/// threads can be read.
pub(super) fn list_of(dir: &Path, folders: &impl Folders) -> PathBuf {
    let threaded = is_threaded(folders, dir);
    dir.join(if threaded {
        "cgroup.threads"
    } else {
        "cgroup.procs"
    })
}

/// Moves all processes in our cgroup one up, and removes it.
pub(super) fn dissolve(
    kind: Kind,
    dir: &Path,
    share: Option<f64>,
    folders: &impl Folders,
) -> io::Result<()> {
    let ours = dir
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PREFIX));
    let above = dir
        .parent()
        .filter(|_| ours)
        .ok_or_else(|| io::Error::other(format!("{} is no cgroup of unjack's", dir.display())))?;
    if share.is_none() && kind != Kind::Cpu {
        match freeze_folder(dir, false, folders) {
            Err(error) if is_gone(&error) => return Ok(()),
            thawed => thawed?,
        }
    }
    let list = list_of(dir, folders);
    let to = above.join(list.file_name().unwrap_or_default());
    let mut result = Ok(());
    for _ in 0..EMPTY_ROUNDS {
        let left = match ids(folders, &list) {
            Err(error) if is_gone(&error) => return Ok(()),
            left => left?,
        };
        for id in left {
            match folders.write(&to, &id.to_string()) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                written => result = written,
            }
        }
        match folders.remove(dir) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(EMPTY_PAUSE),
            Err(error) if is_gone(&error) => return Ok(()),
            removed => return removed,
        }
    }
    result.and(Err(io::ErrorKind::ResourceBusy.into()))
}
