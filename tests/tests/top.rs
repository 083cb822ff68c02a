//! `unjack top`: a real miner on a real terminal, and as one table.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tests::daemon::command;
use tests::host::{
    assert_clean, eventually, loaded, observe_turn, output, share_turn, take_turn, unjack,
};
use tests::terminal::Terminal;
use tests::{Daemon, Workload};

/// A verdict takes some five seconds of burning.
const VERDICT: Duration = Duration::from_secs(40);
const KEY: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(10);

/// A terminal's escape sequences, a new line, bytes that are no UTF-8 and a C1
/// control, in a file's name and within the 15 bytes of a thread's name.
const FILE: &[u8] = b"mi\n\x1b[2J\x1b]0;owned\x07\xff\xc2\x9b31m";
const COMM: &[u8] = b"e\n\x1b]0;x\x07\xff\xc2\x9b{";

fn top(args: &[&str]) -> Command {
    let mut command = command(&unjack());
    command.arg("top").args(args).env("LANG", "C.UTF-8");
    command.env_remove("LC_ALL").env_remove("NO_COLOR");
    command
}

#[test]
fn once_lists_a_miner_and_leaves_a_daemon_alone() {
    let _turn = observe_turn();
    let daemon = Daemon::start::<&str>(&[]);
    let miner = Workload::start(&["sha256d"]);
    let _ = miner.first_hash();
    let answer = output(&mut top(&["--once", "--for", "20s"]));
    assert!(answer.status.success(), "{}", answer.stderr.escape_ascii());
    assert_clean("the table", &answer.stdout);
    let text = String::from_utf8_lossy(&answer.stdout);
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().expect("titles").split_whitespace().collect();
    assert_eq!(
        titles,
        [
            "PID", "CPU%", "CPU_S", "SCORE", "FAMILY", "VERDICT", "WHERE", "PROGRAM"
        ]
    );
    let pid = miner.pid().to_string();
    let row = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|cells| cells[0] == pid)
        .unwrap_or_else(|| panic!("no {pid} in:\n{text}"));
    assert_eq!((row[4], row[5]), ("sha256d", "miner"), "{text}");
    assert!(row[7].contains("workload"), "{text}");

    // The daemon saw the same, and goes on.
    let verdict = daemon.event_about("verdict", miner.pid(), VERDICT);
    assert_eq!(verdict["family"], "sha256d");
    let samples = |daemon: &Daemon| daemon.metrics().sum("unjack_samples_total", &[]);
    let before = samples(&daemon);
    daemon.wait_metrics("it samples still", KEY, |metrics| {
        let now = metrics.sum("unjack_samples_total", &[]);
        (now > before).then_some(()).ok_or(format!("{now:?}"))
    });
}

#[test]
fn what_is_no_terminal_gets_one_table_and_json_is_whole() {
    let _turn = share_turn();
    let answer = output(&mut top(&["--for", "2s", "--sort", "pid"]));
    assert!(answer.status.success(), "{}", answer.stderr.escape_ascii());
    assert!(answer.stdout.trim_ascii_start().starts_with(b"PID"));
    assert!(!answer.stdout.contains(&0x1b));
    let answer = output(&mut top(&["--json", "--for", "2s", "--sort", "pid"]));
    let view: Value = serde_json::from_slice(&answer.stdout).expect("one object");
    let pids: Vec<u64> = (view["processes"].as_array().expect("a list").iter())
        .filter_map(|row| row["pid"].as_u64())
        .collect();
    assert!(pids.is_sorted(), "{pids:?}");
    assert!(view["probes"]["counts"]["samples"].is_u64(), "{view:#}");
}

