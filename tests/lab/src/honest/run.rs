//! One run of a job: in a directory of its own, in a container or outside one.
//!
//! Owns the temporary directory of all jobs. A job is judged by how it ends alone: what
//! it says is kept for the report of a failure. Its CPU time is what the shell that ran it
//! tells of itself and its children, which works in a container, too.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::catalog::{Catalog, Job, path};
use ::tests::daemon::free_address;
use ::tests::host;
use ::tests::podman::Podman;

/// What a run may take beyond its length: a compiler or a backup begun at the end of it is
/// done first, on a machine whose processors are all busy.
pub(super) const MARGIN: Duration = Duration::from_mins(5);
/// How often a run is asked whether it has ended.
const ASK: Duration = Duration::from_millis(50);
/// Lines of what a failed run said that are kept, and bytes of each.
const SAID_LINES: usize = 6;
const SAID_BYTES: usize = 300;
/// In the environment of every process of a job: which job it is of.
pub(super) const MARK: &str = "HONEST_JOB";
/// Runs the job's text, and keeps the CPU time of it.
const SHELL: &str = "bash -euo pipefail run.sh; code=$?; times > times; exit $code";
/// What programs of /usr read elsewhere: mounted in containers, where it is there.
const MOUNTED: [&str; 7] = [
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/passwd",
    "/etc/ssl",
    "/etc/java-17-openjdk",
    "/etc/java-21-openjdk",
    "/etc/john",
];
/// Signals that there are on Linux; a shell exits with 128 and the one that ended its child.
const SIGNALS: i32 = 64;

/// Where jobs run.
pub(super) struct Place {
    home: tempfile::TempDir,
    podman: Option<Podman>,
    /// Why no job runs in a container, if none does.
    pub(super) no_containers: Option<String>,
    prelude: String,
    workload: PathBuf,
    benign: PathBuf,
    /// Of cargo and rustup, as far as they are there.
    tools: Vec<(&'static str, PathBuf)>,
}

/// A run of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Unique among all runs.
    pub(super) number: usize,
    /// In a container, if that is possible.
    pub(super) container: bool,
    /// How long it is to work.
    pub(super) seconds: u64,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: End,
    /// It ran in a container.
    pub(super) container: bool,
    pub(super) cpu: Duration,
    /// The last that it said.
    pub(super) said: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Done,
    /// A signal ended it, or one of its programs.
    Signal(i32),
    /// With this exit code.
    Failed(i32),
    /// It took too long, and was ended.
    TooLong,
    /// It was ended because the whole run was interrupted.
    Interrupted,
    /// It could not be begun.
    NotBegun(String),
}

