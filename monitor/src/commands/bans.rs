//! `unjack bans`: what is banned, for people to see and to change.

use crate::{
    commands::cli::{BansArgs, BansCommand},
    respond::action::ban::list::{self, BansError},
};

/// Does what was asked for; what to print.
///
/// # Errors
/// [`BansError`].
pub fn run(args: &BansArgs) -> Result<String, BansError> {
    let BansArgs { pin_dir, command } = args;
    match command {
        BansCommand::List { json } => list::list(pin_dir, *json),
        BansCommand::Add {
            file,
            duration,
            ban_with,
        } => list::add(pin_dir, file, *duration, *ban_with),
        BansCommand::Remove { what } => list::remove(pin_dir, what),
        BansCommand::Flush => list::flush(pin_dir),
    }
}
