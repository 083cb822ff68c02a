//! What is done for a moment only: a process stopped while it is read, a cgroup
//! frozen while it is ended. It is written down like a hold, so that a daemon
//! that is killed within that moment leaves nobody stopped for good: the next
//! one, or `unjack release`, lets go.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Signals,
    folders::Folders,
    hold::{freeze_folder, is_gone, resume},
    keeper::Keeper,
};
use crate::host::Member;

/// Somebody who does not run for a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// A process is stopped by SIGSTOP.
    Stopped(Member),
    /// A cgroup is frozen; its folder.
    Frozen(PathBuf),
}

impl Moment {
    /// Lets go of whoever is there still.
    pub(super) fn undo<H: Signals + Folders>(&self, host: &H) -> io::Result<()> {
        match self {
            Self::Stopped(member) => resume(*member, host),
            Self::Frozen(dir) => match freeze_folder(dir, false, host) {
                Err(error) if is_gone(&error) => Ok(()),
                thawed => thawed,
            },
        }
    }
}

/// A moment that is written down until it is said to be over.
#[derive(Debug)]
#[must_use]
pub struct Noted<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) moment: Moment,
}

impl Noted<'_> {
    /// It is forgotten once whoever it was runs again, or is gone; else it stays
    /// written down for whoever tries next.
    pub(super) fn over(&self, undone: io::Result<()>) {
        match undone {
            Err(error) if !is_gone(&error) && error.raw_os_error() != Some(libc::ESRCH) => {
                tracing::error!(
                    "{:?} cannot be let go: {error}; `unjack release --all` tries again",
                    self.moment
                );
            }
            _ => self.keeper.forget(&self.moment),
        }
    }
}
