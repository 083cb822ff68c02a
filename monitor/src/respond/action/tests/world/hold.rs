//! Processes that are throttled and frozen, and what becomes of them.

use super::*;

#[test]
fn on_hybrid_a_throttle_is_a_quota_in_the_cpu_tree() {
    let host = Host::new(HYBRID, &[MINER, (60, 1, "/bin/x")]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    let dir = ours("/cpu");
    assert_eq!(host.place("/cpu", 50), dir);
    assert_eq!(host.place("/v2", 50), "/v2/a.scope");
    assert_eq!(host.place("/cpu", 60), "/cpu/a.scope");
    let quota = host.file(&format!("{dir}/cpu.cfs_quota_us"));
    assert_eq!(quota.as_deref(), Some("5000"));
    state.hold_manager.end(&host);
    assert_eq!(host.place("/cpu", 50), "/cpu/a.scope");
    assert!(!host.dirs.borrow().contains(Path::new(&dir)));
    assert_eq!(state.held(), 0);
}

#[test]
fn on_version_2_a_throttle_is_a_threaded_cgroup() {
    let host = Host::new(V2, &[MINER]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    let dir = ours("/v2");
    let file = |name: &str| host.file(&format!("{dir}/{name}"));
    assert_eq!(file("cgroup.type").as_deref(), Some("threaded"));
    assert_eq!(file("cpu.max").as_deref(), Some("5000 100000"));
    for above in ["/v2", "/v2/a.scope"] {
        let control = host.file(&format!("{above}/cgroup.subtree_control"));
        assert_eq!(control.as_deref(), Some("+cpu"), "{above}");
    }
}

#[test]
fn a_freeze_is_the_unified_trees() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    assert_eq!(
        state.done(&host, &to(ActionKind::Freeze, Scope::Process)),
        HELD
    );
    let frozen = || host.file(&format!("{}/cgroup.freeze", ours("/v2")));
    assert_eq!(host.place("/v2", 50), ours("/v2"));
    assert_eq!(frozen().as_deref(), Some("1"));
    state.hold_manager.end(&host);
    assert_eq!(frozen().as_deref(), Some("0"));
    assert_eq!(host.place("/v2", 50), "/v2/a.scope");
    assert_eq!(host.signals(50), []);
}

#[test]
fn without_a_freezer_it_is_stopped_and_goes_on_later() {
    let nothing = Host::new("", &[MINER]);
    let broken = Host {
        broken: Some("cgroup.procs"),
        ..Host::new(HYBRID, &[MINER])
    };
    for host in [nothing, broken] {
        let state = State::new(false);
        assert_eq!(
            state.done(&host, &to(ActionKind::Freeze, Scope::Process)),
            HELD
        );
        assert_eq!(host.signals(50), [Signal::Stop]);
        state.hold_manager.end(&host);
        assert_eq!(host.signals(50), [Signal::Stop, Signal::Continue]);
    }
}

#[test]
fn what_the_kernel_refuses_is_undone_and_done_by_signals() {
    let broken = |file| Host {
        broken: Some(file),
        ..Host::new(HYBRID, &[MINER])
    };
    for host in [
        broken("cgroup.procs"),
        broken("cpu.cfs_quota_us"),
        Host::new("", &[MINER]),
    ] {
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
        assert_eq!(host.place("/cpu", 50), "/cpu/a.scope");
        assert!(!host.dirs.borrow().contains(Path::new(&ours("/cpu"))));
        assert_eq!(host.paced(), [(50, SHARE)]);
        assert_eq!(state.hold_manager.keep_up(&host).unwrap().throttled, 1);
        state.hold_manager.end(&host);
        assert_eq!(host.paced(), []);
        assert_eq!(host.signals(50), [Signal::Continue]);
        assert_eq!(state.held(), 0);
    }
}

#[test]
fn one_that_executes_another_image_while_it_is_moved_is_put_back() {
    for deed in [THROTTLE, ActionKind::Freeze] {
        let host = Host {
            slippery: Some(50),
            ..Host::new(HYBRID, &[MINER])
        };
        refused(&host, &to(deed, Scope::Process), Refusal::Replaced);
    }
}

#[test]
fn one_that_executed_another_image_before_is_refused_everything() {
    for deed in [THROTTLE, ActionKind::Freeze, KILL] {
        for scope in [Scope::Process, Scope::Tree, Scope::Cgroup] {
            let host = Host::new(HYBRID, &[MINER, (60, 50, "/tmp/x")]);
            host.procs.borrow_mut().get_mut(&50).unwrap().image = OTHER;
            refused(&host, &to(deed, scope), Refusal::Replaced);
            assert_eq!(host.living(), [50, 60]);
        }
    }
}

#[test]
fn nothing_is_held_once_the_daemon_was_told_to_stop() {
    let host = Host {
        cancelled: Cell::new(true),
        ..Host::new(HYBRID, &[MINER])
    };
    refused(&host, &to(THROTTLE, Scope::Process), Refusal::Cancelled);
}

#[test]
fn what_is_kept_is_adopted_or_restored_by_the_next() {
    for keep in [true, false] {
        let host = Host::new(HYBRID, &[MINER]);
        let first = State::new(true);
        first.done(&host, &to(THROTTLE, Scope::Process));
        first.hold_manager.end(&host);
        assert_eq!(host.place("/cpu", 50), ours("/cpu"));
        // While it runs, it answers for them.
        HoldManager::new(first.store(), false).begin(&host);
        assert_eq!(host.place("/cpu", 50), ours("/cpu"));

        let store = first.store();
        drop(first.hold_manager);
        let second = HoldManager::new(store, keep);
        second.begin(&host);
        let kept = host.place("/cpu", 50) == ours("/cpu");
        let held = store_in(&first.dir).with(|locked| locked.state.holds.len());
        assert_eq!((kept, held.unwrap()), (keep, usize::from(keep)));
        assert_eq!(second.keep_up(&host).unwrap().throttled, usize::from(keep));
    }
}

#[test]
fn what_was_done_for_a_moment_ends_with_the_next_daemon_or_by_hand() {
    let moments = || {
        [
            TransientStop::Stopped(member(50)),
            TransientStop::Frozen("/v2/a.scope".into()),
        ]
    };
    for (keep, by_hand) in [(false, false), (true, false), (false, true)] {
        let host = Host::new(HYBRID, &[MINER]);
        let state = State::new(keep);
        for moment in moments() {
            // As a daemon that is killed leaves it.
            let _left = state.hold_manager.note(moment).unwrap();
        }
        if by_hand {
            assert_eq!(release(&state.store(), None, &host).unwrap(), (2, 0));
        } else {
            drop(state.hold_manager);
            HoldManager::new(store_in(&state.dir), keep).begin(&host);
        }
        assert_eq!(host.signals(50), [Signal::Continue]);
        let freeze = host.file("/v2/a.scope/cgroup.freeze");
        assert_eq!(freeze.as_deref(), Some("0"));
        let left = store_in(&state.dir).with(|locked| locked.state.moments.len());
        assert_eq!(left.unwrap(), 0);
    }
}

#[test]
fn a_throttled_process_that_leaves_is_moved_back_and_a_released_one_is_not() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(THROTTLE, Scope::Process));
    let leave = || {
        host.places
            .borrow_mut()
            .insert(("/cpu".into(), 50), "/cpu/a.scope".into());
    };
    leave();
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!(kept.escapes.counts(), [1, 0, 0]);
    assert_eq!(host.place("/cpu", 50), ours("/cpu"));

    let released = release(&state.store(), Some(&Released::Pid(50)), &host);
    assert_eq!(released.unwrap(), (1, 0));
    assert_eq!(state.hold_manager.keep_up(&host).unwrap().throttled, 0);
    assert_eq!(host.place("/cpu", 50), "/cpu/a.scope");
}

