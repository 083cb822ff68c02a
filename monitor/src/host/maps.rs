//! `/proc/PID/maps` to the kinds of memory code lies in.
//!
//! The process chooses how many mappings it has and what their files are
//! called. Only executable ones are kept, at most [`MAX_RANGES`] of them, from
//! at most [`MAX_BYTES`] of text; what lies beyond is [`Place::Unknown`]. Of
//! the files' names [`MAX_NAMES`] are kept, cleaned.

use std::io::{self, BufRead, BufReader, Read};

use crate::{profile::Place, text::clean};

/// Executable ranges kept.
pub const MAX_RANGES: usize = 4096;
/// Names of files kept: a program's own and its libraries'.
pub const MAX_NAMES: usize = 64;
/// Characters of a name.
const NAME_CHARS: usize = 256;
/// Bytes of the file that are read.
pub const MAX_BYTES: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    end: u64,
    place: Place,
    /// Index into the names.
    name: Option<usize>,
}

/// The executable ranges of one process, in order of address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeMap {
    ranges: Vec<Range>,
    /// Files' names, and whether each is one of the host's own libraries.
    names: Vec<(String, bool)>,
    /// A bound was hit: there is more than was kept.
    pub truncated: bool,
}

impl CodeMap {
    /// Reads the file's text. `is_system` is asked, once for each name, whether
    /// the file with this path and inode is one of the host's own libraries.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(file: impl Read, is_system: impl Fn(&[u8], u64) -> bool) -> io::Result<Self> {
        let mut map = Self::default();
        let mut reader = BufReader::new(file.take(MAX_BYTES));
        let mut line = Vec::new();
        let mut bytes = 0;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            let Some(mapping) = parse(&line) else {
                continue;
            };
            if map.ranges.len() == MAX_RANGES {
                map.truncated = true;
                break;
            }
            let (name, system) = map.keep(mapping.path, mapping.inode, &is_system);
            map.ranges.push(Range {
                start: mapping.start,
                end: mapping.end,
                place: match mapping.place {
                    Place::File if system => Place::System,
                    place => place,
                },
                name,
            });
        }
        map.truncated |= bytes >= MAX_BYTES;
        Ok(map)
    }

    /// The kind of memory at an address.
    #[must_use]
    pub fn place(&self, ip: u64) -> Place {
        self.find(ip).map_or(Place::Unknown, |range| range.place)
    }

    /// The file mapped at an address, cleaned; `None` if there is none, or its
    /// name was not kept.
    #[must_use]
    pub fn name(&self, ip: u64) -> Option<&str> {
        let name = self.find(ip)?.name?;
        self.names.get(name).map(|(name, _)| name.as_str())
    }

    fn find(&self, ip: u64) -> Option<&Range> {
        let after = self.ranges.partition_point(|range| range.start <= ip);
        self.ranges[..after].last().filter(|range| ip < range.end)
    }

    /// The index of a file's name, kept if there is room, and whether it is
    /// one of the host's own libraries; without room it is not.
    fn keep(
        &mut self,
        path: &[u8],
        inode: u64,
        is_system: impl Fn(&[u8], u64) -> bool,
    ) -> (Option<usize>, bool) {
        if path.is_empty() {
            return (None, false);
        }
        let name = clean(path, NAME_CHARS);
        if let Some(known) = self.names.iter().position(|(known, _)| *known == name) {
            return (Some(known), self.names[known].1);
        }
        if self.names.len() == MAX_NAMES {
            return (None, false);
        }
        let system = path.starts_with(b"/") && is_system(path, inode);
        self.names.push((name, system));
        (Some(self.names.len() - 1), system)
    }
}

/// An executable mapping.
struct Mapping<'a> {
    start: u64,
    end: u64,
    place: Place,
    inode: u64,
    path: &'a [u8],
}

/// One line, if it is of an executable mapping:
/// `start-end rwxp offset dev inode   path`.
fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let line = line.trim_ascii_end();
    let (range, rest) = cut(line)?;
    let (perms, rest) = cut(rest)?;
    if perms.get(2) != Some(&b'x') {
        return None;
    }
    let (_offset, rest) = cut(rest)?;
    let (_device, rest) = cut(rest)?;
    let (inode, path) = cut(rest).unwrap_or((rest, b""));
    let path = path.trim_ascii_start();
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let hex = |digits: &[u8]| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let place = if path.starts_with(b"/memfd:") {
        Place::Memfd
    } else if path.ends_with(b" (deleted)") {
        Place::Deleted
    } else if path.starts_with(b"/") || path == b"[vdso]" || path == b"[vsyscall]" {
        Place::File
    } else {
        Place::Anonymous
    };
    Some(Mapping {
        start: hex(&range[..dash])?,
        end: hex(&range[dash + 1..])?,
        place,
        inode: str::from_utf8(inode).ok()?.parse().ok()?,
        path,
    })
}

