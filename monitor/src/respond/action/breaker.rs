//! The circuit breaker: so many miners in a minute are more likely a mistake of
//! ours than the host's misfortune.
//!
//! Acts flow in with their time; out comes whether one more is allowed. Once as
//! many processes were acted on within a minute as the limit says, the breaker
//! opens, and stays so for a minute from then on; after that it counts from
//! zero. An image has a breaker of its own with a lower limit, which spares
//! that image alone. Memory is bounded by the limit: what is not allowed is not
//! remembered.

use std::collections::VecDeque;

use crate::host::Image;

/// The time over which is counted, and for which the breaker stays open.
const MINUTE_NS: u64 = 60_000_000_000;

/// Counts what was acted on.
#[derive(Clone, Debug)]
pub struct Breaker {
    limit: usize,
    limit_per_image: usize,
    recent: VecDeque<(u64, Image)>,
    open_until_ns: u64,
    /// Images whose own breaker is open.
    open_images: Vec<(u64, Image)>,
}

impl Breaker {
    /// One that opens at `limit` processes in a minute, or at `limit_per_image`
    /// of one image.
    #[must_use]
    pub fn new(limit: u32, limit_per_image: u32) -> Self {
        Self {
            limit: limit as usize,
            limit_per_image: limit_per_image as usize,
            recent: VecDeque::new(),
            open_until_ns: 0,
            open_images: Vec::new(),
        }
    }

    /// Whether a process with this image may be acted on.
    ///
    /// # Errors
    /// It may not; when to ask again, in nanoseconds of the same clock.
    pub fn allows(&mut self, now_ns: u64, image: Image) -> Result<(), u64> {
        self.forget(now_ns);
        if now_ns < self.open_until_ns {
            return Err(self.open_until_ns);
        }
        match self.open_images.iter().find(|(_, open)| *open == image) {
            Some((until_ns, _)) => Err(*until_ns),
            None => Ok(()),
        }
    }

    /// One process more was acted on.
    pub fn count(&mut self, now_ns: u64, image: Image) {
        self.forget(now_ns);
        self.recent.push_back((now_ns, image));
        if self.recent.len() >= self.limit {
            self.open_until_ns = now_ns + MINUTE_NS;
            self.recent.clear();
            return;
        }
        let same = |recent: &&(u64, Image)| recent.1 == image;
        if self.recent.iter().filter(same).count() >= self.limit_per_image {
            self.open_images.push((now_ns + MINUTE_NS, image));
        }
    }

    /// Whether any of it is open.
    pub fn is_open(&mut self, now_ns: u64) -> bool {
        self.forget(now_ns);
        now_ns < self.open_until_ns || !self.open_images.is_empty()
    }

    fn forget(&mut self, now_ns: u64) {
        let since_ns = now_ns.saturating_sub(MINUTE_NS);
        while self.recent.front().is_some_and(|(at, _)| *at < since_ns) {
            self.recent.pop_front();
        }
        self.open_images.retain(|(until, _)| now_ns < *until);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Image = Image {
        device: 1,
        inode: 1,
    };
    const B: Image = Image {
        device: 1,
        inode: 2,
    };
    const SECOND: u64 = 1_000_000_000;

    /// Acts on these images, a second apart, if it may: which were.
    fn acted(breaker: &mut Breaker, images: &[Image]) -> Vec<bool> {
        let mut now_ns = SECOND;
        let acts = images.iter().map(|image| {
            now_ns += SECOND;
            let allowed = breaker.allows(now_ns, *image).is_ok();
            if allowed {
                breaker.count(now_ns, *image);
            }
            allowed
        });
        acts.collect()
    }

    #[test]
    fn it_opens_at_the_limit_for_a_minute() {
        let mut breaker = Breaker::new(2, 2);
        assert_eq!(
            acted(&mut breaker, &[A, B, A, B]),
            [true, true, false, false]
        );
        let opened_ns = 3 * SECOND;
        assert!(breaker.is_open(opened_ns + MINUTE_NS - 1));
        assert_eq!(breaker.allows(opened_ns + 1, B), Err(opened_ns + MINUTE_NS));
        assert!(!breaker.is_open(opened_ns + MINUTE_NS));
        assert_eq!(breaker.allows(opened_ns + MINUTE_NS, A), Ok(()));
    }

    #[test]
    fn one_image_opens_its_own_alone() {
        let mut breaker = Breaker::new(9, 2);
        assert_eq!(
            acted(&mut breaker, &[A, A, A, B]),
            [true, true, false, true]
        );
        assert!(breaker.is_open(6 * SECOND));
    }

    #[test]
    fn what_is_a_minute_apart_opens_nothing() {
        let mut breaker = Breaker::new(2, 2);
        for minute in 1..10 {
            let now_ns = minute * (MINUTE_NS + 1);
            assert_eq!(breaker.allows(now_ns, A), Ok(()));
            breaker.count(now_ns, A);
        }
        assert!(!breaker.is_open(9 * (MINUTE_NS + 1)));
    }

    proptest! {
        /// Whatever is asked when: never more than the limits in a minute.
        #[test]
        fn no_minute_has_more_than_the_limit(
            limit in 1_u32..6,
            per_image in 1_u32..6,
            asks in prop::collection::vec((0_u64..9 * SECOND, 0_u64..3), 1..200),
        ) {
            let mut breaker = Breaker::new(limit, per_image);
            let (mut now_ns, mut acts) = (0, Vec::new());
            for (wait_ns, inode) in asks {
                now_ns += wait_ns;
                let image = Image { device: 1, inode };
                if breaker.allows(now_ns, image).is_ok() {
                    breaker.count(now_ns, image);
                    acts.push((now_ns, image));
                }
            }
            for (at, image) in &acts {
                let minute = acts.iter().filter(|(t, _)| (*at..at + MINUTE_NS).contains(t));
                prop_assert!(minute.clone().count() <= limit as usize);
                let same = minute.filter(|(_, other)| other == image);
                prop_assert!(same.count() <= per_image as usize);
            }
        }
    }
}
