//! Which processes an action reaches, and what happens if a scope is refused.

use super::*;

#[track_caller]
fn tree(procs: &[(u32, u32, &'static str)], left: &[u32]) {
    let host = Host::new(HYBRID, procs);
    let fate = done(&host, &to(KILL, Scope::Tree));
    assert_eq!(fate.outcome, Outcome::Gone);
    assert_eq!(fate.others as usize, procs.len() - left.len() - 1);
    assert_eq!(host.living(), left);
}

#[test]
fn a_tree_is_the_miner_its_children_and_the_shell_that_starts_it() {
    let shell = (40, 30, "/usr/bin/dash");
    let server = (30, 1, "/usr/sbin/nginx");
    tree(&[MINER, (60, 50, "/tmp/x"), shell, server], &[30]);
    // Another child of the shell's, not of the miner's.
    tree(&[MINER, (61, 40, "/srv/web"), shell, server], &[30, 40, 61]);
    // Not the host's own shell.
    tree(&[MINER, (40, 30, "/tmp/bash"), server], &[30, 40]);
}

#[test]
fn of_a_tree_the_guarded_are_left() {
    tree(
        &[MINER, (60, 50, "/usr/sbin/sshd"), (900, 50, "/x")],
        &[60, 900],
    );
}

/// Else its image would not be banned.
#[test]
fn of_a_tree_the_miner_is_gone_whatever_fails_at_others() {
    let procs = [MINER, (60, 50, "/tmp/x")];
    let gone = |others| ActionResult {
        others,
        ..Outcome::Gone.into()
    };
    let order = to(KILL, Scope::Tree);

    let late = Host::new(HYBRID, &procs);
    late.end(60);
    late.late.set(Some(60));
    assert_eq!(done(&late, &order), gone(0));
    assert_eq!(late.living(), [60], "the order was not called off");

    let untold = Host {
        untold: Some(60),
        ..Host::new(HYBRID, &procs)
    };
    assert_eq!(done(&untold, &order), gone(0));

    let denied = Host {
        denied: Some(60),
        ..Host::new(HYBRID, &procs)
    };
    assert_eq!(done(&denied, &order), gone(0));
}

/// One after the other, as there is no `cgroup.kill`.
#[test]
fn of_a_cgroup_the_miner_is_gone_whatever_fails_at_others() {
    let host = |denied| Host {
        denied: Some(denied),
        ..Host::new(
            "1 0 0:1 / /cpu rw - cgroup cgroup rw,cpu\n",
            &[MINER, (60, 1, "/srv/web")],
        )
    };
    let order = to(KILL, Scope::Cgroup);
    let gone = ActionResult::from(Outcome::Gone);
    assert_eq!(done(&host(60), &order), gone);
    let refused = ActionResult::from(Refusal::NoPermission);
    assert_eq!(done(&host(50), &order), refused);
}

#[test]
fn a_cgroup_is_killed_whole() {
    for mounts in [HYBRID, "1 0 0:1 / /cpu rw - cgroup cgroup rw,cpu\n"] {
        let host = Host::new(mounts, &[MINER, (60, 1, "/srv/web")]);
        let fate = done(&host, &to(KILL, Scope::Cgroup));
        assert_eq!((fate.outcome, fate.others), (Outcome::Gone, 1));
        assert!(host.living().is_empty());
    }
}

/// What is done in a narrower scope, and why.
#[track_caller]
fn falls_back(host: &Host, order: &ActionRequest, refused: Refusal, scope: Scope) {
    let state = State::new(false);
    let done = state.done(host, order);
    let expected = match order.deed {
        ActionKind::Kill { .. } => Outcome::Gone,
        ActionKind::Throttle { .. } | ActionKind::Freeze => Outcome::Held,
    };
    assert_eq!(done.outcome, expected, "{:?}", order.deed);
    let fallback = Fallback {
        requested: order.scope,
        refused,
        scope,
    };
    assert_eq!(done.fallback, Some(fallback), "{:?}", order.deed);
}

/// Or the miner's user would only have to come by SSH.
#[test]
fn a_cgroup_with_a_protected_process_in_it_is_left_and_its_miner_is_not() {
    const K3S: &str = "/var/lib/rancher/k3s/data/x/bin/containerd";
    for deed in [KILL, THROTTLE, ActionKind::Freeze] {
        let order = to(deed, Scope::Cgroup);
        for (others, refusal) in [
            ((60, 1, "/usr/sbin/sshd"), Refusal::Guarded),
            ((60, 1, K3S), Refusal::Guarded),
            ((900, 1, "/x"), Refusal::OwnCgroup),
        ] {
            let child = (70, 50, "/tmp/x");
            let host = Host::new(HYBRID, &[MINER, child, others]);
            falls_back(&host, &order, refusal, Scope::Tree);
            assert_eq!(host.signals(others.0), []);
            assert!(host.living().contains(&others.0));
            assert_eq!(host.living().contains(&70), deed != KILL);
            assert_eq!(host.place("/v2", others.0), "/v2/a.scope");
        }
    }
}

/// It is a program that any user may start, beside a miner or as one.
#[test]
fn a_users_own_bus_protects_nothing() {
    let bus = (60, 1, "/usr/bin/dbus-daemon");
    let host = Host::new(HYBRID, &[MINER, bus]).with_user(60, 1000);
    let fate = done(&host, &to(KILL, Scope::Cgroup));
    assert_eq!((fate.outcome, fate.others), (Outcome::Gone, 1));
    assert_eq!(fate.fallback, None);
    assert!(host.living().is_empty());
}

/// Where its code lies was asked before the order was given.
#[test]
fn the_miner_itself_never_protects_its_cgroup() {
    let miner = (50, 40, "/usr/sbin/sshd");
    let host = Host::new(HYBRID, &[miner, (60, 1, "/srv/web")]);
    let fate = done(&host, &to(KILL, Scope::Cgroup));
    assert_eq!(
        (fate.outcome, fate.others, fate.fallback),
        (Outcome::Gone, 1, None)
    );
}

#[test]
fn what_cannot_be_read_of_another_narrows_the_scope() {
    let hidden = |pid| Host {
        hidden: Some(pid),
        ..Host::new(HYBRID, &[MINER, (60, 1, "/srv/web")])
    };
    for deed in [KILL, THROTTLE, ActionKind::Freeze] {
        let order = to(deed, Scope::Cgroup);
        let another = hidden(60);
        falls_back(&another, &order, Refusal::NoPermission, Scope::Tree);
        assert!(another.living().contains(&60));
        // Of the miner's relatives nothing is known then.
        falls_back(&hidden(50), &order, Refusal::NoPermission, Scope::Process);
        falls_back(
            &hidden(50),
            &to(deed, Scope::Tree),
            Refusal::NoPermission,
            Scope::Process,
        );
    }
}

#[test]
fn a_cgroup_that_others_share_is_left_and_its_miner_is_not() {
    let host = Host::new(HYBRID, &[MINER, (60, 1, "/srv/web")]);
    for mount in ["/cpu", "/v2"] {
        host.places
            .borrow_mut()
            .insert((mount.into(), 50), Path::new(mount).join("x.slice"));
    }
    let order = to(KILL, Scope::Cgroup);
    falls_back(&host, &order, Refusal::SharedCgroup, Scope::Tree);
    assert_eq!(host.living(), [60]);
}

/// What is wrong with the miner itself is so in every scope.
#[test]
fn a_refusal_that_is_not_about_the_scope_says_nothing_of_scopes() {
    let host = Host::new(HYBRID, &[MINER]);
    host.procs.borrow_mut().get_mut(&50).unwrap().image = OTHER;
    let refused = ActionResult::from(Refusal::Replaced);
    assert_eq!(done(&host, &to(KILL, Scope::Cgroup)), refused);
    let init = ActionRequest {
        scope: Scope::Cgroup,
        ..order(1, 0)
    };
    assert_eq!(done(&host, &init), ActionResult::from(Refusal::Init));
}

/// What shares a scope with the judged process is acted on only if `--only` includes it.
#[test]
fn a_scope_ends_where_only_does() {
    for (rule, scope, left, fallback) in [
        ("exe=/tmp/*", Scope::Tree, &[][..], None),
        ("exe=/tmp/*", Scope::Cgroup, &[], None),
        // The child is another image: a tree leaves it out, a cgroup is whole or not at all.
        ("exe=/tmp/miner", Scope::Tree, &[60], None),
        ("exe=/tmp/miner", Scope::Cgroup, &[60], Some(Scope::Tree)),
    ] {
        let only = crate::policy::config::Rule::parse(rule, &[]).unwrap();
        let guard = Guard {
            only: Only::new([only].into()),
            ..guard()
        };
        let host = Host::new(V2, &[MINER, (60, 50, "/tmp/child")]);
        let state = State::new(false);
        let done = carry_out(&to(KILL, scope), &guard, &host, &state.hold_manager);
        assert_eq!(host.living(), left, "{rule} {scope:?} {done:?}");
        let fallback = fallback.map(|narrower| Fallback {
            requested: scope,
            refused: Refusal::NotOnly,
            scope: narrower,
        });
        assert_eq!(done.fallback, fallback, "{rule} {scope:?}");
    }
}
