//! Processes that may carry what a process says to the network, where it has no
//! connection of its own: a helper behind a pipe or a UNIX socket, the parent, a
//! child, or another process of the same session.
//!
//! They are processes of the same user: any other can connect to a UNIX socket of a
//! service and have a connection of its own that looks like one to a pool.
//!
//! A process chooses how many there are, so every list is bounded; those with which
//! it shares a channel come first. What is not found this way: a helper that is
//! no relative and is reached through a named pipe, a file or shared memory.

use std::{collections::HashSet, io::Read as _, time::Duration};

use procfs::process::FDTarget;

use super::{
    LookError, ProcHandle, connections::PATIENCE, root, tcp_info::unix_peer, tick_ns,
    timed_read::What,
};
use unjack_core::event::Process;

/// Processes that are named.
const MAX_RELATIVES: usize = 32;
/// Pipes and UNIX sockets of the process itself that are followed.
const MAX_CHANNELS: usize = 16;
/// Descriptors of a process that are searched for pipes, a microsecond or two each.
const MAX_DESCRIPTORS: usize = 64;
/// Processes whose descriptors are searched, those with the nearest ids first: who
/// makes a pipe forks next. With [`MAX_DESCRIPTORS`] some ten milliseconds at most.
const MAX_SEARCHED: usize = 128;
/// Children of one process that are looked at, some ten microseconds each.
const MAX_CHILDREN: usize = 64;
/// Bytes of a list of children: more than [`MAX_CHILDREN`] have.
const CHILDREN_BYTES: u64 = 1024;

/// Processes in the order in which they were found, each once.
struct Found {
    pids: Vec<u32>,
    known: HashSet<u32>,
}

impl Found {
    /// `but` never are.
    fn new(but: [u32; 2]) -> Self {
        Self {
            pids: Vec::new(),
            known: but.into_iter().chain([0, 1]).collect(),
        }
    }

    fn add(&mut self, pid: u32) {
        if self.pids.len() < MAX_RELATIVES && self.known.insert(pid) {
            self.pids.push(pid);
        }
    }
}

impl ProcHandle {
    /// Processes that may connect to the network for it, the likeliest first,
    /// `MAX_RELATIVES` at the most.
    ///
    /// # Errors
    /// It is gone or may not be looked at, or that hangs.
    pub fn relatives(&self) -> Result<Vec<Process>, LookError> {
        self.relatives_within(PATIENCE)
    }

    /// The same, waiting no longer than this.
    ///
    /// # Errors
    /// The same.
    pub fn relatives_within(&self, patience: Duration) -> Result<Vec<Process>, LookError> {
        self.sockets_within(patience, Self::ask_relatives)
    }

    fn ask_relatives(&self) -> Result<Vec<Process>, LookError> {
        let pid = self.folder.pid().unsigned_abs();
        let mut found = Found::new([pid, std::process::id()]);
        let pipes = self.pipes(MAX_CHANNELS);
        let mut sockets = Vec::new();
        self.each_socket(|socket| {
            if sockets.len() < MAX_CHANNELS {
                sockets.extend(unix_peer(socket));
            }
        })?;
        if !pipes.is_empty() {
            let mut others = root::pids();
            others.sort_by_key(|other| other.abs_diff(pid));
            for other in others.into_iter().take(MAX_SEARCHED) {
                let shares = |seen: Self| !seen.pipes(MAX_DESCRIPTORS).is_disjoint(&pipes);
                if Self::open_pid(other).is_ok_and(shares) {
                    found.add(other);
                }
            }
        }
        let stat = self.stat()?;
        for kin in sockets.into_iter().chain(self.children()) {
            found.add(kin);
        }
        // A browser's page: what connects for it has the same parent, or its
        // parent's parent has.
        let mut above = stat.ppid.unsigned_abs();
        for _ in 0..2 {
            let Ok(parent) = Self::open_pid(above) else {
                break;
            };
            // The first process adopts all that have lost theirs.
            if above <= 1 {
                break;
            }
            found.add(above);
            let of_session =
                |seen: Self| Ok::<bool, LookError>(seen.stat()?.session == stat.session);
            for sibling in parent.children() {
                if Self::open_pid(sibling)
                    .and_then(of_session)
                    .unwrap_or(false)
                {
                    found.add(sibling);
                }
            }
            above = parent.parent().unwrap_or(0);
        }
        let user = self.uid();
        let process = |pid: u32| {
            let seen = Self::open_pid(pid).ok()?;
            // A client of another user must not bring its connections along.
            if user.is_none() || seen.uid() != user {
                return None;
            }
            let ticks = seen.start_ticks().ok()?;
            Some(Process {
                tgid: pid,
                start_ns: ticks.saturating_mul(tick_ns()),
            })
        };
        Ok(found.pids.into_iter().filter_map(process).collect())
    }

