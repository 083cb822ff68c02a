//! What is done for a moment only: a process stopped while it is read, a cgroup
//! frozen while it is ended. It is written down like a hold, so that a daemon
//! that is killed within that moment leaves no process stopped for good: the next
//! one, or `unjack release`, lets go.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Signals,
    folders::{Folders, is_gone},
    hold::{freeze_folder, resume},
};
use crate::host::Member;

/// A process or a cgroup that does not run for a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransientStop {
    /// A process is stopped by SIGSTOP.
    Stopped(Member),
    /// A cgroup is frozen; its folder.
    Frozen(PathBuf),
}

impl TransientStop {
    /// Lets go of the process or the cgroup, if it is still there.
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
