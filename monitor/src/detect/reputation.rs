//! The operator's lists: images that are known to mine, images that may, and
//! pools.
//!
//! In: the text of files, a line an entry. Out: [`Lists`] that answer for one
//! digest or address, or a [`ListError`] with file, line and reason. Lists are read as a
//! whole: one bad line, and all of the old ones stay in force.
//!
//! A line of images is a SHA-256 in hexadecimal and, if there is one, a name: what
//! `sha256sum` prints will do. Empty lines and what follows a `#` are skipped.
//! Bounds: [`MAX_BYTES`] of one file; a list of more than the 200,000 or so digests
//! that fit needs another tool. [`pools`] says what a line of pools is.

pub mod pools;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::pools::Pools;
use crate::host::digest::Digest;
use unjack_core::text::clean;

/// Bytes of one list's file.
pub const MAX_BYTES: u64 = 16 << 20;
/// Where names of pools are looked up.
pub const HOSTS: &str = "/etc/hosts";
/// Characters of a name.
const MAX_NAME: usize = 128;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Images that mine.
    Deny,
    /// Images that may.
    Allow,
    /// Pools.
    Pools,
}

impl List {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Deny, Self::Allow, Self::Pools];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny-file",
            Self::Allow => "allow-file",
            Self::Pools => "pools",
        }
    }

    /// The flag that names its files.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Deny => "--deny-file",
            Self::Allow => "--allow-file",
            Self::Pools => "--pools",
        }
    }
}

/// A list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ListError {
    /// Which.
    pub list: List,
    /// Its file.
    pub file: PathBuf,
    /// The line, from 1; `None` if it is about the file.
    pub line: Option<usize>,
    /// What is wrong with it, and what is accepted.
    pub problem: String,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            list: _,
            file,
            line,
            problem,
        } = self;
        write!(f, "{}:", clean(file.as_os_str().as_encoded_bytes(), 4096))?;
        if let Some(line) = line {
            write!(f, "{line}:")?;
        }
        write!(f, " {problem}")
    }
}

/// What is said of an image that `--deny-file` has under this name.
pub(crate) fn listed_text(name: &str, digest: &Digest) -> String {
    let name = if name.is_empty() { "no name" } else { name };
    format!("its image is on the list of --deny-file: {name}, SHA-256 {digest}")
}

/// The files of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Of images that mine.
    pub deny: Vec<PathBuf>,
    /// Of images that may.
    pub allow: Vec<PathBuf>,
    /// Of pools.
    pub pools: Option<PathBuf>,
    /// Whether names of pools are looked up in [`HOSTS`].
    pub resolve: bool,
}

/// Digests, and what they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes(HashMap<Digest, String>);

impl Hashes {
    /// The name a digest has in the list; empty if it is in it without one.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&str> {
        self.0.get(digest).map(String::as_str)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a text lists.
    ///
    /// # Errors
    /// The first line that is none, from 1, and what is wrong with it.
    pub fn parse(&mut self, text: &str) -> Result<(), (usize, String)> {
        for (number, target, name) in entries(text) {
            let at = |problem| (number, problem);
            let digest = Digest::parse(target).ok_or_else(|| {
                at(format!(
                    "{:?} is no SHA-256 of 64 hexadecimal digits",
                    clean(target.as_bytes(), 80)
                ))
            })?;
            let name = list_name(name).map_err(at)?;
            self.0.insert(digest, name);
        }
        Ok(())
    }
}

/// What a list says, line by line: its number, the first word, and the rest.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    text.lines().enumerate().filter_map(|(at, line)| {
        let entry = line.split('#').next().unwrap_or_default().trim();
        let end = entry.find(char::is_whitespace).unwrap_or(entry.len());
        let (target, name) = entry.split_at(end);
        // `sha256sum` marks files that were read as binary.
        let name = name.trim_start().trim_start_matches('*');
        (!target.is_empty()).then_some((at + 1, target, name))
    })
}

/// A name as it may be shown.
fn list_name(name: &str) -> Result<String, String> {
    if clean(name.as_bytes(), MAX_NAME) == name {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "the name is longer than {MAX_NAME} characters, or has characters that cannot be seen"
        ))
    }
}

/// All lists, of one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Images that mine.
    pub deny: Arc<Hashes>,
    /// Images that may.
    pub allow: Arc<Hashes>,
    /// Pools.
    pub pools: Pools,
}

impl Lists {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be read, or line that is none.
    pub fn read(files: &Files) -> Result<Self, ListError> {
        let Files {
            deny,
            allow,
            pools: _,
            resolve: _,
        } = files;
        Ok(Self {
            deny: Arc::new(hashes(List::Deny, deny)?),
            allow: Arc::new(hashes(List::Allow, allow)?),
            pools: read_pools(files)?,
        })
    }

    /// How long a list is.
    #[must_use]
    pub fn len(&self, list: List) -> usize {
        match list {
            List::Deny => self.deny.len(),
            List::Allow => self.allow.len(),
            List::Pools => self.pools.len(),
        }
    }
}

fn hashes(list: List, files: &[PathBuf]) -> Result<Hashes, ListError> {
    let mut hashes = Hashes::default();
    for file in files {
        let text = text(list, file)?;
        hashes.parse(&text).map_err(|(line, problem)| ListError {
            list,
            file: file.clone(),
            line: Some(line),
            problem,
        })?;
    }
    Ok(hashes)
}

fn read_pools(files: &Files) -> Result<Pools, ListError> {
    let hosts = files
        .resolve
        .then(|| text(List::Pools, Path::new(HOSTS)))
        .transpose()?;
    let Some(file) = &files.pools else {
        return Ok(Pools::default());
    };
    let text = text(List::Pools, file)?;
    Pools::parse(&text, hosts.as_deref()).map_err(|(line, problem)| ListError {
        list: List::Pools,
        file: file.clone(),
        line: Some(line),
        problem,
    })
}

/// The text of a file, if it is not too much.
fn text(list: List, file: &Path) -> Result<String, ListError> {
    let problem = |problem| ListError {
        list,
        file: file.to_owned(),
        line: None,
        problem,
    };
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| problem(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(problem(format!("is larger than {} MiB", MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + String::from_utf8_lossy(before).matches('\n').count();
        ListError {
            line: Some(line),
            ..problem("is not UTF-8".to_owned())
        }
    })
}

#[cfg(test)]
mod tests;
