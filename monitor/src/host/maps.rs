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
    names: Vec<String>,
    /// A bound was hit: there is more than was kept.
    pub truncated: bool,
}

impl CodeMap {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(file: impl Read) -> io::Result<Self> {
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
            let Some((start, end, place, name)) = parse(&line) else {
                continue;
            };
            if map.ranges.len() == MAX_RANGES {
                map.truncated = true;
                break;
            }
            let name = map.keep(name);
            map.ranges.push(Range {
                start,
                end,
                place,
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
        self.names.get(name).map(String::as_str)
    }

    fn find(&self, ip: u64) -> Option<&Range> {
        let after = self.ranges.partition_point(|range| range.start <= ip);
        self.ranges[..after].last().filter(|range| ip < range.end)
    }

    /// The index of a name, kept if there is room.
    fn keep(&mut self, name: &[u8]) -> Option<usize> {
        if name.is_empty() {
            return None;
        }
        let name = clean(name, NAME_CHARS);
        let known = self.names.iter().position(|known| *known == name);
        if known.is_some() || self.names.len() == MAX_NAMES {
            return known;
        }
        self.names.push(name);
        Some(self.names.len() - 1)
    }
}

/// One line, if it is of an executable mapping:
/// `start-end rwxp offset dev inode   path`.
fn parse(line: &[u8]) -> Option<(u64, u64, Place, &[u8])> {
    let line = line.trim_ascii_end();
    let (range, rest) = cut(line)?;
    let (perms, rest) = cut(rest)?;
    if perms.get(2) != Some(&b'x') {
        return None;
    }
    let (_offset, rest) = cut(rest)?;
    let (_device, rest) = cut(rest)?;
    let (_inode, path) = cut(rest).unwrap_or((rest, b""));
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
    let (start, end) = (hex(&range[..dash])?, hex(&range[dash + 1..])?);
    Some((start, end, place, path))
}

/// The text up to the next space, and what follows it.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &[u8], expected: Option<Place>) {
        assert_eq!(parse(line).map(|(_, _, place, _)| place), expected);
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
        let map = CodeMap::read(text.as_bytes()).unwrap();
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
        let map = CodeMap::read(&text[..]).unwrap();
        assert_eq!(map.name(0x1000), Some("/a"));
        assert_eq!(map.name(0x3000), Some("/b\\x1b[2J"));
        assert_eq!((map.name(0x5000), map.name(0x9000)), (None, None));

        let lines = (0..=MAX_NAMES).map(|n| format!("{n:x}000-{n:x}fff r-xp 0 0:0 0 /{n}"));
        let map = CodeMap::read(lines.collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
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
        let map = CodeMap::read(text.as_bytes()).unwrap();
        assert_eq!((map.ranges.len(), map.truncated), (MAX_RANGES, true));
    }
}
