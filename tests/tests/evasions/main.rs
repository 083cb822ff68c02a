//! Evasions that miners are known for, each with a real hash, at default
//! thresholds, and with honest work beside it.
//!
//! Every miner here is a copy of the workload program and every innocent is
//! another: an image that mines is condemned with all its processes.

mod crowd;
mod hangs;
mod identity;
mod pools;
mod rebirth;
mod starved;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Daemon, Workload, host};

/// From the first hash to the end, at most, of what burns a whole core.
const DEATH: Duration = Duration::from_mins(1);
/// The same of what gets a tenth of a core, or less among busy others, or is excused
/// for a while.
const SLOW_DEATH: Duration = Duration::from_secs(90);
/// For an event that belongs to something that has already happened.
const NOTICE: Duration = Duration::from_secs(5);

/// A copy of the workload program: an image of its own.
fn image(home: &Path, name: &str) -> PathBuf {
    let path = home.join(name);
    fs::copy(host::workload(), &path)
        .unwrap_or_else(|error| panic!("cannot copy the workload to {}: {error}", path.display()));
    path
}

/// Honest work as busy as a miner, which must be there at the end.
struct Innocent(Workload);

impl Innocent {
    fn start(home: &Path) -> Self {
        let burner = Workload::start_as(&home.join("innocent"), &["burn"]);
        let _ = burner.first_hash();
        Self(burner)
    }

    fn assert_spared(mut self, daemon: &Daemon) {
        assert!(self.0.ended().is_none(), "the innocent lives");
        assert_unjudged(daemon, self.0.pid());
    }
}

/// No verdict says that the process mines, and nothing was done to it.
fn assert_unjudged(daemon: &Daemon, pid: u32) {
    let mut events = daemon.events();
    events.retain(|event| {
        event["pid"] == pid && (event["verdict"] == "miner" || event["event"] == "action")
    });
    assert_eq!(events, Vec::<Value>::new(), "against an innocent");
}

/// The miner is dead in time, by the daemon and for what it did. Returns the
/// verdict.
fn assert_killed(
    daemon: &Daemon,
    miner: &mut Workload,
    family: &str,
    since: Instant,
    limit: Duration,
) -> Value {
    miner.wait_killed("the miner is dead", since + limit);
    let verdict = miner_verdict(daemon, miner.pid());
    assert_eq!(verdict["family"], family, "{verdict}");
    let action = daemon.event_about("action", miner.pid(), NOTICE);
    assert_eq!(action["outcome"], "gone", "{action}");
    verdict
}

/// The verdict that the process is a miner, which has been told already.
fn miner_verdict(daemon: &Daemon, pid: u32) -> Value {
    daemon.wait_event(&format!("verdict against {pid}"), NOTICE, |event| {
        event["event"] == "verdict" && event["pid"] == pid && event["verdict"] == "miner"
    })
}