/// As a person uses it; and then one of several ways to leave.
fn visit(leave: impl FnOnce(&mut Terminal)) {
    let _turn = observe_turn();
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join(OsStr::from_bytes(FILE));
    let title = OsString::from(OsStr::from_bytes(COMM));
    let miner = Workload::start_as(&path, &["--title".into(), title, "sha256d".into()]);
    let _ = miner.first_hash();

    let mut terminal = Terminal::start(&mut top(&[]), 80, 24);
    let before = terminal.settings();
    let screen = terminal.wait_for("miners: 1", VERDICT);
    let pid = miner.pid().to_string();
    let row = screen.lines().find(|line| line.contains(&pid));
    assert!(row.is_some_and(|row| row.contains("sha256d")), "{screen}");
    assert!(screen.contains("nothing lost"), "{screen}");
    assert_ne!(terminal.settings(), before, "it takes keys one by one");

    terminal.press("\r");
    let screen = terminal.wait_for("EVIDENCE", KEY);
    assert!(screen.contains(&format!("process {pid} ")), "{screen}");
    terminal.resize(200, 50);
    let screen = terminal.wait_for("HOTTEST CODE", KEY);
    let beside = screen.lines().find(|line| line.contains("EVIDENCE"));
    assert!(
        beside.is_some_and(|line| line.starts_with("INSTRUCTIONS")),
        "{screen}"
    );
    assert!(screen.contains(r"\x1b]0;owned\x07\xff"), "{screen}");
    terminal.resize(20, 4);
    let _ = terminal.wait_for("needs", KEY);
    terminal.resize(80, 24);
    // crossterm puts off a key that comes with a change of size until the next one:
    // its epoll is edge-triggered, and it returns with the first of the two.
    let _ = terminal.wait_for("EVIDENCE", KEY);
    terminal.press("\x1b");
    let _ = terminal.wait_for("PROGRAM", KEY);

    assert!(terminal.is_taken());
    leave(&mut terminal);
    let status = terminal.wait_end(END);
    assert_eq!(status.code(), Some(0), "{}", terminal.screen());
    assert_eq!(terminal.settings(), before);
    assert!(!terminal.is_taken(), "{}", terminal.screen());
    // Nothing a process calls itself reached the terminal: no title was set, no
    // bell rung, and no byte is a C1 control.
    let bytes = terminal.bytes();
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(
        !text.contains("\x1b]") && !text.contains('\x07'),
        "{text:?}"
    );
    assert!(
        !text.chars().any(|c| ('\u{80}'..'\u{a0}').contains(&c)),
        "{text:?}"
    );
}

#[test]
fn q_leaves_the_terminal_as_it_was() {
    visit(|terminal| terminal.press("q"));
}

#[test]
fn sigterm_leaves_the_terminal_as_it_was() {
    visit(|terminal| terminal.signal(Signal::TERM));
}

/// Everything that is written until it ends by itself.
fn written(command: &mut Command) -> String {
    let begun = Instant::now();
    let mut terminal = Terminal::start(command.args(["--for", "3s"]), 80, 24);
    let _ = terminal.wait_for("observing", KEY);
    assert_eq!(terminal.wait_end(END).code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(3));
    String::from_utf8(terminal.bytes()).expect("UTF-8")
}

#[test]
fn it_ends_by_itself_and_without_colours() {
    let _turn = share_turn();
    // How a colour of the palette is asked for.
    let colour = "38;5;";
    let coloured = written(&mut top(&[]));
    assert!(coloured.contains(colour), "{coloured:?}");
    let plain = written(top(&[]).env("NO_COLOR", "1").env("LANG", "C"));
    assert!(!plain.contains(colour), "{plain:?}");
}

#[test]
fn a_terminal_that_is_gone_ends_it() {
    let _turn = share_turn();
    // Also within what may become a key, and while nothing new is drawn.
    for keys in ["", "\x1b[", " "] {
        let mut terminal = Terminal::start(&mut top(&[]), 80, 24);
        let _ = terminal.wait_for("observing", KEY);
        terminal.press(keys);
        terminal.close();
        let status = terminal.wait_end(END);
        assert_eq!(status.code(), Some(0), "{keys:?}: {status}");
    }
}

#[test]
fn sigterm_ends_it_also_within_a_key() {
    let _turn = share_turn();
    let mut terminal = Terminal::start(&mut top(&[]), 80, 24);
    let before = terminal.settings();
    let _ = terminal.wait_for("observing", KEY);
    terminal.press("\x1b[");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.wait_end(END).code(), Some(0));
    assert_eq!(terminal.settings(), before);
}

#[test]
fn sigkill_leaves_no_probe_behind() {
    let _turn = take_turn();
    let kinds = ["prog", "map", "link"];
    let before = kinds.map(loaded);
    let mut terminal = Terminal::start(&mut top(&[]), 80, 24);
    let _ = terminal.wait_for("observing", KEY);
    for (kind, before) in kinds.iter().zip(&before) {
        assert_ne!(&loaded(kind), before, "bpftool sees its {kind}s");
    }
    terminal.signal(Signal::KILL);
    let _ = terminal.wait_end(END);
    for (kind, before) in kinds.iter().zip(&before) {
        eventually("everything is detached", END, || {
            let left: Vec<_> = loaded(kind).difference(before).copied().collect();
            (left.is_empty().then_some(())).ok_or(format!("still loaded: {kind} {left:?}"))
        });
    }
}

#[test]
fn what_the_host_lacks_is_told_before_the_terminal_is_taken() {
    let _turn = share_turn();
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(unjack())
        .arg("top");
    tests::daemon::without_settings(&mut unprivileged);
    let mut terminal = Terminal::start(&mut unprivileged, 80, 24);
    assert_eq!(terminal.wait_end(END).code(), Some(3));
    let screen = terminal.screen();
    assert!(screen.contains("capabilities to load"), "{screen}");
    assert!(!String::from_utf8_lossy(&terminal.bytes()).contains("\x1b[?1049h"));
}
