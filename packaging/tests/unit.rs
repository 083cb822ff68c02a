//! The systemd unit, as systemd itself sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `systemd-analyze security` may rate it at the most, 0 to 10, higher is
/// worse: 4.0 by systemd 252, and other versions weigh a little differently.
const EXPOSURE: f64 = 4.4;

/// The unit with a program that is there: ours is not installed.
fn unit(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/unjack.service");
    let text = fs::read_to_string(file).unwrap();
    let program = "ExecStart=/usr/bin/unjack ";
    assert!(text.contains(program), "the unit starts something else");
    let dir = std::env::temp_dir().join(format!("unjack-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let copy = dir.join("unjack.service");
    fs::write(&copy, text.replace(program, "ExecStart=/bin/sh ")).unwrap();
    copy
}

fn analyze(args: &[&str], unit: &Path) -> String {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output()
        .expect("systemd-analyze, of Debian's package systemd");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {text}");
    text.into_owned()
}

#[test]
fn the_unit_is_valid() {
    let unit = unit("verify");
    let said = analyze(&["verify", "--man=no", "--generators=no"], &unit);
    fs::remove_dir_all(unit.parent().unwrap()).unwrap();
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("unjack"))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn the_unit_is_as_closed_as_the_documentation_says() {
    let unit = unit("security");
    let said = analyze(&["security", "--offline=yes", "--no-pager"], &unit);
    fs::remove_dir_all(unit.parent().unwrap()).unwrap();
    let rating = said
        .lines()
        .find_map(|line| line.split_once("exposure level for unjack.service: "))
        .and_then(|(_, rating)| rating.split_whitespace().next()?.parse::<f64>().ok());
    assert!(rating.is_some_and(|rating| rating <= EXPOSURE), "{said}");
}

/// Closing these would take away what docs/install.md says they are for, and
/// some of it silently.
#[test]
fn the_unit_leaves_what_unjack_needs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/unjack.service");
    let text = fs::read_to_string(file).unwrap();
    let values = |key: &str| -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .flat_map(str::split_whitespace)
            .collect()
    };
    for (key, needed) in [
        (
            "CapabilityBoundingSet",
            &[
                "CAP_BPF",
                "CAP_PERFMON",
                "CAP_KILL",
                "CAP_SYS_PTRACE",
                "CAP_DAC_READ_SEARCH",
                "CAP_DAC_OVERRIDE",
                "CAP_SYS_ADMIN",
                "CAP_NET_ADMIN",
            ][..],
        ),
        (
            "SystemCallFilter",
            &[
                "bpf",
                "perf_event_open",
                "fsopen",
                "fsconfig",
                "fsmount",
                "pidfd_getfd",
            ],
        ),
        ("ReadWritePaths", &["/sys/fs/cgroup", "-/sys/fs/bpf"]),
        ("RuntimeDirectoryPreserve", &["yes"]),
    ] {
        for value in needed {
            assert!(values(key).contains(value), "{key} lacks {value}");
        }
    }
    // With these, rules by path and hidden processes would be seen wrongly; with
    // the last, bans could not be pinned.
    for key in [
        "PrivateTmp",
        "ProtectProc",
        "ProcSubset",
        "PrivateUsers",
        "ProtectKernelTunables",
    ] {
        assert!(values(key).is_empty(), "{key} is set");
    }
}
