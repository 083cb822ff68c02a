//! What is not acted on: what the breaker, an allow rule or `--only` leaves.

use super::*;

/// Of one image no more than the limit in a minute, and of another still.
#[test]
fn the_breaker_opens_for_an_image_and_is_told() {
    let _turn = crowd_turn();
    let home = Home::new();
    let daemon = home.daemon(&["--action", "kill", "--max-kills-per-image", "1"]);
    let image = home.image("common");
    let mut first = Workload::spawn(Command::new(&image).arg("sha256d"));
    let began = first.first_hash();
    first.wait_killed("the first", began + ACTED);
    daemon.wait_metrics("the breaker is open", NOTICE, |metrics| {
        match metrics.sum("unjack_breaker_open", &[]) {
            1.0 => Ok(()),
            open => Err(format!("{open}")),
        }
    });
    let mut second = Workload::spawn(Command::new(&image).arg("sha256d"));
    let mut other = Workload::spawn(Command::new(home.image("other")).arg("sha256d"));
    check_refused(&daemon, &mut second, "breaker");
    let began = other.first_hash();
    other.wait_killed("one of another image", began + ACTED);
    assert!(second.ended().is_none(), "it lives");
}

#[test]
fn one_allowed_by_its_digest_is_measured_as_allowed() {
    let _turn = crowd_turn();
    let home = Home::new();
    let image = home.image("own");
    let sum = output(Command::new("sha256sum").arg(&image));
    let digest = String::from_utf8_lossy(&sum.stdout[..64]).into_owned();
    let allow = format!("sha256={digest}");
    let daemon = home.daemon(&["--action", "kill", "--allow", &allow]);
    let mut miner = Workload::spawn(Command::new(&image).arg("sha256d"));
    check_refused(&daemon, &mut miner, "allowed");
    let burnt = schedstat_seconds(miner.pid()).expect("it lives");
    let family = [("family", "sha256d")];
    daemon.wait_metrics("its CPU time is told", NOTICE, |metrics| {
        let allowed = metrics.sum("unjack_allowed_cpu_seconds_total", &family);
        let stolen = metrics.sum("unjack_stolen_cpu_seconds_total", &family);
        if allowed > 0.5 * burnt && stolen == 0.0 {
            Ok(())
        } else {
            Err(format!(
                "{allowed} s allowed, {stolen} s stolen of {burnt} s"
            ))
        }
    });
}

/// A miner that no rule of `--only` is about is reported, counted, and lives.
#[track_caller]
fn check_outside(daemon: &Daemon, miner: &mut Workload) {
    let _ = miner.first_hash();
    let event = acted(daemon, miner.pid(), "kill", "dry-run");
    assert_eq!(event["reason"], "not-only", "{event}");
    daemon.wait_metrics("it is counted", NOTICE, |metrics| {
        let labels = [("action", "kill"), ("outcome", "dry-run")];
        match metrics.sum("unjack_actions_total", &labels) {
            0.0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    });
}

#[test]
fn with_only_a_unit_a_miner_outside_of_it_is_reported_and_lives() {
    let _turn = take_turn();
    let home = Home::new();
    let inside = Scope::new("unjack-runner.service");
    let outside = Scope::new("unjack-database.service");
    for rule in ["unit=unjack-runner*", "cgroup=/unjack-runner.service"] {
        let daemon = home.daemon(&["--action", "kill", "--only", rule]);
        let mut spared = Workload::spawn(outside.command(&home.image("other")).arg("sha256d"));
        check_outside(&daemon, &mut spared);
        let mut miner = Workload::spawn(inside.command(&home.image("miner")).arg("sha256d"));
        let began = miner.first_hash();
        miner.wait_killed("the one inside", began + ACTED);
        assert!(spared.ended().is_none(), "{rule}: it lives");
        let told = daemon.events_of("action");
        let of = |event: &&Value| event["pid"] == spared.pid();
        assert_eq!(
            told.iter().filter(of).count(),
            1,
            "it is told once: {told:?}"
        );
    }
}

/// A process of the user that runs under another id, in a user namespace of its own.
#[test]
fn with_only_a_user_its_user_namespaces_are_inside() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    const USER: u32 = 61_234;
    let _turn = take_turn();
    let home = Home::new();
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let only = format!("user={USER}");
    let daemon = home.daemon(&["--action", "kill", "--only", &only]);
    let mut roots = home.miner(&["sha256d"]);
    check_outside(&daemon, &mut roots);
    let image = home.image("shifted");
    let mut command = Command::new("unshare");
    command.arg("--user").arg(&image).arg("sha256d").uid(USER);
    let mut shifted = Workload::spawn(&mut command);
    let began = shifted.first_hash();
    shifted.wait_killed("the one in a user namespace", began + ACTED);
    assert!(roots.ended().is_none(), "root's lives");
}

/// Two processes in one cgroup, of which one is outside: the scope is not extended to it.
#[test]
fn with_only_a_scope_ends_where_the_rules_do() {
    let _turn = take_turn();
    let home = Home::new();
    let scope = Scope::new("unjack-shared.service");
    let image = home.image("miner");
    let only = format!("exe={}", image.display());
    let flags = ["--action", "kill", "--scope", "cgroup", "--only", &only];
    let daemon = home.daemon(&flags);
    let mut beside = Workload::spawn(scope.command(Path::new("/bin/sleep")).arg("600"));
    let miner = Workload::spawn(scope.command(&image).arg("sha256d"));
    let _ = miner.first_hash();
    let event = acted(&daemon, miner.pid(), "kill", "gone");
    assert_eq!(event["scope"], "tree", "{event}");
    assert_eq!(event["scope_refused"], "not-only", "{event}");
    assert!(beside.ended().is_none(), "what is beside it lives");
}
