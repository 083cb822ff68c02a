//! What is held: written down before it is done, watched, and let go.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    ActionRequest, Refusal, Signals,
    folders::{Folders, is_gone},
    hold::{Fault, Hold},
    scope::{Looks, World},
    store::{Locked, Store, StoreError},
    transient_stop::TransientStop,
};
use crate::host::Member;

/// Processes held at once. Each is a few lines of the file that is rewritten
/// for each of them; a host with more miners than this has other worries.
const MAX_HOLDS: usize = 1024;

/// Throttles and freezes, and remembers.
#[derive(Debug)]
pub struct HoldManager {
    store: Store,
    keep: bool,
    /// What this daemon answers for: done by it, or found when it came.
    ours: Mutex<Vec<Member>>,
    /// The folder is this daemon's while this is open.
    claim: Mutex<Option<File>>,
}

/// What is to be let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A process.
    Pid(u32),
    /// A cgroup, by its path as in `/proc/PID/cgroup`.
    Cgroup(String),
}

/// What is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Throttled.
    pub throttled: usize,
    /// Frozen.
    pub frozen: usize,
    /// Moved back because they had left.
    pub moved_back: u32,
}

impl HoldManager {
    /// One that writes down in `store`. With `keep` nothing is undone but by
    /// order.
    #[must_use]
    pub fn new(store: Store, keep: bool) -> Self {
        Self {
            store,
            keep,
            ours: Mutex::default(),
            claim: Mutex::default(),
        }
    }

    /// Takes over what a daemon before this one left held: undoes it, or keeps
    /// it. The folder stays this daemon's as long as this lives.
    pub fn begin<H: Signals + Folders>(&self, host: &H) {
        if self.store.exists() && self.claim() {
            self.take_over(host);
        }
    }

    /// Makes the folder this daemon's, if it is not another's.
    fn claim(&self) -> bool {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if claim.is_none() {
            match self.store.claim() {
                Ok(None) => tracing::warn!(
                    "another unjack has the same --state-dir and answers for what it holds: \
                     give this one a folder of its own"
                ),
                Ok(file) => *claim = file,
                Err(error) => tracing::error!("what is held is unknown: {error}"),
            }
        }
        claim.is_some()
    }

    fn take_over<H: Signals + Folders>(&self, host: &H) {
        let taken = self.store.with(|mut locked| {
            // There is no request to keep any of these.
            let moments = end_moments(&mut locked, host, |_| true)?;
            if moments > 0 {
                tracing::info!("{moments} that were stopped for a moment go on");
            }
            if !self.keep {
                let all = locked.state.holds.len();
                let left = let_go(&mut locked, host, |_| true)?;
                if all > 0 {
                    tracing::info!("{} of {all} that were held are let go", all - left);
                }
            }
            let held = locked.state.holds.iter().map(|hold| hold.judged);
            self.ours().extend(held);
            Ok(())
        });
        report(taken);
    }

    /// Throttles or freezes; to how many others that is done as well.
    ///
    /// # Errors
    /// It must not be, or cannot be. Then nothing is held.
    pub fn hold<H>(&self, order: &ActionRequest, world: &World<'_, H>) -> Result<u32, Refusal>
    where
        H: Signals + Looks + Folders,
    {
        // Another daemon that starts meanwhile must not undo it.
        if !self.claim() {
            return Err(Refusal::NoState);
        }
        let held = self.store.with(|mut locked| {
            if world.host.is_cancelled() {
                return Err(Refusal::Cancelled);
            }
            let judged = order.judged();
            // By a daemon before this one, or by this one under another image; and
            // what others have set anew is what is gone back to from now on.
            let over = |hold: &Hold| hold.judged == judged || !hold.stands(world.host);
            let left = let_go(&mut locked, world.host, over).map_err(|error| no_state(&error))?;
            if left >= MAX_HOLDS {
                tracing::error!("{MAX_HOLDS} processes are held: no more can be");
                return Err(Refusal::NoState);
            }
            let (mut hold, others) = Hold::plan(order, world)?;
            hold.share_with(&locked.state.holds, world.host);
            match attempt(&mut locked, &hold, world.host) {
                Err(Fault::Kernel(error)) if hold.share.is_none() && hold.targets().count() > 0 => {
                    tracing::debug!("no freezer for {judged:?} ({error}): it is stopped instead");
                    attempt(&mut locked, &hold.by_signal(), world.host)?;
                }
                done => done?,
            }
            self.ours().push(judged);
            Ok(others)
        });
        held.unwrap_or_else(|error| Err(no_state(&error)))
    }

    /// Puts back who left, and forgets who is gone. None if something is being
    /// held or let go just now: that is not waited for.
    pub fn keep_up<H>(&self, host: &H) -> Option<Kept>
    where
        H: Signals + Looks + Folders,
    {
        let mut kept = Kept::default();
        if self.ours().is_empty() {
            return Some(kept);
        }
        let done = self.store.try_with(|mut locked| {
            let mut gone = Vec::new();
            let ours: Vec<&Path> = locked.state.holds.iter().flat_map(Hold::folders).collect();
            for hold in &locked.state.holds {
                match hold.keep_up(&ours, host) {
                    None => gone.push(hold.judged),
                    Some(moved) => {
                        kept.moved_back += moved;
                        match hold.share {
                            Some(_) => kept.throttled += 1,
                            None => kept.frozen += 1,
                        }
                    }
                }
            }
            if !gone.is_empty() {
                let_go(&mut locked, host, |hold| gone.contains(&hold.judged))?;
            }
            // Released by hand, or gone.
            let held = |member: &Member| locked.state.holds.iter().any(|h| h.judged == *member);
            self.ours().retain(held);
            Ok(())
        });
        match done.transpose()? {
            Ok(done) => report(Ok(done)),
            Err(error) => report(Err(error)),
        }
        Some(kept)
    }

    /// Undoes what this daemon answers for, unless it is to be kept.
    pub fn end<H: Signals + Folders>(&self, host: &H) {
        let claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        // Without it nothing was ever held.
        if self.keep || claim.is_none() {
            return;
        }
        report(self.store.with(|mut locked| {
            // Only now: an order may have been in the middle of it.
            let ours = std::mem::take(&mut *self.ours());
            let_go(&mut locked, host, |hold| ours.contains(&hold.judged)).map(|_| ())
        }));
    }

    /// Writes down what is about to be done for a moment; `None`, told, if that
    /// cannot be.
    #[must_use]
    pub fn note(&self, moment: TransientStop) -> Option<RecordedStop<'_>> {
        // Another daemon that starts meanwhile must not undo it.
        if !self.claim() {
            return None;
        }
        let intents = self.store.with(|mut locked| {
            locked.state.moments.push(moment.clone());
            locked.save()
        });
        match intents.and_then(|saved| saved) {
            Ok(()) => Some(RecordedStop {
                hold_manager: self,
                moment,
            }),
            Err(error) => {
                tracing::error!("nothing is stopped for a moment: {error}");
                None
            }
        }
    }

