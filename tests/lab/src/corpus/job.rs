//! Recording one program: its loop, its time limit, and the end of everything
//! that it started.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use super::place::Place;
use super::recording::Recording;
use super::subject::Subject;

/// How much longer than its recording a program may take.
const GRACE: Duration = Duration::from_mins(1);
/// How long the recorder may take to end when asked to.
const ENDING: Duration = Duration::from_secs(5);
/// How often it is looked whether something ended.
const TICK: Duration = Duration::from_millis(100);
/// How many looks in a row must find nothing before a sweep is over: a process
/// in the middle of an exec has an empty environment for a moment.
const CLEAN_LOOKS: u32 = 5;
/// The variable by which a program's processes are known, wherever they went.
const MARK: &str = "UNJACK_CORPUS_JOB";

/// One recording to be made.
pub(super) struct Job<'a> {
    pub(super) place: &'a Place,
    /// The unjack binary.
    pub(super) unjack: &'a Path,
    pub(super) subject: Subject<'a>,
    pub(super) seconds: u64,
    /// Where it mines, if it does.
    pub(super) pool: Option<SocketAddr>,
    /// The recording; it is there only when it is complete.
    pub(super) file: PathBuf,
    /// Its number, for the mark.
    pub(super) number: usize,
}

/// How it ended.
pub(super) enum End {
    /// Recorded; this is worth saying about it.
    Recorded(String),
    /// There is no recording, because of this.
    Failed(String),
    /// It was not waited for.
    Stopped,
}

/// The files of a recording that is being made, removed with this.
struct Scratch {
    /// What is to be the recording.
    part: PathBuf,
    /// What is to be the file of samples.
    samples: PathBuf,
    /// What the recorder says.
    said: PathBuf,
    /// The exit codes of runs that failed, a line each.
    codes: PathBuf,
}

impl Scratch {
    fn beside(file: &Path) -> Self {
        let with = |extension| file.with_added_extension(extension);
        Self {
            part: with("part"),
            samples: with("samples-part"),
            said: with("log"),
            codes: with("codes"),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for file in [&self.part, &self.samples, &self.said, &self.codes] {
            let _ = fs::remove_file(file);
        }
    }
}

impl Job<'_> {
    /// Records, until it is done, has taken too long, or `stop` is set.
    pub(super) fn run(&self, stop: &AtomicBool) -> End {
        self.record(stop)
            .unwrap_or_else(|error| End::Failed(format!("{error:#}")))
    }

    fn record(&self, stop: &AtomicBool) -> Result<End> {
        let scratch = Scratch::beside(&self.file);
        let mark = format!("{}-{}", std::process::id(), self.number);
        let said = File::create(&scratch.said)
            .with_context(|| format!("cannot write {}", scratch.said.display()))?;
        File::create(&scratch.codes)?;
        let mut recorder = self
            .command(self.unjack)?
            .args(["record", "--for", &format!("{}s", self.seconds)])
            .arg(&scratch.part)
            .arg("--samples")
            .arg(&scratch.samples)
            .args(["--", "sh", "-c", &again_and_again(&self.subject.run())])
            .env(MARK, &mark)
            .env("CODES", &scratch.codes)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            // Out of the terminal's reach: we pass its signals on.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", self.unjack.display()))?;
        let limit = Duration::from_secs(self.seconds) + GRACE;
        let status = wait(&mut recorder, limit, || stop.load(Ordering::Relaxed));
        let Ok(Some(status)) = status else {
            end(&mut recorder)?;
            sweep(&mark);
            return Ok(if stop.load(Ordering::Relaxed) {
                End::Stopped
            } else {
                End::Failed(format!("it took more than {} s", limit.as_secs()))
            });
        };
        // Also what left its session, such as a daemon that it started.
        sweep(&mark);
        if !status.success() {
            let said = last_line(&fs::read(&scratch.said)?);
            return Ok(End::Failed(format!(
                "the recorder failed ({status}): {said}"
            )));
        }
        let recording = Recording::read(&scratch.part)?;
        let codes = fs::read_to_string(&scratch.codes)?;
        let failed = codes.lines().count();
        let code = codes.lines().last().unwrap_or_default().to_owned();
        if recording.windows() == 0 {
            let why = match failed {
                0 => "no windows".to_owned(),
                _ => format!(
                    "no windows; {failed} runs failed: {}",
                    self.diagnose(&code)?
                ),
            };
            return Ok(End::Failed(why));
        }
        // A failed run is followed by a pause of a second: more than half of
        // the time went to runs that failed at once.
        if failed as u64 * 2 > self.seconds {
            let why = self.diagnose(&code)?;
            return Ok(End::Failed(format!("{failed} runs failed: {why}")));
        }
        // The recording last: where it is, all is.
        fs::rename(&scratch.samples, samples_of(&self.file))?;
        fs::rename(&scratch.part, &self.file)?;
        let (windows, processes) = (recording.windows(), recording.processes.len());
        let cpu = recording.cpu.as_secs_f64();
        // One may have been cut off by the end.
        let but = match failed {
            0 | 1 => String::new(),
            _ => format!(", {failed} runs failed (exit code {code})"),
        };
        Ok(End::Recorded(format!(
            "{windows} windows, {processes} processes, {cpu:.0} CPU s{but}"
        )))
    }

