//! Owners whose processes made reads slow, and for how long. Pure: the time is given.
//!
//! A process that answers a read just before it is given up makes none hang, and could
//! have the callers wait all the time. So the waiting is charged to the owner of the process.

use std::time::{Duration, Instant};

use super::owner::Owner;

/// A read that took this long is charged: many times what one takes on a busy host.
pub(super) const SLOW: Duration = Duration::from_millis(20);
/// The time that callers wait for one owner's processes in one [`SPELL`].
const ALLOWANCE: Duration = Duration::from_secs(1);
/// The time after which an owner's waiting is counted from zero again.
const SPELL: Duration = Duration::from_secs(10);
/// How long an owner is known as slow after the last such read.
const MEMORY: Duration = Duration::from_mins(1);
/// Owners that are known as slow; of more, the one charged longest ago is forgotten.
const MAX_OWNERS: usize = 64;

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing.
    Fine,
    /// Reads were slow a short while ago.
    Slow,
    /// As much was waited for its processes as may be.
    Spent,
}

#[derive(Debug)]
struct Charge {
    owner: Owner,
    /// The begin of the spell, and the waiting in it.
    since: Instant,
    waited: Duration,
    /// The last charge.
    last: Instant,
}

/// The owners that are known as slow.
#[derive(Debug)]
pub(super) struct Slow(Vec<Charge>);

impl Slow {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A read of a process of this owner took so long.
    pub(super) fn charge(&mut self, owner: Owner, time: Duration, now: Instant) {
        self.forget(now);
        if let Some(charge) = self.0.iter_mut().find(|charge| charge.owner == owner) {
            if now.saturating_duration_since(charge.since) >= SPELL {
                (charge.since, charge.waited) = (now, Duration::ZERO);
            }
            charge.waited = charge.waited.saturating_add(time);
            charge.last = now;
            return;
        }
        if self.0.len() >= MAX_OWNERS {
            let oldest = (0..self.0.len()).min_by_key(|at| self.0[*at].last);
            oldest.map(|at| self.0.swap_remove(at));
        }
        self.0.push(Charge {
            owner,
            since: now,
            waited: time,
            last: now,
        });
    }

    /// What is known of this owner.
    pub(super) fn of(&mut self, owner: &Owner, now: Instant) -> Standing {
        self.forget(now);
        let charge = self.0.iter().find(|charge| charge.owner == *owner);
        charge.map_or(Standing::Fine, |charge| {
            let over = now.saturating_duration_since(charge.since) >= SPELL;
            if !over && charge.waited >= ALLOWANCE {
                Standing::Spent
            } else {
                Standing::Slow
            }
        })
    }

    fn forget(&mut self, now: Instant) {
        (self.0).retain(|charge| now.saturating_duration_since(charge.last) < MEMORY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_so_much_time_in_a_spell_and_others_have_theirs() {
        let (mut slow, begun) = (Slow::new(), Instant::now());
        let (user, other) = (Owner::User(1), Owner::User(2));
        assert_eq!(slow.of(&user, begun), Standing::Fine);
        for _ in 0..10 {
            assert_ne!(slow.of(&user, begun), Standing::Spent);
            slow.charge(user.clone(), ALLOWANCE / 10, begun);
        }
        assert_eq!(slow.of(&user, begun), Standing::Spent);
        assert_eq!(slow.of(&other, begun), Standing::Fine);
        let next = begun + SPELL;
        assert_eq!(slow.of(&user, next), Standing::Slow);
        slow.charge(user.clone(), SLOW, next);
        assert_eq!(slow.of(&user, next), Standing::Slow);
        assert_eq!(slow.of(&user, next + MEMORY), Standing::Fine);
        assert!(slow.is_empty());
    }

    #[test]
    fn owners_are_bounded_and_the_oldest_is_forgotten() {
        let (mut slow, begun) = (Slow::new(), Instant::now());
        for user in 0..=u32::try_from(MAX_OWNERS).unwrap() {
            let now = begun + Duration::from_millis(1) * user;
            slow.charge(Owner::User(user), ALLOWANCE, now);
        }
        let now = begun + Duration::from_secs(1);
        assert_eq!(slow.0.len(), MAX_OWNERS);
        assert_eq!(slow.of(&Owner::User(0), now), Standing::Fine);
        assert_eq!(slow.of(&Owner::User(1), now), Standing::Spent);
    }
}
