//! Which images may be banned.
//!
//! A ban is about a file, and through its hash about all copies its owner has:
//! every process that executes one is refused, whatever for. Banning
//! `/usr/bin/python3` because one process mined with it would stop half of the
//! host. So an image is only banned if it is a miner *itself*: what hashed was its
//! own code, it is none of the system's files, it is no runtime that runs other
//! people's programs, no other process is executing it, the user who executed it
//! owns it or is root, and no rule or list allows it. A process whose image is not
//! banned is stopped all the same, each time it is found.

use std::{collections::BTreeMap, path::Path};

use super::runtime::is_called_like_one;
use crate::detect::collector::CodeOrigins;
use unjack_core::score::Family;

/// Why an image was not banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spared {
    /// Root put it into the system's directories.
    System,
    /// It runs other people's programs: by its content, or by its name if it is
    /// root's.
    Runtime,
    /// The code that hashed was in other files.
    Elsewhere,
    /// The code that hashed was generated, and not by a hash that is so by
    /// design.
    Generated,
    /// Others execute it, of whom nothing is known.
    InUse,
    /// It belongs to another user than the one who mined with it.
    Foreign,
    /// It is unjack.
    Myself,
    /// A `--deny` rule condemned it, not what it executes.
    Denied,
    /// An `--allow` rule or list is about it.
    Allowed,
    /// There are `--allow` rules about the process that executes an image: the
    /// kernel, which refuses an image to all processes, does not know those.
    Runners,
    /// Miners are acted on only in some places (`--only`): the kernel would refuse the image
    /// everywhere.
    Limited,
    /// It is too large to be read.
    TooLarge,
    /// It cannot be read, or too many waited for that.
    Unreadable,
    /// The process was gone, or executed something else by then.
    Gone,
    /// There are as many bans as there can be.
    Full,
    /// The kernel refuses.
    Failed,
}

impl Spared {
    /// Every reason there is.
    pub const ALL: [Self; 16] = [
        Self::System,
        Self::Runtime,
        Self::Elsewhere,
        Self::Generated,
        Self::InUse,
        Self::Foreign,
        Self::Myself,
        Self::Denied,
        Self::Allowed,
        Self::Runners,
        Self::Limited,
        Self::TooLarge,
        Self::Unreadable,
        Self::Gone,
        Self::Full,
        Self::Failed,
    ];

    /// Its name in metrics and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Runtime => "runtime",
            Self::Elsewhere => "code-elsewhere",
            Self::Generated => "code-generated",
            Self::InUse => "in-use",
            Self::Foreign => "others-file",
            Self::Myself => "self",
            Self::Denied => "denied-by-rule",
            Self::Allowed => "allowed",
            Self::Runners => "allowed-runners",
            Self::Limited => "limited-by-only",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
            Self::Gone => "gone",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

/// Whether what hashed was the image itself. Most of its samples must lie in
/// it. `RandomX` is programs that are generated as it goes: of what lies in files
/// most must be the image's then. Other generated code is an interpreter's, or a
/// browser's, or unpacked, and then the image is not what hashed.
///
/// # Errors
/// The reason why not.
pub fn by_code(family: Option<Family>, code_origins: CodeOrigins) -> Result<(), Spared> {
    let CodeOrigins {
        image,
        system,
        elsewhere,
        generated,
        unknown: _,
    } = code_origins;
    let elsewhere = system.saturating_add(elsewhere);
    if family.is_some_and(Family::is_wasm) {
        return Err(Spared::Generated);
    }
    if image <= elsewhere {
        return Err(if generated > elsewhere {
            Spared::Generated
        } else {
            Spared::Elsewhere
        });
    }
    if generated >= image && !family.is_some_and(Family::generates_code) {
        return Err(Spared::Generated);
    }
    Ok(())
}

/// What a file is, as far as that decides.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The path it was executed by, in whichever file system.
    pub path: &'a Path,
    /// On the host the path leads to it, is one of the system's, and only root
    /// can have put it there.
    pub system: bool,
    /// Root owns it, and no other user may write to it.
    pub roots: bool,
    /// It is this program.
    pub myself: bool,
}

/// Whether the file may be banned.
///
/// # Errors
/// The reason why not.
pub fn by_file(facts: &Facts<'_>) -> Result<(), Spared> {
    if facts.myself {
        Err(Spared::Myself)
    } else if facts.system {
        Err(Spared::System)
    } else if facts.roots && is_called_like_one(facts.path) {
        Err(Spared::Runtime)
    } else {
        Ok(())
    }
}

/// Whether the file belongs to the user who executed it, or that user is root: a
/// process that mines with another user's file may have made that file's program do
/// so, in memory that it can write to.
///
/// # Errors
/// [`Spared::Foreign`] if not.
pub fn by_owner(user: Option<u32>, owner: u32) -> Result<(), Spared> {
    if user.is_some_and(|user| user == 0 || user == owner) {
        Ok(())
    } else {
        Err(Spared::Foreign)
    }
}

