//! What is held: written down before it is done, watched, and let go.

mod let_go;
mod recorded;
mod watch;

use std::{
    collections::BTreeMap,
    fs::File,
    sync::{Mutex, PoisonError},
};

use self::let_go::{end_moments, let_go};
pub use self::{
    let_go::release,
    recorded::RecordedStop,
    watch::{Escalation, Kept},
};
use super::{
    ActionRequest, Paced, Refusal, Signals,
    folders::Folders,
    hold::{Fault, Hold},
    pace::MAX_PACED,
    scope::{Looks, World},
    store::{Locked, Store, StoreError},
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
    /// Processes that escape all else are ended.
    kill_escaped: bool,
    /// What this daemon answers for, done by it or found when it came; and how often it
    /// escaped since it was last escalated.
    ours: Mutex<BTreeMap<Member, u32>>,
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

impl HoldManager {
    /// One that writes down in `store`. With `keep` nothing is undone but by
    /// order.
    #[must_use]
    pub fn new(store: Store, keep: bool) -> Self {
        Self {
            store,
            keep,
            kill_escaped: false,
            ours: Mutex::default(),
            claim: Mutex::default(),
        }
    }

    /// The same; with `kill` a process that cannot be held otherwise is ended.
    #[must_use]
    pub fn killing_escaped(self, kill: bool) -> Self {
        Self {
            kill_escaped: kill,
            ..self
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
                    "another unjack has the same --state-dir, so this one cannot throttle or \
                     freeze: give it a folder of its own"
                ),
                Ok(file) => *claim = file,
                Err(error) => tracing::error!(
                    "the record of what is throttled and frozen cannot be read: {error}"
                ),
            }
        }
        claim.is_some()
    }

    fn take_over<H: Signals + Folders>(&self, host: &H) {
        let taken = self.store.with(|mut locked| {
            // There is no request to keep any of these.
            let moments = end_moments(&mut locked, host, |_| true)?;
            if moments > 0 {
                tracing::info!(
                    "{moments} processes or cgroups that were stopped briefly are continued"
                );
            }
            if !self.keep {
                let all = locked.state.holds.len();
                let left = let_go(&mut locked, host, |_| true)?;
                if all > 0 {
                    tracing::info!("{} of {all} throttles and freezes are undone", all - left);
                }
            }
            let held = locked.state.holds.iter().map(|hold| (hold.judged, 0));
            self.ours().extend(held);
            host.pace(&paced(&locked.state.holds));
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
            let over = |hold: &Hold| hold.judged == judged || hold.is_over(world.host);
            let left = let_go(&mut locked, world.host, over).map_err(|error| no_state(&error))?;
            if left >= MAX_HOLDS {
                tracing::error!(
                    "{MAX_HOLDS} processes are throttled or frozen, which is the limit"
                );
                return Err(Refusal::NoState);
            }
            let (mut hold, others) = Hold::plan(order, &locked.state.holds, world)?;
            hold.share_with(&locked.state.holds, world.host);
            match attempt(&mut locked, &hold, world.host) {
                Err(Fault::Kernel(error)) if hold.targets().count() > 0 => {
                    tracing::info!(
                        "process {} is stopped by signals: no cgroup can be made for it ({error})",
                        judged.pid
                    );
                    attempt(&mut locked, &hold.by_signal(), world.host)?;
                }
                done => done?,
            }
            self.ours().insert(judged, 0);
            // Begins with the next look at the latest.
            world.host.pace(&paced(&locked.state.holds));
            Ok(others)
        });
        held.unwrap_or_else(|error| Err(no_state(&error)))
    }

    /// Undoes what this daemon answers for, unless it is to be kept.
    pub fn end<H: Signals + Folders>(&self, host: &H) {
        let claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        // Without it nothing was ever held.
        if self.keep || claim.is_none() {
            return;
        }
        report(self.store.with(|mut locked| {
            // Only now: an order may have been in the middle of it. None is stopped
            // again once it was let go.
            host.pace(&[]);
            let ours = std::mem::take(&mut *self.ours());
            let_go(&mut locked, host, |hold| ours.contains_key(&hold.judged)).map(|_| ())
        }));
    }

    fn ours(&self) -> std::sync::MutexGuard<'_, BTreeMap<Member, u32>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a hold down, and what is switched on for it, and does it; what fails
/// is undone.
fn attempt<H>(locked: &mut Locked<'_>, hold: &Hold, host: &H) -> Result<(), Fault>
where
    H: Signals + Looks + Folders,
{
    let shared = |hold: &Hold| hold.paced().filter(|paced| paced.share > 0.0).count();
    let before: usize = locked.state.holds.iter().map(shared).sum();
    if shared(hold) > 0 && before + shared(hold) > MAX_PACED {
        tracing::error!("{MAX_PACED} processes are throttled by signals, which is the limit");
        return Err(Refusal::NoCgroup.into());
    }
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

/// The processes of these holds that are held by signals, those with a share of a core
/// first.
fn paced(holds: &[Hold]) -> Vec<Paced> {
    let all: Vec<Paced> = holds.iter().flat_map(Hold::paced).collect();
    let (shared, stopped): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.share > 0.0);
    shared.into_iter().chain(stopped).collect()
}

fn no_state(error: &StoreError) -> Refusal {
    tracing::error!("cannot throttle or freeze: {error}");
    Refusal::NoState
}

fn report(result: Result<Result<(), StoreError>, StoreError>) {
    if let Err(error) = result.and_then(|result| result) {
        tracing::error!("the record of what is throttled and frozen was not written: {error}");
    }
}
