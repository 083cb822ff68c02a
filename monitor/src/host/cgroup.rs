//! Cgroups, as two files of the kernel's tell them: which trees are mounted
//! (`/proc/self/mountinfo`), and where in each a process is
//! (`/proc/PID/cgroup`). Texts flow in, decisions flow out; nothing is read or
//! written here.
//!
//! A host has one unified tree (version 2), or a tree a controller (version 1),
//! or both (hybrid: controllers in trees of their own, and a unified tree with
//! none). [`Layout`] says in which a process can be throttled or frozen;
//! [`identity`] says what a path means: which unit, which container.
//!
//! Paths are a process's own to choose once it may make cgroups, as root in a
//! container may. So nothing below a container or a user's own manager counts
//! for a rule, and a path that leads upwards leads nowhere.

pub mod identity;

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Component, Path, PathBuf},
};

/// A mounted tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    place: Place,
    /// Its controllers or name; empty for the unified tree.
    options: Vec<String>,
    unified: bool,
    /// The cgroup that is shown at the mount's point.
    root: PathBuf,
}

/// Where a mount is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    id: u32,
    /// The mount it lies on.
    parent: u32,
    point: PathBuf,
}

impl Place {
    /// Whether another mount lies over this one, as those that an engine makes
    /// for a container lie over those it was given.
    fn is_hidden(&self, all: &[Self]) -> bool {
        let by_id = |id| all.iter().find(|place| place.id == id);
        // No mount lies on itself but the first of all.
        let below = |place: &&Self| by_id(place.parent).filter(|below| below.id != place.id);
        let chain: Vec<&Self> = std::iter::successors(Some(self), below)
            .take(all.len())
            .collect();
        // What is met, on the way down from each, before the next one is.
        let covers = |on: &Self, next: &Self| {
            all.iter().any(|over| {
                let other = ![on.id, next.id].contains(&over.id);
                other && over.parent == on.id && next.point.starts_with(&over.point)
            })
        };
        let on_top = |over: &Self| over.parent == self.id && over.point == self.point;
        chain.windows(2).any(|pair| covers(pair[1], pair[0]))
            || all.iter().any(|over| over.id != self.id && on_top(over))
    }
}

/// Kinds of trees there is something to be done in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The unified tree.
    Unified,
    /// The tree of the cpu controller, version 1.
    Cpu,
    /// The tree of the freezer, version 1.
    Freezer,
    /// A tree that only tells processes apart.
    Other,
}

/// A process's cgroup in one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Which tree.
    pub kind: Kind,
    /// Where the tree is mounted.
    pub mount: PathBuf,
    /// The cgroup's folder.
    pub dir: PathBuf,
    /// Its path in the tree.
    pub path: PathBuf,
}

impl Site {
    /// The cgroup at `path`, which is this one or above it.
    #[must_use]
    pub fn above(&self, path: &str) -> Option<Self> {
        let below = self.path.strip_prefix(path).ok()?;
        let dir = self.dir.ancestors().nth(below.components().count())?;
        Some(Self {
            dir: dir.to_owned(),
            path: path.into(),
            ..self.clone()
        })
    }
}

/// Where a process is: its path in each tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Controllers or name, empty for the unified tree; and the path.
    places: Vec<(Vec<String>, PathBuf)>,
}

impl Membership {
    /// Reads `/proc/PID/cgroup`: lines of `id:controllers:path`. What is no such
    /// line is left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let places = text.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let (id, options, path) = (parts.next()?, parts.next()?, parts.next()?);
            let options = if id == b"0" {
                Vec::new()
            } else {
                list(options)
            };
            Some((options, PathBuf::from(OsString::from_vec(path.to_vec()))))
        });
        Self {
            places: places.collect(),
        }
    }

    /// Its paths, those that tell most first: the unified tree's, the one
    /// systemd keeps, the cpu controller's, the others.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        let places = self.in_order();
        places.iter().map(|(_, path)| path.as_path()).collect()
    }

    fn in_order(&self) -> Vec<&(Vec<String>, PathBuf)> {
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_by_key(|(options, _)| match options.first().map(String::as_str) {
            None => 0,
            Some("name=systemd") => 1,
            _ if has(options, "cpu") => 2,
            Some(_) => 3,
        });
        places
    }

    fn path(&self, mount: &Mount) -> Option<&Path> {
        self.places
            .iter()
            .find(|(options, _)| mount.is_of(options))
            .map(|(_, path)| path.as_path())
    }
}

impl Mount {
    /// Whether a line of `/proc/PID/cgroup` is about this tree.
    fn is_of(&self, options: &[String]) -> bool {
        match options.first() {
            None => self.unified,
            Some(first) => !self.unified && has(&self.options, first),
        }
    }
}

/// The mounted trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    mounts: Vec<Mount>,
}

