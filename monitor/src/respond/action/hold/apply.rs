//! Doing what was planned.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Fault, Hold, Means,
    files::{enable, freeze_folder, lacking, make, place},
    quota::{carry, quota},
};
use crate::{
    host::cgroup::Kind,
    policy::refusal::Refusal,
    respond::action::{
        Signal, Signals, check,
        folders::Folders,
        scope::{Looks, Target},
        signals,
    },
};

impl Hold {
    /// Does it. `enabled` takes the files in which the cpu controller was
    /// switched on for it. What was done is to be undone if this fails.
    pub(in crate::respond::action) fn apply<H>(
        &self,
        host: &H,
        enabled: &mut Vec<PathBuf>,
    ) -> Result<(), Fault>
    where
        H: Signals + Looks + Folders,
    {
        self.means
            .iter()
            .try_for_each(|means| self.apply_one(means, host, enabled))
    }

    /// Does one thing of it.
    pub(super) fn apply_one<H>(
        &self,
        means: &Means,
        host: &H,
        enabled: &mut Vec<PathBuf>,
    ) -> Result<(), Fault>
    where
        H: Signals + Looks + Folders,
    {
        if host.is_cancelled() {
            return Err(Refusal::Cancelled.into());
        }
        // It went, and the judged one has no part in it.
        let others_end = |target: &Target, done: Result<(), Fault>| match done {
            Err(Fault::Refused(_)) if target.member != self.judged => Ok(()),
            done => done,
        };
        match means {
            Means::Moved {
                kind,
                mount,
                dir,
                home,
                threaded,
                members,
            } => {
                make(dir, *threaded, host).map_err(Fault::Kernel)?;
                if *kind == Kind::Unified && self.share.is_some() {
                    let above = dir.parent().unwrap_or(mount);
                    enable(mount, above, enabled, host).map_err(Fault::Kernel)?;
                }
                let share = carry(*kind, dir, home, self.share, host).map_err(Fault::Kernel)?;
                for target in members {
                    let placed = place(*target, dir, home, self.share.is_some(), host);
                    others_end(target, placed)?;
                }
                match share {
                    Some(share) => quota(*kind, dir, share, host),
                    None => freeze_folder(dir, true, host),
                }
                .map_err(Fault::Kernel)
            }
            Means::Set {
                mount, file, now, ..
            } => {
                let above = file.parent().and_then(Path::parent).unwrap_or(mount);
                if host.read(file).is_err() {
                    enable(mount, above, enabled, host).map_err(Fault::Kernel)?;
                }
                host.write(file, now).map_err(Fault::Kernel)
            }
            Means::Stopped { target } => others_end(target, stop(*target, host)),
            // By the thread that stops and continues it, once this is written down.
            Means::Paced { target } => {
                let checked = check(target.member, target.image, host);
                others_end(target, checked.map_err(Fault::from))
            }
        }
    }

    /// The files in which the cpu controller is yet to be switched on for it.
    pub(in crate::respond::action) fn lacks(
        &self,
        host: &impl Folders,
    ) -> io::Result<Vec<PathBuf>> {
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
}

fn stop<S: Signals>(target: Target, signals: &S) -> Result<(), Fault> {
    let held = signals::hold(target.member.pid, signals)?;
    check(target.member, target.image, signals)?;
    signals::send(&held, Signal::Stop, signals)?;
    Ok(())
}
