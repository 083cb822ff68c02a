//! How far an action reaches: the tree and the cgroup of a miner.

use super::*;

/// A shell that starts it again and again, from a process in between that has
/// ended; and one that has other things to do.
#[test]
fn with_scope_tree_the_shell_that_respawns_a_miner_ends_too() {
    let _turn = crowd_turn();
    let home = Home::new();
    let image = home.image("miner");
    let daemon = home.daemon(&["--action", "kill", "--scope", "tree"]);
    // The subshell ends at once: what it leaves is adopted.
    let script =
        r#"(sh -c 'echo $$; while :; do "$0" sha256d >/dev/null; done' "$0" &); exec sleep 600"#;
    let mut top = Workload::spawn(Command::new("/bin/sh").args(["-c", script]).arg(&image));
    let shell: u32 = eventually("the shell tells its id", NOTICE, || {
        let lines = top.stdout.lines();
        let first = lines.first().ok_or("nothing yet")?;
        let text = String::from_utf8_lossy(&first.raw).trim().to_owned();
        text.parse().map_err(|_| text)
    });
    let event = daemon.wait_event("a kill", ACTED, |event| {
        event["event"] == "action" && event["outcome"] == "gone"
    });
    assert_eq!(event["others"], 1, "{event}");
    eventually("the shell is gone", NOTICE, || {
        let stat = fs::read_to_string(format!("/proc/{shell}/stat"));
        match stat {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    });
    assert!(top.ended().is_none(), "what did not start it lives");
    thread::sleep(WATCH);
    assert_eq!(running(&image), Vec::<u32>::new(), "nobody starts it again");
}

/// Processes with this image.
fn running(image: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("a /proc").flatten();
    entries
        .filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == image))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Of the name that Podman gives a container's.
#[test]
fn with_scope_cgroup_everything_in_it_ends() {
    let _turn = crowd_turn();
    let home = Home::new();
    let scope = Scope::new(&format!("libpod-{}", "0123456789abcdef".repeat(4)));
    let daemon = home.daemon(&["--action", "kill", "--scope", "cgroup"]);
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    let mut beside = Workload::spawn(scope.command(Path::new("/bin/sleep")).arg("600"));
    let mut outside = Workload::spawn(Command::new("/bin/sleep").arg("600"));
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    beside.wait_killed("what is beside it", Instant::now() + NOTICE);
    assert!(outside.ended().is_none(), "what is elsewhere lives");
    let event = acted(&daemon, miner.pid(), "kill", "gone");
    assert_eq!(event["others"], 1, "{event}");
}

/// The scope is refused, and the miner in it is not spared for that.
fn check_narrower(daemon: &Daemon, miner: &mut Workload, refused: &str) {
    let first = miner.first_hash();
    miner.wait_killed("the miner", first + ACTED);
    let event = acted(daemon, miner.pid(), "kill", "gone");
    assert_eq!(event["scope"], "tree", "{event}");
    assert_eq!(event["scope_requested"], "cgroup", "{event}");
    assert_eq!(event["scope_refused"], refused, "{event}");
    daemon.wait_metrics(
        "the narrower scope is counted",
        NOTICE,
        |metrics| match metrics.sum("unjack_scope_fallbacks_total", &[("scope", "tree")]) {
            0.0 => Err("not yet".to_owned()),
            _ => Ok(()),
        },
    );
}

#[test]
fn with_scope_cgroup_a_cgroup_that_others_share_is_left_and_its_miner_is_not() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "kill", "--scope", "cgroup"]);
    let shared = Scope::new("unjack-test.slice");
    let mut beside = Workload::spawn(shared.command(Path::new("/bin/sleep")).arg("600"));
    let mut miner = Workload::spawn(shared.command(&home.image("miner")).arg("sha256d"));
    check_narrower(&daemon, &mut miner, "shared-cgroup");
    assert!(beside.ended().is_none(), "what is beside it lives");
}

#[test]
fn with_scope_cgroup_the_daemons_own_is_left_and_the_miner_in_it_is_not() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "kill", "--scope", "cgroup"]);
    let scope = Scope::new("unjack-test.scope");
    scope.take(daemon.pid());
    let mut miner = Workload::spawn(scope.command(&home.image("miner")).arg("sha256d"));
    check_narrower(&daemon, &mut miner, "own-cgroup");
    drop(miner);
    drop(daemon);
}
