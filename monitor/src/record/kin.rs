//! Whose windows are recorded: the command's and its descendants', by the parents
//! that were recorded at fork.

use std::collections::HashSet;

use crate::event::Process;

/// Who descends from the command.
#[derive(Default)]
pub(super) struct Kin {
    /// The command itself; without one everybody is kin.
    pub(super) founder: Option<u32>,
    known: HashSet<Process>,
    pids: HashSet<u32>,
}

impl Kin {
    /// Takes the parents that were recorded at fork, and follows them down.
    pub(super) fn learn(&mut self, mut parents: Vec<(u32, u64, u32)>) {
        let Some(founder) = self.founder else { return };
        self.pids.insert(founder);
        loop {
            let before = parents.len();
            parents.retain(|&(tgid, start_ns, parent)| {
                let kin = tgid == founder || self.pids.contains(&parent);
                if kin {
                    self.add(Process { tgid, start_ns });
                }
                !kin
            });
            if parents.len() == before {
                break;
            }
        }
    }

    fn add(&mut self, process: Process) {
        self.known.insert(process);
        self.pids.insert(process.tgid);
    }

    pub(super) fn has(&self, process: Process) -> bool {
        self.founder.is_none() || self.known.contains(&process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(tgid: u32) -> Process {
        Process {
            tgid,
            start_ns: u64::from(tgid),
        }
    }

    #[test]
    fn kin_is_followed_down_in_whatever_order_it_is_found() {
        let mut kin = Kin {
            founder: Some(10),
            ..Kin::default()
        };
        // Pid, start, parent: a grandchild before its parent, and a stranger.
        kin.learn(vec![(30, 30, 20), (20, 20, 10), (10, 10, 1), (40, 40, 1)]);
        let known = [10, 20, 30, 40].map(|tgid| kin.has(process(tgid)));
        assert_eq!(known, [true, true, true, false]);
        // The child left; its child is still known for kin.
        kin.learn(vec![(50, 50, 30)]);
        assert!(kin.has(process(50)));
    }

    #[test]
    fn without_a_command_everybody_is_kin() {
        assert!(Kin::default().has(process(1)));
    }
}
