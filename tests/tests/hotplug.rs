//! A processor that goes off line and comes back.

use std::{fs, time::Duration};

use rustix::thread::{CpuSet, sched_setaffinity};
use tests::host::take_turn;
use tests::{Daemon, Workload};

/// The last processor's switch. The first often has none.
fn switch() -> (usize, String) {
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    assert!(last > 0, "this test needs a machine with two processors");
    let path = format!("/sys/devices/system/cpu/cpu{last}/online");
    (last, path)
}

/// Puts the processor back whatever the test comes to.
struct Restore(String);

impl Drop for Restore {
    fn drop(&mut self) {
        // The assertion that failed is the one to be shown.
        let _result = fs::write(&self.0, "1");
    }
}

#[test]
fn a_processor_that_comes_online_later_is_sampled() {
    let _turn = take_turn();
    let (cpu, switch) = switch();
    let off = fs::write(&switch, "0");
    off.expect("the processor can be taken off line; in a container this test cannot run");
    let restore = Restore(switch.clone());
    let daemon = Daemon::start(&["--action", "kill"]);
    fs::write(&switch, "1").expect("the processor can be brought on line");
    drop(restore);

    let mut miner = Workload::start(&["sha256d"]);
    let first = miner.first_hash();
    let mut only = CpuSet::new();
    only.set(cpu);
    let pid = i32::try_from(miner.pid())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    sched_setaffinity(pid, &only).expect("the miner can be bound to the processor");
    miner.wait_killed("a miner on that processor", first + Duration::from_mins(1));
    let verdict = daemon.event_about("verdict", miner.pid(), Duration::from_secs(5));
    assert_eq!(verdict["family"], "sha256d", "{verdict}");
}