impl Place {
    /// Makes the directory, the data that jobs read, and what containers need.
    pub(super) fn make(catalog: &Catalog) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("honest-").tempdir()?;
        let podman = Podman::new();
        let tried = contained("honest-try", &podman, &[], &["true"]);
        let no_containers = tried.err().map(|error| format!("{error:#}"));
        let tools = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")]
            .into_iter()
            .filter_map(|(name, folder)| {
                let told = env::var_os(name).map(PathBuf::from);
                let dir = told.or_else(|| Some(env::home_dir()?.join(folder)))?;
                dir.is_dir().then_some((name, dir))
            })
            .collect();
        let place = Self {
            workload: podman.workload(),
            podman: no_containers.is_none().then_some(podman),
            no_containers,
            prelude: catalog.prelude.clone(),
            benign: Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/benign"),
            tools,
            home,
        };
        // Without podman its copy of the workload is gone.
        let place = match place.podman {
            Some(_) => place,
            None => Self {
                workload: host::workload(),
                ..place
            },
        };
        place
            .shell("data", place.home.path(), &catalog.prepare)
            .context("no data for the jobs")?;
        Ok(place)
    }

    /// Makes the inputs of a job, if it can run here.
    pub(super) fn prepare(&self, job: &Job) -> Result<()> {
        if let Some(program) = job.missing() {
            bail!("there is no {program}");
        }
        let dir = self.inputs(job);
        fs::create_dir(&dir)?;
        match &job.prepare {
            Some(text) => self.shell(&job.slug(), &dir, text),
            None => Ok(()),
        }
    }

    fn inputs(&self, job: &Job) -> PathBuf {
        self.home.path().join(job.slug())
    }

    /// Runs shell text that prepares something, outside containers.
    fn shell(&self, name: &str, dir: &Path, text: &str) -> Result<()> {
        let script = self.home.path().join(format!("{name}.sh"));
        fs::write(&script, text)?;
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail"])
            .arg(&script)
            .current_dir(dir)
            .env_clear()
            .envs(self.variables(name, dir, 0));
        let output = command.output().context("cannot run bash")?;
        if !output.status.success() {
            let said = last(&[output.stdout, output.stderr].concat());
            bail!("its preparation failed: {}", said.join(" / "));
        }
        Ok(())
    }

    fn variables(&self, slug: &str, inputs: &Path, seconds: u64) -> Vec<(String, String)> {
        let show = |path: &Path| path.display().to_string();
        let own = [
            ("BENIGN", show(&self.benign)),
            ("CARGO_INCREMENTAL", "0".to_owned()),
            ("DATA", show(&self.home.path().join("data"))),
            ("FOR", seconds.to_string()),
            (MARK, slug.to_owned()),
            ("JOB", show(inputs)),
            ("LANG", "C.UTF-8".to_owned()),
            ("PATH", path()),
            ("PORT", free_address().port().to_string()),
            ("WORKLOAD", show(&self.workload)),
        ];
        let tools = self.tools.iter().map(|(name, dir)| (*name, show(dir)));
        let toolchain = env::var("RUSTUP_TOOLCHAIN").ok();
        let toolchain = toolchain.map(|name| ("RUSTUP_TOOLCHAIN", name));
        own.into_iter()
            .chain(tools)
            .chain(toolchain)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Runs a job to its end, or to the end of its time.
    pub(super) fn run(&self, job: &Job, turn: &Turn, stop: &AtomicBool) -> Outcome {
        let mut outcome = Outcome {
            end: End::Done,
            container: false,
            cpu: Duration::ZERO,
            said: Vec::new(),
        };
        let dir = self.home.path().join(format!("run-{}", turn.number));
        outcome.end = self
            .run_in(&dir, job, turn, stop, &mut outcome)
            .unwrap_or_else(|error| End::NotBegun(format!("{error:#}")));
        let times = fs::read_to_string(dir.join("times")).unwrap_or_default();
        outcome.cpu = cpu(&times).unwrap_or_default();
        if outcome.end != End::Done {
            outcome.said = last(&fs::read(dir.join("said")).unwrap_or_default());
        }
        // What is left goes with the whole directory.
        let _ = fs::remove_dir_all(&dir);
        outcome
    }

    fn run_in(
        &self,
        dir: &Path,
        job: &Job,
        turn: &Turn,
        stop: &AtomicBool,
        outcome: &mut Outcome,
    ) -> Result<End> {
        fs::create_dir(dir)?;
        fs::write(dir.join("run.sh"), format!("{}\n{}", self.prelude, job.run))?;
        let said = File::create(dir.join("said"))?;
        let mut variables = self.variables(&job.slug(), &self.inputs(job), turn.seconds);
        variables.push(("HOME".to_owned(), dir.display().to_string()));
        let name = format!("honest-{}-{}", job.slug(), turn.number).to_ascii_lowercase();
        let mut roots = vec![PathBuf::from("/usr")];
        roots.extend(self.tools.iter().map(|(_, dir)| dir.clone()));
        let podman = self.podman.as_ref();
        let podman = podman.filter(|_| turn.container && job.lies_in(&roots));
        outcome.container = podman.is_some();
        let mut command = if let Some(podman) = podman {
            let flags = self.flags(dir, &variables);
            podman.command(&name, &flags, &["bash", "-c", SHELL])
        } else {
            let mut command = Command::new("bash");
            command.args(["-c", SHELL]).current_dir(dir);
            command.env_clear().envs(variables);
            command
        };
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(said.try_clone()?)
            .stdout(said)
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let limit = Instant::now() + Duration::from_secs(turn.seconds) + MARGIN;
        let pid = Pid::from_child(&child);
        let asked = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let cut = loop {
            // It keeps its id, and so its group does, until it is waited for below.
            if waitid(WaitId::Pid(pid), asked)?.is_some() {
                break None;
            }
            if stop.load(Ordering::Relaxed) {
                break Some(End::Interrupted);
            }
            if Instant::now() > limit {
                break Some(End::TooLong);
            }
            thread::sleep(ASK);
        };
        if let (Some(podman), Some(_)) = (podman, &cut) {
            podman.remove(&name);
        }
        // What a job left running in the background ends with it.
        let _ = kill_process_group(pid, Signal::KILL);
        let status = child.wait()?;
        Ok(cut.unwrap_or_else(|| end(status)))
    }

    /// What a container of a job is given besides what all are.
    fn flags(&self, dir: &Path, variables: &[(String, String)]) -> Vec<String> {
        let mut flags = vec!["--network".to_owned(), "none".to_owned()];
        let mut add = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
        add("-w", dir.display().to_string());
        add("-v", format!("{0}:{0}", self.home.path().display()));
        let tools = self.tools.iter().map(|(_, dir)| dir.as_path());
        for path in MOUNTED
            .map(Path::new)
            .into_iter()
            .chain([self.benign.as_path()])
            .chain(tools)
            .filter(|path| path.exists())
        {
            add("-v", format!("{0}:{0}:ro", path.display()));
        }
        for (name, value) in variables {
            add("-e", format!("{name}={value}"));
        }
        flags
    }
}

