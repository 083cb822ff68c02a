//! Throttling and freezing, and the undoing of both.
//!
//! A process is moved into a cgroup of ours *below* the one it is in, so that
//! every limit it had still counts, it stays in its container and unit, and
//! undoing is moving it one up. What that takes is planned first ([`Hold`]), so
//! that it can be written down before it is done; what is written down can be
//! undone at any time, by anybody, whether or not all of it was done.
//!
//! | tree | throttle | freeze |
//! |---|---|---|
//! | unified | a *threaded* cgroup with `cpu.max`: the only kind the kernel allows below one that has processes | `cgroup.freeze` |
//! | version 1 | `cpu.cfs_quota_us` | `freezer.state` |
//! | none | refused | SIGSTOP |
//!
//! With the scope `cgroup` the quota or the freezer of the container's, unit's
//! or scope's own cgroup is set, and what it was is written down.
//!
//! A cgroup takes process ids, not pidfds. So after a process was moved it is
//! checked once more, with a pidfd held since before; if it is not the one that
//! was judged, whoever was moved is moved back before there is any quota.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    Deed, Order, Refusal, Signal, Signals, check,
    folders::{Folders, ids},
    kill,
    scope::{Looks, Target, World, no_cgroup},
};
use crate::{
    cgroup::{Kind, Site},
    config::Scope,
    host::{Image, Member},
};

/// What the names of our own cgroups begin with.
pub const PREFIX: &str = "unjack-";
/// Microseconds over which a quota counts: the kernel's default.
const PERIOD: u64 = 100_000;
/// How long a cgroup may take to be frozen: something in it may be deep in the
/// kernel.
const FREEZE_WAIT: Duration = Duration::from_secs(1);
/// How often a cgroup is emptied before it is given up: who is in it may fork.
const EMPTY_ROUNDS: usize = 50;
/// A process leaves its cgroup a moment after it is seen to have ended.
const EMPTY_PAUSE: Duration = Duration::from_millis(10);

/// What is done to whom, and how it is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The process that was judged.
    pub judged: Member,
    /// What it executed.
    pub image: Image,
    /// The cgroup it was in, as `/proc/PID/cgroup` has it.
    pub cgroup: PathBuf,
    /// The share of a core that is left to it; none if it is frozen.
    pub share: Option<f64>,
    /// How.
    pub means: Vec<Means>,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Processes are moved to a cgroup of ours.
    Moved {
        /// Which kind of tree it is in.
        kind: Kind,
        /// Where the tree is mounted.
        mount: PathBuf,
        /// Our cgroup; the one above is theirs.
        dir: PathBuf,
        /// Who.
        members: Vec<Target>,
    },
    /// A file of a cgroup that is not ours is written.
    Set {
        /// Where the tree is mounted.
        mount: PathBuf,
        /// The file.
        file: PathBuf,
        /// What is written.
        now: String,
        /// What was there before.
        before: String,
    },
    /// A process is stopped by SIGSTOP.
    Stopped {
        /// Who.
        target: Target,
    },
}

/// Why a hold failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// It must not be.
    Refused(Refusal),
    /// The kernel would not.
    Kernel(io::Error),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => refusal,
            Fault::Kernel(error) => no_cgroup(&error),
        }
    }
}

impl Hold {
    /// The name of our cgroups for it.
    fn folder(judged: Member) -> String {
        format!("{PREFIX}{}-{}", judged.pid, judged.start_time)
    }