    /// A command in the place, which knows the pool.
    fn command(&self, program: &Path) -> Result<Command> {
        let mut command = self.place.command(program)?;
        if let Some(pool) = self.pool {
            command.env("POOL", pool.to_string());
        }
        Ok(command)
    }

    /// Runs a program that failed once more, to hear what it says.
    fn diagnose(&self, code: &str) -> Result<String> {
        let said = tempfile::NamedTempFile::new()?;
        let mark = format!("{}-{}-again", std::process::id(), self.number);
        let mut run = self
            .command("sh".as_ref())?
            .args(["-c", &format!("(\n{}\n) >/dev/null", self.subject.run())])
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.reopen()?)
            .process_group(0)
            .spawn()?;
        let ended = wait(&mut run, ENDING, || false);
        end(&mut run)?;
        sweep(&mark);
        ended?;
        let said = last_line(&fs::read(said.path())?);
        Ok(format!("exit code {code}: {said}"))
    }
}

/// The file of the samples of which `recording` has the windows.
pub(super) fn samples_of(recording: &Path) -> PathBuf {
    recording.with_extension("samples")
}

/// Shell text that repeats `run`. The pause after a failure keeps a program
/// that cannot run from being recorded as a shell that is busy starting it.
fn again_and_again(run: &str) -> String {
    format!(
        "while :; do\n(\n{run}\n) </dev/null >/dev/null 2>&1 || {{ echo $? >>\"$CODES\"; sleep 1; }}\ndone"
    )
}

/// Waits for the end; None when it is not waited for any longer.
fn wait(child: &mut Child, limit: Duration, stop: impl Fn() -> bool) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline && !stop() {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(TICK);
    }
    Ok(child.try_wait()?)
}

/// Ends a child and its group: first asked, so that the recorder ends what it
/// runs, then not.
fn end(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_none() {
        let group = Pid::from_child(child);
        let _ = kill_process_group(group, Signal::TERM);
        if wait(child, ENDING, || false)?.is_none() {
            let _ = kill_process_group(group, Signal::KILL);
            child.wait()?;
        }
    }
    Ok(())
}

/// Kills every process that carries the mark, until none is left. They are
/// known by the environment they were started with: some leave their session,
/// and thus their group.
fn sweep(mark: &str) {
    let wanted = format!("{MARK}={mark}");
    let deadline = Instant::now() + ENDING;
    let mut clean = 0;
    while clean < CLEAN_LOOKS && Instant::now() < deadline {
        clean += 1;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = number.and_then(Pid::from_raw) else {
                continue;
            };
            // The handle first: what is killed is then what was looked at.
            // The environment of a zombie is empty.
            if let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
                && let Ok(environment) = fs::read(entry.path().join("environ"))
                && environment
                    .split(|&byte| byte == 0)
                    .any(|variable| variable == wanted.as_bytes())
            {
                clean = 0;
                let _ = pidfd_send_signal(&process, Signal::KILL);
            }
        }
        thread::sleep(TICK / 10);
    }
}

/// The last line that says anything, fit for a terminal.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    let line: String = line
        .unwrap_or("it said nothing")
        .chars()
        .take(160)
        .collect();
    line.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_run_is_noted_and_paused_after() {
        let dir = tempfile::tempdir().unwrap();
        let codes = dir.path().join("codes");
        let begun = Instant::now();
        let status = Command::new("timeout")
            .args(["1.5", "sh", "-c", &again_and_again("echo loud; exit 7")])
            .env("CODES", &codes)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(124), "after {:?}", begun.elapsed());
        assert_eq!(fs::read_to_string(codes).unwrap(), "7\n7\n");
    }

    #[test]
    fn what_left_its_session_is_swept_up_and_nothing_else() {
        let spawn = |mark: &str| {
            let child = Command::new("setsid")
                .args(["sleep", "60"])
                .env(MARK, mark)
                .spawn()
                .unwrap();
            // Past both of its execs, in which its environment is empty.
            let process = PathBuf::from(format!("/proc/{}", child.id()));
            while fs::read(process.join("comm")).unwrap() != b"sleep\n"
                || fs::read(process.join("environ")).unwrap().is_empty()
            {
                thread::sleep(TICK / 10);
            }
            child
        };
        let (mut marked, mut other) = (spawn("test-1"), spawn("test-10"));
        sweep("test-1");
        assert!(!marked.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        sweep("test-10");
        other.wait().unwrap();
    }

    #[test]
    fn the_last_line_is_fit_for_a_terminal() {
        assert_eq!(last_line(b"a\n\x1b[31mb\n \n"), "\\u{1b}[31mb");
        assert_eq!(last_line(b""), "it said nothing");
    }
}