/// Whether all processes that execute the image belong together. `executing` has
/// all of them, with the parent of each; a process that descends from one of them,
/// through such alone, belongs to it. `condemned` are known to be miners.
///
/// # Errors
/// [`Spared::InUse`] if not.
pub fn by_use(
    pid: u32,
    executing: &BTreeMap<u32, u32>,
    condemned: impl Fn(u32) -> bool,
) -> Result<(), Spared> {
    let top = |of: u32| {
        let mut top = of;
        // A chain of parents is no longer than there are processes.
        for _ in 0..executing.len() {
            match executing.get(&top) {
                Some(parent) if executing.contains_key(parent) => top = *parent,
                _ => break,
            }
        }
        top
    };
    let own = top(pid);
    let stranger = executing
        .keys()
        .any(|other| *other != pid && !condemned(*other) && top(*other) != own);
    if stranger { Err(Spared::InUse) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn code(family: Family, image: u32, elsewhere: u32, generated: u32, expected: Option<Spared>) {
        let code_origins = CodeOrigins {
            image,
            elsewhere,
            generated,
            ..CodeOrigins::default()
        };
        assert_eq!(by_code(Some(family), code_origins).err(), expected);
    }

    #[test]
    fn a_file_is_banned_for_its_owner_and_for_root() {
        for (user, owner, expected) in [
            (Some(1000), 1000, Ok(())),
            (Some(0), 1000, Ok(())),
            (Some(0), 0, Ok(())),
            (Some(1000), 0, Err(Spared::Foreign)),
            (Some(1000), 1001, Err(Spared::Foreign)),
            (None, 1000, Err(Spared::Foreign)),
        ] {
            assert_eq!(by_owner(user, owner), expected, "{user:?} {owner}");
        }
    }

    #[test]
    fn a_miner_that_hashes_with_code_of_its_own_is_banned() {
        code(Family::Sha256d, 90, 10, 0, None);
    }

    #[test]
    fn an_interpreter_that_hashes_in_a_module_is_not() {
        code(Family::Sha256d, 10, 90, 0, Some(Spared::Elsewhere));
        code(Family::RandomX, 0, 20, 80, Some(Spared::Generated));
        code(Family::RandomX, 0, 80, 20, Some(Spared::Elsewhere));
    }

    #[test]
    fn generated_code_is_the_images_own_in_randomx_only() {
        code(Family::RandomX, 15, 5, 80, None);
        code(Family::Sha256d, 15, 5, 80, Some(Spared::Generated));
        code(Family::WasmSha256d, 90, 5, 5, Some(Spared::Generated));
    }

    #[test]
    fn nothing_known_is_no_reason_to_ban() {
        code(Family::RandomX, 0, 0, 0, Some(Spared::Elsewhere));
    }

    #[track_caller]
    fn file(path: &str, system: bool, roots: bool, expected: Option<Spared>) {
        let facts = Facts {
            path: Path::new(path),
            system,
            roots,
            myself: false,
        };
        assert_eq!(by_file(&facts).err(), expected, "{path}");
    }

    #[test]
    fn the_systems_files_are_spared() {
        file("/usr/bin/xmrig", true, true, Some(Spared::System));
    }

    #[test]
    fn runtimes_are_spared_where_they_are_roots() {
        for path in [
            "/usr/local/bin/python3.12",
            "/opt/node/bin/node",
            "/bin/busybox",
            "/opt/jdk-21/bin/java",
            "/usr/lib64/ld-linux-x86-64.so.2",
        ] {
            file(path, false, true, Some(Spared::Runtime));
            file(path, false, false, None);
        }
        file("/opt/xmrig-6.22/xmrig", false, true, None);
        file("/opt/pythonminer", false, true, None);
    }

    #[test]
    fn unjack_does_not_ban_itself() {
        let facts = Facts {
            path: Path::new("/opt/unjack"),
            system: false,
            roots: false,
            myself: true,
        };
        assert_eq!(by_file(&facts), Err(Spared::Myself));
    }

    #[track_caller]
    fn used(pid: u32, executing: &[(u32, u32)], condemned: &[u32], expected: Option<Spared>) {
        let executing = executing.iter().copied().collect();
        let found = by_use(pid, &executing, |pid| condemned.contains(&pid));
        assert_eq!(found.err(), expected);
    }

    #[test]
    fn a_family_of_one_image_belongs_together() {
        used(10, &[(10, 1)], &[], None);
        used(10, &[(9, 1), (10, 9), (11, 9), (12, 11)], &[], None);
    }

    #[test]
    fn strangers_of_one_image_keep_it_from_being_banned() {
        used(10, &[(10, 5), (20, 6)], &[], Some(Spared::InUse));
        used(10, &[(10, 5), (20, 6)], &[20], None);
    }

    #[test]
    fn parents_in_a_circle_end() {
        used(10, &[(10, 11), (11, 10)], &[], Some(Spared::InUse));
    }
}
