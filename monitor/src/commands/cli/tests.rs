use clap::CommandFactory as _;

use super::*;
use crate::{policy::config::Action, telemetry::journal::Format};

fn run(flags: &[&str]) -> Result<RunArgs, clap::Error> {
    let cli = Cli::try_parse_from(["unjack", "run"].iter().chain(flags))?;
    match cli.command {
        Command::Run(args) => Ok(args),
        other => panic!("parsed as {other:?}"),
    }
}

#[test]
fn definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_the_documented_ones() {
    let args = run(&[]).unwrap();
    assert_eq!(args.action, Action::Observe);
    assert!((args.policy.min_cpu - 2.0).abs() < f64::EPSILON);
    assert!((args.policy.min_score - 0.8).abs() < f64::EPSILON);
    assert_eq!(args.policy.window, Duration::from_secs(5));
    assert_eq!(args.grace, Duration::from_secs(2));
    assert_eq!(args.sample_hz, 99);
    assert_eq!(args.web.listen, ["127.0.0.1:10066".parse().unwrap()]);
    assert_eq!(args.log_format, Format::Text);
    assert_eq!(args.log_level, Level::Info);
    assert!(args.policy.allow.is_empty() && args.policy.deny.is_empty());
}

#[test]
fn every_flag_has_its_environment_variable() {
    for command in Cli::command().get_subcommands() {
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long().filter(|l| *l != "help") else {
                continue;
            };
            let expected = format!("UNJACK_{}", long.to_uppercase().replace(['.', '-'], "_"));
            let env = arg.get_env().and_then(|e| e.to_str());
            assert_eq!(env, Some(expected.as_str()), "--{long}");
        }
    }
}

#[test]
fn percent_with_and_without_its_sign() {
    assert_eq!(percent("10"), Ok(10.0));
    assert_eq!(percent("10%"), Ok(10.0));
    assert_eq!(percent("250 %"), Ok(250.0));
    assert_eq!(percent("0.5"), Ok(0.5));
    assert!(percent("ten").is_err() && percent("%").is_err() && percent("10%%").is_err());
}

#[test]
fn unreadable_values_are_usage_errors_that_name_the_flag() {
    for [flag, value] in [
        ["--min-cpu", "lots"],
        ["--min-score", "high"],
        ["--window", "5"],
        ["--grace", "soon"],
        ["--sample-hz", "-1"],
        ["--action", "shout"],
        ["--web.listen-address", "10066"],
        ["--log.format", "xml"],
        ["--log.level", "loud"],
    ] {
        let error = run(&[flag, value]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{flag}");
        assert!(error.to_string().contains(flag), "{error}");
    }
}

#[test]
fn systemds_sockets_are_instead_of_others() {
    let flags = ["--web.systemd-socket", "--web.listen-address", ":1"];
    assert_eq!(run(&flags).unwrap_err().exit_code(), 2);
    assert!(run(&flags[..1]).unwrap().web.systemd_socket);
}

#[test]
fn rules_repeat() {
    let args = run(&["--allow", "user=a", "--allow", "user=b"]).unwrap();
    assert_eq!(args.policy.allow, ["user=a", "user=b"]);
}

#[test]
fn explain_takes_a_pid_and_a_bounded_time() {
    let parse = |flags: &[&str]| {
        Cli::try_parse_from(["unjack", "explain"].iter().chain(flags)).map(|cli| cli.command)
    };
    let ok = parse(&["42", "--for", "3s", "--json"]).unwrap();
    assert!(
        matches!(ok, Command::Explain(ExplainArgs { pid: 42, duration, json: true }) if duration.as_secs() == 3)
    );
    for bad in [
        &["0"] as &[&str],
        &["nginx"],
        &["42", "--for", "0s"],
        &["5000000"],
        &[],
    ] {
        assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
    }
}
