//! Named cases for the metrics, read as Prometheus reads them.

use procfs::process::Process;

use super::*;
use crate::{policy::config::GroupLimits, respond::action::breaker::Level};

fn metrics() -> Metrics {
    Metrics::new("1.2.3").unwrap()
}

/// Value of the series written exactly so.
#[track_caller]
fn value(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.render().unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
        .parse()
        .unwrap()
}

#[track_caller]
fn check(metrics: &Metrics, series: &str, expected: f64) {
    let value = value(metrics, series);
    assert!(
        (value - expected).abs() < 1e-9,
        "{series} {value}, expected {expected}"
    );
}

#[test]
fn error_series_are_there_from_the_start() {
    let metrics = metrics();
    for series in [
        "samples_total",
        "samples_lost_total",
        "samples_capped_total",
        "sample_code_faults_total",
        "events_lost_total",
        "tasks_untracked_total",
        "profiles_dropped_total",
        "samples_forgotten_total",
        "web_connections_full_total",
        "web_password_checks_total",
        "suspects",
        "breaker_forgotten_total",
        "stratum_sockets",
        "stratum_packets_total",
        "stratum_packets_dropped_total",
        "stratum_sockets_unwatched_total",
        "stratum_heard_total",
        "held{action=\"throttle\"}",
        "held{action=\"freeze\"}",
        "allowed_cpu_seconds_total{family=\"randomx\"}",
        "verdict_delay_seconds_count",
    ] {
        check(&metrics, &format!("unjack_{series}"), 0.0);
    }
}

#[test]
fn labelled_error_series_are_there_from_the_start() {
    let metrics = metrics();
    for (series, label, values) in [
        (
            "held_escapes_total",
            "kind",
            &["moved", "reset", "continued"][..],
        ),
        (
            "held_escalations_total",
            "to",
            &["cgroup", "signal", "kill", "escaped"],
        ),
        (
            "evidence_lost_total",
            "reason",
            &crate::respond::evidence::Loss::ALL.map(crate::respond::evidence::Loss::name),
        ),
        (
            "hooks_total",
            "outcome",
            &crate::respond::hook::Outcome::ALL.map(crate::respond::hook::Outcome::name),
        ),
        ("list_reloads_total", "outcome", &["loaded", "kept-old"]),
        ("web_reloads_total", "outcome", &["loaded", "kept-old"]),
        ("breaker_open", "level", &Level::ALL.map(Level::name)),
        (
            "breaker_opened_total",
            "level",
            &Level::ALL.map(Level::name),
        ),
        (
            "breaker_let_pass_total",
            "level",
            &Level::ALL.map(Level::name),
        ),
        (
            "web_connections_cut_total",
            "reason",
            &Cut::ALL.map(Cut::name),
        ),
        ("web_logins_total", "outcome", &Login::ALL.map(Login::name)),
        ("images_hashed_total", "outcome", &["hashed", "deferred"]),
    ] {
        for value in values {
            let series = format!("unjack_{series}{{{label}=\"{value}\"}}");
            check(&metrics, &series, 0.0);
        }
    }
    for reason in Refusal::ALL.map(Refusal::name) {
        check(
            &metrics,
            &format!("unjack_actions_refused_total{{reason=\"{reason}\"}}"),
            0.0,
        );
    }
    for family in Family::ALL {
        for (action, outcome) in [
            ("kill", "gone"),
            ("kill", "survived"),
            ("throttle", "held"),
            ("freeze", "held"),
            ("observe", "dry-run"),
        ] {
            let series = format!(
                "unjack_actions_total{{action=\"{action}\",family=\"{family}\",outcome=\"{outcome}\"}}"
            );
            check(&metrics, &series, 0.0);
        }
        for verdict in ["miner", "hashing"] {
            let series =
                format!("unjack_verdicts_total{{family=\"{family}\",verdict=\"{verdict}\"}}");
            check(&metrics, &series, 0.0);
        }
        check(
            &metrics,
            &format!("unjack_stolen_cpu_seconds_total{{family=\"{family}\"}}"),
            0.0,
        );
    }
}

#[test]
fn build_info_is_one() {
    check(&metrics(), "unjack_build_info{version=\"1.2.3\"}", 1.0);
}

