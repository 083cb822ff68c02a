//! How the connections of suspects behave: an [`Observer`] for each, and for those
//! processes that may connect for one that has no pool-like connection itself.
//!
//! Fed by the looks that [`super::stratum`] makes anyway. A suspect is remembered
//! while it lives and executes the same image, up to [`MAX_OBSERVED`] of them.

use std::{collections::HashMap, sync::Arc};

use super::counts::Counts;
use crate::host::connections::Connections;
use unjack_core::{
    event::Process,
    shape::{Observer, Shape},
};

/// Suspects that are followed: some 3 KiB each with one relative, 30 KiB at the most.
const MAX_OBSERVED: usize = 128;
/// A suspect that was not looked at for so long makes room for another.
const STALE_NS: u64 = 60_000_000_000;
/// Looks at the suspect itself before its relatives are looked for, if it has begun
/// connections: a miner has its first job by then.
const OWN_LOOKS: u32 = 5;
/// The same if it has begun none.
const LONELY_LOOKS: u32 = 2;
/// Least time between two searches for relatives.
const SEARCH_EVERY_NS: u64 = 60_000_000_000;
/// Relatives of one suspect whose connections are followed.
const MAX_RELATED: usize = 8;
/// Least time between two looks at one relative, a little less than a tick.
const RELATED_EVERY_NS: u64 = 900_000_000;

/// A process that may connect for a suspect.
#[derive(Debug)]
struct Related {
    process: Process,
    /// The suspect started it.
    child: bool,
    observer: Observer,
}

/// A suspect.
#[derive(Debug, Default)]
struct Observed {
    /// Which of its images that is, counted, as soon as that was looked at.
    image: Option<u32>,
    cpu_ns: u64,
    observer: Observer,
    related: Vec<Related>,
    /// Relatives that were found and not looked at yet, the likeliest last.
    waiting: Vec<Process>,
    searched_ns: Option<u64>,
}

/// Something to be looked at besides the suspect itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Nothing,
    /// Who its relatives are.
    Search,
    /// The connections of this one.
    Relative(Process),
}

/// All suspects.
#[derive(Debug)]
pub(crate) struct Shapes {
    observed: HashMap<Process, Observed>,
    counts: Arc<dyn Counts>,
}

impl Shapes {
    pub(super) fn new(counts: Arc<dyn Counts>) -> Self {
        Self {
            observed: HashMap::new(),
            counts,
        }
    }

    /// How the connections of a process behaved; unknown if it is no suspect.
    pub(crate) fn of(&self, process: Process) -> Shape {
        let Some(observed) = self.observed.get(&process) else {
            return Shape::default();
        };
        let own = observed.observer.shape();
        if own.is_pool_like() {
            return own;
        }
        let others = observed.related.iter().map(|it| Shape {
            child: it.child,
            ..it.observer.shape()
        });
        let most = others
            .filter(Shape::is_pool_like)
            .max_by_key(|shape| (shape.child, shape.pushes, shape.submissions));
        // What the process itself serves is told all the same.
        most.map_or(own, |shape| Shape {
            related: true,
            accepted: shape.accepted.max(own.accepted),
            listens: shape.listens || own.listens,
            ..shape
        })
    }

    /// Takes in a look at a suspect, which has used so much CPU time.
    pub(super) fn take(&mut self, process: Process, cpu_ns: u64, found: &Connections) {
        if !self.has_room(process, found.time_ns) {
            return;
        }
        let observed = self.observed.entry(process).or_default();
        observed.cpu_ns = cpu_ns;
        let Connections {
            time_ns,
            parent: _,
            kept,
            serves: _,
            listens,
        } = found;
        observed.observer.look(*time_ns, cpu_ns, kept, *listens);
    }

    /// Whether there is room for a suspect; the one that was not looked at for the
    /// longest time makes some, unless that is all too short.
    fn has_room(&mut self, process: Process, now_ns: u64) -> bool {
        if self.observed.len() < MAX_OBSERVED || self.observed.contains_key(&process) {
            return true;
        }
        let looked = |observed: &Observed| observed.observer.looked_ns();
        let oldest = self.observed.iter().min_by_key(|(_, it)| looked(it));
        let stale = oldest
            .filter(|(_, it)| now_ns.saturating_sub(looked(it)) >= STALE_NS)
            .map(|(process, _)| *process);
        self.counts.observer_dropped();
        stale.is_some_and(|stale| self.observed.remove(&stale).is_some())
    }