    /// What an order takes, without doing any of it, and to how many others it
    /// would be done.
    pub(super) fn plan<H>(order: &Order, world: &World<'_, H>) -> Result<(Self, u32), Refusal>
    where
        H: Signals + Looks + Folders,
    {
        let judged = World::<H>::judged(order);
        let share = match order.deed {
            Deed::Throttle { share } => Some(share),
            Deed::Freeze | Deed::Kill { .. } => None,
        };
        let mut hold = Self {
            judged: judged.member,
            image: judged.image,
            cgroup: PathBuf::new(),
            share,
            means: Vec::new(),
        };
        if order.scope == Scope::Cgroup {
            let (site, targets) = world.cgroup(order)?;
            hold.means = whole(&site, share, world.host).map_err(|error| no_cgroup(&error))?;
            hold.cgroup = site.path;
            return Ok((hold, others(targets.len())));
        }
        check(judged.member, judged.image, world.host)?;
        let targets = if order.scope == Scope::Tree {
            world.tree(order)?
        } else {
            vec![judged]
        };
        for target in targets {
            let site = site_of(target.member.pid, share.is_some(), world.host);
            match site.map(|site| site.map(not_ours)) {
                Ok(Some(site)) => {
                    if target == judged {
                        hold.cgroup.clone_from(&site.path);
                    }
                    hold.move_to(&site, target);
                }
                Ok(None) if share.is_none() => hold.means.push(Means::Stopped { target }),
                Ok(None) if target == judged => return Err(Refusal::NoCgroup),
                Err(_) if target == judged => return Err(Refusal::Unreadable),
                // It went meanwhile, or cannot be throttled where it is.
                _ => {}
            }
        }
        let count = hold.targets().count();
        Ok((hold, others(count)))
    }

    fn move_to(&mut self, site: &Site, target: Target) {
        let below = site.dir.join(Self::folder(self.judged));
        for means in &mut self.means {
            if let Means::Moved { dir, members, .. } = means
                && *dir == below
            {
                members.push(target);
                return;
            }
        }
        self.means.push(Means::Moved {
            kind: site.kind,
            mount: site.mount.clone(),
            dir: below,
            members: vec![target],
        });
    }

    /// The same with SIGSTOP, for where the kernel does not let us have a cgroup.
    pub(super) fn by_signal(&self) -> Self {
        let stop = |target: &Target| Means::Stopped { target: *target };
        let means = self.targets().map(stop).collect();
        Self {
            means,
            ..self.clone()
        }
    }

    /// Everybody it is done to by name.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.means.iter().flat_map(|means| match means {
            Means::Moved { members, .. } => members.as_slice(),
            Means::Stopped { target } => std::slice::from_ref(target),
            Means::Set { .. } => &[],
        })
    }

    /// Does it. `enabled` takes the files in which the cpu controller was
    /// switched on for it. What was done is to be undone if this fails.
    pub(super) fn apply<H>(&self, host: &H, enabled: &mut Vec<PathBuf>) -> Result<(), Fault>
    where
        H: Signals + Looks + Folders,
    {
        for means in &self.means {
            if host.is_cancelled() {
                return Err(Refusal::Cancelled.into());
            }
            match means {
                Means::Moved {
                    kind,
                    mount,
                    dir,
                    members,
                } => {
                    make(*kind, mount, dir, self.share, enabled, host).map_err(Fault::Kernel)?;
                    for target in members {
                        match place(*target, dir, self.share.is_some(), host) {
                            // It went, and the judged one has no part in it.
                            Err(Fault::Refused(_)) if target.member != self.judged => {}
                            placed => placed?,
                        }
                    }
                    match self.share {
                        Some(share) => quota(*kind, dir, share, host).map_err(Fault::Kernel)?,
                        None => freeze_folder(dir, true, host).map_err(Fault::Kernel)?,
                    }
                }
                Means::Set {
                    mount, file, now, ..
                } => {
                    let above = file.parent().and_then(Path::parent).unwrap_or(mount);
                    if host.read(file).is_err() {
                        enable(mount, above, enabled, host).map_err(Fault::Kernel)?;
                    }
                    host.write(file, now).map_err(Fault::Kernel)?;
                }
                Means::Stopped { target } => match stop(*target, host) {
                    Err(_) if target.member != self.judged => {}
                    stopped => stopped?,
                },
            }
        }
        Ok(())
    }

    /// Undoes it, as much of it as was done; doing so again does no harm.
    pub(super) fn undo<H: Signals + Folders>(&self, host: &H) -> io::Result<()> {
        let mut result = Ok(());
        for means in &self.means {
            let undone = match means {
                Means::Moved { kind, dir, .. } => dissolve(*kind, dir, self.share, host),
                Means::Set { file, before, .. } => match host.write(file, before) {
                    // The cgroup is gone, and all in it.
                    Err(error) if is_gone(&error) => Ok(()),
                    written => written,
                },
                Means::Stopped { target } => resume(*target, host),
            };
            result = result.and(undone);
        }
        result
    }

    /// Moves back whoever left our cgroup for another, as root in a container
    /// can: how many. None if nobody it is about is there any more.
    pub(super) fn keep_up<H>(&self, host: &H) -> Option<u32>
    where
        H: Signals + Looks + Folders,
    {
        let (mut moved, mut here) = (0, false);
        for means in &self.means {
            match means {
                Means::Moved { dir, members, .. } => {
                    here |= ids(host, &list_of(dir, host)).is_ok_and(|ids| !ids.is_empty());
                    for target in members {
                        if check(target.member, target.image, host).is_err() {
                            continue;
                        }
                        here = true;
                        let throttle = self.share.is_some();
                        let site = site_of(target.member.pid, throttle, host);
                        if let Ok(Some(site)) = site
                            && !site.dir.starts_with(dir)
                            && place(*target, dir, throttle, host).is_ok()
                        {
                            moved += 1;
                        }
                    }
                }
                Means::Set { file, .. } => here |= host.read(file).is_ok(),
                Means::Stopped { target } => {
                    let alive = host.identify(target.member.pid);
                    here |= alive.is_ok_and(|now| now.start_ticks == target.member.start_time);
                }
            }
        }
        here.then_some(moved)
    }
}