    /// The inodes of its pipes, among as many descriptors as are searched.
    fn pipes(&self, most: usize) -> HashSet<u64> {
        let pipes = self.timed(What::Folder, move |seen| Ok(seen.read_pipes(most)));
        pipes.unwrap_or_default()
    }

    fn read_pipes(&self, most: usize) -> HashSet<u64> {
        let descriptors = self.folder.fd().into_iter().flatten().flatten();
        descriptors
            .take(most)
            .filter_map(|descriptor| match descriptor.target {
                FDTarget::Pipe(inode) => Some(inode),
                _ => None,
            })
            .collect()
    }

    /// The ids of its children, [`MAX_CHILDREN`] at the most; none where the kernel
    /// does not list them.
    fn children(&self) -> impl Iterator<Item = u32> {
        let folder = root::folder(self.folder.pid());
        let lists = self.threads().filter_map(move |tid| {
            let list = std::fs::File::open(folder.join(format!("task/{tid}/children"))).ok()?;
            let mut text = String::new();
            list.take(CHILDREN_BYTES).read_to_string(&mut text).ok()?;
            Some(text)
        });
        let ids = lists.flat_map(|text| {
            // The last may be cut.
            let whole = text.rfind(' ').unwrap_or(0);
            let ids = text[..whole].split_ascii_whitespace();
            ids.filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
        });
        ids.take(MAX_CHILDREN)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_mins(1);

    fn cat(input: Stdio, output: Stdio) -> Child {
        let mut command = Command::new("cat");
        command.stdin(input).stdout(output).spawn().unwrap()
    }

    fn relatives(of: u32) -> Vec<u32> {
        let seen = ProcHandle::open_pid(of).unwrap();
        let found = seen.relatives_within(LONG).unwrap();
        found.into_iter().map(|process| process.tgid).collect()
    }

    #[test]
    fn who_shares_a_pipe_comes_first_and_a_sibling_is_found() {
        let mut first = cat(Stdio::piped(), Stdio::piped());
        let between = first.stdout.take().unwrap();
        let mut second = cat(between.into(), Stdio::null());
        let mut sibling = cat(Stdio::piped(), Stdio::null());
        let found = relatives(first.id());
        assert!(found.len() <= MAX_RELATIVES);
        let at = |child: &Child| found.iter().position(|pid| *pid == child.id());
        // This process made the pipes and is left out, as it is the one that looks.
        assert!(!found.contains(&std::process::id()) && !found.contains(&first.id()));
        let (piped, other) = (at(&second).unwrap(), at(&sibling).unwrap());
        assert!(piped < other, "{found:?}");
        for child in [&mut first, &mut second, &mut sibling] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Or a client could make a miner of the service that it asks.
    #[test]
    fn a_process_of_another_user_is_no_relative() {
        use std::os::unix::process::CommandExt as _;
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let child = |user: u32| {
            let mut command = Command::new("cat");
            let mut child = command.uid(user).stdin(Stdio::piped()).spawn().unwrap();
            // The user changes before the program does.
            let pid = child.id();
            let is_cat = || ProcHandle::open_pid(pid).and_then(|seen| seen.exe());
            while !is_cat().is_ok_and(|exe| exe.ends_with("cat")) {
                assert!(child.try_wait().unwrap().is_none());
            }
            child
        };
        let mut first = child(0);
        let (mut same, mut other) = (child(0), child(65534));
        let found = relatives(first.id());
        for child in [&mut first, &mut same, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(
            found.contains(&same.id()) && !found.contains(&other.id()),
            "{found:?}"
        );
    }

    #[test]
    fn the_number_of_relatives_is_bounded() {
        let mut found = Found::new([5, 6]);
        (0..1000).for_each(|pid| found.add(pid));
        assert_eq!(found.pids.len(), MAX_RELATIVES);
        assert_eq!(found.pids[..5], [2, 3, 4, 7, 8]);
    }
}
