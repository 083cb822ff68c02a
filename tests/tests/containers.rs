//! Miners in real containers: with scope `process` the miner ends and its
//! container lives, with scope `cgroup` the container ends, and the one that
//! unjack itself runs in is left alone. What container it is, the verdict says.

use std::path::Path;
use std::time::Duration;

use tests::Daemon;
use tests::host::{eventually, take_turn, unjack};
use tests::podman::Podman;

/// From a miner's start to the action, at most.
const ACTED: Duration = Duration::from_mins(1);
const NOTICE: Duration = Duration::from_secs(20);

/// What a container does that mines beside what it is for: by an algorithm that only
/// mines, as it has no network and so no pool.
fn with_miner(podman: &Podman) -> String {
    let workload = podman.workload().display().to_string();
    format!("{workload} mine cryptonight >/dev/null & exec sleep 600")
}

/// Flags by which only what the tests' containers run is a miner: how miners
/// are told is not the question here.
fn flags(podman: &Podman, scope: &str) -> Vec<String> {
    let deny = format!("exe={}", podman.workload().display());
    let judge = ["--min-score", "1", "--deny", &deny];
    let act = ["--action", "kill", "--scope", scope];
    judge.into_iter().chain(act).map(str::to_owned).collect()
}

fn daemon(podman: &Podman, scope: &str) -> (Daemon, tempfile::TempDir) {
    let state = tempfile::tempdir().expect("a temporary directory");
    let mut flags = flags(podman, scope);
    flags.extend(["--state-dir".to_owned(), state.path().display().to_string()]);
    (Daemon::start(&flags), state)
}

fn gone(pid: u32) {
    eventually("the miner is gone", NOTICE, || {
        if Path::new(&format!("/proc/{pid}/exe")).exists() {
            return Err(format!("process {pid} is there"));
        }
        Ok(())
    });
}

#[test]
fn a_miner_in_a_container_is_killed_and_the_container_lives() {
    let _turn = take_turn();
    let podman = Podman::new();
    let (daemon, _state) = daemon(&podman, "process");
    let alone = ["--network", "none"];
    let init = podman.start("host", &alone, &["sh", "-c", &with_miner(&podman)]);
    let miner = podman.miner(init);
    let event = daemon.event_about("action", miner, ACTED);
    assert_eq!(event["outcome"], "gone", "{event}");
    gone(miner);
    assert!(podman.runs("host"), "what else is in it lives");
}

#[test]
fn a_verdict_names_the_container_and_its_image() {
    const IMAGE: &str = "localhost/unjack-test/shop:1";
    let _turn = take_turn();
    let podman = Podman::new();
    podman.import(IMAGE);
    let deny = format!("exe={}", podman.workload().display());
    let storage = podman.storage().display().to_string();
    let judge = ["--min-score", "1", "--deny", &deny];
    let daemon = Daemon::start(&[&judge[..], &["--container-dir", &storage]].concat());
    let alone = ["--network", "none"];
    let command = with_miner(&podman);
    let init = podman.start_from(&[IMAGE], "till", &alone, &["sh", "-c", &command]);
    let miner = podman.miner(init);
    let event = daemon.event_about("verdict", miner, ACTED);
    let container = &event["container"];
    assert_eq!(container["runtime"], "podman", "{event}");
    assert_eq!(container["name"], "till", "{event}");
    assert_eq!(container["image"], IMAGE, "{event}");
    assert_eq!(container["id"].as_str().map(str::len), Some(64), "{event}");
    let looked_up = "unjack_containers_looked_up_total";
    assert!(daemon.metrics().sum(looked_up, &[("outcome", "named")]) >= 1.0);
}