/// How many of these are not the judged one.
fn others(all: usize) -> u32 {
    u32::try_from(all.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// A process that is in a cgroup of ours, with or for another, is moved to one
/// beside it, not below.
fn not_ours(site: Site) -> Site {
    let ours = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.starts_with(PREFIX)
            .then(|| path.parent().map(Path::to_owned))?
    };
    match (ours(&site.path), ours(&site.dir)) {
        (Some(path), Some(dir)) => Site { dir, path, ..site },
        _ => site,
    }
}

/// Where a process can be held now.
fn site_of(pid: u32, throttle: bool, folders: &impl Folders) -> io::Result<Option<Site>> {
    let membership = folders.membership(pid)?;
    let site = if throttle {
        folders.layout().cpu(&membership)
    } else {
        folders.layout().freezer(&membership)
    };
    Ok(site)
}

/// Makes our cgroup, ready for processes to be moved to.
fn make(
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
fn enable(
    mount: &Path,
    above: &Path,
    enabled: &mut Vec<PathBuf>,
    folders: &impl Folders,
) -> io::Result<()> {
    let mut files: Vec<PathBuf> = above
        .ancestors()
        .take_while(|dir| dir.starts_with(mount))
        .map(|dir| dir.join("cgroup.subtree_control"))
        .collect();
    // From the top: a controller can only be handed on where it is.
    files.reverse();
    for file in files {
        let has = folders.read(&file)?;
        if !has.split_ascii_whitespace().any(|name| name == "cpu") {
            folders.write(&file, "+cpu")?;
            enabled.push(file);
        }
    }
    Ok(())
}

/// Moves a process to our cgroup, and makes sure that it was this one.
fn place<H>(target: Target, dir: &Path, throttle: bool, host: &H) -> Result<(), Fault>
where
    H: Signals + Looks + Folders,
{
    let pid = target.member.pid;
    let held = kill::hold(pid, host)?;
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
            // Whoever it is, it is put back.
            if let Some(above) = dir.parent() {
                let _gone = host.write(&above.join("cgroup.procs"), &pid.to_string());
            }
            result?;
            Err(Refusal::Vanished.into())
        }
    }
}

