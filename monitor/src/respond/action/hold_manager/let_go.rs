//! Undoing holds: by hand, with their processes, with the daemon.

use std::path::{Path, PathBuf};

use super::Target;
use crate::respond::action::{
    Signals,
    folders::Folders,
    hold::Hold,
    store::{Locked, Store, StoreError},
    transient_stop::TransientStop,
};

/// Lets go by hand: of a process, of what is held in a cgroup, or of all with
/// no `target`. Returns how many processes were held, and how many of those
/// could not be let go.
///
/// # Errors
/// What is held cannot be read or written down.
pub fn release<H: Signals + Folders>(
    store: &Store,
    target: Option<&Target>,
    host: &H,
) -> Result<(usize, usize), StoreError> {
    let about = |hold: &Hold| match target {
        None => true,
        Some(Target::Pid(pid)) => {
            hold.judged.pid == *pid || hold.targets().any(|target| target.member.pid == *pid)
        }
        Some(Target::Cgroup(path)) => hold.cgroup.to_str() == Some(path),
    };
    store.with(|mut locked| {
        let momentary = |moment: &TransientStop| match (target, moment) {
            (None, _) => true,
            (Some(Target::Pid(pid)), TransientStop::Stopped(member)) => member.pid == *pid,
            (Some(_), _) => false,
        };
        let moments = end_moments(&mut locked, host, momentary)?;
        // What holds a cgroup for several is let go for all of them.
        let named = locked.state.holds.iter().filter(|hold| about(hold));
        let named: Vec<Hold> = named.cloned().collect();
        let about = |hold: &Hold| named.iter().any(|one| one == hold || one.shares(hold));
        let found = locked.state.holds.iter().filter(|hold| about(hold)).count() + moments;
        let_go(&mut locked, host, about)?;
        let left = locked.state.holds.iter().filter(|hold| about(hold)).count();
        Ok((found, left))
    })?
}

/// Undoes and forgets some holds; how many are left in all. One that cannot be
/// undone stays written down.
pub(super) fn let_go<H: Signals + Folders>(
    locked: &mut Locked<'_>,
    host: &H,
    which: impl Fn(&Hold) -> bool,
) -> Result<usize, StoreError> {
    let before = locked.state.holds.len();
    let (mut leaving, staying) = std::mem::take(&mut locked.state.holds)
        .into_iter()
        .partition::<Vec<_>, _>(|hold| which(hold));
    leaving.retain(|hold| {
        let pid = hold.judged.pid;
        match hold.undo(&staying, host) {
            Ok(()) => {
                tracing::info!("process {pid} is released");
                false
            }
            Err(error) => {
                tracing::error!(
                    "process {pid} cannot be released: {error}; `unjack release` tries again"
                );
                true
            }
        }
    });
    locked.state.holds = staying;
    locked.state.holds.append(&mut leaving);
    if locked.state.holds.is_empty() {
        // The last that was switched on first: it is below the others.
        for file in std::mem::take(&mut locked.state.enabled).iter().rev() {
            if others_limit(file, host) {
                continue;
            }
            if let Err(error) = host.write(file, "-cpu") {
                tracing::debug!("{}: {error}", file.display());
            }
        }
    }
    let left = locked.state.holds.len();
    if left != before {
        locked.save()?;
    }
    Ok(left)
}

/// Undoes and forgets what was done for a moment: of how many.
pub(super) fn end_moments<H: Signals + Folders>(
    locked: &mut Locked<'_>,
    host: &H,
    which: impl Fn(&TransientStop) -> bool,
) -> Result<usize, StoreError> {
    let (ended, left) = std::mem::take(&mut locked.state.moments)
        .into_iter()
        .partition::<Vec<_>, _>(|moment| which(moment));
    locked.state.moments = left;
    for moment in &ended {
        if let Err(error) = moment.undo(host) {
            tracing::error!("{moment:?} cannot be released: {error}");
            locked.state.moments.push(moment.clone());
        }
    }
    if !ended.is_empty() {
        locked.save()?;
    }
    Ok(ended.len())
}

/// Whether cgroups below were given limits since the controller was switched on
/// for us: they would lose them. Then it stays on, which limits no process.
fn others_limit<H: Folders>(control: &Path, host: &H) -> bool {
    let limits = |dir: PathBuf| {
        let max = host.read(&dir.join("cpu.max")).unwrap_or_default();
        let weight = host.read(&dir.join("cpu.weight")).unwrap_or_default();
        !matches!(max.split_ascii_whitespace().next(), None | Some("max"))
            || !matches!(weight.trim(), "" | "100")
    };
    let below = control.parent().map(|dir| host.below(dir));
    below.is_some_and(|below| below.is_ok_and(|dirs| dirs.into_iter().any(limits)))
}
