//! How much is read for whom.
//!
//! Reading an image costs the reader far more than it costs the user who made it: a
//! sparse file of 250 MB is made with one system call. So the bytes that are read for
//! the processes of one user are bounded, and those that are read in all. What is over
//! that is asked for again, and read once there is budget. Pure: the time is given.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::MAX_BYTES;

/// Bytes that are read for one user at once: two images of the largest size, or all
/// that a session starts.
pub(super) const USER_BURST: u64 = 2 * MAX_BYTES;
/// Bytes a second after that: at some 900 MB/s of SHA-256, one percent of a core.
pub(super) const USER_RATE: u64 = 8 << 20;
/// The same in all: four percent of a core.
pub(super) const ALL_BURST: u64 = 8 * MAX_BYTES;
const ALL_RATE: u64 = 32 << 20;
/// Users that are told apart; those beyond share one budget. A user who has not
/// used any for a while is forgotten first.
const MAX_USERS: usize = 256;
/// Subordinate ids are given to a user in ranges of so many (`subuid(5)`): one that
/// runs processes under all of them has one budget, or two.
const RANGE: u32 = 1 << 16;

/// A user, or a range of users' subordinate ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct User(u64);

impl User {
    /// Those that are not told apart.
    const OTHERS: Self = Self(u64::MAX);

    pub(super) fn of(uid: u32) -> Self {
        Self(if uid < RANGE {
            uid.into()
        } else {
            u64::from(uid / RANGE) << 32
        })
    }

    pub(super) fn is_root(self) -> bool {
        self.0 == 0
    }
}

/// What is left, and when that was.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, (burst, rate): (u64, u64), now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let new = u128::from(rate) * passed.as_micros() / 1_000_000;
        if new > 0 {
            let new = u64::try_from(new).unwrap_or(u64::MAX);
            self.left = self.left.saturating_add(new).min(burst);
            self.at = now;
        }
    }
}

/// What may be read.
#[derive(Debug)]
pub(super) struct Budget {
    users: HashMap<User, Bucket>,
    all: Bucket,
}

impl Budget {
    const USER: (u64, u64) = (USER_BURST, USER_RATE);
    const ALL: (u64, u64) = (ALL_BURST, ALL_RATE);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            users: HashMap::new(),
            all: Bucket {
                left: ALL_BURST,
                at: now,
            },
        }
    }

    /// Whether so many bytes may be read for a user now; then they are taken.
    pub(super) fn take(&mut self, user: User, bytes: u64, now: Instant) -> bool {
        self.all.refill(Self::ALL, now);
        let user = self.known(user, now);
        let bucket = self.users.entry(user).or_insert(Bucket {
            left: USER_BURST,
            at: now,
        });
        bucket.refill(Self::USER, now);
        if bucket.left < bytes || self.all.left < bytes {
            return false;
        }
        bucket.left -= bytes;
        self.all.left -= bytes;
        true
    }

    /// The bucket of a user, for which there is room.
    fn known(&mut self, user: User, now: Instant) -> User {
        /// After this a bucket is full again.
        const FULL: Duration = Duration::from_secs(USER_BURST / USER_RATE);
        if self.users.contains_key(&user) || self.users.len() < MAX_USERS {
            return user;
        }
        let full = |bucket: &Bucket| now.saturating_duration_since(bucket.at) > FULL;
        self.users.retain(|_, bucket| !full(bucket));
        if self.users.len() < MAX_USERS {
            user
        } else {
            User::OTHERS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_has_two_of_the_largest_images_and_then_a_little() {
        let begun = Instant::now();
        let mut budget = Budget::new(begun);
        let user = User::of(1000);
        // The ten sparse executables of 250 MB.
        let read = (0..10)
            .filter(|_| budget.take(user, 250 << 20, begun))
            .count();
        assert_eq!(read, 2);
        assert!(
            budget.take(User::of(1001), 250 << 20, begun),
            "another user"
        );
        let mut now = begun;
        let mut bytes = 0;
        for _ in 0..600 {
            now += Duration::from_secs(1);
            while budget.take(user, 1 << 20, now) {
                bytes += 1 << 20;
            }
        }
        assert!(bytes <= USER_BURST + 600 * USER_RATE, "{bytes}");
        assert!(bytes >= 600 * USER_RATE, "{bytes}");
    }

    #[test]
    fn all_users_together_have_a_bound() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let read = (0..100)
            .filter(|n| budget.take(User::of(1000 + n), MAX_BYTES, now))
            .count();
        assert_eq!(read, 8);
    }

    #[test]
    fn subordinate_ids_are_one_user() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let first = 2 * RANGE;
        let ids = (first..first + RANGE).step_by(1 << 12);
        let read = ids
            .filter(|uid| budget.take(User::of(*uid), MAX_BYTES, now))
            .count();
        assert_eq!(read, 2);
    }

    #[test]
    fn users_beyond_the_bound_share_and_idle_ones_are_forgotten() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        for uid in 0..2 * u32::try_from(MAX_USERS).unwrap() {
            assert!(budget.take(User::of(uid), 1, now));
        }
        assert_eq!(budget.users.len(), MAX_USERS + 1);
        let later = now + Duration::from_hours(1);
        assert!(budget.take(User::of(60_000), 1, later));
        assert!(budget.users.len() < MAX_USERS);
    }
}
