//! `unjack top`: what burns now, on a terminal or as one table.
//!
//! It has probes of its own and only observes: no action, no policy, no endpoint,
//! and nothing of an unjack that runs beside it is touched.
//!
//! | part | owns |
//! |---|---|
//! | `observer` | the probes, and one moment of them |
//! | `state` | what is on the screen, and what keys do; pure |
//! | `list`, `columns`, `detail`, `glyphs` | how that looks; pure |
//! | `plain` | the same as one table |
//! | `screen` | the terminal, and giving it back |

mod columns;
mod detail;
mod glyphs;
mod list;
mod observer;
mod plain;
mod screen;
mod state;

use std::{
    io::{self, IsTerminal as _, Write as _},
    thread,
    time::{Duration, Instant},
};

use self::{
    glyphs::Theme,
    observer::Observer,
    screen::{Input, Screen},
    state::State,
};
use crate::{commands::cli::TopArgs, detect::cadence::DRAIN, kernel::probe::ProbeError};
use unjack_core::score::ModelError;

/// How long is looked before one table is printed: a verdict takes five seconds.
const ONCE: Duration = Duration::from_secs(8);

/// It cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The shipped model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
    /// The terminal, or wherever standard output goes.
    #[error("cannot write to the terminal: {0}; --once prints one table")]
    Terminal(#[from] io::Error),
}

/// Shows what burns until it is told to leave; or once, if that is asked for or
/// standard output is no terminal.
///
/// # Errors
/// The probes cannot be set up, or the terminal fails.
pub fn run(args: &TopArgs) -> Result<(), TopError> {
    if args.once || args.json || !io::stdout().is_terminal() {
        once(args)
    } else {
        watch(args)
    }
}

fn once(args: &TopArgs) -> Result<(), TopError> {
    let mut observer = Observer::new()?;
    let begun = Instant::now();
    let duration = args.duration.unwrap_or(ONCE);
    while begun.elapsed() < duration {
        thread::sleep(DRAIN.min(duration.saturating_sub(begun.elapsed())));
        let due = observer.drain();
        if due || begun.elapsed() >= duration {
            observer.tick();
        }
    }
    let mut view = observer.view();
    state::sort_rows(&mut view.processes, args.sort, args.reverse);
    let text = if args.json {
        serde_json::to_string(&view).map_err(io::Error::from)? + "\n"
    } else {
        plain::render(&view)
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn watch(args: &TopArgs) -> Result<(), TopError> {
    let variables: Vec<_> = std::env::vars_os().collect();
    let theme = Theme::of(|name| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    });
    // Before the terminal is taken: what is lacking is told on it as it is.
    let mut observer = Observer::new()?;
    let mut screen = Screen::take()?;
    let mut state = State::new(args.sort, args.reverse);
    let begun = Instant::now();
    let (mut drained, mut shown) = (begun, None::<Instant>);
    let mut redraw = true;
    while !state.quit && !screen.is_ended() {
        if args
            .duration
            .is_some_and(|duration| begun.elapsed() >= duration)
        {
            break;
        }
        if drained.elapsed() >= DRAIN {
            drained = Instant::now();
            if observer.drain() {
                observer.tick();
            }
        }
        let due = shown.is_none_or(|at| at.elapsed() >= args.delay);
        if due && !state.paused {
            shown = Some(Instant::now());
            state.take(observer.view());
            redraw = true;
        }
        if std::mem::take(&mut redraw) {
            // Also while paused: a process that was chosen since is shown with its
            // details.
            if let Some(process) = state.lacking() {
                state.take_more(observer.detail(process));
            }
            screen.draw(|frame| list::draw(frame, &mut state, theme))?;
        }
        match screen.input(DRAIN.saturating_sub(drained.elapsed()))? {
            Input::Key(key) => {
                state.press(key);
                redraw = true;
            }
            Input::Resize => redraw = true,
            Input::None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
