//! Cgroups that are held or ended as a whole, and what stays recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

const QUOTA: &str = "/cpu/a.scope/cpu.cfs_quota_us";
const PERIOD: &str = "/cpu/a.scope/cpu.cfs_period_us";

/// A throttle or a freeze of the cgroup of this one: the file, what is written
/// there, and what was.
const HOLDS: [(ActionKind, &str, &str, &str); 2] = [
    (THROTTLE, QUOTA, "5000", "-1"),
    (ActionKind::Freeze, "/v2/a.scope/cgroup.freeze", "1", "0"),
];

fn about(pid: u32, deed: ActionKind) -> ActionRequest {
    ActionRequest {
        deed,
        scope: Scope::Cgroup,
        ..order(pid, 0)
    }
}

/// The others in it were not judged.
#[test]
fn a_cgroup_is_put_back_once_its_miner_is_gone() {
    for (deed, file, now, before) in HOLDS {
        for zombie in [false, true] {
            let mut host = Host::new(HYBRID, &[MINER, (60, 1, "/srv/web")]);
            let state = State::new(false);
            let held = state.done(&host, &about(50, deed));
            assert_eq!(held.outcome, Outcome::Held);
            state.hold_manager.keep_up(&host);
            host.reads(file, now);
            if zombie {
                host.zombie = Some(50);
            } else {
                host.end(50);
            }
            state.hold_manager.keep_up(&host);
            host.reads(file, before);
            assert_eq!(state.held(), 0);
        }
    }
}

#[test]
fn a_cgroup_of_two_miners_is_held_until_both_are_gone() {
    for (deed, file, now, before) in HOLDS {
        let host = Host::new(HYBRID, &[MINER, (60, 1, "/tmp/other")]);
        let state = State::new(false);
        for pid in [50, 60] {
            let held = state.done(&host, &about(pid, deed));
            assert_eq!(held.outcome, Outcome::Held);
        }
        host.end(50);
        state.hold_manager.keep_up(&host);
        host.reads(file, now);
        assert_eq!(state.held(), 1);
        host.end(60);
        state.hold_manager.keep_up(&host);
        host.reads(file, before);
        assert_eq!(state.held(), 0);
    }
}

/// Else it would be told to be let go, and stay throttled for the other.
#[test]
fn a_cgroup_of_two_miners_is_released_for_both() {
    for (deed, file, _, before) in HOLDS {
        let host = Host::new(HYBRID, &[MINER, (60, 1, "/tmp/other")]);
        let state = State::new(false);
        for pid in [50, 60] {
            state.done(&host, &about(pid, deed));
        }
        let released = release(&state.store(), Some(&Released::Pid(50)), &host);
        assert_eq!(released.unwrap(), (2, 0));
        host.reads(file, before);
        assert_eq!(state.held(), 0);
    }
}

#[test]
fn what_an_administrator_sets_ends_a_hold_and_is_gone_back_to_by_the_next() {
    for looked in [false, true] {
        let host = Host::new(HYBRID, &[MINER, (60, 1, "/tmp/other")]);
        let state = State::new(false);
        state.done(&host, &about(50, THROTTLE));
        host.set(QUOTA, "70000");
        if looked {
            assert_eq!(state.hold_manager.keep_up(&host).unwrap().throttled, 0);
            host.reads(QUOTA, "70000");
            assert_eq!(state.held(), 0);
        }
        state.done(&host, &about(60, THROTTLE));
        host.reads(QUOTA, "5000");
        assert_eq!(state.held(), 1);
        state.hold_manager.end(&host);
        host.reads(QUOTA, "70000");
    }
}

#[track_caller]
fn throttled(mounts: &str, files: &[(&str, &str, &str)]) {
    let host = Host::new(mounts, &[MINER]);
    for (file, before, _) in files {
        host.set(file, before);
    }
    let state = State::new(false);
    assert_eq!(state.done(&host, &about(50, THROTTLE)), HELD);
    for (file, _, now) in files {
        host.reads(file, now);
    }
    state.hold_manager.end(&host);
    for (file, before, _) in files {
        host.reads(file, before);
    }
}

#[test]
fn a_throttle_gives_no_cgroup_more_than_it_had() {
    throttled(HYBRID, &[(QUOTA, "2000", "2000")]);
    throttled(V2, &[("/v2/a.scope/cpu.max", "2000 100000", "2000 100000")]);
    throttled(V2, &[("/v2/a.scope/cpu.max", "500 50000", "500 50000")]);
    throttled(V2, &[("/v2/a.scope/cpu.max", "max 100000", "5000 100000")]);
    throttled(
        V2,
        &[("/v2/a.scope/cpu.max", "20000 100000", "5000 100000")],
    );
    // Nor, in version 1, more than the one above it.
    let above = "/cpu/cpu.cfs_quota_us";
    throttled(HYBRID, &[(above, "2000", "2000"), (QUOTA, "-1", "2000")]);
}

