//! The terminal: taken, and given back as it was, whatever happens.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyEvent},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Longest wait for a key: how long a signal may go unnoticed.
const LOOK: Duration = Duration::from_millis(100);

/// A terminal in raw mode, on its other screen. Dropping it, and a panic, give it
/// back as it was.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    ended: Arc<AtomicBool>,
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
        let terminal = ratatui::try_init()?;
        Ok(Self { terminal, ended })
    }

    /// Whether a signal asked to end.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits for input, for a tenth of a second at most.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn input(limit: Duration) -> io::Result<Input> {
        if !event::poll(limit.min(LOOK))? {
            return Ok(Input::None);
        }
        Ok(match event::read()? {
            Event::Key(key) => Input::Key(key),
            Event::Resize(..) => Input::Resize,
            _ => Input::None,
        })
    }

    /// Draws.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell if the terminal is gone.
        let _restored = ratatui::try_restore();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What this test is told by itself, on a terminal of its own.
    const INSIDE: &str = "UNJACK_TEST_PANIC";
    const NAME: &str = "top::screen::tests::a_panic_gives_the_terminal_back";

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