    /// A moment is over.
    pub(super) fn forget(&self, moment: &TransientStop) {
        report(self.store.with(|mut locked| {
            let moments = &mut locked.state.moments;
            if let Some(index) = moments.iter().position(|intents| intents == moment) {
                moments.swap_remove(index);
            }
            locked.save()
        }));
    }

    fn ours(&self) -> std::sync::MutexGuard<'_, Vec<Member>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

/// Writes a hold down, and what is switched on for it, and does it; what fails
/// is undone.
fn attempt<H>(locked: &mut Locked<'_>, hold: &Hold, host: &H) -> Result<(), Fault>
where
    H: Signals + Looks + Folders,
{
    let lacks = hold.lacks(host).map_err(Fault::Kernel)?;
    locked.state.holds.push(hold.clone());
    let known = locked.state.enabled.len();
    locked.state.enabled.extend(lacks);
    locked.save().map_err(|error| no_state(&error))?;
    let mut enabled = Vec::new();
    let applied = hold.apply(host, &mut enabled);
    // What it did not come to is not ours to switch off.
    locked.state.enabled.truncate(known);
    locked.state.enabled.extend(enabled);
    let done = applied.and_then(|()| locked.save().map_err(|error| no_state(&error).into()));
    if done.is_err() {
        let_go(locked, host, |other| other.judged == hold.judged)
            .map_err(|error| no_state(&error))?;
    }
    done
}

/// Undoes and forgets some holds; how many are left in all. One that cannot be
/// undone stays written down.
fn let_go<H: Signals + Folders>(
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
                tracing::info!("process {pid} is let go");
                false
            }
            Err(error) => {
                tracing::error!(
                    "process {pid} cannot be let go: {error}; `unjack release` tries again"
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
fn end_moments<H: Signals + Folders>(
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
            tracing::error!("{moment:?} cannot be let go: {error}");
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

fn no_state(error: &StoreError) -> Refusal {
    tracing::error!("nothing can be held: {error}");
    Refusal::NoState
}

fn report(result: Result<Result<(), StoreError>, StoreError>) {
    if let Err(error) = result.and_then(|result| result) {
        tracing::error!("what is held is not written down: {error}");
    }
}

/// A moment that is written down until it is said to be over.
#[derive(Debug)]
#[must_use]
pub struct RecordedStop<'a> {
    hold_manager: &'a HoldManager,
    moment: TransientStop,
}

impl RecordedStop<'_> {
    /// It is forgotten once the stopped process or frozen cgroup runs again, or is
    /// gone; else it stays written down for the next attempt.
    pub(super) fn over(&self, undone: io::Result<()>) {
        match undone {
            Err(error) if !is_gone(&error) && error.raw_os_error() != Some(libc::ESRCH) => {
                tracing::error!(
                    "{:?} cannot be let go: {error}; `unjack release --all` tries again",
                    self.moment
                );
            }
            _ => self.hold_manager.forget(&self.moment),
        }
    }
}
