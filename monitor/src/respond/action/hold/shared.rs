//! Files of cgroups that are not ours, which several holds may need and any other
//! program may write.

use std::path::Path;

use super::{Hold, Means};
use crate::{
    host::{LookError, Member},
    policy::config::Wanted,
    respond::action::{
        folders::{Folders, all_processes},
        scope::{Looks, Target},
    },
};

impl Hold {
    /// Which files that are not ours it writes, and what.
    fn settings(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.means.iter().filter_map(|means| match means {
            Means::Set { file, now, .. } => Some((file.as_path(), now.as_str())),
            _ => None,
        })
    }

    /// Whether both set the same file.
    pub(in crate::respond::action) fn shares(&self, other: &Self) -> bool {
        let sets = |file: &Path| other.settings().any(|(set, _)| set == file);
        self.settings().any(|(file, _)| sets(file))
    }

    /// Whether all that it set reads so still.
    pub(in crate::respond::action) fn stands(&self, host: &impl Folders) -> bool {
        self.settings().all(|(file, now)| {
            let text = host.read(file);
            text.is_ok_and(|text| is_set(now, text.trim()))
        })
    }

    /// Whether another program has changed all that it did.
    pub(in crate::respond::action) fn is_over(&self, host: &impl Folders) -> bool {
        let set = |means: &Means| matches!(means, Means::Set { .. });
        self.means.iter().all(set) && !self.stands(host)
    }

    /// A cgroup is held once, for however many: what another hold set there is
    /// set, and no state to go back to.
    pub(in crate::respond::action) fn share_with(&mut self, others: &[Self], host: &impl Folders) {
        let same = |other: &&Self| other.shares(self) && other.stands(host);
        if let Some(other) = others.iter().find(same) {
            self.means.clone_from(&other.means);
            self.share = other.share;
        }
    }
}

/// Whether no other processes are in a cgroup, and below it.
pub(super) fn only_has<'a>(
    dir: &Path,
    targets: impl Iterator<Item = &'a Target>,
    folders: &impl Folders,
) -> bool {
    let known: Vec<u32> = targets.map(|target| target.member.pid).collect();
    all_processes(folders, dir).is_ok_and(|pids| pids.iter().all(|pid| known.contains(pid)))
}

/// Whether a process has not ended; one that waits for its parent to notice has.
pub(super) fn is_running(member: Member, host: &impl Looks) -> bool {
    match host.look(member.pid, Wanted::default()) {
        Ok(looked) => looked.start_time == member.start_time && looked.running,
        // Who cannot be looked at may be there.
        Err(error) => !matches!(error, LookError::Gone),
    }
}

/// Whether a file of a cgroup reads as what was written to it.
pub(super) fn is_set(written: &str, text: &str) -> bool {
    text == written || (written, text) == ("FROZEN", "FREEZING")
}
