//! `unjack run` as a child of the test.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::host::{self, eventually};
use crate::metrics::{self, Metrics};
use crate::output::Output;
use crate::pins::NONE;

/// How long loading and attaching the probes may take.
const READY: Duration = Duration::from_mins(1);
/// How long detaching them may take.
const STOP: Duration = Duration::from_secs(20);

/// A running daemon, killed when dropped. Its output is shown when the test
/// fails.
pub struct Daemon {
    child: Child,
    /// Where it serves its metrics.
    pub address: SocketAddr,
    /// Its events.
    pub stdout: Output,
    /// Its diagnostics.
    pub stderr: Output,
}

/// Which format the events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Objects for programs, which the harness can wait for.
    Json,
    /// Lines for people.
    Text,
}

impl Daemon {
    /// Starts it with JSON events and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        Self::start_with(Format::Json, args)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    pub fn start_with<S: AsRef<OsStr>>(format: Format, args: &[S]) -> Self {
        let address = free_address();
        let mut command = command(&host::unjack());
        command
            .arg("run")
            .args([
                "--log.format",
                if format == Format::Json {
                    "json"
                } else {
                    "text"
                },
            ])
            .args(["--web.listen-address", &address.to_string()])
            .args(args)
            .args(without_bans(args))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdout = Output::collect(child.stdout.take().expect("is piped"));
        let stderr = Output::collect(child.stderr.take().expect("is piped"));
        let daemon = Self {
            child,
            address,
            stdout,
            stderr,
        };
        daemon
            .stdout
            .wait(READY, |line| match &line.json {
                Some(json) => json["event"] == "ready",
                None => format == Format::Text && line.raw.windows(5).any(|word| word == b"ready"),
            })
            .unwrap_or_else(|| panic!("the daemon is not ready within {READY:?}"));
        daemon
    }

    /// The daemon's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All events so far.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines.into_iter().filter_map(|line| line.json).collect()
    }

    /// The first event, past ones included, for which `matches` is true.
    ///
    /// # Panics
    ///
    /// When `limit` is over or the daemon ended without one.
    pub fn wait_event(
        &self,
        what: &str,
        limit: Duration,
        matches: impl Fn(&Value) -> bool,
    ) -> Value {
        self.stdout
            .wait(limit, |line| line.json.as_ref().is_some_and(&matches))
            .and_then(|line| line.json)
            .unwrap_or_else(|| panic!("no {what} within {limit:?}"))
    }

    /// The first `event` ("verdict", "action") about the process.
    ///
    /// # Panics
    ///
    /// When `limit` is over or the daemon ended without one.
    #[must_use]
    pub fn event_about(&self, event: &str, pid: u32, limit: Duration) -> Value {
        self.wait_event(&format!("{event} about {pid}"), limit, |value| {
            value["event"] == event && value["pid"] == pid
        })
    }

    /// All events of these kinds ("verdict", "action") so far.
    #[must_use]
    pub fn events_of(&self, event: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|value| value["event"] == event);
        events
    }

    /// A scrape.
    ///
    /// # Panics
    ///
    /// When there is none, or it is not in Prometheus's text format.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        metrics::get(self.address, "/metrics")
            .and_then(Metrics::parse)
            .unwrap_or_else(|error| panic!("cannot scrape the daemon: {error}"))
    }

    /// Scrapes until `ask` is content, for what the daemon counts a moment
    /// after it told of it.
    ///
    /// # Panics
    ///
    /// With the last reason why not, when `limit` is over.
    pub fn wait_metrics(
        &self,
        what: &str,
        limit: Duration,
        ask: impl Fn(&Metrics) -> Result<(), String>,
    ) {
        eventually(what, limit, || ask(&self.metrics()));
    }

    /// Sends a signal and waits for the end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        let _ = kill_process(Pid::from_child(&self.child), signal);
        let child = &mut self.child;
        let status = eventually("the daemon ends after a signal", STOP, || {
            match child.try_wait() {
                Ok(Some(status)) => Ok(status),
                other => Err(format!("{other:?}")),
            }
        });
        assert!(self.stdout.wait_closed(STOP) && self.stderr.wait_closed(STOP));
        status
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            for (name, output) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
                let _ = output.wait_closed(Duration::from_secs(2));
                eprintln!("--- the daemon's {name}:");
                for line in output.lines() {
                    eprintln!("{}", line.raw.trim_ascii_end().escape_ascii());
                }
            }
        }
    }
}

/// Only a test that asks for bans has them, in a folder of its own
/// ([`crate::pins::Pins`]): there no other test uses them.
///
/// # Panics
///
/// When a test has bans where the host has its own.
fn without_bans<S: AsRef<OsStr>>(args: &[S]) -> &'static [&'static str] {
    let has = |flag: &str| args.iter().any(|arg| arg.as_ref() == flag);
    if has("--ban") {
        assert!(has("--pin-dir"), "this ban would outlive the test");
        &[]
    } else {
        &["--ban", "0", "--pin-dir", NONE]
    }
}

/// The binary, with none of the test's own `UNJACK_…` settings.
#[must_use]
pub fn command(binary: &std::path::Path) -> Command {
    let mut command = Command::new(binary);
    without_settings(&mut command);
    command
}

/// Takes the test's own `UNJACK_…` settings out of a command's environment:
/// the daemon reads its flags from there too.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"UNJACK_") {
            command.env_remove(name);
        }
    }
}

/// A loopback address that nothing listens on just now.
///
/// # Panics
///
/// When the machine has no free port.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free loopback port")
}