#[test]
fn verdicts_and_their_delay_are_counted() {
    let metrics = metrics();
    metrics.count_verdict(Verdict::Miner, Family::RandomX, 7.0);
    check(
        &metrics,
        "unjack_verdicts_total{family=\"randomx\",verdict=\"miner\"}",
        1.0,
    );
    check(
        &metrics,
        "unjack_verdict_delay_seconds_bucket{le=\"6\"}",
        0.0,
    );
    check(
        &metrics,
        "unjack_verdict_delay_seconds_bucket{le=\"8\"}",
        1.0,
    );
    check(
        &metrics,
        "unjack_verdict_delay_seconds_bucket{le=\"300\"}",
        1.0,
    );
}

#[test]
fn what_nothing_explains_is_counted_by_family() {
    let metrics = metrics();
    metrics.count_unexplained(Family::Sha256d);
    for (family, expected) in [("sha256d", 1.0), ("blake", 0.0), ("unknown-pow", 0.0)] {
        let series = format!("unjack_unexplained_total{{family=\"{family}\"}}");
        check(&metrics, &series, expected);
    }
}

#[test]
fn a_refusal_is_not_an_action() {
    let metrics = metrics();
    metrics.count_action(Action::Kill, Family::Scrypt, Outcome::Gone);
    metrics.count_action(Action::Kill, Family::Scrypt, Outcome::Refused);
    metrics.count_refusal(Refusal::Init);
    check(
        &metrics,
        "unjack_actions_total{action=\"kill\",family=\"scrypt\",outcome=\"gone\"}",
        1.0,
    );
    check(
        &metrics,
        "unjack_actions_refused_total{reason=\"init\"}",
        1.0,
    );
    assert!(!metrics.render().unwrap().contains("outcome=\"refused\""));
}

#[test]
fn an_action_is_counted_by_what_was_done() {
    let metrics = metrics();
    for (action, outcome) in [
        (Action::Throttle, Outcome::Held),
        (Action::Freeze, Outcome::Held),
        (Action::Throttle, Outcome::Held),
        (Action::Observe, Outcome::DryRun),
    ] {
        metrics.count_action(action, Family::Scrypt, outcome);
    }
    for (action, outcome, expected) in [
        ("throttle", "held", 2.0),
        ("freeze", "held", 1.0),
        ("observe", "dry-run", 1.0),
        ("kill", "gone", 0.0),
    ] {
        let series = format!(
            "unjack_actions_total{{action=\"{action}\",family=\"scrypt\",outcome=\"{outcome}\"}}"
        );
        check(&metrics, &series, expected);
    }
}

#[test]
fn a_mirror_never_goes_backwards() {
    let metrics = metrics();
    for (total, expected) in [(5, 5.0), (5, 5.0), (9, 9.0), (3, 9.0), (10, 10.0)] {
        let stats = ProbeStats {
            samples: total,
            ..ProbeStats::default()
        };
        metrics.mirror_probes(&stats, 0);
        check(&metrics, "unjack_samples_total", expected);
    }
}

const SECOND: u64 = 1_000_000_000;

fn groups_of(metrics: &Metrics) -> usize {
    let text = metrics.render().unwrap();
    text.lines()
        .filter(|line| line.starts_with("unjack_cpu_seconds_total"))
        .count()
}

#[test]
fn groups_are_bounded_and_the_rest_is_other() {
    for max in [GroupLimits::DEFAULT.max, 3, 1000] {
        let limits = GroupLimits {
            max,
            ..GroupLimits::DEFAULT
        };
        let metrics = metrics().with_groups(limits);
        for group in 0..max + 10 {
            metrics.add_group_cpu(&format!("g{group}"), 1.5);
        }
        metrics.add_group_cpu("g0", 1.0);
        check(&metrics, "unjack_cpu_seconds_total{group=\"g0\"}", 2.5);
        check(&metrics, "unjack_cpu_seconds_total{group=\"other\"}", 15.0);
        check(&metrics, "unjack_groups_folded_total", 10.0);
        assert_eq!(groups_of(&metrics), max + 2, "the groups, kernel and other");
    }
}

