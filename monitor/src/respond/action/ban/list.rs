//! `unjack bans`: what is banned, for people to see and to change.
//!
//! Works on what is pinned in the kernel, with or without a daemon; a running one
//! notices within a second.

use std::{
    collections::HashMap, fmt::Write as _, fs::File, io, os::unix::fs::MetadataExt, path::Path,
    time::Duration,
};

use monitor_ebpf::bans::{BAN_BY_HAND, BAN_COPY, BAN_HASHED, Ban, BanCount, BanKey};

use super::{
    content::{Content, owner},
    image::file_rule,
    record::{Listed, boottime_ns, id, key, new_ban, sha256},
    rule::Spared,
};
use crate::{
    host::digest::{self, Digest, Unknown},
    kernel::probe::{
        ProbeError,
        bans::{PinDir, PinError, Programs, Tables, With, unpin},
    },
};
use unjack_core::text::clean;

/// Digits of an id that name a ban.
const LEAST_DIGITS: usize = 6;
/// Characters of a path that are shown.
const PATH_CHARS: usize = 256;

/// What was asked for could not be done.
#[derive(Debug, thiserror::Error)]
pub enum BansError {
    /// The kernel.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The folder.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The file.
    #[error("cannot read {path}: {source}")]
    File {
        /// Cleaned.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Not a file that can be executed.
    #[error("{path} is not a regular file")]
    NoFile {
        /// Cleaned.
        path: String,
    },
    /// The rules.
    #[error(
        "{path} is not banned: {}. To keep a user from running it, change the file's \
         permissions",
        .reason.name()
    )]
    Spared {
        /// Cleaned.
        path: String,
        /// Why not.
        reason: Spared,
    },
    /// The list.
    #[error("cannot write the list: {0}")]
    Output(io::Error),
    /// Nothing to remove.
    #[error("no ban is called {0}, and no such file is banned; `unjack bans list` has them all")]
    Unknown(String),
    /// Nothing was pinned.
    #[error("the ban would not outlive this command: nothing can be pinned in {0}")]
    NotPinned(String),
}

