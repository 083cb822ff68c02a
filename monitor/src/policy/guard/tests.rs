//! Named cases, and what must hold of any process.

use proptest::prelude::*;

use super::*;

const PID: u32 = 4242;
const LINEAGE: [u32; 3] = [900, 800, 1];

fn guard(builtin: bool) -> Guard {
    Guard {
        lineage: LINEAGE.to_vec(),
        allow: Arc::default(),
        listed: Arc::default(),
        builtin,
        only: Only::default(),
    }
}

#[track_caller]
fn check(exe: Option<&str>, unit: Option<&str>, system: bool, expected: Result<(), Refusal>) {
    let candidate = Candidate {
        pid: PID,
        kernel_thread: false,
        system,
        undecided: false,
        subject: Subject {
            exe,
            unit,
            ..Subject::default()
        },
    };
    assert_eq!(guard(true).check(&candidate), expected);
    assert_eq!(
        guard(false).check(&candidate),
        Ok(()),
        "--no-builtin-protection"
    );
}

#[test]
fn the_hosts_own_programs_are_guarded() {
    for exe in [
        "/usr/lib/systemd/systemd",
        "/usr/lib/systemd/systemd-journald",
        "/lib/systemd/systemd-logind",
        "/usr/sbin/sshd",
        "/usr/lib/openssh/sshd-session",
        "/usr/bin/login",
        "/usr/bin/containerd-shim-runc-v2",
        "/usr/bin/dockerd",
        "/usr/bin/conmon",
        "/usr/local/bin/kubelet",
    ] {
        check(Some(exe), None, true, Err(Refusal::Guarded));
    }
}

#[test]
fn what_only_looks_like_them_is_not() {
    check(Some("/tmp/sshd"), None, true, Ok(()));
    check(Some("/usr/sbin/sshd/x"), None, true, Ok(()));
    check(Some("sshd"), None, true, Ok(()));
    check(Some("/usr/bin/python3"), None, true, Ok(()));
    // A user other than root can write it, or it is not that file at all.
    check(Some("/usr/sbin/sshd"), None, false, Ok(()));
    check(None, None, true, Ok(()));
}

#[test]
fn in_their_units_the_hosts_own_programs_are_guarded_too() {
    let unit = Some("kubelet.service");
    check(Some("/usr/bin/mount"), unit, true, Err(Refusal::Guarded));
    check(
        Some("/usr/bin/x"),
        Some("systemd-udevd.service"),
        true,
        Err(Refusal::Guarded),
    );
    // Started there by a user who logged in, or moved there.
    check(Some("/tmp/miner"), unit, false, Ok(()));
    check(Some("/usr/bin/x"), Some("web.service"), true, Ok(()));
}

/// A crontab's line stays in cron's unit, a login without `pam_systemd` in ssh's.
#[test]
fn who_starts_other_peoples_programs_is_guarded_and_they_are_not() {
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
        let unit = Some(unit);
        check(Some(daemon), unit, true, Err(Refusal::Guarded));
        for program in [
            "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "/usr/bin/python3.11",
            "/usr/bin/dash",
        ] {
            check(Some(program), unit, true, Ok(()));
        }
    }
}

#[test]
fn some_are_sacred_whatever_the_flags() {
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

fn path() -> impl Strategy<Value = Option<String>> {
    let folder = prop::sample::select(FOLDERS.to_vec());
    let known = (folder, prop::sample::select(PROGRAMS.to_vec()));
    prop_oneof![
        Just(None),
        known.prop_map(|(folder, program)| Some(format!("{folder}/{program}"))),
        "(/[a-z.]{0,6}){0,4}".prop_map(Some),
    ]
}

proptest! {
    /// Whatever else is known: what is never acted on is refused, and who is of the
    /// built-in list as well unless it is lifted.
    #[test]
    fn no_sacred_or_listed_process_gets_through(
        pid in prop_oneof![0_u32..5, Just(800), Just(900), 5_u32..2000],
        kernel_thread: bool,
        system: bool,
        builtin: bool,
        exe in path(),
        unit in prop::option::of(prop::sample::select(UNITS.to_vec())),
        lineage in prop::collection::vec(1_u32..2000, 0..6),
    ) {
        let guard = Guard { lineage: lineage.clone(), ..guard(builtin) };
        let subject = Subject { exe: exe.as_deref(), unit, ..Subject::default() };
        let candidate = Candidate { pid, kernel_thread, system, undecided: false, subject };
        let verdict = guard.check(&candidate);
        let never_act_on = pid <= 2 || kernel_thread || lineage.contains(&pid);
        let listed = unit.is_some() || exe.as_deref().is_some_and(is_listed);
        // And nothing else is a reason.
        prop_assert_eq!(verdict.is_err(), never_act_on || (builtin && system && listed));
    }
}

#[test]
fn who_may_yet_turn_out_to_be_allowed_is_not_acted_on() {
    let mut candidate = Candidate {
        pid: PID,
        kernel_thread: false,
        system: false,
        undecided: true,
        subject: Subject::default(),
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
    for (uid, undecided, expected) in [
        (1001, false, Ok(())),
        (1002, false, Err(Refusal::NotOnly)),
        (1002, true, Err(Refusal::Undecided)),
    ] {
        let candidate = Candidate {
            pid: PID,
            kernel_thread: false,
            system: false,
            undecided,
            subject: Subject {
                uid: Some(uid),
                ..Subject::default()
            },
        };
        assert_eq!(guard.check(&candidate), expected);
    }
}
