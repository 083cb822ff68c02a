//! The terminal: taken, and given back as it was, whatever happens.
//!
//! Keys are read by a thread of its own. crossterm, once it waits for the rest of
//! a key, looks neither at its timeout nor at whether the terminal hung up
//! (crossterm issue 793): a thread that called it might never return. No other
//! thread waits for that one's end.

use std::{
    io::{self, IsTerminal as _, Stdout},
    mem::ManuallyDrop,
    os::fd::AsFd as _,
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::Duration,
};

use ratatui::{
    Frame, Terminal,
    crossterm::{
        cursor::Show,
        event::{self, Event, KeyEvent},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    prelude::CrosstermBackend,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Longest wait for a key: how long a signal or a hang-up may go unnoticed.
const LOOK: Duration = Duration::from_millis(100);
/// Keys that may wait; keys typed beyond that are read later.
const MAX_WAITING: usize = 64;

/// Whether the terminal is to be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal in raw mode, on its other screen. Dropping it, and a panic, give it
/// back as it was.
pub(super) struct Screen {
    /// Never dropped: it would write of its failure to a terminal that is gone,
    /// and panic. All it does is to show the cursor, as `Taken` does.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    events: Receiver<io::Result<Event>>,
    ended: Arc<AtomicBool>,
    _taken: Taken,
}

/// What happened at the terminal.
pub(super) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// It has another size: all is to be drawn anew.
    Resize,
    /// Nothing.
    None,
}

impl Screen {
    /// Takes the terminal that standard output is.
    ///
    /// # Errors
    /// It is none, or does not do as it is told.
    pub(super) fn take() -> io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&ended))?;
        }
        // A panic gives the terminal back before it tells of itself.
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            give_back();
            told(panicked);
        }));
        let taken = Taken::take()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let (events, received) = mpsc::sync_channel(MAX_WAITING);
        let _unwaited = thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read(&events))?;
        Ok(Self {
            terminal: ManuallyDrop::new(terminal),
            events: received,
            ended,
            _taken: taken,
        })
    }

    /// Whether a signal asked to end, or there is no terminal left to show anything
    /// on.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || is_hung_up()
    }

    /// Waits for input, for a tenth of a second at most.
    ///
    /// # Errors
    /// The terminal cannot be read.
    pub(super) fn input(&self, limit: Duration) -> io::Result<Input> {
        match self.events.recv_timeout(limit.min(LOOK)) {
            Ok(Ok(Event::Key(key))) => Ok(Input::Key(key)),
            Ok(Ok(Event::Resize(..))) => Ok(Input::Resize),
            Ok(Ok(_)) | Err(RecvTimeoutError::Timeout) => Ok(Input::None),
            Ok(Err(error)) => self.unless_ended(error).map(|()| Input::None),
            Err(RecvTimeoutError::Disconnected) => {
                let error = io::Error::other("its keys are not read any more");
                self.unless_ended(error).map(|()| Input::None)
            }
        }
    }

    /// Draws.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let drawn = self.terminal.draw(draw).map(drop);
        drawn.or_else(|error| self.unless_ended(error))
    }

    /// That a terminal fails which is gone is no failure: it is the end.
    fn unless_ended(&self, error: io::Error) -> io::Result<()> {
        if self.is_ended() { Ok(()) } else { Err(error) }
    }
}

/// Reads until the receiver is gone, or the terminal fails.
fn read(events: &SyncSender<io::Result<Event>>) {
    loop {
        let event = event::read();
        let failed = event.is_err();
        if events.send(event).is_err() || failed {
            return;
        }
    }
}

/// Whether the terminal hung up: its window was closed, or its connection lost.
fn is_hung_up() -> bool {
    let (input, output) = (io::stdin(), io::stdout());
    let nothing = PollFlags::empty();
    let mut polled = vec![PollFd::from_borrowed_fd(output.as_fd(), nothing)];
    // Keys come from elsewhere if it is none.
    if input.is_terminal() {
        polled.push(PollFd::from_borrowed_fd(input.as_fd(), nothing));
    }
    let at_once = Timespec::default();
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut polled, Some(&at_once)).is_ok()
        && polled
            .iter()
            .any(|polled| polled.revents().intersects(gone))
}

/// The terminal is taken for as long as this is there.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        // Before what follows can fail.
        TAKEN.store(true, Ordering::Relaxed);
        let taken = Self;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once: what a panic told is not to be drawn over.
fn give_back() {
    if TAKEN.swap(false, Ordering::Relaxed) {
        // If the terminal is gone the error cannot be reported.
        let _cooked = disable_raw_mode();
        let _left = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What this test is told by itself, on a terminal of its own.
    const INSIDE: &str = "UNJACK_TEST_PANIC";
    const NAME: &str = "commands::top::screen::tests::a_panic_gives_the_terminal_back";

    #[test]
    fn a_panic_gives_the_terminal_back() {
        if std::env::var_os(INSIDE).is_some() {
            let _screen = Screen::take().unwrap();
            panic!("on purpose");
        }
        let test = std::env::current_exe().unwrap();
        let command = format!(
            "stty -a; '{}' --exact {NAME} --nocapture; stty -a",
            test.display()
        );
        // util-linux has it: a terminal for whatever is started.
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let screen = String::from_utf8_lossy(&output.stdout);
        let (left, told) = (screen.find("\x1b[?1049l"), screen.find("on purpose"));
        assert!(screen.contains("\x1b[?1049h"), "it was taken: {screen:?}");
        assert!(
            left.is_some() && left < told,
            "told where it is read: {screen:?}"
        );
        let modes: Vec<&str> = screen
            .lines()
            .filter(|line| line.contains("icanon"))
            .collect();
        assert_eq!(modes.len(), 2, "{screen:?}");
        assert_eq!(modes[0], modes[1]);
        assert!(!modes[1].contains("-icanon"), "{screen:?}");
    }
}
