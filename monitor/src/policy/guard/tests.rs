//! Named cases, each entry of the list, and what must hold of any process.

mod entries;

use proptest::prelude::*;

use super::*;
use crate::host::{Uids, cgroup::identity::Identity};

const PID: u32 = 4242;
const LINEAGE: [u32; 3] = [900, 800, 1];
const USER: u32 = 1000;
const SERVICE: u32 = 101;

fn guard(builtin: bool) -> Guard {
    Guard {
        lineage: LINEAGE.to_vec(),
        allow: Arc::default(),
        listed: Arc::default(),
        builtin,
        only: Only::default(),
    }
}

/// A process on the host, of a user, in a unit.
fn of(uid: u32, unit: Option<&str>) -> Provenance {
    Provenance {
        file: HostFile::Own,
        uids: Some(Uids {
            real: uid,
            saved: uid,
        }),
        initial_user_namespace: Some(true),
        host_root: Some(true),
        identity: Some(Identity {
            unit: unit.map(str::to_owned),
            ..Identity::default()
        }),
    }
}

fn candidate<'a>(program: &'a str, provenance: &'a Provenance) -> Candidate<'a> {
    Candidate {
        pid: PID,
        kernel_thread: false,
        program: Some(program),
        provenance: Some(provenance),
        code: BurningCode::Hosts,
        undecided: false,
        subject: Subject::default(),
    }
}

#[track_caller]
fn check(program: &str, provenance: &Provenance, expected: Result<(), Refusal>) {
    let candidate = candidate(program, provenance);
    assert_eq!(guard(true).check(&candidate), expected, "{program}");
    assert_eq!(
        guard(false).check(&candidate),
        Ok(()),
        "--no-builtin-protection"
    );
}

const GUARDED: Result<(), Refusal> = Err(Refusal::Guarded);
const UNKNOWN: Result<(), Refusal> = Err(Refusal::ProtectionUnknown);

#[test]
fn the_hosts_own_programs_are_guarded() {
    let root = of(0, None);
    for program in [
        "/usr/lib/systemd/systemd",
        "/usr/lib/systemd/systemd-journald",
        "/lib/systemd/systemd-logind",
        "/usr/bin/udevadm",
        "/usr/sbin/sshd",
        "/usr/lib/openssh/sshd-session",
        "/usr/bin/login",
        "/usr/sbin/cron",
        "/usr/bin/containerd-shim-runc-v2",
        "/usr/bin/dockerd",
        "/usr/bin/conmon",
        "/usr/local/bin/kubelet",
    ] {
        check(program, &root, GUARDED);
    }
}

#[test]
fn what_only_looks_like_them_is_not() {
    let root = of(0, None);
    for program in [
        "/tmp/sshd",
        "/usr/sbin/sshd/x",
        "sshd",
        "/usr/bin/python3",
        // Tools that any user has.
        "/usr/bin/systemd-inhibit",
        "/usr/bin/systemd-run",
        "/usr/bin/docker",
    ] {
        check(program, &root, Ok(()));
    }
    // A user other than root can write it, or it is not that file at all.
    let other = Provenance {
        file: HostFile::Other,
        ..root
    };
    check("/usr/sbin/sshd", &other, Ok(()));
}

/// What a preloaded library does to a program, any user can do to its own.
#[test]
fn a_program_that_an_ordinary_user_starts_is_that_users() {
    for program in [
        "/usr/bin/dbus-daemon",
        "/usr/bin/podman",
        "/usr/bin/conmon",
        "/usr/sbin/sshd",
        "/usr/lib/systemd/systemd",
    ] {
        let mut session = of(USER, Some("session-3.scope"));
        session.identity.as_mut().unwrap().of_user = true;
        check(program, &session, Ok(()));
        // As a crontab's line without `pam_systemd`.
        check(program, &of(USER, Some("cron.service")), Ok(()));
        // Of a set-user-ID program, whose saved user is root.
        let set_uid = Provenance {
            uids: Some(Uids {
                real: USER,
                saved: 0,
            }),
            ..of(USER, None)
        };
        check(program, &set_uid, Ok(()));
    }
}

