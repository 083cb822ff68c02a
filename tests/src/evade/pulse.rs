//! A process that is stopped most of the time, as `cpulimit` does it and as
//! miners do that pause while someone looks.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Signals a process by turns, until dropped or until it has ended.
pub struct Pulse {
    /// Closed to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Lets the process `run`, stops it for `rest`, and so on.
    ///
    /// # Panics
    ///
    /// When there is no such process.
    #[must_use]
    pub fn of(pid: u32, run: Duration, rest: Duration) -> Self {
        // A descriptor, not the number: the process may end and be reaped.
        let process = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .unwrap_or_else(|| panic!("there is no process {pid}"));
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let turns = [(Signal::CONT, run), (Signal::STOP, rest)];
            for (signal, time) in turns.into_iter().cycle() {
                if !send(&process, signal) {
                    return;
                }
                if ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            send(&process, Signal::CONT);
        });
        Self {
            end: Some(end),
            thread: Some(thread),
        }
    }
}

/// False when the process has ended.
fn send(process: &OwnedFd, signal: Signal) -> bool {
    pidfd_send_signal(process, signal).is_ok()
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