    /// What is to be looked at besides a suspect that was just looked at: a relative
    /// that is followed, and something new.
    pub(super) fn next(&self, process: Process, now_ns: u64) -> [Next; 2] {
        let Some(observed) = self.observed.get(&process) else {
            return [Next::Nothing; 2];
        };
        let own = observed.observer.shape();
        let least = if own.peers == 0 {
            LONELY_LOOKS
        } else {
            OWN_LOOKS
        };
        if own.looks < least || own.is_pool_like() {
            return [Next::Nothing; 2];
        }
        let due = |since_ns: u64, every_ns: u64| now_ns.saturating_sub(since_ns) >= every_ns;
        let longest = observed
            .related
            .iter()
            .min_by_key(|it| it.observer.looked_ns())
            .filter(|it| due(it.observer.looked_ns(), RELATED_EVERY_NS));
        let followed = longest.map_or(Next::Nothing, |it| Next::Relative(it.process));
        let searches = observed
            .searched_ns
            .is_none_or(|searched_ns| due(searched_ns, SEARCH_EVERY_NS));
        let new = match observed.waiting.last() {
            Some(relative) => Next::Relative(*relative),
            None if searches => Next::Search,
            None => Next::Nothing,
        };
        [followed, new]
    }

    /// Takes in who the relatives of a suspect are, the likeliest first.
    pub(super) fn take_relatives(&mut self, process: Process, now_ns: u64, found: &[Process]) {
        let Some(observed) = self.observed.get_mut(&process) else {
            return;
        };
        observed.searched_ns = Some(now_ns);
        let known = |of: &Process| observed.related.iter().any(|it| it.process == *of);
        observed.waiting = found
            .iter()
            .rev()
            .copied()
            .filter(|of| !known(of))
            .collect();
    }

    /// Takes in a look at a relative of a suspect; nothing if there could be none.
    pub(super) fn take_relative(
        &mut self,
        process: Process,
        relative: Process,
        found: Option<&Connections>,
    ) {
        let Some(observed) = self.observed.get_mut(&process) else {
            return;
        };
        observed.waiting.retain(|waiting| *waiting != relative);
        let mut related = observed.related.iter_mut();
        let known = related.find(|it| it.process == relative);
        match (known, found) {
            (Some(known), Some(found)) => {
                let Connections {
                    time_ns, listens, ..
                } = found;
                // Per CPU second of the suspect: the relative may need none.
                known
                    .observer
                    .look(*time_ns, observed.cpu_ns, &found.kept, *listens);
            }
            (Some(_), None) => observed.related.retain(|it| it.process != relative),
            (None, Some(found)) if found.kept.iter().any(|it| it.outward) => {
                if observed.related.len() == MAX_RELATED {
                    observed.forget_least();
                }
                let mut new = Related {
                    process: relative,
                    child: found.parent == process.tgid,
                    observer: Observer::default(),
                };
                new.observer
                    .look(found.time_ns, observed.cpu_ns, &found.kept, found.listens);
                observed.related.push(new);
            }
            (None, _) => {}
        }
    }

    /// Forgets a process, which executes another image.
    pub(super) fn executes(&mut self, process: Process) {
        self.observed.remove(&process);
    }

    /// Forgets those that are gone or execute another image. `images` says which of
    /// its images a process executes, counted.
    pub(super) fn retain(&mut self, images: impl Fn(Process) -> Option<u32>) {
        self.observed.retain(|process, observed| {
            let now = images(*process);
            let before = std::mem::replace(&mut observed.image, now);
            now.is_some() && (before.is_none() || before == now)
        });
    }
}

impl Observed {
    /// Makes room for another relative: the one least like a miner's goes.
    fn forget_least(&mut self) {
        let least = self.related.iter().enumerate().min_by_key(|(_, it)| {
            let Shape {
                pushes,
                submissions,
                ..
            } = it.observer.shape();
            (pushes, submissions, it.observer.looked_ns())
        });
        if let Some((at, _)) = least {
            self.related.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests;
