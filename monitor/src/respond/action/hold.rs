//! Throttling and freezing, and the undoing of both.
//!
//! A process is moved into a cgroup of ours *below* the one it is in, so that
//! every limit it had still counts, it stays in its container and unit, and
//! undoing is moving it one up. What that takes is planned first ([`Hold`]), so
//! that it can be written down before it is done; what is written down can be
//! undone at any time, by any process that may, whether or not all of it was done.
//!
//! | tree | throttle | freeze |
//! |---|---|---|
//! | unified | a *threaded* cgroup with `cpu.max`: the only kind the kernel allows below one that has processes | `cgroup.freeze` |
//! | version 1 | `cpu.cfs_quota_us` | `freezer.state` |
//! | none | refused | SIGSTOP |
//!
//! With the scope `cgroup` the quota or the freezer of the container's, unit's
//! or scope's own cgroup is set, and what it was is written down. What is set is
//! put back once all processes that were judged there are gone: others live in it,
//! too. Several holds on one cgroup count as one: what the first of them set stays
//! until the last of them ends. What another program sets meanwhile is left alone.
//!
//! A cgroup takes process ids, not pidfds. So after a process was moved it is
//! checked once more, with a pidfd held since before; if it is not the one that
//! was judged, the process that was moved is moved back before there is any quota.

mod files;
mod shared;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(super) use self::files::freeze_folder;
use self::{
    files::{dissolve, enable, lacking, list_of, make, place, quota, site_of, whole},
    shared::{is_running, is_set},
};

use super::{
    ActionKind, ActionRequest, Refusal, Signal, Signals, check,
    folders::{Folders, ids, is_gone},
    scope::{Looks, Target, World, no_cgroup},
    signals,
};
use crate::{
    host::{
        Image, LookError, Member,
        cgroup::{Kind, Site},
    },
    policy::config::Scope,
};

/// What the names of our own cgroups begin with.
pub const PREFIX: &str = "unjack-";

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
    pub(super) fn plan<H>(
        order: &ActionRequest,
        world: &World<'_, H>,
    ) -> Result<(Self, u32), Refusal>
    where
        H: Signals + Looks + Folders,
    {
        let judged = World::<H>::judged(order);
        let share = match order.deed {
            ActionKind::Throttle { share } => Some(share),
            ActionKind::Freeze | ActionKind::Kill { .. } => None,
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

    /// All processes it is done to by name.
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

    /// The files in which the cpu controller is yet to be switched on for it.
    pub(super) fn lacks(&self, host: &impl Folders) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for means in &self.means {
            let (mount, above) = match means {
                Means::Moved {
                    kind: Kind::Unified,
                    mount,
                    dir,
                    ..
                } if self.share.is_some() => (mount, dir.parent()),
                Means::Set { mount, file, .. } if host.read(file).is_err() => {
                    (mount, file.parent().and_then(Path::parent))
                }
                _ => continue,
            };
            for file in lacking(mount, above.unwrap_or(mount), host)? {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }

    /// The cgroups of ours that it takes.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.means.iter().filter_map(|means| match means {
            Means::Moved { dir, .. } => Some(dir.as_path()),
            _ => None,
        })
    }

    /// Undoes it, as much of it as was done; doing so again does no harm. What
    /// one of `others` needs, which go on, stays.
    pub(super) fn undo<H>(&self, others: &[Self], host: &H) -> io::Result<()>
    where
        H: Signals + Folders,
    {
        let mut stays = others.iter().any(|other| other.shares(self));
        let mut result = Ok(());
        // The last first: no quota is for a moment one of a shorter period.
        for means in self.means.iter().rev() {
            let undone = match means {
                Means::Moved { kind, dir, .. } => dissolve(*kind, dir, self.share, host),
                Means::Set { .. } if stays => Ok(()),
                Means::Set {
                    file, now, before, ..
                } => match host.read(file) {
                    // The cgroup is gone, and all in it.
                    Err(error) if is_gone(&error) => Ok(()),
                    // It was not written yet, or is put back; or another program
                    // set another since, or made a cgroup of the same name. That is
                    // left alone, and a quota's period with it.
                    Ok(text) if !is_set(now, text.trim()) => {
                        stays = text.trim() != before;
                        Ok(())
                    }
                    _ => host.write(file, before),
                },
                Means::Stopped { target } => resume(target.member, host),
            };
            result = result.and(undone);
        }
        result
    }

    /// Moves back processes that left our cgroup for another, as root in a
    /// container can, and returns how many. None if no process it is about is there
    /// any more, or another program has changed what it set. A process in another
    /// of `ours`, of a hold of its own, stays there.
    pub(super) fn keep_up<H>(&self, ours: &[&Path], host: &H) -> Option<u32>
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
                            && !ours.iter().any(|ours| site.dir.starts_with(ours))
                            && place(*target, dir, throttle, host).is_ok()
                        {
                            moved += 1;
                        }
                    }
                }
                // Any other process in there was not judged.
                Means::Set { .. } => here |= is_running(self.judged, host) && self.stands(host),
                Means::Stopped { target } => {
                    here |= match host.start_ticks(target.member.pid) {
                        Ok(now) => now == target.member.start_time,
                        // Who cannot be looked at may be there.
                        Err(error) => !matches!(error, LookError::Gone),
                    };
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

fn stop<S: Signals>(target: Target, signals: &S) -> Result<(), Fault> {
    let held = signals::hold(target.member.pid, signals)?;
    check(target.member, target.image, signals)?;
    signals::send(&held, Signal::Stop, signals)?;
    Ok(())
}

/// Lets a process go on that was stopped, whatever it executes now.
pub(super) fn resume<S: Signals>(member: Member, signals: &S) -> io::Result<()> {
    let held = match signals::hold(member.pid, signals) {
        Err(Refusal::Vanished) => return Ok(()),
        held => held.map_err(|refusal| io::Error::other(refusal.name()))?,
    };
    match signals.start_ticks(member.pid) {
        Ok(now) if now == member.start_time => signals.send(&held, Signal::Continue),
        // Its id is another's by now.
        Ok(_) | Err(LookError::Gone) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}
