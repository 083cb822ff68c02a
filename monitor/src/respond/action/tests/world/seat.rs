//! Where a cgroup of ours is made, so that no user can undo it and no neighbour is
//! broken.

use super::*;

/// What a user's own manager is to systemd.
const USERS: &str = "/v2/a.scope";

fn delegated(deed: ActionKind) -> (Host, State, ActionRequest) {
    let host = Host {
        delegated: vec![USERS],
        ..Host::new(V2, &[MINER, (60, 1, "/srv/web")])
    };
    (host, State::new(false), to(deed, Scope::Process))
}

/// Beside the cgroup of all, in the one above.
fn beside(number: &str) -> String {
    format!("/v2/{PREFIX}50-{}{number}", member(50).start_time)
}

#[test]
fn in_a_delegated_cgroup_it_is_held_beside_it() {
    for deed in [THROTTLE, ActionKind::Freeze] {
        let (host, state, order) = delegated(deed);
        assert_eq!(state.done(&host, &order), HELD);
        assert_eq!(host.place("/v2", 50), beside(""));
        assert_eq!(host.kind(Path::new(USERS)), "domain");
        match deed {
            THROTTLE => host.reads(&format!("{}/cpu.max", beside("")), "5000 100000"),
            _ => host.reads(&format!("{}/cgroup.freeze", beside("")), "1"),
        }
        state.hold_manager.end(&host);
        assert_eq!(host.place("/v2", 50), USERS);
        assert!(!host.exists(Path::new(&beside(""))));
        assert_eq!(state.held(), 0);
    }
}

#[test]
fn a_whole_cgroup_that_its_user_can_write_to_is_moved_instead() {
    for deed in [THROTTLE, ActionKind::Freeze] {
        let (host, state, order) = delegated(deed);
        let order = ActionRequest {
            scope: Scope::Cgroup,
            ..order
        };
        let held = state.done(&host, &order);
        assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
        assert_eq!(host.place("/v2", 50), beside(""));
        assert_eq!(host.place("/v2", 60), beside(""));
        assert_eq!(host.file("/v2/a.scope/cgroup.freeze"), None);
        state.hold_manager.end(&host);
        assert_eq!(host.place("/v2", 60), USERS);
    }
}

#[test]
fn a_folder_that_was_there_is_never_used() {
    for (mounts, mount) in [(HYBRID, "/cpu"), (V2, "/v2")] {
        let host = Host::new(mounts, &[MINER]);
        let there = ours(mount);
        host.make(Path::new(&there)).unwrap();
        let state = State::new(false);
        let order = to(
            if mount == "/v2" {
                ActionKind::Freeze
            } else {
                THROTTLE
            },
            Scope::Process,
        );
        assert_eq!(state.done(&host, &order), HELD);
        assert_eq!(host.place(mount, 50), format!("{there}-1"));
        state.hold_manager.end(&host);
        assert_eq!(host.place(mount, 50), format!("{mount}/a.scope"));
        assert!(host.exists(Path::new(&there)), "another's folder is gone");
    }
}

#[test]
fn below_a_cgroup_that_may_get_cgroups_none_of_threads_is_made() {
    let container = "/v2/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let into = |host: &Host, dir: &str, pids: &[u32]| {
        host.dirs.borrow_mut().insert(dir.into());
        for pid in pids {
            let at = (PathBuf::from("/v2"), *pid);
            host.places.borrow_mut().insert(at, dir.into());
        }
    };
    let host = || Host::new(V2, &[MINER, (60, 1, "/srv/web")]);
    let in_container = host();
    into(&in_container, "/v2/docker", &[]);
    into(&in_container, container, &[50, 60]);
    let marked = Host {
        marked: vec![USERS],
        ..host()
    };
    let with_child = host();
    into(&with_child, "/v2/a.scope/child", &[60]);
    with_child.begin(61, "/srv/web");
    into(&with_child, USERS, &[61]);
    for (host, home) in [
        (in_container, container),
        (marked, USERS),
        (with_child, USERS),
    ] {
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
        let dir = PathBuf::from(host.place("/v2", 50));
        assert_eq!(dir.parent(), Path::new(home).parent(), "{home}");
        host.reads(&format!("{}/cpu.max", dir.display()), "5000 100000");
        assert_eq!(host.kind(Path::new(home)), "domain");
        // What is made there later can have processes.
        let later = Path::new(home).join("later");
        host.make(&later).unwrap();
        host.write(&later.join("cgroup.procs"), "60").unwrap();
        state.hold_manager.end(&host);
        assert_eq!(host.place("/v2", 50), home);
    }
}

/// A container is removed once it is empty, and `exec` would fail.
#[test]
fn one_that_is_alone_in_its_container_stays_there() {
    let host = Host {
        marked: vec![USERS],
        ..Host::new(V2, &[MINER])
    };
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    assert_eq!(host.place("/v2", 50), USERS);
    host.reads("/v2/a.scope/cpu.max", "5000 100000");
    state.hold_manager.end(&host);
    host.reads("/v2/a.scope/cpu.max", "max 100000");
}

#[test]
fn the_limits_it_had_go_with_it() {
    let (host, state, order) = delegated(THROTTLE);
    for (file, has) in [
        ("memory.max", "1048576"),
        ("pids.max", "max"),
        ("cpu.max", "2000 100000"),
        ("cpuset.cpus.effective", "0-1"),
    ] {
        host.set(&format!("{USERS}/{file}"), has);
    }
    for file in ["memory.max", "pids.max", "cpuset.cpus"] {
        host.set(&format!("{}/{file}", beside("")), "as it was made");
    }
    assert_eq!(state.done(&host, &order), HELD);
    for (file, has) in [
        ("memory.max", "1048576"),
        ("pids.max", "as it was made"),
        ("cpuset.cpus", "0-1"),
        ("cpu.max", "2000 100000"),
    ] {
        host.reads(&format!("{}/{file}", beside("")), has);
    }
    // It has no more than that, and that is not counted as a reset.
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!((kept.escapes.all(), kept.throttled), (0, 1));
}

#[test]
fn where_its_cgroup_is_gone_it_goes_to_the_one_above() {
    let (host, state, order) = delegated(ActionKind::Freeze);
    host.dirs.borrow_mut().insert("/v2/a.scope/b".into());
    host.places
        .borrow_mut()
        .insert(("/v2".into(), 50), "/v2/a.scope/b".into());
    assert_eq!(state.done(&host, &order), HELD);
    assert_eq!(host.place("/v2", 50), beside(""));
    host.remove(Path::new("/v2/a.scope/b")).unwrap();
    state.hold_manager.end(&host);
    assert_eq!(host.place("/v2", 50), USERS);
    assert_eq!(state.held(), 0);
}

#[test]
fn a_tree_of_several_cgroups_goes_back_to_each() {
    let host = Host {
        delegated: vec![USERS],
        ..Host::new(V2, &[MINER, (60, 50, "/tmp/x")])
    };
    host.dirs.borrow_mut().insert("/v2/a.scope/b".into());
    host.places
        .borrow_mut()
        .insert(("/v2".into(), 60), "/v2/a.scope/b".into());
    let state = State::new(false);
    let held = state.done(&host, &to(ActionKind::Freeze, Scope::Tree));
    assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
    assert_eq!(host.place("/v2", 50), beside(""));
    assert_eq!(host.place("/v2", 60), beside("-1"));
    state.hold_manager.end(&host);
    assert_eq!(host.place("/v2", 50), USERS);
    assert_eq!(host.place("/v2", 60), "/v2/a.scope/b");
}