/// sshd has a half that is root's and one that is the user's, both in the session.
#[test]
fn of_sshd_in_a_session_roots_half_is_guarded() {
    let mut session = of(0, Some("session-3.scope"));
    session.identity.as_mut().unwrap().of_user = true;
    check("/usr/lib/openssh/sshd-session", &session, GUARDED);
    check("/usr/sbin/sshd", &session, GUARDED);
    // As `sudo -i` starts it.
    check("/usr/bin/podman", &session, GUARDED);
    let mut users = of(USER, Some("session-3.scope"));
    users.identity.as_mut().unwrap().of_user = true;
    check("/usr/lib/openssh/sshd-session", &users, Ok(()));
}

/// sshd reads a user's keys with that user as the effective one.
#[test]
fn whose_a_process_is_says_its_real_and_its_saved_user() {
    let root = Uids { real: 0, saved: 0 };
    let for_a_moment = Provenance {
        uids: Some(root),
        ..of(0, None)
    };
    check("/usr/sbin/sshd", &for_a_moment, GUARDED);
    let dropped = Provenance {
        uids: Some(Uids {
            real: 0,
            saved: USER,
        }),
        ..of(0, None)
    };
    check("/usr/sbin/sshd", &dropped, Ok(()));
}

#[test]
fn a_services_own_user_is_guarded_in_that_services_unit() {
    let bus = "/usr/bin/dbus-daemon";
    check(bus, &of(SERVICE, Some("dbus.service")), GUARDED);
    check(bus, &of(65000, Some("dbus-broker.service")), GUARDED);
    // A web server that was broken into, and one that root made for itself.
    check(bus, &of(33, Some("apache2.service")), Ok(()));
    check(bus, &of(SERVICE, None), Ok(()));
    check(bus, &of(USER, Some("dbus.service")), Ok(()));
    check(bus, &of(65534, Some("dbus.service")), Ok(()));
    let mut session = of(SERVICE, Some("dbus.service"));
    session.identity.as_mut().unwrap().of_user = true;
    check(bus, &session, Ok(()));
    // One that only root runs.
    check("/usr/sbin/sshd", &of(SERVICE, Some("ssh.service")), Ok(()));
}

/// A crontab's line stays in cron's unit, a login without `pam_systemd` in ssh's.
#[test]
fn what_starts_other_peoples_programs_is_guarded_and_they_are_not() {
    for (daemon, unit) in [
        ("/usr/sbin/cron", "cron.service"),
        ("/usr/sbin/crond", "crond.service"),
        ("/usr/sbin/atd", "atd.service"),
        ("/usr/sbin/sshd", "ssh.service"),
        ("/usr/lib/openssh/sshd-session", "sshd.service"),
        ("/usr/sbin/dropbear", "dropbear.service"),
        ("/usr/sbin/agetty", "getty@tty1.service"),
        ("/usr/bin/login", "getty@tty1.service"),
    ] {
        let root = of(0, Some(unit));
        check(daemon, &root, GUARDED);
        for program in [
            "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "/usr/bin/python3.11",
            "/usr/bin/dash",
        ] {
            check(program, &root, Ok(()));
        }
    }
}

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

/// Each fact alone, as a lock or a race keeps it from us.
#[test]
fn a_fact_that_cannot_be_read_is_never_a_yes() {
    let bus = "/usr/bin/dbus-daemon";
    for uid in [0, SERVICE] {
        let known = || of(uid, Some("dbus.service"));
        let unread = |provenance| check(bus, &provenance, UNKNOWN);
        unread(Provenance {
            uids: None,
            ..known()
        });
        unread(Provenance {
            initial_user_namespace: None,
            ..known()
        });
        unread(Provenance {
            host_root: None,
            ..known()
        });
        unread(Provenance {
            identity: None,
            ..known()
        });
    }
    let nowhere = Provenance::default();
    let nothing = Candidate {
        provenance: None,
        ..candidate(bus, &nowhere)
    };
    assert_eq!(guard(true).check(&nothing), UNKNOWN);
    // One that is known to say no is enough.
    let users = Provenance {
        initial_user_namespace: None,
        host_root: None,
        identity: None,
        ..of(USER, None)
    };
    check(bus, &users, Ok(()));
}

#[test]
fn some_are_never_acted_on_whatever_the_flags() {
    for (pid, refusal) in [
        (1, Refusal::Init),
        (2, Refusal::KernelThread),
        (0, Refusal::KernelThread),
        (900, Refusal::Myself),
        (800, Refusal::Ancestor),
    ] {
        assert_eq!(never_act_on(pid, false, &LINEAGE), Err(refusal));
    }
    assert_eq!(
        never_act_on(PID, true, &LINEAGE),
        Err(Refusal::KernelThread)
    );
    assert_eq!(never_act_on(PID, false, &LINEAGE), Ok(()));
}

