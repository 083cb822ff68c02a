use std::{fs, path::Path};

use clap::CommandFactory as _;

use super::*;
use crate::{
    commands::cli::Cli,
    host::container::Home,
    policy::config::HookPolicy,
    telemetry::{journal, metrics::Metrics},
};
use unjack_core::score::Evidence;

fn verdict() -> VerdictEvent {
    VerdictEvent {
        pid: 4242,
        thread: None,
        start_time: 17,
        exe: Some("/tmp/a b".to_owned()),
        comm: "nginx".to_owned(),
        home: Home::default(),
        verdict: "miner",
        unexplained: false,
        family: "randomx",
        score: 0.98,
        cpu_percent: 99.0,
        burn_seconds: 6.0,
        evidence: vec![Evidence::told("it hashes".to_owned())],
        code: Vec::new(),
    }
}

/// A shell that runs `script` as a hook.
fn policy(script: &str, limit: Duration) -> HookPolicy {
    HookPolicy {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        limit,
    }
}

/// Runs `script` and waits for it; what came of it, by the metrics.
fn outcome(script: &str, limit: Duration) -> Outcome {
    let child = start(&policy(script, limit), &facts(&verdict()), "{}\n").unwrap();
    wait(child, limit, &AtomicBool::new(false))
}

const LONG: Duration = Duration::from_mins(1);

#[test]
fn success_and_failure_are_told_apart() {
    assert_eq!(outcome("exit 0", LONG), Outcome::Done);
    assert_eq!(outcome("exit 3", LONG), Outcome::Failed);
}

#[test]
fn it_gets_facts_the_event_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let (env, input) = (home.path().join("env"), home.path().join("input"));
    let script = format!("env > {}; cat > {}", env.display(), input.display());
    assert_eq!(outcome(&script, LONG), Outcome::Done);
    let text = fs::read_to_string(env).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split('=').next())
        .filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name))
        .collect();
    assert_eq!(names.len(), facts(&verdict()).len() + 1, "{text}");
    assert!(text.contains("UNJACK_EXE=/tmp/a b\n"), "{text}");
    assert_eq!(fs::read_to_string(input).unwrap(), "{}\n");
}

fn is_gone(pid: &Path) -> bool {
    let pid = fs::read_to_string(pid).unwrap();
    // The state is the field after the name.
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .map_or(true, |stat| stat.contains(") Z") || stat.contains(") X"))
}

#[test]
fn one_that_hangs_is_killed_with_its_children() {
    let home = tempfile::tempdir().unwrap();
    let pid = home.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}; wait", pid.display());
    let begun = Instant::now();
    assert_eq!(outcome(&script, Duration::from_secs(1)), Outcome::Killed);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_gone(&pid) {
        assert!(Instant::now() < deadline, "its child lives");
        thread::yield_now();
    }
}

#[test]
fn one_that_reads_nothing_is_not_waited_for() {
    let json = "x".repeat(1 << 20);
    let policy = policy("exit 0", LONG);
    let child = start(&policy, &[], &json).unwrap();
    assert_eq!(wait(child, LONG, &AtomicBool::new(false)), Outcome::Done);
}

#[test]
fn more_than_may_run_are_skipped_and_the_end_ends_all() {
    let metrics = Metrics::new("1.2.3").unwrap();
    let hooks = Hooks::new(
        policy("sleep 300", LONG),
        metrics.response.clone(),
        journal::verdict_json,
    );
    for _ in 0..MAX_HOOKS + 3 {
        hooks.run(&verdict());
    }
    let begun = Instant::now();
    drop(hooks);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let text = metrics.render().unwrap();
    for series in [
        "unjack_hooks_total{outcome=\"skipped\"} 3",
        &format!("unjack_hooks_total{{outcome=\"killed\"}} {MAX_HOOKS}"),
    ] {
        assert!(text.contains(series), "no {series} in {text}");
    }
}

#[test]
fn no_fact_is_taken_for_a_flag() {
    let cli = Cli::command();
    let flags: Vec<_> = cli
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    for (name, _) in facts(&verdict()) {
        assert!(!flags.contains(&name), "{name}");
    }
}