/// Runs a program in a container that is only to be tried.
fn contained(name: &str, podman: &Podman, flags: &[String], program: &[&str]) -> Result<()> {
    let output = podman.command(name, flags, program).output()?;
    if !output.status.success() {
        bail!("podman starts none: {}", last(&output.stderr).join(" / "));
    }
    Ok(())
}

/// How a job's shell ended. It exits with 128 and the number of the signal that ended one of
/// its programs; podman does the same for the container.
fn end(status: ExitStatus) -> End {
    match (status.signal(), status.code().unwrap_or_default()) {
        (Some(signal), _) => End::Signal(signal),
        (None, 0) => End::Done,
        (None, code) if code > 128 && code <= 128 + SIGNALS => End::Signal(code - 128),
        (None, code) => End::Failed(code),
    }
}

/// The CPU time that bash's `times` tells: user and system, of itself and of its children.
fn cpu(times: &str) -> Option<Duration> {
    let mut sum = 0.0;
    for word in times.split_ascii_whitespace() {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        sum += minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(sum).ok()
}

/// The last lines of what was said, cut short.
fn last(said: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(SAID_LINES);
    let clean = |line: &&str| {
        line.chars()
            .filter(|c| !c.is_control())
            .take(SAID_BYTES)
            .collect()
    };
    lines[from..].iter().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shells_times_are_summed() {
        let check = |times, expected: Option<f64>| {
            assert_eq!(cpu(times).map(|time| time.as_secs_f64()), expected);
        };
        check("0m0.004s 0m0.002s\n1m1.500s 0m0.250s\n", Some(61.756));
        check("", Some(0.0));
        check("0m0,004s", None);
        check("4", None);
    }

    #[test]
    fn a_signal_shows_through_a_shell_and_a_container() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(end(exited(0)), End::Done);
        assert_eq!(end(exited(1)), End::Failed(1));
        assert_eq!(end(exited(125)), End::Failed(125));
        assert_eq!(end(exited(137)), End::Signal(9));
        assert_eq!(end(exited(255)), End::Failed(255));
        assert_eq!(end(ExitStatus::from_raw(15)), End::Signal(15));
    }

    #[test]
    fn what_was_said_is_cut_to_its_end() {
        let said: Vec<u8> = (0..20)
            .flat_map(|n| format!("l{n}\n\n").into_bytes())
            .collect();
        assert_eq!(last(&said), ["l14", "l15", "l16", "l17", "l18", "l19"]);
        assert_eq!(last(b"a\x1b[1mb"), ["a[1mb"]);
        assert!(last(b"").is_empty());
    }
}
