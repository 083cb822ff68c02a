//! Who is kin to a miner, by who forked whom.
//!
//! In: a record of forks (the probes', and what `/proc` showed when they were
//! attached), and who lives now. Out: whom the scope `tree` takes in. Pure.
//!
//! The parent that `/proc` shows is the process that adopted it: one that forks
//! twice and ends in between gets process 1 for a parent. The parent at fork is for
//! good, and a link through processes that are gone holds as long as no other
//! process got their id.
//!
//! Downwards the tree takes in everything, as a miner's children are its own.
//! Upwards it takes in only what keeps starting it: shells and launchers of the
//! host's own, as the same user in the same cgroup, that nothing else alive
//! descends from, and that are no user's terminal. A server that was made to
//! start a miner is not one of these, nor is the shell of the person who did.

use std::collections::{HashMap, HashSet};

use crate::host::Member;

/// Links followed upwards: beyond that it is no tree a person made.
const MAX_DEPTH: usize = 64;

/// Programs that do nothing but start another, where a system has them.
const LAUNCHERS: [&str; 22] = [
    "sh", "dash", "bash", "rbash", "zsh", "ksh", "ksh93", "mksh", "fish", "busybox", "nohup",
    "setsid", "timeout", "env", "nice", "ionice", "chrt", "taskset", "stdbuf", "watch", "xargs",
    "flock",
];

/// Whether a path is that of a shell or a launcher.
#[must_use]
pub fn is_launcher(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, program)| {
        ["/bin", "/usr/bin", "/usr/local/bin"].contains(&folder) && LAUNCHERS.contains(&program)
    })
}

/// Where forks are recorded.
pub trait Record: Send + Sync {
    /// All that is known now.
    fn forks(&self) -> Forks;
}

impl FromIterator<(Member, Member)> for Forks {
    /// Of children and who forked each.
    fn from_iter<T: IntoIterator<Item = (Member, Member)>>(pairs: T) -> Self {
        Self {
            parents: pairs.into_iter().collect(),
        }
    }
}

/// Who forked whom.
#[derive(Clone, Debug, Default)]
pub struct Forks {
    parents: HashMap<Member, Member>,
}

impl Forks {
    /// `parent` forked `child`.
    pub fn add(&mut self, child: Member, parent: Member) {
        self.parents.insert(child, parent);
    }

    /// All that a process descends from, its parent first.
    fn ancestors(&self, of: Member) -> impl Iterator<Item = Member> {
        std::iter::successors(self.parents.get(&of), |member| self.parents.get(member))
            .copied()
            .take(MAX_DEPTH)
    }

    /// Those of `living` that descend from one of `heads`.
    #[must_use]
    pub fn descendants(&self, heads: &[Member], living: &[Member]) -> Vec<Member> {
        let below = |member: &&Member| {
            !heads.contains(member) && self.ancestors(**member).any(|above| heads.contains(&above))
        };
        living.iter().filter(below).copied().collect()
    }

    /// The tree of `judged`: what keeps starting it, the topmost first; itself;
    /// and what descends from it. `climbs` says whether an ancestor that lives
    /// may be taken in.
    pub fn tree(
        &self,
        judged: Member,
        living: &[Member],
        mut climbs: impl FnMut(Member) -> bool,
    ) -> Vec<Member> {
        let below = self.descendants(&[judged], living);
        let mut taken: HashSet<Member> = below.iter().copied().chain([judged]).collect();
        let mut above = Vec::new();
        for ancestor in self.ancestors(judged) {
            if !living.contains(&ancestor) || taken.contains(&ancestor) {
                continue;
            }
            let family = self.descendants(&[ancestor], living);
            if family.iter().any(|member| !taken.contains(member)) || !climbs(ancestor) {
                break;
            }
            taken.insert(ancestor);
            above.push(ancestor);
        }
        above.reverse();
        above.into_iter().chain([judged]).chain(below).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn m(pid: u32) -> Member {
        Member {
            pid,
            start_time: u64::from(pid),
        }
    }

    fn forks(links: &[(u32, u32)]) -> Forks {
        let mut forks = Forks::default();
        for (child, parent) in links {
            forks.add(m(*child), m(*parent));
        }
        forks
    }

    #[track_caller]
    fn check(links: &[(u32, u32)], living: &[u32], launchers: &[u32], expected: &[u32]) {
        let living: Vec<_> = living.iter().map(|pid| m(*pid)).collect();
        let tree = forks(links).tree(m(50), &living, |member| launchers.contains(&member.pid));
        let pids: Vec<_> = tree.iter().map(|member| member.pid).collect();
        assert_eq!(pids, expected);
    }

    #[test]
    fn a_process_alone_is_its_own_tree() {
        check(&[], &[50, 60], &[60], &[50]);
    }

    #[test]
    fn descendants_belong_though_those_between_are_gone() {
        check(&[(60, 50), (70, 60), (80, 70)], &[50, 80], &[], &[50, 80]);
    }

    #[test]
    fn the_shell_that_starts_it_belongs_though_the_one_between_is_gone() {
        check(&[(50, 40), (40, 30), (30, 1)], &[30, 50], &[30], &[30, 50]);
    }

    #[test]
    fn what_is_no_launcher_ends_the_climb() {
        let links = [(50, 40), (40, 30), (30, 20)];
        check(&links, &[20, 30, 40, 50], &[20, 40], &[40, 50]);
    }

    #[test]
    fn a_shell_that_started_others_too_does_not_belong() {
        check(&[(50, 40), (41, 40)], &[40, 41, 50], &[40], &[50]);
        check(&[(50, 40), (45, 44), (44, 40)], &[40, 45, 50], &[40], &[50]);
    }

    #[test]
    fn another_process_with_the_id_of_one_between_is_no_link() {
        let mut forks = forks(&[(50, 40)]);
        let reused = Member {
            pid: 40,
            start_time: 99,
        };
        forks.add(reused, m(30));
        assert_eq!(
            forks.tree(m(50), &[m(30), reused, m(50)], |_| true),
            [m(50)]
        );
    }

    #[test]
    fn paths_of_launchers() {
        assert!(is_launcher("/usr/bin/dash") && is_launcher("/bin/sh"));
        assert!(!is_launcher("/tmp/sh") && !is_launcher("sh") && !is_launcher("/usr/bin/python3"));
    }

    proptest! {
        /// Whatever the record says, even in circles: the tree holds only who
        /// lives, each once, and upwards only who may be taken in.
        #[test]
        fn a_tree_is_only_of_the_living_and_the_willing(
            links in prop::collection::vec((40_u32..60, 40_u32..60), 0..40),
            living in prop::collection::hash_set(40_u32..60, 0..20),
            launchers in prop::collection::hash_set(40_u32..60, 0..20),
        ) {
            let forks = forks(&links);
            let living: Vec<_> = living.into_iter().chain([50]).map(m).collect();
            let tree = forks.tree(m(50), &living, |member| launchers.contains(&member.pid));
            let below = forks.descendants(&[m(50)], &living);
            let once: HashSet<_> = tree.iter().collect();
            prop_assert_eq!(once.len(), tree.len());
            prop_assert!(tree.contains(&m(50)));
            for member in tree.iter().filter(|member| **member != m(50)) {
                prop_assert!(living.contains(member));
                prop_assert!(below.contains(member) || launchers.contains(&member.pid));
            }
        }
    }
}