#[test]
fn a_group_that_burns_nothing_for_long_makes_room() {
    let limits = GroupLimits {
        max: 2,
        timeout: std::time::Duration::from_mins(1),
    };
    let metrics = metrics().with_groups(limits);
    metrics.add_group_cpu("stays", 1.0);
    metrics.add_group_cpu("goes", 1.0);
    for second in 1..60 {
        metrics.add_group_cpu("stays", 1.0);
        metrics.age_groups(second * SECOND);
        metrics.add_group_cpu("late", 1.0);
        // What is charged nothing is not there for it.
        metrics.add_group_cpu("goes", 0.0);
    }
    check(&metrics, "unjack_cpu_seconds_total{group=\"goes\"}", 1.0);
    check(&metrics, "unjack_groups_removed_total", 0.0);
    metrics.age_groups(61 * SECOND);
    check(&metrics, "unjack_groups_removed_total", 1.0);
    metrics.add_group_cpu("late", 2.0);
    check(&metrics, "unjack_cpu_seconds_total{group=\"late\"}", 2.0);
    check(&metrics, "unjack_cpu_seconds_total{group=\"stays\"}", 60.0);
    check(&metrics, "unjack_cpu_seconds_total{group=\"other\"}", 59.0);
    assert!(!metrics.render().unwrap().contains("\"goes\""));
    assert_eq!(groups_of(&metrics), 4);
}

#[test]
fn kernel_and_other_stay_for_ever() {
    let metrics = metrics();
    metrics.age_groups(1);
    metrics.age_groups(u64::MAX);
    assert_eq!(groups_of(&metrics), 2);
}

#[test]
fn a_process_cannot_name_itself_into_the_kernel() {
    let metrics = metrics();
    metrics.add_kernel_cpu(2.0);
    metrics.add_group_cpu(GROUP_KERNEL, 5.0);
    check(&metrics, "unjack_cpu_seconds_total{group=\"kernel\"}", 2.0);
    check(&metrics, "unjack_cpu_seconds_total{group=\"other\"}", 5.0);
}

#[test]
fn a_hostile_group_forges_no_series() {
    let metrics = metrics();
    metrics.add_group_cpu("a\"} 1\nunjack_suspects 99\x1b[2J", 1.0);
    metrics.add_group_cpu(&"x".repeat(4096), 1.0);
    check(&metrics, "unjack_suspects", 0.0);
    let text = metrics.render().unwrap();
    assert!(
        text.contains(r#"{group="a\"} 1\\x0aunjack_suspects 99\\x1b[2J"} 1"#),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() < 300));
}

#[test]
fn time_that_runs_backwards_is_ignored() {
    let metrics = metrics();
    for seconds in [1.0, -1.0, f64::NAN, f64::INFINITY] {
        metrics.stolen.add(Family::RandomX, seconds);
    }
    check(
        &metrics,
        "unjack_stolen_cpu_seconds_total{family=\"randomx\"}",
        1.0,
    );
}

#[test]
fn maps_have_entries_and_capacity() {
    let metrics = metrics();
    metrics.set_map("spill", 3, 16384);
    check(&metrics, "unjack_map_entries{map=\"spill\"}", 3.0);
    check(&metrics, "unjack_map_capacity{map=\"spill\"}", 16384.0);
}

#[test]
fn its_own_cost_is_read_at_every_scrape() {
    let metrics = metrics();
    let before = value(&metrics, "process_cpu_seconds_total");
    let ticks = || Process::myself().unwrap().stat().unwrap().utime;
    let start = ticks();
    while ticks() < start + 2 {}
    assert!(value(&metrics, "process_cpu_seconds_total") > before);
    assert!(value(&metrics, "process_resident_memory_bytes") > 1e5);
    let age = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
        - value(&metrics, "process_start_time_seconds");
    assert!((-2.0..3600.0).contains(&age), "started {age} s ago");
}

#[test]
fn rules_of_only_are_told_by_key() {
    let metrics = metrics();
    check(&metrics, "unjack_only_rules{key=\"unit\"}", 0.0);
    let rules = ["unit=a.service", "unit=b.service", "namespace=ci"];
    let rules = rules.map(|text| Rule::parse(text, &[]).unwrap());
    metrics.set_only(Action::Kill, &rules);
    let outside = "unjack_actions_total{action=\"kill\",family=\"scrypt\",outcome=\"dry-run\"}";
    check(&metrics, outside, 0.0);
    for (key, expected) in [("unit", 2.0), ("namespace", 1.0), ("user", 0.0)] {
        check(
            &metrics,
            &format!("unjack_only_rules{{key=\"{key}\"}}"),
            expected,
        );
    }
}
