//! Where a process's code lies: its mappings, looked up when a sample is of code
//! that is in none of those that are known.

use super::Budget;
use crate::host::{Image, LookError, maps::CodeMap};
use unjack_core::profile::Place;

/// Least time between two looks at one process's mappings.
const INTERVAL_NS: u64 = 2_000_000_000;
/// How long mappings that cannot be had count as not looked up yet. The process may
/// be the one that makes reading them hang.
const GRACE_NS: u64 = 30_000_000_000;

/// The mappings of one image of one process.
#[derive(Debug, Default)]
pub(super) struct Code {
    map: CodeMap,
    /// When they were last looked at.
    looked_ns: Option<u64>,
    /// Since when they cannot be had.
    kept_from_us_ns: Option<u64>,
    /// They were had, or never will be, and what was looked for was not among them.
    missed: bool,
}

impl Code {
    /// The kind of memory at an address, at this moment. Mappings that are not known
    /// yet are looked up with `look`, but not for every sample.
    pub(super) fn place(
        &mut self,
        ip: u64,
        now_ns: u64,
        budget: &mut Budget,
        look: impl FnOnce() -> Result<CodeMap, LookError>,
    ) -> Place {
        let known = self.map.place(ip);
        if known != Place::Unknown {
            return known;
        }
        let since = |at: u64| now_ns.saturating_sub(at);
        if self.looked_ns.is_none_or(|at| since(at) >= INTERVAL_NS) {
            if budget.maps == 0 {
                budget.maps_deferred += 1;
                self.kept_from_us_ns.get_or_insert(now_ns);
            } else {
                budget.maps -= 1;
                self.looked_ns = Some(now_ns);
                match look() {
                    Ok(map) => {
                        budget.maps_truncated += u64::from(map.truncated);
                        let place = map.place(ip);
                        (self.map, self.kept_from_us_ns) = (map, None);
                        self.missed = place == Place::Unknown;
                        return place;
                    }
                    // It will never be known.
                    Err(LookError::Gone) => {
                        (self.kept_from_us_ns, self.missed) = (None, true);
                    }
                    Err(LookError::Denied | LookError::CannotTell(_) | LookError::Other(_)) => {
                        self.kept_from_us_ns.get_or_insert(now_ns);
                    }
                }
            }
        }
        let excused = match self.kept_from_us_ns {
            Some(at) => since(at) < GRACE_NS,
            // Mapped since the last look, as libraries and generated code are.
            None => !self.missed,
        };
        if excused {
            Place::Unread
        } else {
            Place::Unknown
        }
    }

    /// See [`CodeMap::name`].
    pub(super) fn name(&self, ip: u64) -> Option<&str> {
        self.map.name(ip)
    }

    /// See [`CodeMap::image`].
    pub(super) fn image(&self, ip: u64) -> Option<Image> {
        self.map.image(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Cause;

    const SECOND: u64 = 1_000_000_000;
    /// In the file that [`map`] has, and outside of it.
    const INSIDE: u64 = 0x1800;
    const OUTSIDE: u64 = 0x9000;

    fn map() -> CodeMap {
        let text = b"1000-2000 r-xp 0 08:01 7 /opt/a\n";
        CodeMap::read(&text[..], |mapping| (mapping.file, false)).unwrap()
    }

    fn late() -> Result<CodeMap, LookError> {
        Err(LookError::CannotTell(Cause::Timeout))
    }

    /// Looks at an address once a second; every second's place.
    fn places(
        code: &mut Code,
        ip: u64,
        seconds: std::ops::Range<u64>,
        look: fn() -> Result<CodeMap, LookError>,
    ) -> Vec<Place> {
        seconds
            .map(|second| {
                let mut budget = Budget {
                    maps: 1,
                    ..Budget::default()
                };
                code.place(ip, second * SECOND, &mut budget, look)
            })
            .collect()
    }

    #[test]
    fn what_cannot_be_looked_up_excuses_for_so_long() {
        let mut code = Code::default();
        let late = places(&mut code, INSIDE, 100..200, late);
        let unread = late.iter().filter(|place| **place == Place::Unread).count();
        assert_eq!(unread as u64, GRACE_NS / SECOND);
        assert!(late[unread..].iter().all(|place| *place == Place::Unknown));
        // As soon as it can be had it is known, and an excuse once more.
        assert_eq!(
            places(&mut code, INSIDE, 200..201, || Ok(map())),
            [Place::File]
        );
    }

    #[test]
    fn what_was_mapped_since_the_last_look_waits_for_the_next() {
        let mut code = Code::default();
        assert_eq!(
            places(&mut code, INSIDE, 100..101, || Ok(map())),
            [Place::File]
        );
        let new = places(&mut code, OUTSIDE, 101..110, || Ok(map()));
        assert_eq!(new[0], Place::Unread);
        // Nothing is there: it is not excused by the looks that follow.
        assert!(
            new[1..].iter().all(|place| *place == Place::Unknown),
            "{new:?}"
        );
    }

    #[test]
    fn who_is_gone_is_not_excused() {
        let gone = || Err(LookError::Gone);
        let places = places(&mut Code::default(), INSIDE, 100..105, gone);
        assert_eq!(places, [Place::Unknown; 5]);
    }

    #[test]
    fn a_look_that_must_wait_for_its_turn_excuses_and_is_counted() {
        let (mut code, mut budget) = (Code::default(), Budget::default());
        let place = code.place(INSIDE, SECOND, &mut budget, || Ok(map()));
        assert_eq!((place, budget.maps_deferred), (Place::Unread, 1));
        assert_eq!(places(&mut code, INSIDE, 1..2, || Ok(map())), [Place::File]);
    }
}
