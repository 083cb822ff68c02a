//! Everything that can be asked wrongly, or of the wrong machine, is answered
//! with a message that says what to do and an exit code that tells which.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tests::Workload;
use tests::daemon::{command, without_settings};
use tests::host::{assert_clean, output, share_turn, take_turn, unjack};

/// Runs unjack to its end, at most 60 s: a daemon that accepts what it should
/// refuse would run for ever.
fn run(args: &[&str]) -> Output {
    let mut timeout = Command::new("timeout");
    timeout.arg("60").arg(unjack()).args(args);
    without_settings(&mut timeout);
    output(&mut timeout)
}

/// It failed with this code, and its message holds each of `words`.
fn check(answer: &Output, code: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(
        answer.status.code(),
        Some(code),
        "{message}{}",
        answer.stdout.escape_ascii()
    );
    assert_clean("the message", &answer.stderr);
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn bad_flag_values_name_the_flag() {
    let _turn = share_turn();
    for (flag, value) in [
        ("--action", "shout"),
        ("--min-score", "2"),
        ("--min-score", "-0.1"),
        ("--min-score", "NaN"),
        ("--min-cpu", "-1"),
        ("--min-cpu", "lots"),
        ("--window", "abc"),
        ("--window", "0s"),
        ("--grace", "-5s"),
        ("--allow", "nonsense"),
        ("--allow", "colour=red"),
        ("--deny", "nonsense"),
        ("--sample-hz", "0"),
        ("--sample-hz", "1000000000"),
        ("--web.listen-address", "nowhere"),
        ("--web.listen-address", "127.0.0.1:99999"),
        ("--log.format", "xml"),
        ("--log.level", "shouting"),
    ] {
        println!("run {flag}={value}");
        check(&run(&["run", &format!("{flag}={value}")]), 2, &[flag]);
    }
}

#[test]
fn a_bad_value_from_the_environment_is_refused_too() {
    let _turn = share_turn();
    let mut timeout = Command::new("timeout");
    timeout.arg("60").arg(unjack()).arg("run");
    without_settings(&mut timeout);
    timeout.env("UNJACK_MIN_SCORE", "2");
    check(&output(&mut timeout), 2, &["--min-score"]);
}

#[test]
fn unknown_flags_and_commands_are_refused() {
    let _turn = share_turn();
    check(&run(&["run", "--fast"]), 2, &["--fast"]);
    check(&run(&["mine"]), 2, &["mine"]);
    check(&run(&["explain"]), 2, &["PID"]);
    check(&run(&["explain", "self"]), 2, &["self"]);
    check(&run(&["explain", "1", "--for", "ever"]), 2, &["--for"]);
}

#[test]
fn release_says_what_it_takes_and_what_is_not_held() {
    let _turn = share_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let state = home.path().display().to_string();
    let release = |what: &[&str]| run(&[&["release", "--state-dir", &state], what].concat());
    check(&release(&[]), 2, &["--all"]);
    check(&release(&["nginx"]), 2, &["nginx"]);
    check(
        &release(&["1"]),
        4,
        &["process 1", "not throttled or frozen", "--all"],
    );
    check(&release(&["/a\nb"]), 4, &["not throttled or frozen"]);
    assert_eq!(release(&["--all"]).status.code(), Some(0));
}

#[test]
fn a_port_in_use_names_the_address() {
    let _turn = share_turn();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    check(
        &run(&["run", "--web.listen-address", &address]),
        1,
        &[&address],
    );
}

#[test]
fn explaining_a_process_that_does_not_exist() {
    let _turn = share_turn();
    let mut child = Command::new("true").spawn().expect("true runs");
    child.wait().expect("the child is ours");
    let pid = child.id().to_string();
    check(&run(&["explain", &pid, "--for", "1s"]), 4, &[&pid]);
    check(
        &run(&["explain", &pid, "--for", "1s", "--json"]),
        4,
        &[&pid],
    );
    // One more than any pid can be.
    check(
        &run(&["explain", "4194304", "--for", "1s"]),
        4,
        &["4194304"],
    );
}

#[test]
fn explaining_a_process_that_vanishes() {
    let _turn = share_turn();
    let burner = Workload::start(&["--seconds", "8", "burn"]);
    let _ = burner.first_hash();
    let pid = burner.pid().to_string();
    // The burner is not reaped before the test ends: a zombie has vanished too.
    check(
        &run(&["explain", &pid, "--for", "40s", "--json"]),
        4,
        &[&pid],
    );
}

/// The binary where anyone may execute it.
fn public_copy(home: &Path) -> std::path::PathBuf {
    let everyone = fs::Permissions::from_mode(0o755);
    fs::set_permissions(home, everyone.clone()).expect("the directory is ours");
    let copy = home.join("unjack");
    fs::copy(unjack(), &copy).expect("the binary can be copied");
    fs::set_permissions(&copy, everyone).expect("the copy is ours");
    copy
}

#[test]
fn missing_capabilities_are_named() {
    let _turn = share_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let copy = public_copy(home.path());
    for args in [&["run"][..], &["explain", "1", "--for", "1s"]] {
        let mut nobody = Command::new("timeout");
        nobody
            .args([
                "60",
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ])
            .arg(&copy)
            .args(args)
            .current_dir("/");
        without_settings(&mut nobody);
        check(&output(&mut nobody), 3, &["CAP_BPF", "CAP_PERFMON"]);
    }
}

#[test]
fn a_kernel_without_btf_is_told_apart() {
    let _turn = share_turn();
    let empty = tempfile::tempdir().expect("a temporary directory");
    let hide = r#"mount --bind "$1" /sys/kernel/btf && shift && exec "$@""#;
    for (args, code) in [(&["run"][..], 3), (&["explain", "1", "--for", "1s"], 3)] {
        let mut hidden = Command::new("timeout");
        hidden
            .args(["60", "unshare", "--mount", "sh", "-c", hide, "hide"])
            .arg(empty.path())
            .arg(unjack())
            .args(args);
        without_settings(&mut hidden);
        check(&output(&mut hidden), code, &["CONFIG_DEBUG_INFO_BTF"]);
    }
}

#[test]
fn doctor_is_content_here_and_not_without_btf() {
    let _turn = take_turn();
    let answer = output(command(&unjack()).args(["doctor", "--json"]));
    assert!(answer.status.success(), "{}", answer.stdout.escape_ascii());
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.stdout).is_ok());

    let empty = tempfile::tempdir().expect("a temporary directory");
    let hide = r#"mount --bind "$1" /sys/kernel/btf && exec "$2" doctor"#;
    let answer = output(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", hide, "hide"])
            .arg(empty.path())
            .arg(unjack()),
    );
    let text = String::from_utf8_lossy(&answer.stdout);
    assert_eq!(answer.status.code(), Some(3), "{text}");
    assert!(text.contains("CONFIG_DEBUG_INFO_BTF"), "{text}");
}
