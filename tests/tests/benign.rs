//! Honest work lives beside a daemon that kills, at default thresholds.
//!
//! `UNJACK_TEST_BENIGN_SECONDS` says how long each pair runs; 60 by default.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use tests::host::{schedstat_seconds, take_turn};
use tests::{Daemon, Workload};

/// Runs a command again and again; ends with 42 as soon as one run of it does
/// not succeed, so that a kill of a short-lived child shows.
const LOOP: &str = r#"while :; do "$@" >/dev/null || exit 42; done"#;

/// Bytes of the file to compress and to sum.
const LARGE: u64 = 512 << 20;

fn repeat(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LOOP, "loop", program]).args(args);
    command
}

/// A large file of real data: this machine's own programs and libraries, over
/// and over.
fn large_file(home: &Path) -> PathBuf {
    let path = home.join("large");
    let mut file = fs::File::create(&path).expect("a file in the temporary directory");
    let mut written = 0;
    while written < LARGE {
        let before = written;
        for source in [
            "/usr/bin",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
        ] {
            let Ok(entries) = fs::read_dir(source) else {
                continue;
            };
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths.iter().filter(|path| path.is_file()) {
                let Ok(from) = fs::File::open(path) else {
                    continue;
                };
                let left = LARGE.saturating_sub(written);
                written += std::io::copy(&mut from.take(left), &mut file).unwrap_or(0);
            }
        }
        assert!(written > before, "this machine has no programs to read");
    }
    path
}

/// A C file that takes a compiler several seconds.
fn c_file(home: &Path) -> PathBuf {
    let path = home.join("large.c");
    let mut file = fs::File::create(&path).expect("a file in the temporary directory");
    for number in 0..1500 {
        writeln!(
            file,
            "int f{number}(int a, int b, const int *p) {{\n\
             \tint s = {number};\n\
             \tfor (int i = 0; i < a; i++) {{\n\
             \t\tswitch ((p[i] + b) % 7) {{\n\
             \t\tcase 0: s += p[i] * {number}; break;\n\
             \t\tcase 1: s -= b / (i + 1); break;\n\
             \t\tcase 4: if (s > b) s = p[s & 15]; break;\n\
             \t\tdefault: s += a; }}\n\
             \t}}\n\
             \treturn s;\n}}"
        )
        .expect("room in the temporary directory");
    }
    path
}

/// The system's own interpreter rather than a version manager's wrapper.
fn first_of<'a>(names: &[&'a str]) -> &'a str {
    names
        .iter()
        .find(|name| !name.starts_with('/') || Path::new(name).exists())
        .expect("the last one is a bare name")
}

#[test]
fn honest_work_lives() {
    let _turn = take_turn();
    let time = tests::spawn::benign_time();
    let home = tempfile::tempdir().expect("a temporary directory");
    let large = large_file(home.path())
        .into_os_string()
        .into_string()
        .expect("is UTF-8");
    let source = c_file(home.path())
        .into_os_string()
        .into_string()
        .expect("is UTF-8");
    let python = "while True: sum(i * i % 7 for i in range(10000))";
    let node = "for (let n = 0; ; n++) { const o = {}; \
                for (let i = 0; i < 1000; i++) o['k' + i] = [i, n].sort(); }";

    // Two at a time: each has a core for itself on the smallest machine.
    let pairs = [
        [
            ("xz -9", repeat("xz", &["-9", "--stdout", &large])),
            (
                "gcc -O2",
                repeat("gcc", &["-O2", "-c", "-o", "/dev/null", &source]),
            ),
        ],
        [
            ("sha256sum", repeat("sha256sum", &[&large])),
            ("openssl speed rsa", repeat("openssl", &["speed", "rsa"])),
        ],
        [
            ("python", {
                let mut command = Command::new(first_of(&["/usr/bin/python3", "python3"]));
                command.args(["-c", python]);
                command
            }),
            ("node", {
                let mut command = Command::new(first_of(&["/usr/bin/node", "node"]));
                command.args(["-e", node]);
                command
            }),
        ],
    ];

    let mut daemon = Daemon::start(&["--action", "kill"]);
    for pair in pairs {
        let samples = daemon.metrics().sum("unjack_samples_total", &[]);
        let mut running = pair.map(|(name, mut command)| {
            command.stderr(std::process::Stdio::null());
            (name, Workload::spawn(&mut command))
        });
        thread::sleep(time);
        for (name, work) in &mut running {
            let ended = work.ended();
            let verdicts = daemon.events_of("verdict");
            assert!(
                ended.is_none(),
                "{name} did not live: {ended:?}, {verdicts:?}"
            );
            assert!(schedstat_seconds(work.pid()).is_some(), "{name} is there");
        }
        let samples = daemon.metrics().sum("unjack_samples_total", &[]) - samples;
        let names = running.each_ref().map(|(name, _)| *name);
        assert!(
            samples >= 10.0 * time.as_secs_f64(),
            "{names:?} were hardly looked at: {samples} samples in {time:?}"
        );
    }
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum("unjack_actions_total", &[]).to_string(), "0");
    assert!(daemon.stop(Signal::TERM).success());
    let mut miners = daemon.events_of("verdict");
    miners.retain(|verdict| verdict["verdict"] == "miner");
    assert!(
        miners.is_empty(),
        "honest work was taken for a miner: {miners:?}"
    );
    assert_eq!(daemon.events_of("action"), Vec::<serde_json::Value>::new());
}
