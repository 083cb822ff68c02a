//! CPU time by group: who is in which, and how many there are.

use std::time::Duration;

use tests::host::share_turn;
use tests::{Daemon, Workload};

use super::{NOTICE, home};

const CPU: &str = "unjack_cpu_seconds_total";

#[test]
fn a_program_is_known_by_its_path_and_not_by_its_name() {
    let _turn = share_turn();
    let home = home();
    let path = home.path().join("burner");
    let daemon = Daemon::start(&["--metrics.max-groups", "1000"]);
    let burner = Workload::start_as(&path, &["--title", "/usr/sbin/sshd", "burn"]);
    let _ = burner.first_hash();
    let path = path.to_str().expect("is UTF-8");
    daemon.wait_metrics("the burner has a series", NOTICE, |metrics| {
        let seconds = metrics.sum(CPU, &[("group", path)]);
        (seconds > 1.0)
            .then_some(())
            .ok_or_else(|| metrics.labels(CPU, "group").join(" "))
    });
    // One that is gone at once has only its name, and it is told apart.
    let short = daemon.metrics();
    assert!(!short.has(CPU, &[("group", "/usr/sbin/sshd")]));
    assert!(short.labels(CPU, "group").iter().all(|group| {
        group.starts_with('/') || group.starts_with("comm:") || ["kernel", "other"].contains(group)
    }));
}

#[test]
fn units_and_containers_are_few_and_others_are_one() {
    let _turn = share_turn();
    for (by, rest) in [("unit", "none"), ("container", "host")] {
        let daemon = Daemon::start(&["--metrics.group-by", by, "--metrics.max-groups", "5"]);
        let burner = Workload::start(&["burn"]);
        let _ = burner.first_hash();
        daemon.wait_metrics("CPU time has a group", NOTICE, |metrics| {
            let groups = metrics.labels(CPU, "group");
            if groups.len() > 5 + 2 || groups.iter().any(|group| group.starts_with('/')) {
                return Err(groups.join(" "));
            }
            let seconds = metrics.sum(CPU, &[]);
            (seconds > 2.0)
                .then_some(())
                .ok_or_else(|| seconds.to_string())
        });
        let metrics = daemon.metrics();
        // This test is in a unit or a container, or it is not.
        let named = metrics.labels(CPU, "group").len() > 2;
        assert!(named, "no group but kernel and other: {}", metrics.text);
        assert!(metrics.sum(CPU, &[("group", rest)]) >= 0.0);
        assert!(!metrics.text.contains("comm:"));
    }
}

#[test]
fn beyond_the_bound_there_is_only_other() {
    let _turn = share_turn();
    let home = home();
    let daemon = Daemon::start(&["--metrics.max-groups", "1"]);
    let burners =
        ["a", "b", "c"].map(|name| Workload::start_as(&home.path().join(name), &["burn"]));
    for burner in &burners {
        let _ = burner.first_hash();
    }
    daemon.wait_metrics(
        "the rest is other",
        NOTICE + Duration::from_secs(10),
        |metrics| {
            let folded = metrics.sum("unjack_groups_folded_total", &[]);
            let other = metrics.sum(CPU, &[("group", "other")]);
            (folded > 0.0 && other > 1.0)
                .then_some(())
                .ok_or_else(|| format!("{folded} {other}"))
        },
    );
    assert_eq!(daemon.metrics().labels(CPU, "group").len(), 3);
}
