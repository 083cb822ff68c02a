//! Named cases for the validation of flags and the matching of rules.

mod rules;

use clap::Parser as _;

use super::*;
use crate::{
    commands::cli::{Cli, Command},
    detect::collector::GroupBy,
    policy::config::{ActOn, BreakerLimits, Rule, RuleKey, Scope, Subject},
};
use unjack_core::{score::Family, verdict::Thresholds};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
                      miner:x:1001:1001::/home/miner:/bin/sh\n\
                      # a comment\n:x:7:7:::\nbroken:x:abc\nshort\n";

fn config(flags: &[&str]) -> Result<Config, ConfigError> {
    match Cli::parse_from(["unjack", "run"].iter().chain(flags)).command {
        Command::Run(args) => Config::from_cli(&args, PASSWD),
        other => panic!("parsed as {other:?}"),
    }
}

#[track_caller]
fn refused(flags: &[&str], expected: &str) {
    let message = config(flags).unwrap_err().to_string();
    assert!(message.contains(flags[0]), "names no flag: {message}");
    assert!(message.contains(expected), "{message}");
}

fn rule(text: &str) -> Rule {
    Rule::parse(text, &parse_passwd(PASSWD)).unwrap()
}

#[test]
fn defaults_are_accepted() {
    let config = config(&[]).unwrap();
    assert_eq!(config.action, Action::Observe);
    assert!(
        (config.policy.min_cpu - Thresholds::DEFAULT.min_cpu).abs() < 1e-9,
        "percent becomes a fraction"
    );
    assert!(config.policy.allow.is_empty() && config.policy.deny.is_empty());
}

#[test]
fn unexplained_is_reported_after_seconds_to_a_day_or_never() {
    let after_ns = |value: &str| {
        let config = config(&["--unexplained-after", value]).unwrap();
        config.policy.thresholds().unexplained_ns
    };
    assert_eq!(after_ns("0"), 0);
    assert_eq!(after_ns("10s"), 10_000_000_000);
    assert_eq!(after_ns("24h"), 86_400_000_000_000);
    let expected = "must be 0, or from 10s to 24h";
    refused(&["--unexplained-after", "9s"], expected);
    refused(&["--unexplained-after", "25h"], expected);
    let default = config(&[]).unwrap().policy.thresholds().unexplained_ns;
    assert_eq!(
        default,
        unjack_core::verdict::Thresholds::DEFAULT.unexplained_ns
    );
}

#[test]
fn patience_is_at_least_the_window() {
    let config = config(&["--window", "30s", "--patience", "30s"]).unwrap();
    assert_eq!(config.policy.patience.as_secs(), 30);
    refused(&["--patience", "4s"], "at least --window");
    refused(&["--patience", "2h"], "at most 1h");
}

#[test]
fn hashing_is_acted_on_only_if_asked() {
    assert_eq!(config(&[]).unwrap().policy.act_on, ActOn::Miner);
    let asked = config(&["--act-on", "hashing"]).unwrap();
    assert_eq!(asked.policy.act_on, ActOn::Hashing);
}

#[test]
fn many_cores_may_be_asked_for() {
    assert!((config(&["--min-cpu", "250%"]).unwrap().policy.min_cpu - 2.5).abs() < 1e-9);
}

#[test]
fn min_cpu_out_of_range() {
    for value in ["0", "-1", "nan", "inf", "1e7"] {
        refused(&["--min-cpu", value], "above 0");
    }
}

#[test]
fn min_score_out_of_range() {
    for value in ["1.01", "-0.1", "nan"] {
        refused(&["--min-score", value], "from 0 to 1");
    }
    assert!(config(&["--min-score", "0"]).is_ok() && config(&["--min-score", "1"]).is_ok());
}

#[test]
fn window_out_of_range() {
    for value in ["999ms", "61s"] {
        refused(&["--window", value], "from 1s to 60s");
    }
    assert!(config(&["--window", "1s"]).is_ok() && config(&["--window", "1m"]).is_ok());
}

#[test]
fn grace_out_of_range() {
    refused(&["--grace", "2m"], "from 0s to 60s");
    assert_eq!(config(&["--grace", "0s"]).unwrap().grace, Duration::ZERO);
}

#[test]
fn sample_hz_out_of_range() {
    for value in ["0", "1000"] {
        refused(&["--sample-hz", value], "from 1 to 999");
    }
}

