//! `unjack release`: lets go of what is throttled or frozen, whether or not the
//! daemon that did it still runs.

use std::sync::Arc;

use crate::{
    commands::cli::ReleaseArgs,
    respond::action::{
        System,
        hold_manager::{self, Target},
        store::{Store, StoreError},
    },
};

/// Nothing, or not everything, was let go.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// What is held is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not held.
    #[error("{0} is not throttled or frozen; `unjack release --all` releases everything that is")]
    NotHeld(String),
    /// Some could not be let go; they stay written down.
    #[error("{0} of {1} could not be released; the lines above say why")]
    Left(usize, usize),
}

/// Lets go: of how many miners, with all in their scope.
///
/// # Errors
/// It is not held, or cannot be let go.
pub fn release(args: &ReleaseArgs) -> Result<usize, ReleaseError> {
    let ReleaseArgs {
        target,
        all: _,
        state_dir,
    } = args;
    let store = Store::new(state_dir.clone());
    let (found, left) = if store.exists() {
        hold_manager::release(&store, target.as_ref(), &System::new(Arc::default()))?
    } else {
        (0, 0)
    };
    match target {
        Some(target) if found == 0 => Err(ReleaseError::NotHeld(name(target))),
        _ if left > 0 => Err(ReleaseError::Left(left, found)),
        _ => Ok(found),
    }
}

fn name(target: &Target) -> String {
    match target {
        Target::Pid(pid) => format!("process {pid}"),
        Target::Cgroup(path) => format!("cgroup {path:?}"),
    }
}
