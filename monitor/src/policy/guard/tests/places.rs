//! Where a program is and where it burns: namespaces, stores, snaps, code of others.

use super::*;

/// Root's in a container is not the host's root, though the file may be the host's.
#[test]
fn in_a_container_or_another_namespace_nothing_is_guarded() {
    let sshd = "/usr/sbin/sshd";
    let mut contained = of(0, None);
    contained.identity.as_mut().unwrap().container = Some("ab".repeat(32));
    check(sshd, &contained, Ok(()));
    let other = |provenance| check(sshd, &provenance, Ok(()));
    other(Provenance {
        initial_user_namespace: Some(false),
        ..of(0, None)
    });
    other(Provenance {
        host_root: Some(false),
        ..of(0, None)
    });
}

#[test]
fn a_snaps_service_may_have_a_root_directory_of_its_own() {
    let own_root = Provenance {
        host_root: Some(false),
        ..of(0, Some("snap.docker.dockerd.service"))
    };
    check("/snap/docker/2963/bin/dockerd", &own_root, GUARDED);
    check("/usr/bin/dockerd", &own_root, Ok(()));
}

/// Any user may have the build daemon put a file of root's into a store.
#[test]
fn of_a_store_only_roots_processes_are_guarded() {
    for store in [
        "/nix/store/abc-dbus-1.14.10/bin",
        "/gnu/store/abc-dbus-1.15.8/bin",
    ] {
        let bus = format!("{store}/dbus-daemon");
        check(&bus, &of(0, Some("dbus.service")), GUARDED);
        check(&bus, &of(SERVICE, Some("dbus.service")), Ok(()));
    }
}

#[test]
fn what_an_upgrade_replaced_is_guarded_on() {
    let replaced = Provenance {
        file: HostFile::Replaced,
        ..of(0, None)
    };
    check(
        "/usr/bin/containerd-shim-runc-v2 (deleted)",
        &replaced,
        GUARDED,
    );
    let users = Provenance {
        file: HostFile::Replaced,
        ..of(USER, None)
    };
    check("/usr/bin/dbus-daemon (deleted)", &users, Ok(()));
}

#[test]
fn what_burns_in_code_of_anothers_is_not_guarded() {
    let root = of(0, Some("docker.service"));
    for (code, expected) in [
        (BurningCode::Unsampled, GUARDED),
        (BurningCode::Hosts, GUARDED),
        (BurningCode::Foreign, Ok(())),
        (BurningCode::Unread, UNKNOWN),
    ] {
        let candidate = Candidate {
            code,
            ..candidate("/usr/bin/dockerd", &root)
        };
        assert_eq!(guard(true).check(&candidate), expected, "{code:?}");
    }
}

#[test]
fn where_code_burns_is_told_by_its_samples() {
    #[track_caller]
    fn burns(image: u32, system: u32, elsewhere: u32, generated: u32, unknown: u32) -> BurningCode {
        BurningCode::of(CodeOrigins {
            image,
            system,
            elsewhere,
            generated,
            unknown,
        })
    }
    assert_eq!(burns(0, 0, 0, 0, 0), BurningCode::Unsampled);
    assert_eq!(burns(90, 10, 0, 0, 0), BurningCode::Hosts);
    assert_eq!(burns(0, 100, 0, 0, 0), BurningCode::Hosts);
    // A login's module, once.
    assert_eq!(burns(98, 0, 2, 0, 0), BurningCode::Hosts);
    assert_eq!(burns(10, 0, 2, 0, 0), BurningCode::Hosts);
    assert_eq!(burns(900, 90, 10, 0, 0), BurningCode::Hosts);
    // A miner's loop in a library of its own, which calls the host's.
    assert_eq!(burns(0, 95, 5, 0, 0), BurningCode::Foreign);
    assert_eq!(burns(0, 0, 100, 0, 0), BurningCode::Foreign);
    assert_eq!(burns(50, 0, 0, 50, 0), BurningCode::Foreign);
    assert_eq!(burns(50, 0, 0, 0, 50), BurningCode::Unread);
    // Neither alone is enough to tell.
    assert_eq!(burns(190, 0, 5, 0, 5), BurningCode::Unread);
}
