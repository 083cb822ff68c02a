//! The code that a subject executes, for a person to check.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::Subject;
use crate::host::Image;
use unjack_core::text::Quoted;
use unjack_core::{
    event::Sample,
    isa::{self, Arch},
    profile::{DecodedSample, Place, Summary},
};

/// A piece of code, for a person to check.
#[derive(Clone, Debug, Serialize)]
pub struct HotCode {
    /// Share of the samples in its cache line, 0 to 1.
    pub share: f64,
    /// Where it is.
    pub ip: u64,
    /// The file mapped there, cleaned; `None` for memory without one.
    pub file: Option<String>,
    /// Its instructions.
    pub instructions: Vec<String>,
}

impl fmt::Display for HotCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            share,
            ip,
            file,
            instructions: _,
        } = self;
        let file = file.as_deref().map_or_else(
            || "memory without a file".to_owned(),
            |file| Quoted(file).to_string(),
        );
        write!(
            f,
            "{:.0} % of the samples are in the cache line of {ip:#x}, in {file}",
            100.0 * share
        )
    }
}

/// A piece of code that was sampled.
#[derive(Clone, Debug, Serialize)]
pub struct Piece {
    /// How many of the kept samples are in its cache line.
    pub samples: usize,
    /// Where it is.
    pub ip: u64,
    /// The file mapped there, cleaned; `None` for memory without one.
    pub file: Option<String>,
    /// Its bytes, in hexadecimal.
    pub bytes: String,
    /// Its instructions.
    pub instructions: Vec<String>,
}

/// Samples of a process by where their code lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeOrigins {
    /// In the file it executes.
    pub image: u32,
    /// In another file that the host keeps programs and libraries in.
    pub system: u32,
    /// In any other file.
    pub elsewhere: u32,
    /// In memory without a file.
    pub generated: u32,
    /// Somewhere that was not looked up yet, or was not found.
    pub unknown: u32,
}

/// Folders outside of `/usr` and `/lib` that hold a system's libraries. That a file has
/// such a path says something only of a process that root started on the host: any
/// other may have mounted what it likes there.
const LIBRARIES: [&str; 6] = [
    "/nix/store/",
    "/gnu/store/",
    "/snap/",
    "/var/lib/snapd/snap/",
    "/x86_64-bottlerocket-linux-gnu/",
    "/aarch64-bottlerocket-linux-gnu/",
];

/// Whether code lies in the kernel's own page, in a library of a layout without `/usr`,
/// or in a library that was replaced by an upgrade.
fn is_systems(place: Place, file: Option<Image>, name: Option<&str>) -> bool {
    let Some(name) = name else {
        return false;
    };
    // No file has a path that does not begin with a slash.
    let vdso = name == "[vdso]" && file.is_some_and(|file| file.inode == 0);
    let library = LIBRARIES.iter().any(|folder| name.starts_with(folder));
    let replaced = ["/usr/", "/lib"].iter().any(|at| name.starts_with(at));
    match place {
        Place::File => vdso || library,
        Place::Deleted => library || replaced,
        _ => false,
    }
}

impl Subject {
    /// Where the code of its samples lies, seen from its image.
    pub fn code_origins(&mut self) -> CodeOrigins {
        let image = self.image();
        let recorded = self.recorded_facts().is_some();
        let mut code_origins = CodeOrigins::default();
        for look in self.profile.looks(0) {
            let Some(line) = look.code_line() else {
                continue;
            };
            let counted = match (look.place(), self.code.image(line)) {
                (Place::Anonymous, _) => &mut code_origins.generated,
                (Place::Unknown | Place::Unread, _) => &mut code_origins.unknown,
                // By its name it may be any file, mounted over the image.
                (_, file @ Some(_)) if file == image => &mut code_origins.image,
                // Recordings have no mappings, and tell this apart no further.
                (Place::File, None) if recorded => &mut code_origins.image,
                (Place::System, _) => &mut code_origins.system,
                (place, file) if is_systems(place, file, self.code.name(line)) => {
                    &mut code_origins.system
                }
                _ => &mut code_origins.elsewhere,
            };
            *counted += 1;
        }
        code_origins
    }

    /// The code it executes most, of those parts whose bytes are still kept.
    #[must_use]
    pub fn hot_code(&self, arch: Arch, summary: &Summary) -> Option<HotCode> {
        let (line, share) = summary.code.hottest?;
        let sample = self.profile.code(line)?;
        let arch = if sample.compat { arch.compat()? } else { arch };
        Some(HotCode {
            share,
            ip: sample.ip,
            file: self.code.name(sample.ip).map(str::to_owned),
            instructions: isa::disassemble(arch, sample.ip, sample.code()),
        })
    }

    /// The code it executes most, of what is still kept: of code that is spread
    /// out, as `RandomX`'s is, the hottest part may not be.
    #[must_use]
    pub fn kept_code(&self, arch: Arch) -> Option<HotCode> {
        let piece = self.pieces(arch, 1).pop()?;
        let lines = || self.profile.looks(0).filter_map(DecodedSample::code_line);
        let here = lines().filter(|line| line / 64 == piece.ip / 64).count();
        Some(HotCode {
            share: here as f64 / lines().count().max(1) as f64,
            ip: piece.ip,
            file: piece.file,
            instructions: piece.instructions,
        })
    }

    /// The code it executes, as far as its bytes are still kept: a piece a cache
    /// line, the hottest first, at most `most`.
    #[must_use]
    pub fn pieces(&self, arch: Arch, most: usize) -> Vec<Piece> {
        let mut lines: BTreeMap<u64, (usize, &Sample)> = BTreeMap::new();
        for sample in self.profile.codes() {
            let (samples, newest) = lines.entry(sample.ip / 64).or_insert((0, sample));
            *samples += 1;
            *newest = sample;
        }
        let mut lines: Vec<_> = lines.into_values().collect();
        lines.sort_by_key(|(samples, sample)| (std::cmp::Reverse(*samples), sample.ip));
        let piece = |(samples, sample): (usize, &Sample)| {
            let arch = if sample.compat { arch.compat()? } else { arch };
            let bytes = sample.code().iter().map(|byte| format!("{byte:02x}"));
            Some(Piece {
                samples,
                ip: sample.ip,
                file: self.code.name(sample.ip).map(str::to_owned),
                bytes: bytes.collect(),
                instructions: isa::disassemble(arch, sample.ip, sample.code()),
            })
        };
        lines.into_iter().filter_map(piece).take(most).collect()
    }
}
