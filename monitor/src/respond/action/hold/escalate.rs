//! What is done about processes that escape again and again.
//!
//! | from | to | if |
//! |---|---|---|
//! | a cgroup of ours | their whole cgroup ([`Rung::Cgroup`]) | they are alone in it, and it is root's |
//! | a cgroup | SIGSTOP, with SIGCONT in turn for a throttle ([`Rung::Signal`]) | always |
//! | signals | SIGKILL ([`Rung::Kill`]) | `--kill-escaped` |
//!
//! What was done before stays done, and is still done again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Fault, Hold, Means, files::site_of, quota::whole, shared::only_has};
use crate::{
    host::cgroup::{Site, identity::boundary},
    respond::action::{
        Signal, Signals, check,
        folders::Folders,
        scope::{Looks, Target},
        signals,
    },
};

/// How far a hold was escalated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// As it was begun.
    #[default]
    First,
    /// The whole cgroup is held.
    Cgroup,
    /// The processes are stopped by signals.
    Signal,
    /// They were sent SIGKILL.
    Kill,
    /// No more may be done.
    Escaped,
}

impl Rung {
    /// All that a hold can be escalated to.
    pub const ALL: [Self; 4] = [Self::Cgroup, Self::Signal, Self::Kill, Self::Escaped];

    /// Its name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Cgroup => "cgroup",
            Self::Signal => "signal",
            Self::Kill => "kill",
            Self::Escaped => "escaped",
        }
    }
}

impl Hold {
    /// The next rung, and what it takes in addition. With `kill` the last is SIGKILL.
    /// Nothing changes yet.
    pub(in crate::respond::action) fn next<H>(&self, kill: bool, host: &H) -> (Rung, Vec<Means>)
    where
        H: Signals + Looks + Folders,
    {
        let sets = self
            .means
            .iter()
            .any(|means| matches!(means, Means::Set { .. }));
        if self.rung < Rung::Cgroup
            && !sets
            && let Some(means) = self.whole_cgroup(host)
        {
            return (Rung::Cgroup, means);
        }
        if self.rung < Rung::Signal && self.paced().next().is_none() {
            return (Rung::Signal, self.signals());
        }
        if self.rung < Rung::Kill && kill {
            return (Rung::Kill, Vec::new());
        }
        (Rung::Escaped, Vec::new())
    }

    /// What sets the cgroup of the judged process, if only root can undo that and no
    /// other process is in it.
    fn whole_cgroup<H>(&self, host: &H) -> Option<Vec<Means>>
    where
        H: Signals + Looks + Folders,
    {
        let site = site_of(self.judged.pid, self.share.is_some(), host).ok()??;
        let whole_of = |site: &Site| site.above(boundary(site.path.to_str()?)?);
        let site = whole_of(&site).unwrap_or(site);
        // Ours is no cgroup of theirs.
        let ours = self.folders().any(|dir| dir == site.dir);
        let may = !ours
            && site.dir != site.mount
            && host.is_roots(&site.dir)
            && only_has(&site.dir, self.targets(), host);
        may.then(|| whole(&site, self.share, host).ok()).flatten()
    }

    /// Takes the next rung on paper: to be written down before any of it is done.
    pub(in crate::respond::action) fn climb(&mut self, rung: Rung, means: Vec<Means>) {
        self.rung = rung;
        self.means.extend(means);
    }

    /// Does what the rung it has come to takes. `enabled` as in [`Self::apply`].
    pub(in crate::respond::action) fn escalate<H>(
        &self,
        added: &[Means],
        enabled: &mut Vec<PathBuf>,
        host: &H,
    ) -> Result<(), Fault>
    where
        H: Signals + Looks + Folders,
    {
        let done = added
            .iter()
            .try_for_each(|means| self.apply_one(means, host, enabled));
        if self.rung == Rung::Kill {
            // One may be moved and stopped, too.
            let mut targets: Vec<Target> = self.targets().copied().collect();
            targets.sort_by_key(|target| target.member);
            targets.dedup_by_key(|target| target.member);
            for target in targets {
                let killed = kill(target, host);
                if target.member == self.judged {
                    killed?;
                }
            }
        }
        done
    }
}

fn kill<S: Signals>(target: Target, signals: &S) -> Result<(), Fault> {
    let held = signals::hold(target.member.pid, signals)?;
    check(target.member, target.image, signals)?;
    signals::send(&held, Signal::Kill, signals)?;
    Ok(())
}