#[test]
fn the_period_of_a_quota_is_put_back_with_it() {
    throttled(
        HYBRID,
        &[(PERIOD, "50000", "100000"), (QUOTA, "25000", "5000")],
    );
    throttled(
        HYBRID,
        &[(PERIOD, "200000", "200000"), (QUOTA, "-1", "10000")],
    );
    // Its quota was changed by another program since: the period that goes with it
    // stays.
    let host = Host::new(HYBRID, &[MINER]);
    host.set(PERIOD, "50000");
    let state = State::new(false);
    state.done(&host, &about(50, THROTTLE));
    host.set(QUOTA, "70000");
    state.hold_manager.end(&host);
    host.reads(QUOTA, "70000");
    host.reads(PERIOD, "100000");
}

/// A host whose miner is in a scope of threads only, below this one.
fn threaded(above: &str) -> Host {
    let host = Host::new(V2, &[MINER, (60, 1, "/srv/web")]);
    let below = Path::new(above).join("b.scope");
    host.dirs.borrow_mut().insert(above.into());
    host.dirs.borrow_mut().insert(below.clone());
    host.write(&below.join("cgroup.type"), "threaded").unwrap();
    host.places.borrow_mut().insert(("/v2".into(), 50), below);
    host
}

#[test]
fn a_cgroup_of_threads_is_part_of_the_one_above_it() {
    let host = threaded("/v2/a.scope");
    let held = done(&host, &about(50, THROTTLE));
    assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
    host.reads("/v2/a.scope/cpu.max", "5000 100000");

    let host = threaded("/v2/a.scope");
    let fate = done(&host, &about(50, KILL));
    assert_eq!((fate.outcome, fate.others), (Outcome::Gone, 1));
    assert!(host.living().is_empty());
}

#[test]
fn a_cgroup_of_threads_below_a_slice_is_others_too() {
    for deed in [KILL, THROTTLE, ActionKind::Freeze] {
        let host = threaded("/v2/x.slice");
        let fate = done(&host, &about(50, deed));
        let narrower = fate.fallback.unwrap();
        assert_eq!(narrower.refused, Refusal::SharedCgroup, "{deed:?}");
        assert_eq!(fate.others, 0, "{deed:?}");
        assert_eq!(host.living().contains(&50), deed != KILL);
        assert!(host.living().contains(&60) && host.signals(60).is_empty());
    }
}

#[test]
fn what_is_switched_on_is_noted_before() {
    let mut host = Host {
        deadly: Some("cgroup.subtree_control"),
        ..Host::new(V2, &[MINER])
    };
    let state = State::new(false);
    let hold = || state.done(&host, &to(THROTTLE, Scope::Process));
    assert!(catch_unwind(AssertUnwindSafe(hold)).is_err());
    let files = ["/v2", "/v2/a.scope"].map(|dir| format!("{dir}/cgroup.subtree_control"));
    let intents = state.store().with(|locked| locked.state.enabled).unwrap();
    assert_eq!(intents, files.each_ref().map(PathBuf::from));

    host.deadly = None;
    drop(state.hold_manager);
    HoldManager::new(store_in(&state.dir), false).begin(&host);
    for file in files {
        host.reads(&file, "-cpu");
    }
}

#[test]
fn what_was_not_switched_on_after_all_is_not_switched_off() {
    let host = Host {
        broken: Some("cgroup.subtree_control"),
        ..Host::new(V2, &[MINER])
    };
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    assert_eq!(host.paced(), [(50, SHARE)]);
    let intents = state.store().with(|locked| locked.state.enabled).unwrap();
    assert!(intents.is_empty(), "{intents:?}");
}

#[test]
fn a_cgroup_that_could_not_be_thawed_is_by_the_next_daemon() {
    let mut host = Host {
        stuck: Some(("cgroup.freeze", "0")),
        ..Host::new(HYBRID, &[MINER])
    };
    let state = State::new(false);
    let fate = state.done(&host, &about(50, KILL));
    assert_eq!(fate.outcome, Outcome::Gone);
    let intents = || store_in(&state.dir).with(|locked| locked.state.moments);
    assert_eq!(
        intents().unwrap(),
        [TransientStop::Frozen("/v2/a.scope".into())]
    );

    host.stuck = None;
    drop(state.hold_manager);
    HoldManager::new(store_in(&state.dir), false).begin(&host);
    host.reads("/v2/a.scope/cgroup.freeze", "0");
    assert_eq!(intents().unwrap(), []);
}
