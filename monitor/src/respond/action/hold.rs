//! Throttling and freezing, and the undoing of both.
//!
//! A process is moved into a cgroup of ours that only root can write to, so that
//! its own user cannot undo it. What that takes is planned first ([`Hold`]), so
//! that it can be written down before it is done; what is written down can be
//! undone at any time, by any process that may, whether or not all of it was done.
//!
//! | hierarchy | throttle | freeze |
//! |---|---|---|
//! | unified | `cpu.max` | `cgroup.freeze` |
//! | version 1 | `cpu.cfs_quota_us` | `freezer.state` |
//! | none, or the kernel refuses | SIGSTOP and SIGCONT in turn | SIGSTOP |
//!
//! Where our cgroup is made is decided in `seat`; how it is filled and limited, in
//! `files` and `quota`; `plan`, `apply` and `undo` are the three steps of a
//! hold; `watch` finds out what has escaped, and `escalate` what is done then.
//!
//! With the scope `cgroup` the quota or the freezer of the container's, unit's
//! or scope's own cgroup is set, and what it was is written down. What is set is
//! put back once all processes that were judged there are gone: others live in it,
//! too. Several holds on one cgroup count as one: what the first of them set stays
//! until the last of them ends. What another program sets meanwhile is left alone. A
//! cgroup whose files a user can write is not set: its processes are moved.
//!
//! A cgroup takes process ids, not pidfds. So after a process was moved it is
//! checked once more, with a pidfd held since before; if it is not the one that
//! was judged, the process that was moved is moved back before there is any quota.

mod apply;
mod escalate;
mod files;
mod plan;
mod quota;
mod seat;
mod shared;
mod undo;
mod watch;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use self::{escalate::Rung, watch::Escapes};
pub(super) use self::{files::freeze_folder, undo::resume};

use super::{
    Refusal,
    scope::{Target, no_cgroup},
};
use crate::host::{Image, Member, cgroup::Kind};

/// What the names of our own cgroups begin with.
pub const PREFIX: &str = "unjack-";

/// What is done to which processes, and how it is undone.
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
    /// How far it was escalated.
    #[serde(default)]
    pub rung: Rung,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Processes are moved to a cgroup of ours.
    Moved {
        /// Which kind of hierarchy it is in.
        kind: Kind,
        /// Where the hierarchy is mounted.
        mount: PathBuf,
        /// Our cgroup.
        dir: PathBuf,
        /// The cgroup they were in, and go back to.
        home: PathBuf,
        /// Ours has threads only, as it is below one that has processes.
        threaded: bool,
        /// Which processes.
        members: Vec<Target>,
    },
    /// A file of a cgroup that is not ours is written.
    Set {
        /// Where the hierarchy is mounted.
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
        /// Which process.
        target: Target,
    },
    /// A process is stopped and continued in turn, so that it gets the share of a
    /// core that is left to it.
    Paced {
        /// Which process.
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
    /// All processes it is done to by name.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.means.iter().flat_map(|means| match means {
            Means::Moved { members, .. } => members.as_slice(),
            Means::Stopped { target } | Means::Paced { target } => std::slice::from_ref(target),
            Means::Set { .. } => &[],
        })
    }

    /// The cgroups of ours that it takes.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.means.iter().filter_map(|means| match means {
            Means::Moved { dir, .. } => Some(dir.as_path()),
            _ => None,
        })
    }

    /// The processes that are kept stopped, or stopped and continued in turn.
    pub(super) fn paced(&self) -> impl Iterator<Item = super::Paced> {
        self.means.iter().filter_map(|means| match means {
            Means::Stopped { target } => Some(super::Paced {
                member: target.member,
                image: target.image,
                share: 0.0,
            }),
            Means::Paced { target } => Some(super::Paced {
                member: target.member,
                image: target.image,
                share: self.share.unwrap_or(0.0),
            }),
            _ => None,
        })
    }

    /// The same by signals, for where the kernel does not let us have a cgroup.
    pub(super) fn by_signal(&self) -> Self {
        Self {
            means: self.signals(),
            ..self.clone()
        }
    }

    /// What holds the same processes by signals.
    fn signals(&self) -> Vec<Means> {
        let stop = |target: &Target| match self.share {
            None => Means::Stopped { target: *target },
            Some(_) => Means::Paced { target: *target },
        };
        self.targets().map(stop).collect()
    }
}
