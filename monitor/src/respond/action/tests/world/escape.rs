//! Processes that escape a hold.

use super::*;
use crate::respond::action::{
    hold::Rung,
    hold_manager::{Escalation, Kept},
};

/// A hierarchy of version 1 with both controllers.
const V1: &str = "1 0 0:1 / /cpu rw - cgroup cgroup rw,cpu,freezer\n";

fn leave(host: &Host, mount: &str, pid: u32) {
    let home = PathBuf::from(format!("{mount}/a.scope"));
    host.places.borrow_mut().insert((mount.into(), pid), home);
}

/// Leaves, and is looked at, once more than it may; what came of the last look.
fn escape(host: &Host, manager: &HoldManager, mount: &str) -> Kept {
    let mut kept = Kept::default();
    for _ in 0..6 {
        leave(host, mount, 50);
        assert_eq!(kept.escalations, [], "it is escalated early");
        kept = manager.keep_up(host).unwrap();
        assert_eq!(kept.escapes.counts(), [1, 0, 0]);
    }
    kept
}

fn escalation(rung: Rung, throttled: bool) -> Escalation {
    Escalation {
        judged: member(50),
        throttled,
        rung,
        escapes: 6,
        failed: false,
    }
}

/// Is continued by another, six times.
fn continues(host: &Host, manager: &HoldManager) -> Kept {
    host.continued.borrow_mut().push((member(50), 6));
    let kept = manager.keep_up(host).unwrap();
    assert_eq!(kept.escapes.counts(), [0, 0, 6]);
    kept
}

#[test]
fn what_is_reset_is_set_again_and_counted() {
    for (mounts, deed, mount, file, held) in [
        (HYBRID, THROTTLE, "/cpu", "cpu.cfs_quota_us", "5000"),
        (V2, THROTTLE, "/v2", "cpu.max", "5000 100000"),
        (V2, ActionKind::Freeze, "/v2", "cgroup.freeze", "1"),
        (V1, ActionKind::Freeze, "/cpu", "freezer.state", "FROZEN"),
    ] {
        let host = Host::new(mounts, &[MINER]);
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(deed, Scope::Process)), HELD);
        let file = format!("{}/{file}", ours(mount));
        let reset = match held {
            "5000" => "-1",
            "5000 100000" => "max 100000",
            "FROZEN" => "THAWED",
            _ => "0",
        };
        host.set(&file, reset);
        let kept = state.hold_manager.keep_up(&host).unwrap();
        assert_eq!(kept.escapes.counts(), [0, 1, 0], "{file}");
        host.reads(&file, held);
        let kept = state.hold_manager.keep_up(&host).unwrap();
        assert_eq!(kept.escapes.counts(), [0, 0, 0], "{file}");
    }
}

/// A process may make that hang for as long as it takes to be forgotten.
#[test]
fn what_cannot_be_read_stays_held() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    assert_eq!(state.done(&host, &to(THROTTLE, Scope::Process)), HELD);
    leave(&host, "/cpu", 50);
    host.hangs.set(true);
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!((kept.throttled, kept.escapes.all()), (1, 0));
    host.hangs.set(false);
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!((kept.throttled, kept.escapes.counts()), (1, [1, 0, 0]));
    assert_eq!(host.place("/cpu", 50), ours("/cpu"));
}

#[test]
fn a_cgroup_of_ours_that_was_removed_is_made_again() {
    let host = Host::new(HYBRID, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(THROTTLE, Scope::Process));
    leave(&host, "/cpu", 50);
    host.remove(Path::new(&ours("/cpu"))).unwrap();
    host.files.borrow_mut().clear();
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!(kept.escapes.counts(), [1, 1, 0]);
    assert_eq!(host.place("/cpu", 50), ours("/cpu"));
    host.reads(&format!("{}/cpu.cfs_quota_us", ours("/cpu")), "5000");
}

#[test]
fn what_keeps_escaping_among_others_is_held_by_signals_and_then_told() {
    for (deed, share) in [(THROTTLE, SHARE), (ActionKind::Freeze, 0.0)] {
        let host = Host::new(V2, &[MINER, (60, 1, "/srv/web")]);
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(deed, Scope::Process)), HELD);
        let manager = &state.hold_manager;
        let throttled = share > 0.0;
        let kept = escape(&host, manager, "/v2");
        assert_eq!(kept.escalations, [escalation(Rung::Signal, throttled)]);
        assert_eq!(host.paced(), [(50, share)]);
        let kept = continues(&host, manager);
        assert_eq!(kept.escalations, [escalation(Rung::Escaped, throttled)]);
        // Once.
        assert_eq!(continues(&host, manager).escalations, []);
        assert_eq!(host.living(), [50, 60]);
        manager.end(&host);
        assert_eq!(host.paced(), []);
        assert_eq!(host.signals(50).last(), Some(&Signal::Continue));
        assert_eq!(host.place("/v2", 50), "/v2/a.scope");
    }
}

#[test]
fn what_keeps_escaping_alone_has_its_whole_cgroup_held_first() {
    let host = Host::new(V2, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(ActionKind::Freeze, Scope::Process));
    let kept = escape(&host, &state.hold_manager, "/v2");
    assert_eq!(kept.escalations, [escalation(Rung::Cgroup, false)]);
    host.reads("/v2/a.scope/cgroup.freeze", "1");
    // It is defended, where an administrator's setting would be left alone.
    host.set("/v2/a.scope/cgroup.freeze", "0");
    let kept = state.hold_manager.keep_up(&host).unwrap();
    assert_eq!((kept.escapes.counts(), kept.frozen), ([0, 1, 0], 1));
    host.reads("/v2/a.scope/cgroup.freeze", "1");
    state.hold_manager.end(&host);
    host.reads("/v2/a.scope/cgroup.freeze", "0");
    assert_eq!(state.held(), 0);
}

