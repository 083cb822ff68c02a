//! Keeping held what is held.

use std::path::{Path, PathBuf};

use super::{HoldManager, let_go::let_go, paced, report};
use crate::{
    host::Member,
    respond::action::{
        Signals,
        folders::Folders,
        hold::{Escapes, Hold, Rung},
        scope::Looks,
        store::{Locked, StoreError},
    },
};

/// Escapes of a hold's processes before it is escalated: a few may be another program
/// that arranges its cgroups, as when a container or a session is begun.
pub(crate) const MAX_ESCAPES: u32 = 5;

/// What is held now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Throttled.
    pub throttled: usize,
    /// Frozen.
    pub frozen: usize,
    /// What escaped since the last look, and was held again.
    pub escapes: Escapes,
    /// What was done about processes that escape again and again.
    pub escalations: Vec<Escalation>,
}

/// A hold was escalated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The process that was judged.
    pub judged: Member,
    /// It is throttled, not frozen.
    pub throttled: bool,
    /// To what.
    pub rung: Rung,
    /// The escapes that it was for.
    pub escapes: u32,
    /// That failed.
    pub failed: bool,
}

impl HoldManager {
    /// Holds again what escaped, escalates what does so again and again, and forgets
    /// what is gone. None if something is being held or let go just now: that is not
    /// waited for.
    pub fn keep_up<H>(&self, host: &H) -> Option<Kept>
    where
        H: Signals + Looks + Folders,
    {
        let mut kept = Kept::default();
        if self.ours().is_empty() {
            return Some(kept);
        }
        let done = self.store.try_with(|mut locked| {
            self.look(&mut locked, &mut kept, host)?;
            // Released by hand, or gone.
            let holds = &locked.state.holds;
            let held = |member: &Member| holds.iter().any(|hold| hold.judged == *member);
            self.ours().retain(|member, _| held(member));
            Ok(())
        });
        match done.transpose()? {
            Ok(done) => report(Ok(done)),
            Err(error) => report(Err(error)),
        }
        Some(kept)
    }

    fn look<H>(&self, locked: &mut Locked<'_>, kept: &mut Kept, host: &H) -> Result<(), StoreError>
    where
        H: Signals + Looks + Folders,
    {
        let continued = host.pace(&paced(&locked.state.holds));
        let mut gone = Vec::new();
        let mut due = Vec::new();
        let folders = locked.state.holds.iter().flat_map(Hold::folders);
        let ours: Vec<PathBuf> = folders.map(Path::to_owned).collect();
        let ours: Vec<&Path> = ours.iter().map(PathBuf::as_path).collect();
        for (index, hold) in locked.state.holds.iter().enumerate() {
            let Some(mut escapes) = hold.keep_up(&ours, host) else {
                gone.push(hold.judged);
                continue;
            };
            let of_hold = |member: Member| hold.targets().any(|target| target.member == member);
            let times = continued.iter().filter(|(member, _)| of_hold(*member));
            escapes.continued += times.map(|(_, times)| times).sum::<u32>();
            kept.escapes += escapes;
            let mut counts = self.ours();
            let count = counts.entry(hold.judged).or_default();
            *count = count.saturating_add(escapes.all());
            if *count > MAX_ESCAPES && hold.rung != Rung::Escaped {
                due.push((index, std::mem::take(count)));
            }
            match hold.share {
                Some(_) => kept.throttled += 1,
                None => kept.frozen += 1,
            }
        }
        for (index, escapes) in due {
            let escalation = self.escalate(locked, index, escapes, host)?;
            kept.escalations.push(escalation);
        }
        if !gone.is_empty() {
            let_go(locked, host, |hold| gone.contains(&hold.judged))?;
        }
        Ok(())
    }

    /// Takes the next rung with one of the holds, once that is written down.
    fn escalate<H>(
        &self,
        locked: &mut Locked<'_>,
        index: usize,
        escapes: u32,
        host: &H,
    ) -> Result<Escalation, StoreError>
    where
        H: Signals + Looks + Folders,
    {
        let hold = &mut locked.state.holds[index];
        let (judged, throttled) = (hold.judged, hold.share.is_some());
        let (rung, means) = hold.next(self.kill_escaped, host);
        hold.climb(rung, means.clone());
        let lacks = hold.lacks(host).unwrap_or_default();
        let known = locked.state.enabled.len();
        locked.state.enabled.extend(lacks);
        locked.save()?;
        let mut enabled = Vec::new();
        let done = locked.state.holds[index].escalate(&means, &mut enabled, host);
        // What it did not come to is not ours to switch off.
        locked.state.enabled.truncate(known);
        locked.state.enabled.extend(enabled);
        locked.save()?;
        host.pace(&paced(&locked.state.holds));
        if let Err(fault) = &done {
            tracing::warn!(
                "process {} escapes, and {}: {fault:?}",
                judged.pid,
                rung.name()
            );
        }
        Ok(Escalation {
            judged,
            throttled,
            rung,
            escapes,
            failed: done.is_err(),
        })
    }
}