/// Limits our cgroup to this share of a core.
fn quota(kind: Kind, dir: &Path, share: f64, folders: &impl Folders) -> io::Result<()> {
    let (file, text) = quota_text(kind, share);
    if kind == Kind::Unified {
        return folders.write(&dir.join(file), &text);
    }
    folders.write(&dir.join("cpu.cfs_period_us"), &PERIOD.to_string())?;
    match folders.write(&dir.join(file), &text) {
        // In version 1 none may have more than the one above it.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let least = dir
                .ancestors()
                .skip(1)
                .filter_map(|dir| ratio(dir, folders));
            let share = least.fold(share, f64::min);
            let (file, text) = quota_text(kind, share);
            folders.write(&dir.join(file), &text)
        }
        written => written,
    }
}

/// The quota of a version-1 cgroup, as a fraction of a core, if it has one.
fn ratio(dir: &Path, folders: &impl Folders) -> Option<f64> {
    let number =
        |file: &str| -> Option<f64> { folders.read(&dir.join(file)).ok()?.trim().parse().ok() };
    let (quota, period) = (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn quota_text(kind: Kind, share: f64) -> (&'static str, String) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is from 0.01 to 10"
    )]
    let micros = (share * PERIOD as f64) as u64;
    if kind == Kind::Unified {
        ("cpu.max", format!("{micros} {PERIOD}"))
    } else {
        ("cpu.cfs_quota_us", micros.to_string())
    }
}

/// Freezes a cgroup and waits until it is, or thaws it.
pub(super) fn freeze_folder(dir: &Path, freeze: bool, folders: &impl Folders) -> io::Result<()> {
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

/// What it takes to hold a whole cgroup, and what was there before.
fn whole(site: &Site, share: Option<f64>, folders: &impl Folders) -> io::Result<Vec<Means>> {
    let set = |file: &str, now: String| -> io::Result<Means> {
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
            now,
            before,
        })
    };
    let Some(share) = share else {
        let (file, now) = match site.kind {
            Kind::Unified => ("cgroup.freeze", "1"),
            _ => ("freezer.state", "FROZEN"),
        };
        return Ok(vec![set(file, now.to_owned())?]);
    };
    let (file, now) = quota_text(site.kind, share);
    let mut means = Vec::new();
    if site.kind == Kind::Cpu {
        means.push(set("cpu.cfs_period_us", PERIOD.to_string())?);
    }
    means.push(set(file, now)?);
    Ok(means)
}

/// The file that lists who is in a cgroup of ours: of a threaded one only the
/// threads can be read.
fn list_of(dir: &Path, folders: &impl Folders) -> PathBuf {
    let kind = folders.read(&dir.join("cgroup.type")).unwrap_or_default();
    let threaded = kind.trim() == "threaded";
    dir.join(if threaded {
        "cgroup.threads"
    } else {
        "cgroup.procs"
    })
}

/// Moves everybody in our cgroup one up, and removes it.
fn dissolve(kind: Kind, dir: &Path, share: Option<f64>, folders: &impl Folders) -> io::Result<()> {
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

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

fn stop<S: Signals>(target: Target, signals: &S) -> Result<(), Fault> {
    let held = kill::hold(target.member.pid, signals)?;
    check(target.member, target.image, signals)?;
    kill::send(&held, Signal::Stop, signals)?;
    Ok(())
}

/// Lets a process go on that was stopped, whatever it executes now.
fn resume<S: Signals>(target: Target, signals: &S) -> io::Result<()> {
    let held = match signals.hold(target.member.pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        held => held?,
    };
    match signals.identify(target.member.pid) {
        Ok(now) if now.start_ticks == target.member.start_time => {
            signals.send(&held, Signal::Continue)
        }
        // Its id is another's by now.
        _ => Ok(()),
    }
}