#[test]
fn it_is_killed_in_the_end_only_if_that_is_allowed() {
    for allowed in [false, true] {
        let host = Host::new(V2, &[MINER, (60, 1, "/srv/web")]);
        let state = State::new(false);
        let manager = state.hold_manager.killing_escaped(allowed);
        let order = to(ActionKind::Freeze, Scope::Process);
        let held = carry_out(&order, &guard(), &host, &manager);
        assert_eq!(held, HELD);
        escape(&host, &manager, "/v2");
        let kept = continues(&host, &manager);
        let rung = if allowed { Rung::Kill } else { Rung::Escaped };
        assert_eq!(kept.escalations, [escalation(rung, false)]);
        assert_eq!(host.living().contains(&50), !allowed);
        assert!(host.living().contains(&60));
    }
}

#[test]
fn one_that_executes_another_image_is_not_killed_for_it() {
    let host = Host::new(V2, &[MINER, (60, 1, "/srv/web")]);
    let state = State::new(false);
    let manager = state.hold_manager.killing_escaped(true);
    carry_out(
        &to(ActionKind::Freeze, Scope::Process),
        &guard(),
        &host,
        &manager,
    );
    escape(&host, &manager, "/v2");
    host.procs.borrow_mut().get_mut(&50).unwrap().image = OTHER;
    let kept = continues(&host, &manager);
    assert!(kept.escalations[0].failed);
    assert!(host.living().contains(&50));
}

/// In a frozen cgroup of version 1 SIGKILL waits, and `podman stop` fails.
#[test]
fn what_was_sent_sigkill_is_let_end_and_the_others_stay_frozen() {
    let host = Host::new(V1, &[MINER, (60, 50, "/tmp/x")]);
    let state = State::new(false);
    state.done(&host, &to(ActionKind::Freeze, Scope::Tree));
    assert_eq!(host.place("/cpu", 60), ours("/cpu"));
    host.killed.borrow_mut().insert(60);
    for _ in 0..2 {
        let kept = state.hold_manager.keep_up(&host).unwrap();
        assert_eq!((kept.escapes.all(), kept.frozen), (0, 1));
        assert_eq!(host.place("/cpu", 60), "/cpu/a.scope");
        assert_eq!(host.place("/cpu", 50), ours("/cpu"));
    }
    // The same where the container's own cgroup is frozen.
    let host = Host::new(V1, &[MINER, (60, 1, "/tmp/x")]);
    host.set("/cpu/a.scope/freezer.state", "THAWED");
    let state = State::new(false);
    let order = to(ActionKind::Freeze, Scope::Cgroup);
    assert_eq!(state.done(&host, &order).outcome, Outcome::Held);
    host.killed.borrow_mut().insert(60);
    state.hold_manager.keep_up(&host).unwrap();
    assert_eq!(host.place("/cpu", 60), "/cpu");
    host.reads("/cpu/a.scope/freezer.state", "FROZEN");
}

/// A daemon that dies in the middle of it leaves a record that can be undone.
#[test]
fn an_escalation_is_written_down_before_it_is_done() {
    let mut host = Host::new(V2, &[MINER]);
    let state = State::new(false);
    state.done(&host, &to(ActionKind::Freeze, Scope::Process));
    for _ in 0..5 {
        leave(&host, "/v2", 50);
        state.hold_manager.keep_up(&host);
    }
    leave(&host, "/v2", 50);
    host.deadly = Some("cgroup.freeze");
    let look = std::panic::AssertUnwindSafe(|| state.hold_manager.keep_up(&host));
    assert!(std::panic::catch_unwind(look).is_err());
    let store = state.store();
    let holds = store.with(|locked| locked.state.holds.clone()).unwrap();
    assert_eq!((holds[0].rung, holds[0].means.len()), (Rung::Cgroup, 2));
    host.deadly = None;
    drop(state.hold_manager);
    HoldManager::new(store_in(&state.dir), false).begin(&host);
    assert_eq!(host.place("/v2", 50), "/v2/a.scope");
}

/// A helper that moves it back in a loop: no look finds it where it is to be.
#[test]
fn what_leaves_at_once_is_held_by_signals() {
    for (deed, share) in [(THROTTLE, SHARE), (ActionKind::Freeze, 0.0)] {
        let host = Host {
            fugitive: Some(50),
            ..Host::new(HYBRID, &[MINER])
        };
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(deed, Scope::Process)), HELD);
        assert_eq!(host.paced(), [(50, share)]);
        // The same once it is held: each look that finds it elsewhere counts.
        let mut host = Host::new(V2, &[MINER, (60, 1, "/srv/web")]);
        let state = State::new(false);
        assert_eq!(state.done(&host, &to(deed, Scope::Process)), HELD);
        leave(&host, "/v2", 50);
        host.fugitive = Some(50);
        for _ in 0..6 {
            state.hold_manager.keep_up(&host);
        }
        assert_eq!(host.paced(), [(50, share)]);
    }
}
