//! Letting go.

use std::io;

use super::{Hold, Means, files::dissolve, shared::is_set};
use crate::{
    host::{LookError, Member},
    policy::refusal::Refusal,
    respond::action::{
        Signal, Signals,
        folders::{Folders, is_gone},
        signals,
    },
};

impl Hold {
    /// Undoes it, as much of it as was done; doing so again does no harm. What
    /// one of `others` needs, which go on, stays.
    pub(in crate::respond::action) fn undo<H>(&self, others: &[Self], host: &H) -> io::Result<()>
    where
        H: Signals + Folders,
    {
        let mut stays = others.iter().any(|other| other.shares(self));
        let mut result = Ok(());
        // The last first: no quota is for a moment one of a shorter period.
        for means in self.means.iter().rev() {
            let undone = match means {
                Means::Moved {
                    kind,
                    mount,
                    dir,
                    home,
                    ..
                } => {
                    let frozen = self.share.is_none();
                    dissolve(*kind, mount, dir, home, frozen, host)
                }
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
                Means::Stopped { target } | Means::Paced { target } => resume(target.member, host),
            };
            result = result.and(undone);
        }
        result
    }
}

/// Lets a process go on that was stopped, whatever it executes now.
pub(in crate::respond::action) fn resume<S: Signals>(
    member: Member,
    signals: &S,
) -> io::Result<()> {
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