#[test]
fn the_response_has_its_limits() {
    let response = config(&["--scope", "tree"]).unwrap().response;
    assert_eq!((response.scope, response.keep), (Scope::Tree, false));
    assert!((response.throttle_to - 0.05).abs() < 1e-9);
    let default = BreakerLimits {
        host: 30,
        user: 10,
        image: 20,
    };
    assert_eq!(response.breaker, default);
    // A third of the host's, unless it is said.
    for (flags, user) in [
        (&["--max-kills", "100"][..], 33),
        (&["--max-kills", "1"], 1),
        (&["--max-kills", "9", "--max-kills-per-user", "7"], 7),
    ] {
        assert_eq!(config(flags).unwrap().response.breaker.user, user);
    }
    for value in ["0", "-1", "0.5", "1001", "nan"] {
        refused(&["--throttle-to", value], "from 1 to 1000");
    }
    refused(&["--max-kills", "0"], "from 1 to 10000");
    refused(&["--max-kills-per-image", "10001"], "from 1 to 10000");
    refused(&["--max-kills-per-user", "0"], "from 1 to 10000");
    refused(&["--state-dir", "run/unjack"], "absolute path");
}

#[test]
fn protection_is_on_unless_switched_off() {
    for (arguments, expected) in [(&[][..], false), (&["--no-builtin-protection"], true)] {
        let response = config(arguments).unwrap().response;
        assert_eq!(response.no_builtin_protection, expected, "{arguments:?}");
    }
}

#[test]
fn nothing_is_kept_listed_or_run_unless_asked_for() {
    let Extras {
        evidence,
        lists,
        block_pools,
        container_dirs,
        network,
        hook,
    } = config(&[]).unwrap().extras;
    assert!(container_dirs.is_empty());
    assert!(evidence.is_none() && hook.is_none() && !block_pools);
    let without = config(&["--no-network-evidence"]).unwrap().extras;
    assert!(network && !without.network);
    assert_eq!(lists, crate::detect::reputation::Files::default());
}

#[test]
fn bounds_of_evidence_and_hooks_are_bounded() {
    refused(&["--evidence-max-size", "1MiB"], "from 16MiB");
    refused(&["--evidence-max-count", "0"], "from 1 to 100000");
    refused(&["--evidence-dir", "kept"], "absolute");
    refused(&["--on-verdict", "hook"], "absolute");
    refused(&["--on-verdict-timeout", "1ms"], "from 100ms");
    refused(&["--on-verdict-arg", "x"], "--on-verdict");
}

#[test]
fn flags_on_pools_take_a_list() {
    refused(&["--block-pools"], "--pools");
    refused(&["--pools-resolve"], "--pools");
    let extras = config(&["--pools", "/p", "--block-pools", "--pools-resolve"])
        .unwrap()
        .extras;
    assert!(extras.block_pools && extras.lists.resolve);
}

#[test]
fn the_path_of_metrics_is_plain_and_its_own() {
    for path in ["/metrics", "/a/b-c_d.e~f", "/-/metrics"] {
        let config = config(&["--web.telemetry-path", path]).unwrap();
        assert_eq!(config.web.telemetry_path, path);
    }
    for path in [
        "metrics",
        "",
        "/",
        "/-/ready",
        "/-/healthy",
        "/{a}",
        "/a b",
        "/a\"b",
        "/ä",
    ] {
        let error = config(&["--web.telemetry-path", path]).unwrap_err();
        assert_eq!(error.flag, "--web.telemetry-path", "{path}");
    }
}

#[test]
fn sockets_are_those_named_or_systemds() {
    let listen = |flags: &[&str]| config(flags).unwrap().web.listen;
    let addresses = listen(&[
        "--web.listen-address",
        "[::1]:1,unix:/run/u.sock",
        "--web.listen-address",
        ":2",
    ]);
    let addresses = addresses.unwrap();
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["[::1]:1", "unix:/run/u.sock", ":2"]);
    assert_eq!(listen(&["--web.systemd-socket"]), None);
    let many = vec![":1"; 17].join(",");
    let error = config(&["--web.listen-address", &many]).unwrap_err();
    assert_eq!(error.flag, "--web.listen-address");
}

#[test]
fn groups_are_bounded_by_number_and_time() {
    for (flag, bad) in [
        ("--metrics.max-groups", ["0", "10001"]),
        ("--metrics.group-timeout", ["59s", "31d"]),
    ] {
        for value in bad {
            refused(&[flag, value], "must be from");
        }
    }
    let given = config(&["--metrics.max-groups", "3", "--metrics.group-by", "unit"]);
    let web = given.unwrap().web;
    assert_eq!((web.groups.max, web.group_by), (3, GroupBy::Unit));
}

#[test]
fn places_of_containers_are_absolute() {
    let places = config(&["--container-dir", "/srv/docker", "--container-dir", "/data"]);
    assert_eq!(places.unwrap().extras.container_dirs.len(), 2);
    assert!(config(&["--container-dir", "docker"]).is_err());
}
