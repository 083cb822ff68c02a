//! Finding out whether what was done still counts, and doing it again.

use std::path::Path;

use super::{
    Hold, Means, Rung,
    files::{enable, freeze_folder, let_die, list_of, make, place, site_of},
    quota::{carry, is_limited, quota},
    shared::{is_running, is_set},
};
use crate::{
    host::{LookError, cgroup::Kind},
    policy::refusal::Refusal,
    respond::action::{
        Signals, check,
        folders::{Folders, all_processes, ids},
        scope::{Looks, Target},
    },
};

/// How often processes that are held escaped, and were held again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Escapes {
    /// They had left our cgroup.
    pub moved: u32,
    /// Our cgroup was not limited or frozen any more.
    pub reset: u32,
    /// They were stopped, and another process continued them.
    pub continued: u32,
}

impl Escapes {
    /// What each is called in metrics.
    pub const NAMES: [&str; 3] = ["moved", "reset", "continued"];

    /// The numbers, in the order of [`Self::NAMES`].
    #[must_use]
    pub const fn counts(&self) -> [u32; 3] {
        let Self {
            moved,
            reset,
            continued,
        } = *self;
        [moved, reset, continued]
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> u32 {
        let add = |sum: u32, count| sum.saturating_add(count);
        self.counts().into_iter().fold(0, add)
    }
}

impl std::ops::AddAssign for Escapes {
    fn add_assign(&mut self, other: Self) {
        self.moved = self.moved.saturating_add(other.moved);
        self.reset = self.reset.saturating_add(other.reset);
        self.continued = self.continued.saturating_add(other.continued);
    }
}

impl Hold {
    /// Holds again what escaped, and counts it. None if no process it is about is
    /// there any more, or another program has changed what it set. A process in another
    /// of `ours`, of a hold of its own, stays there. A process that was sent SIGKILL
    /// is let end where a freeze would keep it.
    pub(in crate::respond::action) fn keep_up<H>(&self, ours: &[&Path], host: &H) -> Option<Escapes>
    where
        H: Signals + Looks + Folders,
    {
        let (mut escapes, mut here) = (Escapes::default(), false);
        for means in &self.means {
            match means {
                Means::Moved { dir, members, .. } => {
                    here |= ids(host, &list_of(dir, host)).is_ok_and(|ids| !ids.is_empty());
                    let mut there = Vec::with_capacity(members.len());
                    for target in members {
                        match check(target.member, target.image, host) {
                            Ok(()) => there.push(*target),
                            // Reading about it may hang: it may be there.
                            Err(refusal) => here |= refusal == Refusal::Unreadable,
                        }
                    }
                    let members = there;
                    here |= !members.is_empty();
                    if here {
                        escapes += self.keep_in(means, &members, ours, host);
                    }
                }
                // Any other process in there was not judged.
                Means::Set { file, now, .. } => {
                    // An administrator may change a setting; where it is there because
                    // processes escaped, it is defended.
                    let stands = self.stands(host);
                    if !stands && self.rung > Rung::First && host.write(file, now).is_ok() {
                        escapes.reset += 1;
                    }
                    here |= is_running(self.judged, host) && stands;
                    if file.ends_with("freezer.state")
                        && let Some(dir) = file.parent()
                        && let Some(above) = dir.parent()
                        && let Ok(pids) = all_processes(host, dir)
                    {
                        let_die(&pids, above, host);
                    }
                }
                Means::Stopped { target } | Means::Paced { target } => {
                    here |= match host.start_ticks(target.member.pid) {
                        Ok(now) => now == target.member.start_time,
                        // What cannot be looked at may be there.
                        Err(error) => !matches!(error, LookError::Gone),
                    };
                }
            }
        }
        here.then_some(escapes)
    }

    /// Sees to a cgroup of ours and these of its members.
    fn keep_in<H>(&self, means: &Means, members: &[Target], ours: &[&Path], host: &H) -> Escapes
    where
        H: Signals + Looks + Folders,
    {
        let mut escapes = Escapes::default();
        let Means::Moved {
            kind,
            mount,
            dir,
            home,
            threaded,
            ..
        } = means
        else {
            return escapes;
        };
        if !host.exists(dir) && make(dir, *threaded, host).is_err() {
            return escapes;
        }
        let throttle = self.share.is_some();
        if *kind == Kind::Freezer {
            let pids = ids(host, &dir.join("cgroup.procs")).unwrap_or_default();
            let_die(&pids, home, host);
        }
        let stands = match self.share {
            Some(share) => is_limited(*kind, dir, share, host),
            None => is_frozen(dir, host),
        };
        if !stands {
            let done = || match self.share {
                Some(share) => {
                    let mut enabled = Vec::new();
                    if *kind == Kind::Unified {
                        enable(mount, dir.parent().unwrap_or(mount), &mut enabled, host)?;
                    }
                    let share = carry(*kind, dir, home, Some(share), host)?;
                    quota(*kind, dir, share.unwrap_or(0.0), host)
                }
                None => freeze_folder(dir, true, host),
            };
            match done() {
                Ok(()) => escapes.reset += 1,
                Err(error) => tracing::warn!("{}: {error}", dir.display()),
            }
        }
        for target in members {
            let site = site_of(target.member.pid, throttle, host);
            if let Ok(Some(site)) = site
                && !ours.iter().any(|ours| site.dir.starts_with(ours))
                && !(*kind == Kind::Freezer && host.is_killed(target.member.pid))
            {
                // Whether it is in there now, or was moved away again meanwhile.
                if let Err(fault) = place(*target, dir, home, throttle, host) {
                    tracing::debug!("process {}: {fault:?}", target.member.pid);
                }
                escapes.moved += 1;
            }
        }
        escapes
    }
}

/// Whether a cgroup of ours is to be frozen still.
fn is_frozen(dir: &Path, folders: &impl Folders) -> bool {
    let reads = |file: &str| folders.read(&dir.join(file)).ok();
    match (reads("cgroup.freeze"), reads("freezer.state")) {
        (Some(text), _) => text.trim() == "1",
        (None, Some(text)) => is_set("FROZEN", text.trim()),
        (None, None) => false,
    }
}
