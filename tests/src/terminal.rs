//! A program on a terminal of its own, as a person sees and uses it.
//!
//! What it writes is kept byte for byte, and also shown on a screen that a
//! terminal emulator draws.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, ioctl_tiocsctty, kill_process, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::host::eventually;

/// A program and its terminal. It is killed when dropped.
pub struct Terminal {
    child: Child,
    /// The side of the keyboard and the screen, until it is closed.
    ours: Option<File>,
    /// The program's side, held so that its settings can be read to the end.
    theirs: OwnedFd,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
}

struct Seen {
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

/// How the terminal is set, as far as programs change it.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings(String);

impl From<Termios> for Settings {
    fn from(all: Termios) -> Self {
        let Termios {
            input_modes,
            output_modes,
            control_modes,
            local_modes,
            ..
        } = all;
        Self(format!(
            "{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}"
        ))
    }
}

impl Terminal {
    /// Starts a program on a terminal of this size.
    ///
    /// # Panics
    ///
    /// When there is no terminal to be had, or the program cannot be started.
    #[must_use]
    pub fn start(command: &mut Command, columns: u16, rows: u16) -> Self {
        // A process that inherited our side would keep it from hanging up.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).expect("a pseudo-terminal");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it is ours");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(name, flags, Mode::empty()).expect("its other side");
        tcsetwinsize(&ours, size(columns, rows)).expect("any size will do");
        let stream = || theirs.try_clone().expect("descriptors");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: only system calls are made between fork and exec. Standard input
        // is the terminal by then.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                Ok(ioctl_tiocsctty(rustix::stdio::stdin())?)
            });
        }
        let child =
            (command.spawn()).unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let ours = File::from(ours);
        let seen = Arc::new(Mutex::new(Seen {
            bytes: Vec::new(),
            screen: emulator(columns, rows),
        }));
        let closed = Arc::new(AtomicBool::new(false));
        let mut screen = ours.try_clone().expect("descriptors");
        let (writer, is_closed) = (Arc::clone(&seen), Arc::clone(&closed));
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while !is_closed.load(Ordering::Relaxed) {
                if !is_readable(&screen) {
                    continue;
                }
                let Ok(read @ 1..) = screen.read(&mut piece) else {
                    return;
                };
                let mut seen = writer.lock().unwrap_or_else(PoisonError::into_inner);
                seen.bytes.extend_from_slice(&piece[..read]);
                seen.screen.process(&piece[..read]);
            }
        });
        Self {
            child,
            ours: Some(ours),
            theirs,
            seen,
            reader: Some(reader),
            closed,
        }
    }

    /// The program's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on the screen, a line a row.
    #[must_use]
    pub fn screen(&self) -> String {
        self.seen().screen.screen().contents()
    }

    /// Everything that was written so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// Whether the screen is the one that programs take for themselves, or the
    /// cursor is hidden.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let seen = self.seen();
        seen.screen.screen().alternate_screen() || seen.screen.screen().hide_cursor()
    }

    /// How the terminal is set.
    ///
    /// # Panics
    ///
    /// When the kernel does not tell.
    #[must_use]
    pub fn settings(&self) -> Settings {
        tcgetattr(&self.theirs).expect("a terminal").into()
    }

    /// Waits until the screen shows this, and returns it.
    ///
    /// # Panics
    ///
    /// When it does not within `limit`, with the screen.
    #[must_use]
    pub fn wait_for(&self, text: &str, limit: Duration) -> String {
        eventually(&format!("{text:?} on the screen"), limit, || {
            let screen = self.screen();
            if screen.contains(text) {
                Ok(screen)
            } else {
                Err(format!("it shows:\n{screen}"))
            }
        })
    }

    /// Types.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        let mut ours = self.ours.as_ref().expect("it was not closed");
        ours.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Closes the window: the program's side hangs up.
    ///
    /// # Panics
    ///
    /// When what was written could not be read.
    pub fn close(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it only reads");
        }
        self.ours = None;
    }

    /// Gives it another size.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self.seen();
        (seen.screen.screen_mut()).set_size(positive(rows), positive(columns));
        drop(seen);
        let ours = self.ours.as_ref().expect("it was not closed");
        tcsetwinsize(ours, size(columns, rows)).expect("a terminal");
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it has not within `limit`, with the screen.
    pub fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let screen = self.screen();
        let child = &mut self.child;
        let status = eventually("the program ends", limit, || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}; it showed:\n{screen}")),
        });
        // What it wrote last is on its way.
        thread::sleep(Duration::from_millis(200));
        status
    }
}

/// Waits a moment for something to read.
fn is_readable(screen: &File) -> bool {
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut polled = [PollFd::new(screen, PollFlags::IN)];
    poll(&mut polled, Some(&moment)).is_ok_and(|ready| ready > 0)
}

fn emulator(columns: u16, rows: u16) -> vt100::Parser {
    vt100::Parser::new(positive(rows), positive(columns), 0)
}

fn positive(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has rows and columns")
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