/// The text up to the next space, and what follows it.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host without libraries.
    fn nothing(_: &[u8], _: u64) -> bool {
        false
    }

    #[test]
    fn the_hosts_own_libraries_are_told_apart() {
        let text = "1000-2000 r-xp 0 0:0 7 /usr/bin/a\n3000-4000 r-xp 0 0:0 8 /usr/lib/b.so\n\
                    5000-6000 r-xp 0 0:0 9 /usr/lib/b.so (deleted)\n7000-8000 r-xp 0 0:0 0 [vdso]\n";
        let system = |path: &[u8], inode| path.starts_with(b"/usr/lib") && inode == 8;
        let map = CodeMap::read(text.as_bytes(), system).unwrap();
        let places = [0x1000, 0x3000, 0x5000, 0x7000].map(|ip| map.place(ip));
        assert_eq!(
            places,
            [Place::File, Place::System, Place::Deleted, Place::File]
        );
    }

    #[track_caller]
    fn check(line: &[u8], expected: Option<Place>) {
        assert_eq!(parse(line).map(|mapping| mapping.place), expected);
    }

    #[test]
    fn a_program_file() {
        check(
            b"5581e000-5582f000 r-xp 0002000 fd:01 1234      /usr/bin/xz\n",
            Some(Place::File),
        );
    }

    #[test]
    fn data_is_left_out() {
        check(
            b"5581e000-5582f000 rw-p 0002000 fd:01 1234      /usr/bin/xz\n",
            None,
        );
    }

    #[test]
    fn generated_code() {
        check(
            b"7f0000000000-7f0000010000 rwxp 00000000 00:00 0 \n",
            Some(Place::Anonymous),
        );
        check(
            b"7f0000000000-7f0000010000 r-xp 00000000 00:00 0",
            Some(Place::Anonymous),
        );
        check(
            b"7f0000000000-7f0000010000 r-xp 00000000 00:00 0  [anon:jit]\n",
            Some(Place::Anonymous),
        );
    }

    #[test]
    fn a_deleted_file() {
        check(
            b"400000-401000 r-xp 00000000 fd:01 99 /tmp/a b (deleted)\n",
            Some(Place::Deleted),
        );
    }

    #[test]
    fn a_file_in_memory() {
        check(
            b"400000-401000 r-xp 00000000 00:01 99 /memfd:x (deleted)\n",
            Some(Place::Memfd),
        );
    }

    #[test]
    fn a_name_of_invalid_utf8() {
        check(
            b"400000-401000 r-xp 00000000 fd:01 99 /tmp/\xff\xfe\n",
            Some(Place::File),
        );
    }

    #[test]
    fn rubbish_is_skipped() {
        check(b"", None);
        check(b"zz-yy r-xp 0 0 0 /x", None);
        check(b"400000 r-xp 0 0 0 /x", None);
    }

    #[test]
    fn addresses_are_found_by_range() {
        let text = "1000-2000 r-xp 0 0:0 0 /a\n3000-4000 r-xp 0 0:0 0 \n";
        let map = CodeMap::read(text.as_bytes(), nothing).unwrap();
        let places = [0xfff, 0x1000, 0x1fff, 0x2000, 0x3000, 0x4000].map(|ip| map.place(ip));
        assert_eq!(
            places,
            [
                Place::Unknown,
                Place::File,
                Place::File,
                Place::Unknown,
                Place::Anonymous,
                Place::Unknown
            ]
        );
    }

    #[test]
    fn files_are_named_cleaned_and_bounded() {
        let text = b"1000-2000 r-xp 0 0:0 0 /a\n3000-4000 r-xp 0 0:0 0 /b\x1b[2J\n5000-6000 r-xp 0 0:0 0 \n";
        let map = CodeMap::read(&text[..], nothing).unwrap();
        assert_eq!(map.name(0x1000), Some("/a"));
        assert_eq!(map.name(0x3000), Some("/b\\x1b[2J"));
        assert_eq!((map.name(0x5000), map.name(0x9000)), (None, None));

        let lines = (0..=MAX_NAMES).map(|n| format!("{n:x}000-{n:x}fff r-xp 0 0:0 0 /{n}"));
        let map = CodeMap::read(lines.collect::<Vec<_>>().join("\n").as_bytes(), nothing).unwrap();
        assert_eq!(map.names.len(), MAX_NAMES);
        assert_eq!(map.name((MAX_NAMES as u64) << 12), None);
    }

    #[test]
    fn ranges_are_bounded() {
        let lines = (0..=MAX_RANGES).map(|n| format!("{n:x}000-{n:x}fff r-xp 0 0:0 0 /a"));
        let text = lines.collect::<Vec<_>>().join(
            "
",
        );
        let map = CodeMap::read(text.as_bytes(), nothing).unwrap();
        assert_eq!((map.ranges.len(), map.truncated), (MAX_RANGES, true));
    }
}