/// By the image that Podman's root-owned files name, and by the container's id.
#[test]
fn with_only_an_image_a_miner_outside_of_it_is_reported_and_lives() {
    const IMAGE: &str = "localhost/unjack-test/runner:1";
    let _turn = take_turn();
    let podman = Podman::new();
    podman.import(IMAGE);
    let deny = format!("exe={}", podman.workload().display());
    let storage = podman.storage().display().to_string();
    let state = tempfile::tempdir().expect("a temporary directory");
    let state = state.path().display().to_string();
    let daemon = Daemon::start(&[
        "--min-score",
        "1",
        "--deny",
        &deny,
        "--container-dir",
        &storage,
        "--state-dir",
        &state,
        "--action",
        "kill",
        "--only",
        "image=localhost/unjack-test/runner:*",
    ]);
    let alone = ["--network", "none"];
    let command = with_miner(&podman);
    let other = podman.start("database", &alone, &["sh", "-c", &command]);
    let other = podman.miner(other);
    let event = daemon.event_about("action", other, ACTED);
    assert_eq!(event["outcome"], "dry-run", "{event}");
    assert_eq!(event["reason"], "not-only", "{event}");
    let runner = podman.start_from(&[IMAGE], "runner", &alone, &["sh", "-c", &command]);
    let runner = podman.miner(runner);
    let event = daemon.event_about("action", runner, ACTED);
    assert_eq!(event["outcome"], "gone", "{event}");
    gone(runner);
    assert!(podman.runs("database"), "the other container lives");
}

#[test]
fn with_scope_cgroup_the_whole_container_ends_and_no_other() {
    let _turn = take_turn();
    let podman = Podman::new();
    let (daemon, _state) = daemon(&podman, "cgroup");
    let alone = ["--network", "none"];
    let init = podman.start("host", &alone, &["sh", "-c", &with_miner(&podman)]);
    let _other = podman.start("beside", &alone, &["sleep", "600"]);
    let miner = podman.miner(init);
    let event = daemon.event_about("action", miner, ACTED);
    assert_eq!(event["outcome"], "gone", "{event}");
    assert_eq!(event["others"], 1, "{event}");
    gone(miner);
    gone(init);
    eventually("the container has ended", NOTICE, || {
        if podman.runs("host") {
            Err("it runs".to_owned())
        } else {
            Ok(())
        }
    });
    assert!(podman.runs("beside"), "another container lives");
}

/// An agent in a container of its own, as a cluster runs one on each node: it
/// sees the host's processes and cgroups.
#[test]
fn with_scope_cgroup_the_agents_own_container_lives_and_the_miner_in_it_does_not() {
    let _turn = take_turn();
    let podman = Podman::new();
    let binary = format!("{}:/unjack:ro", unjack().display());
    let agent = [
        "--privileged",
        "--pid",
        "host",
        "--cgroupns",
        "host",
        "--network",
        "host",
    ];
    let mounts = ["-v", "/sys/fs/cgroup:/sys/fs/cgroup", "-v", &binary];
    let address = tests::daemon::free_address().to_string();
    let flags = flags(&podman, "cgroup");
    let mut run = vec!["/unjack", "run", "--web.listen-address", &address];
    run.extend(["--state-dir", "/tmp/state"]);
    run.extend(flags.iter().map(String::as_str));
    let init = podman.start("agent", &[&agent[..], &mounts].concat(), &run);
    let logs = |text: &str| match podman.logs("agent") {
        said if said.contains(text) => Ok(()),
        said => Err(said),
    };
    eventually("the agent is ready", ACTED, || logs("ready: unjack"));
    let workload = podman.workload();
    let workload = workload.to_str().expect("plain");
    podman.exec("agent", &[workload, "mine", "cryptonight"]);
    let miner = podman.miner(init);
    let ended = format!("kill pid {miner}: gone");
    eventually("it is ended", ACTED, || logs(&ended));
    let narrower = "scope tree instead of cgroup: own-cgroup";
    eventually("with the reason", NOTICE, || logs(narrower));
    gone(miner);
    assert!(podman.runs("agent"));
}
