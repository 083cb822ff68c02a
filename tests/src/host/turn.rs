//! Whose turn it is on this machine, across all test programs that run on it.
//!
//! A daemon that acts ends every miner it finds, also another test's; one that only
//! observes counts every miner. So each test says what it can stand beside it, and waits.
//! Two lock files decide (flock(2): the kernel lets go of them when a test program ends,
//! however it ends):
//!
//! | a test that | `daemons` | `miners` |
//! |---|---|---|
//! | acts, measures, or looks at all of the kernel ([`take_turn`]) | alone | |
//! | only observes, and counts miners, has one, or needs a processor ([`observe_turn`]) | shared | alone |
//! | only observes or acts in its own folder, and minds no other's miners ([`crowd_turn`]) | shared | shared |
//! | only observes, with no miner, and none disturbs it ([`share_turn`]) | shared | |
//!
//! They are always locked in this order, so that no two tests wait for each other. A test
//! that wants to be alone may wait long while others come and go: there are only so many.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::require_root;

/// Where the lock files are: only root can make them there, or keep them locked.
const FOLDER: &str = "/run/unjack-tests";
/// Who may have a daemon.
const DAEMONS: &str = "daemons";
/// Who may have a miner beside daemons that only observe.
const MINERS: &str = "miners";

/// Held by a test for as long as it uses the machine.
#[must_use = "the machine is the test's own only while this lives"]
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, never read")] Vec<File>);

/// Checks that the test runs as root, and waits until no other test is running: for what
/// acts on processes, measures what they take, or looks at everything in the kernel.
/// A test that does not know better takes this one.
///
/// # Panics
///
/// When not root. The suites load probes; a test that cannot must not pass.
pub fn take_turn() -> Turn {
    turn(&[(DAEMONS, FlockOperation::LockExclusive)])
}

/// The same for a test whose daemon only observes, and that has a miner, counts them, or
/// needs a processor beside them, as a browser does: beside it run only tests that have
/// none ([`share_turn`]).
///
/// # Panics
///
/// When not root.
pub fn observe_turn() -> Turn {
    turn(&[
        (DAEMONS, FlockOperation::LockShared),
        (MINERS, FlockOperation::LockExclusive),
    ])
}

/// The same for a test that has miners and says nothing of any others', however many there
/// are and however busy they keep the machine. Its daemon only observes, or acts on
/// nothing but what lies in a folder of the test's own.
///
/// # Panics
///
/// When not root.
pub fn crowd_turn() -> Turn {
    turn(&[
        (DAEMONS, FlockOperation::LockShared),
        (MINERS, FlockOperation::LockShared),
    ])
}

/// The same for a test that acts on nothing, has no miner, and stays right whatever else
/// is found on this machine meanwhile and however busy it is.
///
/// # Panics
///
/// When not root.
pub fn share_turn() -> Turn {
    turn(&[(DAEMONS, FlockOperation::LockShared)])
}

fn turn(locks: &[(&str, FlockOperation)]) -> Turn {
    require_root();
    let folder = Path::new(FOLDER);
    let taken = locks
        .iter()
        .map(|&(name, operation)| take(folder, name, operation));
    Turn(
        taken
            .collect::<io::Result<_>>()
            .unwrap_or_else(|error| panic!("cannot lock what is in {FOLDER}: {error}")),
    )
}

/// Locks a file, which is made if need be. It is closed on exec, so that no daemon or
/// workload keeps the lock when the test has ended.
fn take(folder: &Path, name: &str, operation: FlockOperation) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join(name))?;
    loop {
        match flock(&file, operation) {
            Err(rustix::io::Errno::INTR) => {}
            locked => return locked.map(|()| file).map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: FlockOperation = FlockOperation::NonBlockingLockExclusive;
    const SHARED: FlockOperation = FlockOperation::NonBlockingLockShared;

    fn busy(folder: &Path, operation: FlockOperation) -> bool {
        let taken = take(folder, DAEMONS, operation);
        taken.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether it can be taken, soon: a child that another test starts has the descriptor
    /// until its exec.
    fn comes_free(folder: &Path, operation: FlockOperation) -> bool {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while busy(folder, operation) {
            if std::time::Instant::now() > until {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Each time the file is opened anew, as by other programs.
    #[test]
    fn who_is_alone_waits_for_all_and_all_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let one = take(folder, DAEMONS, SHARED).unwrap();
        let other = take(folder, DAEMONS, SHARED).unwrap();
        assert!(busy(folder, ALONE));
        drop(one);
        assert!(busy(folder, ALONE));
        drop(other);
        assert!(comes_free(folder, ALONE));
        let alone = take(folder, DAEMONS, ALONE).unwrap();
        assert!(busy(folder, SHARED) && busy(folder, ALONE));
        assert!(
            take(folder, MINERS, ALONE).is_ok(),
            "the other file is another"
        );
        drop(alone);
        assert!(comes_free(folder, SHARED));
    }

    #[test]
    fn a_child_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let alone = take(folder.path(), DAEMONS, ALONE).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        drop(alone);
        assert!(comes_free(folder.path(), ALONE));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