#[test]
fn one_that_may_yet_turn_out_to_be_allowed_is_not_acted_on() {
    let provenance = of(USER, None);
    let mut candidate = Candidate {
        undecided: true,
        ..candidate("/tmp/x", &provenance)
    };
    assert_eq!(guard(true).check(&candidate), Err(Refusal::Undecided));
    candidate.undecided = false;
    assert_eq!(guard(true).check(&candidate), Ok(()));
}

fn path() -> impl Strategy<Value = Option<String>> {
    let folder = prop::sample::select(table::FOLDERS.to_vec());
    let program = prop::sample::select(table::PROGRAMS.to_vec());
    let known = (folder, program).prop_map(|(folder, program)| {
        Some(format!("{}/{}", folder.path, program.names[0]).replace('*', "x"))
    });
    prop_oneof![Just(None), known, "(/[a-z.]{0,6}){0,4}".prop_map(Some)]
}

fn tri() -> impl Strategy<Value = Option<bool>> {
    prop::option::of(any::<bool>())
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let file = prop::sample::select(vec![HostFile::Own, HostFile::Replaced, HostFile::Other]);
    let uid = || prop::sample::select(vec![0, 1, SERVICE, USER, 65534]);
    let unit = prop::option::of(prop::sample::select(vec![
        "dbus.service",
        "session-3.scope",
        "web.service",
    ]));
    let uids = prop::option::of((uid(), uid()).prop_map(|(real, saved)| Uids { real, saved }));
    (file, uids, tri(), tri(), unit, any::<bool>(), any::<bool>()).prop_map(
        |(file, uids, namespace, root, unit, of_user, contained)| Provenance {
            file,
            uids,
            initial_user_namespace: namespace,
            host_root: root,
            identity: Some(Identity {
                unit: unit.map(str::to_owned),
                container: contained.then(|| "c".to_owned()),
                of_user,
                ..Identity::default()
            }),
        },
    )
}

proptest! {
    /// Whatever else is known: what is never acted on is refused, no user's process is
    /// ever guarded, and no file that another user can write.
    #[test]
    fn no_user_can_have_a_process_guarded(
        pid in prop_oneof![0_u32..5, Just(800), Just(900), 5_u32..2000],
        kernel_thread: bool,
        builtin: bool,
        program in path(),
        provenance in provenance(),
        lineage in prop::collection::vec(1_u32..2000, 0..6),
    ) {
        let guard = Guard { lineage: lineage.clone(), ..guard(builtin) };
        let candidate = Candidate {
            pid,
            kernel_thread,
            program: program.as_deref(),
            ..candidate("", &provenance)
        };
        let verdict = guard.check(&candidate);
        if pid <= 2 || kernel_thread || lineage.contains(&pid) {
            prop_assert!(verdict.is_err());
        } else if verdict == GUARDED {
            let uids = provenance.uids.unwrap();
            let identity = provenance.identity.as_ref().unwrap();
            prop_assert!(builtin && program.is_some_and(|program| is_listed(&program)));
            prop_assert!(uids.real == uids.saved && ![USER, 65534].contains(&uids.real));
            prop_assert!(provenance.file != HostFile::Other && identity.container.is_none());
            prop_assert!(provenance.initial_user_namespace == Some(true));
            prop_assert!(uids.real == 0 || identity.unit.as_deref() == Some("dbus.service"));
        }
    }
}

/// What shares a scope with a miner is acted on only where the action is for it.
#[test]
fn what_is_outside_of_only_is_left_alone() {
    let rule = Rule::parse("user=1001", &[]).unwrap();
    let guard = Guard {
        only: Only::new([rule].into()),
        ..guard(true)
    };
    let provenance = of(USER, None);
    for (uid, undecided, expected) in [
        (1001, false, Ok(())),
        (1002, false, Err(Refusal::NotOnly)),
        (1002, true, Err(Refusal::Undecided)),
    ] {
        let candidate = Candidate {
            undecided,
            subject: Subject {
                uid: Some(uid),
                ..Subject::default()
            },
            ..candidate("/tmp/x", &provenance)
        };
        assert_eq!(guard.check(&candidate), expected);
    }
}