fn pinned(dir: &Path) -> Result<Option<(PinDir, Tables)>, BansError> {
    let dir = match PinDir::find(dir) {
        Ok(dir) => dir,
        // Where nothing can be pinned, nothing is.
        Err(PinError::NoBpffs { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Tables::pinned(&dir)?.map(|tables| (dir, tables)))
}

fn live(tables: &Tables, now_ns: u64) -> Result<Vec<(BanKey, Ban, BanCount)>, BansError> {
    let mut all = tables.all()?;
    all.retain(|(_, ban, _)| ban.expires_ns > now_ns);
    all.sort_by_key(|(_, ban, _)| ban.since_ns);
    Ok(all)
}

/// What is banned, for people or as JSON.
///
/// # Errors
/// [`BansError`].
pub fn list(dir: &Path, json: bool) -> Result<String, BansError> {
    let now_ns = boottime_ns();
    let all = match pinned(dir)? {
        Some((_, tables)) => live(&tables, now_ns)?,
        None => Vec::new(),
    };
    let originals: HashMap<Content, &Ban> = all
        .iter()
        .filter(|(_, ban, _)| ban.flags & BAN_COPY == 0)
        .filter_map(|(_, ban, _)| Some((Content::of(ban)?, ban)))
        .collect();
    let original = |ban| Content::of(ban).and_then(|content| originals.get(&content).copied());
    let rows: Vec<Listed> = all
        .iter()
        .map(|(key, ban, count)| Listed::of(key, ban, count, now_ns, original(ban)))
        .collect();
    if json {
        let text = serde_json::to_string_pretty(&rows).map_err(io::Error::from);
        return Ok(text.map_err(BansError::Output)? + "\n");
    }
    Ok(render(&rows))
}

fn render(rows: &[Listed]) -> String {
    if rows.is_empty() {
        return "nothing is banned\n".to_owned();
    }
    let mut text = format!(
        "{:<14} {:>9} {:>12} {:<30} {}\n",
        "ID", "REFUSED", "ENDS IN", "IMAGE", "WHY"
    );
    for Listed {
        id,
        exe,
        sha256: _,
        reason: _,
        why,
        refused,
        seconds_left,
        file: _,
    } in rows
    {
        let left = humantime::format_duration(Duration::from_secs(*seconds_left)).to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{id:<14} {refused:>9} {left:>12} {exe:<30} {why}");
    }
    text
}

/// A file, opened so that a pipe does not block and a link is followed once.
fn open(path: &Path) -> Result<(File, std::fs::Metadata), BansError> {
    use std::os::unix::fs::OpenOptionsExt;
    let shown = || clean(path.as_os_str().as_encoded_bytes(), PATH_CHARS);
    let failed = |source| BansError::File {
        path: shown(),
        source,
    };
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(BansError::NoFile { path: shown() });
    }
    Ok((file, meta))
}

/// The device of a file in the kernel's own encoding (`MKDEV`,
/// `include/linux/kdev_t.h`). File systems that show another device than they have
/// (btrfs, overlayfs) are why a ban has a hash too.
fn device(meta: &std::fs::Metadata) -> u32 {
    const MINOR_BITS: u32 = 20;
    let dev = meta.dev();
    (rustix::fs::major(dev) << MINOR_BITS) | rustix::fs::minor(dev)
}

/// The file's SHA-256; none of one that is too large.
fn sha256_of(file: &File) -> io::Result<Option<Digest>> {
    match digest::of(file) {
        Ok(digest) => Ok(Some(digest)),
        Err(Unknown::TooLarge) => Ok(None),
        Err(_) => Err(io::Error::other("it cannot be read to its end")),
    }
}

/// Bans a file for `ttl`; with the first ban the programs are loaded.
///
/// # Errors
/// [`BansError`].
pub fn add(dir: &Path, path: &Path, ttl: Duration, with: With) -> Result<String, BansError> {
    let full = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let shown = clean(full.as_os_str().as_encoded_bytes(), PATH_CHARS);
    let (file, meta) = open(&full)?;
    file_rule(&full, &meta).map_err(|reason| BansError::Spared {
        path: shown.clone(),
        reason,
    })?;
    let found = sha256_of(&file).map_err(|source| BansError::File {
        path: shown.clone(),
        source,
    })?;
    let key = key(device(&meta), &meta);
    let mut ban = new_ban(&full, owner(&file, &meta), ttl, BAN_BY_HAND);
    if let Some(sha256) = found {
        ban.sha256 = sha256.0;
        ban.flags |= BAN_HASHED;
    }
    let pins = PinDir::prepare(dir)?;
    if let Some(mut tables) = Tables::pinned(&pins)? {
        tables.ban(&key, ban)?;
    } else {
        let mut programs = Programs::load(with, Some(pins.clone()))?;
        programs.tables.ban(&key, ban)?;
        programs.attach()?;
        if Tables::pinned(&pins)?.is_none() {
            return Err(BansError::NotPinned(dir.display().to_string()));
        }
    }
    let left = humantime::format_duration(ttl);
    Ok(format!("{shown}: ban {} for {left}\n", id(&key, &ban)))
}

/// Lifts the bans with this id, or of this file and its copies.
///
/// # Errors
/// [`BansError`].
pub fn remove(dir: &Path, what: &Path) -> Result<String, BansError> {
    let shown = || clean(what.as_os_str().as_encoded_bytes(), PATH_CHARS);
    let Some((pins, mut tables)) = pinned(dir)? else {
        return Err(BansError::Unknown(shown()));
    };
    let all = tables.all()?;
    let mut wanted: Vec<BanKey> = match what.to_str() {
        Some(text) if text.len() >= LEAST_DIGITS => all
            .iter()
            .filter(|(key, ban, _)| id(key, ban).starts_with(text))
            .map(|(key, _, _)| *key)
            .collect(),
        _ => Vec::new(),
    };
    if wanted.is_empty()
        && let Ok((file, meta)) = open(what)
    {
        let own = key(device(&meta), &meta);
        let found = sha256_of(&file).ok().flatten();
        wanted = all
            .iter()
            .filter(|(key, ban, _)| *key == own || (found.is_some() && sha256(ban) == found))
            .map(|(key, _, _)| *key)
            .collect();
    }
    if wanted.is_empty() {
        return Err(BansError::Unknown(shown()));
    }
    for key in &wanted {
        tables.lift(key)?;
    }
    if live(&tables, boottime_ns())?.is_empty() {
        unpin(&pins)?;
    }
    Ok(format!("{} bans lifted\n", wanted.len()))
}

/// Lifts all bans.
///
/// # Errors
/// [`BansError`].
pub fn flush(dir: &Path) -> Result<String, BansError> {
    let pins = match PinDir::find(dir) {
        Ok(pins) => pins,
        Err(PinError::NoBpffs { .. }) => return Ok("0 bans lifted\n".to_owned()),
        Err(error) => return Err(error.into()),
    };
    let mut lifted = 0;
    // A running daemon has the maps too: it must find them empty.
    if let Some(mut tables) = Tables::pinned(&pins)? {
        for (key, _, _) in tables.all()? {
            tables.lift(&key)?;
            lifted += 1;
        }
    }
    // Also what is of another layout.
    unpin(&pins)?;
    Ok(format!("{lifted} bans lifted\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_a_line_a_ban() {
        let row = Listed {
            id: "0123456789ab".to_owned(),
            exe: "/tmp/x".to_owned(),
            sha256: None,
            reason: "verdict",
            why: "verdict miner, randomx".to_owned(),
            refused: 12,
            seconds_left: 3600,
            file: "1:2".to_owned(),
        };
        assert_eq!(
            render(&[row]),
            "ID               REFUSED      ENDS IN IMAGE                          WHY\n\
             0123456789ab          12           1h /tmp/x                         verdict miner, \
             randomx\n"
        );
        assert_eq!(render(&[]), "nothing is banned\n");
    }
}