#[test]
fn what_is_held_is_released_by_process_by_cgroup_and_altogether() {
    for (target, expected) in [
        (Some(Released::Pid(50)), 1),
        (Some(Released::Cgroup("/a.scope".to_owned())), 1),
        (None, 1),
        (Some(Released::Pid(51)), 0),
        (Some(Released::Cgroup("/b".to_owned())), 0),
    ] {
        let host = Host::new(HYBRID, &[MINER]);
        let state = State::new(false);
        state.done(&host, &to(ActionKind::Freeze, Scope::Process));
        let (found, left) = release(&state.store(), target.as_ref(), &host).unwrap();
        assert_eq!((found, left), (expected, 0), "{target:?}");
        assert_eq!(state.held(), 1 - expected);
    }
}

#[test]
fn a_hold_is_forgotten_with_its_process() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(THROTTLE, Scope::Process));
    host.end(50);
    state.hold_manager.keep_up(&host);
    assert_eq!(state.held(), 0);
    assert!(!host.dirs.borrow().contains(Path::new(&ours("/cpu"))));
}

#[test]
fn a_tree_is_throttled_together() {
    let host = Host::new(HYBRID, &[MINER, (60, 50, "/tmp/x")]);
    let held = done(&host, &to(THROTTLE, Scope::Tree));
    assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
    assert_eq!(host.place("/cpu", 60), ours("/cpu"));
}