impl Layout {
    /// Reads `/proc/self/mountinfo`. Of a tree that is mounted more than once
    /// the mount that shows most of it is taken, of those that can be seen.
    #[must_use]
    pub fn parse(mountinfo: &[u8]) -> Self {
        let lines = || mountinfo.split(|byte| *byte == b'\n');
        let places: Vec<Place> = lines().filter_map(parse_place).collect();
        let mut mounts: Vec<Mount> = Vec::new();
        for mount in lines()
            .filter_map(parse_mount)
            .filter(|mount| !mount.place.is_hidden(&places))
        {
            let same = |known: &&mut Mount| {
                known.unified == mount.unified && known.options == mount.options
            };
            match mounts.iter_mut().find(same) {
                Some(known) if mount.root.as_os_str().len() < known.root.as_os_str().len() => {
                    *known = mount;
                }
                Some(_) => {}
                None => mounts.push(mount),
            }
        }
        Self { mounts }
    }

    /// Where a process's CPU time can be limited: by the cpu controller's own
    /// tree if there is one, as a controller is in one tree only; else by the
    /// unified one.
    #[must_use]
    pub fn cpu(&self, of: &Membership) -> Option<Site> {
        self.controller("cpu", Kind::Cpu, of)
            .or_else(|| self.unified(of))
    }

    /// Where a process can be frozen: in the unified tree, which freezes as
    /// SIGSTOP stops, else by the freezer's own.
    #[must_use]
    pub fn freezer(&self, of: &Membership) -> Option<Site> {
        self.unified(of)
            .or_else(|| self.controller("freezer", Kind::Freezer, of))
    }

    /// Its cgroup in every tree, in the order of [`Membership::paths`].
    #[must_use]
    pub fn sites(&self, of: &Membership) -> Vec<Site> {
        let places = of.in_order();
        let mounts = places
            .iter()
            .flat_map(|(options, _)| self.mounts.iter().filter(|mount| mount.is_of(options)));
        mounts
            .filter_map(|mount| site(mount, kind(mount), of))
            .collect()
    }

    /// Where the unified tree is mounted, from its root on.
    #[must_use]
    pub fn unified_point(&self) -> Option<PathBuf> {
        let mount = self.mounts.iter().find(|mount| mount.unified)?;
        (mount.root == Path::new("/")).then(|| mount.place.point.clone())
    }

    fn unified(&self, of: &Membership) -> Option<Site> {
        let mount = self.mounts.iter().find(|mount| mount.unified)?;
        site(mount, Kind::Unified, of)
    }

    fn controller(&self, name: &str, kind: Kind, of: &Membership) -> Option<Site> {
        let has = |mount: &&Mount| !mount.unified && has(&mount.options, name);
        site(self.mounts.iter().find(has)?, kind, of)
    }
}

fn kind(mount: &Mount) -> Kind {
    if mount.unified {
        Kind::Unified
    } else if has(&mount.options, "cpu") {
        Kind::Cpu
    } else if has(&mount.options, "freezer") {
        Kind::Freezer
    } else {
        Kind::Other
    }
}

fn site(mount: &Mount, kind: Kind, of: &Membership) -> Option<Site> {
    let path = of.path(mount)?;
    let below = path.strip_prefix(&mount.root).ok()?;
    // `..` is a cgroup outside of our own namespace: there is no folder of it.
    let plain = |part| matches!(part, Component::Normal(_));
    below.components().all(plain).then(|| Site {
        kind,
        mount: mount.place.point.clone(),
        dir: mount.place.point.join(below),
        path: path.to_owned(),
    })
}

fn parse_place(line: &[u8]) -> Option<Place> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || str::from_utf8(fields.next()?).ok()?.parse().ok();
    Some(Place {
        id: number()?,
        parent: number()?,
        point: unescape(fields.nth(2)?),
    })
}

/// Fields of `proc_pid_mountinfo(5)`: id, parent, device, root, mount point,
/// options, optional fields, a dash, type, source, options of the file system.
fn parse_mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = 6 + fields.get(6..)?.iter().position(|field| *field == b"-")?;
    let unified = match *fields.get(dash + 1)? {
        b"cgroup2" => true,
        b"cgroup" => false,
        _ => return None,
    };
    // What is no controller (`rw`, `xattr`) names no tree and does no harm.
    let options = if unified {
        Vec::new()
    } else {
        list(fields.get(dash + 3)?)
    };
    Some(Mount {
        options,
        unified,
        root: unescape(fields.get(3)?),
        place: parse_place(line)?,
    })
}

fn list(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    text.split(',').map(str::to_owned).collect()
}

fn has(options: &[String], name: &str) -> bool {
    options.iter().any(|option| option == name)
}

/// The kernel writes blanks and backslashes of a path as `\040`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| {
            let digits = str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match octal {
            Some(octal) if byte == b'\\' => {
                bytes.push(octal);
                rest = &after[3..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// The path to match of `/proc/PID/cgroup`, lines of `id:controllers:path`: the
/// unified hierarchy's if the process has a place in it, else that of the cpu
/// controller, else the first.
pub(super) fn path_to_match(text: &[u8]) -> Option<String> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        Some((parts.next()?, parts.next()?, parts.next()?))
    });
    let lines: Vec<_> = lines.collect();
    let unified = lines
        .iter()
        .find(|(id, _, path)| *id == b"0" && *path != b"/");
    let has_cpu = |controllers: &[u8]| controllers.split(|byte| *byte == b',').any(|c| c == b"cpu");
    let (_, _, path) = unified
        .or_else(|| {
            lines
                .iter()
                .find(|(_, controllers, _)| has_cpu(controllers))
        })
        .or(lines.first())?;
    Some(String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests;
