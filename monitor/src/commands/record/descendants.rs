//! Whose windows are recorded: the command's and its descendants'.
//!
//! In: the processes that were met (alive, sampled, or gone), and the parents that
//! the probes recorded at fork. The links hold through processes that are gone
//! before the recorder looked, as one that forks twice leaves them.
//!
//! Bounds: kept are those that are alive, and that left in this second and the one
//! before. A link is lost only when another process gets its place in the probes'
//! table, of 65536, before the next look: a second later at the most.

use std::collections::HashMap;

use unjack_core::event::Process;

/// Links followed upwards: between a new process and a known one there are only
/// those that came and went since the last look. A longer chain is made on purpose.
const MAX_DEPTH: usize = 4096;

/// What descends from the command.
#[derive(Default)]
pub(super) struct Descendants {
    /// The command's id, which no other process has as long as this lives; without
    /// one, every process counts as a descendant.
    pub(super) founder: Option<u32>,
    /// The descendants, and at which look each was met last.
    known: HashMap<Process, u64>,
    look: u64,
}

impl Descendants {
    /// Takes in those of `met` that descend from the command, or are it.
    pub(super) fn learn(
        &mut self,
        met: impl IntoIterator<Item = Process>,
        parent: impl Fn(Process) -> Option<Process>,
    ) {
        let Some(founder) = self.founder else { return };
        for process in met {
            let is_known =
                |above: Process| above.tgid == founder || self.known.contains_key(&above);
            let above = std::iter::successors(Some(process), |below| parent(*below));
            if above.take(MAX_DEPTH).any(is_known) {
                self.known.insert(process, self.look);
            }
        }
    }

    /// A look is over, and nothing waits for it: a process that was not met for a
    /// whole one is forgotten.
    pub(super) fn forget(&mut self) {
        let look = self.look;
        self.known.retain(|_, met| *met == look);
        self.look += 1;
    }

    pub(super) fn has(&self, process: Process) -> bool {
        self.founder.is_none() || self.known.contains_key(&process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(tgid: u32) -> Process {
        started(tgid, tgid.into())
    }

    fn started(tgid: u32, start_ns: u64) -> Process {
        Process { tgid, start_ns }
    }

    /// That of the command 10.
    fn descendants() -> Descendants {
        Descendants {
            founder: Some(10),
            ..Descendants::default()
        }
    }

    /// Child, then the parent that forked it.
    fn learn(descendants: &mut Descendants, met: &[u32], forks: &[(u32, u32)]) {
        descendants.learn(met.iter().map(|tgid| process(*tgid)), |child| {
            let fork = forks.iter().find(|(tgid, _)| process(*tgid) == child);
            fork.map(|(_, parent)| process(*parent))
        });
    }

    #[track_caller]
    fn check(descendants: &Descendants, members: &[u32], strangers: &[u32]) {
        let of = |tgids: &[u32]| -> Vec<bool> {
            tgids
                .iter()
                .map(|tgid| descendants.has(process(*tgid)))
                .collect()
        };
        assert_eq!(of(members), vec![true; members.len()]);
        assert_eq!(of(strangers), vec![false; strangers.len()]);
    }

    #[test]
    fn kin_is_followed_down_in_whatever_order_it_is_found() {
        let mut descendants = descendants();
        let forks = [(30, 20), (20, 10), (10, 1), (40, 1)];
        learn(&mut descendants, &[30, 20, 10, 40], &forks);
        check(&descendants, &[10, 20, 30], &[40]);
    }

    #[test]
    fn a_process_that_forks_twice_and_is_gone_at_once_hides_no_other() {
        let mut descendants = descendants();
        learn(
            &mut descendants,
            &[10, 50],
            &[(50, 40), (40, 30), (30, 10), (10, 1)],
        );
        check(&descendants, &[10, 50], &[]);
    }

    #[test]
    fn a_stranger_with_the_id_of_kin_is_a_stranger_as_are_its_children() {
        let mut descendants = descendants();
        learn(&mut descendants, &[10, 20], &[(20, 10)]);
        let stranger = started(20, 99);
        descendants.learn([stranger, process(30)], |child| {
            (child == process(30)).then_some(stranger)
        });
        check(&descendants, &[10, 20], &[30]);
        assert!(!descendants.has(stranger));
    }

    #[test]
    fn who_is_alive_stays_kin_when_the_link_is_lost_and_who_is_gone_is_forgotten() {
        let mut descendants = descendants();
        learn(&mut descendants, &[10, 20, 30], &[(30, 20), (20, 10)]);
        for _ in 0..3 {
            // No link is left, and 20 is gone.
            learn(&mut descendants, &[10, 30], &[]);
            descendants.forget();
        }
        check(&descendants, &[10, 30], &[20]);
        // Its child is still a descendant.
        learn(&mut descendants, &[60], &[(60, 30)]);
        check(&descendants, &[60], &[]);
    }

    #[test]
    fn who_just_left_is_kept_until_all_of_it_is_written() {
        let mut descendants = descendants();
        learn(&mut descendants, &[20], &[(20, 10)]);
        descendants.forget();
        check(&descendants, &[20], &[]);
        descendants.forget();
        check(&descendants, &[], &[20]);
    }

    #[test]
    fn an_hour_of_short_processes_leaves_nothing_behind() {
        let mut descendants = descendants();
        for child in 11..10_000 {
            learn(&mut descendants, &[10, child], &[(child, 10)]);
            descendants.forget();
        }
        assert!(descendants.known.len() <= 4, "{}", descendants.known.len());
    }

    #[test]
    fn a_table_that_goes_round_in_circles_ends() {
        let mut descendants = descendants();
        learn(&mut descendants, &[20], &[(20, 30), (30, 20)]);
        check(&descendants, &[], &[20, 30]);
    }

    #[test]
    fn without_a_command_all_processes_are_kin() {
        assert!(Descendants::default().has(process(1)));
    }
}
