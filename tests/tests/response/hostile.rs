//! What a process calls itself reaches no file name, no file and no hook raw.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tests::host::{assert_clean, eventually, take_turn, workload};
use tests::{Daemon, Workload};

use super::{DEATH, MINES, NOTICE, home, incident, script};

/// A new line, escape sequences, quotes, bytes that are no UTF-8, a C1 control,
/// a shell's own characters.
const HOSTILE: &[u8] = b"m\n\x1b[31m\"'\\\xff\xc2\x9b31m\x7f$(touch pwned)`;";
/// The same within a thread's name, and a way out of a directory.
const COMM: &[u8] = b"../../\n\x1b]0\x07\"\xff";
/// What a cgroup can be called: all but a new line.
const CGROUP: &[u8] = b"un\x1b[31m\"'\xff\xc2\x9b$(x)";

/// A path of nearly four kibibytes, made of hostile names.
fn long_path(home: &Path) -> PathBuf {
    let mut path = home.to_owned();
    let name = [HOSTILE, &[b'x'; 160]].concat();
    while path.as_os_str().len() + 2 * name.len() < 4000 {
        path.push(OsStr::from_bytes(&name));
    }
    fs::create_dir_all(&path).expect("the directory is ours");
    path.push(OsStr::from_bytes(HOSTILE));
    path
}

/// A cgroup with a hostile name, removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make() -> Self {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .expect("a unified cgroup tree is mounted");
        let path = root.join(OsStr::from_bytes(CGROUP));
        // One may be left of a test that was killed.
        let _ = fs::create_dir(&path);
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        eventually("the cgroup is empty", NOTICE, || {
            fs::remove_dir(&self.0).map_err(|error| error.to_string())
        });
    }
}

#[test]
fn hostile_names_reach_nothing_unescaped() {
    let _turn = take_turn();
    let home = home();
    let kept = home.path().join("kept");
    let (hook, answer) = (home.path().join("hook"), home.path().join("answer"));
    script(
        &hook,
        "#!/bin/sh\nenv > \"$1.env\"\ncat > \"$1.json\"\nmv \"$1.json\" \"$1\"\n",
    );
    let mut daemon = Daemon::start(&[
        "--action",
        "kill",
        "--log.level",
        "debug",
        "--evidence-dir",
        kept.to_str().expect("is UTF-8"),
        "--on-verdict",
        hook.to_str().expect("is UTF-8"),
        "--on-verdict-arg",
        answer.to_str().expect("is UTF-8"),
    ]);
    let cgroup = Cgroup::make();
    let path = long_path(home.path());
    fs::copy(workload(), &path).expect("the workload can be copied");
    let title = OsString::from(OsStr::from_bytes(COMM));
    let procs = cgroup.0.join("cgroup.procs");
    let mut command = Command::new(&path);
    command
        .arg("--title")
        .arg(title)
        .args(MINES)
        .env(OsStr::from_bytes(HOSTILE), "value")
        .current_dir(path.parent().expect("has one"));
    // SAFETY: between fork and exec only system calls are made: open, write,
    // close.
    unsafe {
        command.pre_exec(move || fs::write(&procs, "0"));
    }
    let mut miner = Workload::spawn(&mut command);
    let first = miner.first_hash();
    miner.wait_killed("the miner with hostile names", first + DEATH);

    let (folder, incident) = incident(&kept, miner.pid());
    for entry in fs::read_dir(&kept).expect("is there").flatten() {
        let name = entry.file_name().into_string().expect("is UTF-8");
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        assert!(name.chars().all(plain), "{name:?}");
    }
    for file in ["incident.json", "code.txt", "maps.txt"] {
        assert_clean(file, &fs::read(folder.join(file)).expect(file));
    }
    let shown = incident["exe_path"].as_str().expect("a path");
    assert!(
        shown.contains(r"\x1b[31m") && shown.contains(r"\xff"),
        "{shown}"
    );
    let cgroups = incident["cgroups"]["kept"].to_string();
    assert!(cgroups.contains(r"\\x1b[31m"), "{cgroups}");
    assert!(!incident["environment_names"].to_string().contains("31m"));

    eventually("the hook has run", NOTICE, || {
        fs::read(&answer).map_err(|error| error.to_string())
    });
    assert_clean("the event", &fs::read(&answer).expect("was read before"));
    let environment = fs::read(home.path().join("answer.env")).expect("was written");
    assert_clean("the hook's environment", &environment);
    let lines = environment
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    for line in lines {
        let known = [
            &b"UNJACK_"[..],
            b"PATH=",
            b"PWD=",
            b"SHLVL=",
            b"_=",
            b"OLDPWD=",
        ];
        assert!(
            known.iter().any(|name| line.starts_with(name)),
            "a variable was forged: {}",
            line.escape_ascii()
        );
    }
    assert_clean("the scrape", daemon.metrics().text.as_bytes());
    assert!(daemon.stop(Signal::TERM).success());
    assert_clean("stdout", &daemon.stdout.bytes());
    assert_clean("stderr", &daemon.stderr.bytes());
    assert!(!Path::new("/pwned").exists());
}
