//! Named cases, each entry of the list, and what must hold of any process.

mod entries;
mod places;
mod properties;

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