#[test]
fn a_cgroup_is_throttled_and_frozen_as_it_is() {
    let host = Host::new(HYBRID, &[MINER, (60, 1, "/srv/web")]);
    for (deed, file, now, before) in [
        (THROTTLE, "/cpu/a.scope/cpu.cfs_quota_us", "5000", "-1"),
        (ActionKind::Freeze, "/v2/a.scope/cgroup.freeze", "1", "0"),
    ] {
        let state = State::new(false);
        let held = state.done(&host, &to(deed, Scope::Cgroup));
        assert_eq!((held.outcome, held.others), (Outcome::Held, 1));
        assert_eq!(host.file(file).as_deref(), Some(now));
        state.hold_manager.end(&host);
        assert_eq!(host.file(file).as_deref(), Some(before));
    }
}

/// A unit that was started anew has another cgroup of the same name, and an
/// administrator may have set another quota.
#[test]
fn what_others_set_since_is_left_to_them() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Cgroup)), HELD);
    let file = "/cpu/a.scope/cpu.cfs_quota_us";
    host.write(Path::new(file), "70000").unwrap();
    state.hold_manager.end(&host);
    assert_eq!(host.file(file).as_deref(), Some("70000"));
    assert_eq!(state.held(), 0);
}

/// What the first of them set is no state for the second to go back to.
#[test]
fn a_cgroup_that_is_held_twice_is_let_go_as_it_was() {
    for (deed, file, now, before) in [
        (THROTTLE, "/cpu/a.scope/cpu.cfs_quota_us", "5000", "-1"),
        (ActionKind::Freeze, "/v2/a.scope/cgroup.freeze", "1", "0"),
    ] {
        let host = Host::new(HYBRID, &[MINER, (60, 1, "/tmp/other")]);
        let state = State::new(false);
        for pid in [50, 60] {
            let order = ActionRequest {
                deed,
                scope: Scope::Cgroup,
                ..order(pid, 0)
            };
            assert_eq!(state.done(&host, &order).outcome, Outcome::Held);
        }
        assert_eq!(host.file(file).as_deref(), Some(now));
        state.hold_manager.end(&host);
        assert_eq!(host.file(file).as_deref(), Some(before));
        assert_eq!(state.held(), 0);
    }
}

/// Each is where its own hold has it, and is not moved to and fro.
#[test]
fn one_held_with_another_and_by_itself_stays_where_it_is() {
    let host = Host::new(HYBRID, &[MINER, (60, 50, "/tmp/x")]);
    let state = State::new(false);
    assert_eq!(
        state.done(&host, &to(THROTTLE, Scope::Tree)).outcome,
        Outcome::Held
    );
    let alone = ActionRequest {
        deed: THROTTLE,
        ..order(60, 0)
    };
    assert_eq!(state.done(&host, &alone).outcome, Outcome::Held);
    let place = host.place("/cpu", 60);
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!((kept.escapes.all(), kept.throttled), (0, 2));
    assert_eq!(host.place("/cpu", 60), place);
}
