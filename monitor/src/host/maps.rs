//! `/proc/PID/maps` to the kinds of memory code lies in.
//!
//! The process chooses how many mappings it has and what their files are
//! called. Only executable ones are kept, at most [`MAX_RANGES`] of them, from
//! at most [`MAX_BYTES`] of text; what lies beyond is [`Place::Unknown`]. Of
//! the files [`MAX_FILES`] are kept, each by its name, cleaned, with its device
//! and inode: in a mount namespace of its own a process can have any file under
//! any name, and inodes of its choice on a file system of its own. For a file
//! beyond them it is not checked whether it is the host's own, and of the
//! names [`MAX_NAMES`] bytes are kept.

use std::{
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::fs::makedev;

use super::Image;
use unjack_core::{profile::Place, text::clean};

/// Executable ranges kept.
pub const MAX_RANGES: usize = 4096;
/// Files kept: a program's own and its libraries. Debian's ffmpeg has 215.
pub const MAX_FILES: usize = 512;
/// Bytes of their names, all together.
pub const MAX_NAMES: usize = 24 << 10;
/// Characters of a name.
const NAME_CHARS: usize = 256;
/// Bytes of the file that are read.
pub const MAX_BYTES: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    end: u64,
    place: Place,
    /// Index into the files.
    file: Option<usize>,
}

/// A mapped file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    /// None if there was no room for it.
    name: Option<String>,
    image: Image,
    /// It is one of the host's own libraries.
    system: bool,
}

/// The executable ranges of one process, in order of address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeMap {
    ranges: Vec<Range>,
    files: Vec<File>,
    /// Bytes of the names.
    names: usize,
    /// A bound was hit: there is more than was kept.
    pub truncated: bool,
}

impl CodeMap {
    /// Reads the file's text. `look` is asked, once for each file, which it is,
    /// and whether it is one of the host's own libraries. One that is another than
    /// the text says is asked about with every mapping: there the text does not
    /// tell files apart.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(
        file: impl Read,
        mut look: impl FnMut(&Mapping<'_>) -> (Image, bool),
    ) -> io::Result<Self> {
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
            let file = map.keep(&mapping, &mut look);
            let system = file.is_some_and(|file| map.files[file].system);
            map.ranges.push(Range {
                start: mapping.start,
                end: mapping.end,
                place: match mapping.place {
                    Place::File if system => Place::System,
                    place => place,
                },
                file,
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

    /// The name of the file mapped at an address, cleaned; `None` if there is none,
    /// or it was not kept.
    #[must_use]
    pub fn name(&self, ip: u64) -> Option<&str> {
        self.file(ip)?.name.as_deref()
    }

    /// The file mapped at an address, whatever it is called; `None` as above.
    #[must_use]
    pub fn image(&self, ip: u64) -> Option<Image> {
        self.file(ip).map(|file| file.image)
    }

    fn file(&self, ip: u64) -> Option<&File> {
        self.files.get(self.find(ip)?.file?)
    }

    fn find(&self, ip: u64) -> Option<&Range> {
        let after = self.ranges.partition_point(|range| range.start <= ip);
        self.ranges[..after].last().filter(|range| ip < range.end)
    }

    /// The index of a mapping's file, kept if there is room.
    fn keep(
        &mut self,
        mapping: &Mapping<'_>,
        mut look: impl FnMut(&Mapping<'_>) -> (Image, bool),
    ) -> Option<usize> {
        if mapping.path.is_empty() {
            return None;
        }
        let name = Some(clean(mapping.path, NAME_CHARS));
        let known =
            (self.files.iter()).position(|known| known.image == mapping.file && known.name == name);
        if known.is_some() {
            return known;
        }
        if self.files.len() == MAX_FILES {
            self.truncated = true;
            return None;
        }
        let (image, system) = if mapping.path.starts_with(b"/") {
            look(mapping)
        } else {
            (mapping.file, false)
        };
        let name = name.filter(|name| self.names + name.len() <= MAX_NAMES);
        self.names += name.as_ref().map_or(0, String::len);
        self.files.push(File {
            name,
            image,
            system,
        });
        Some(self.files.len() - 1)
    }
}

/// An executable mapping.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a> {
    /// Its first address.
    pub start: u64,
    /// The one after its last.
    pub end: u64,
    /// The kind of memory.
    pub place: Place,
    /// Its file, as the text has it: of btrfs and overlayfs `stat` shows another
    /// device, and of the latter perhaps another inode.
    pub file: Image,
    /// The file's path: hostile.
    pub path: &'a [u8],
}

/// A path as a [`Mapping`] has it: of all characters line breaks alone are escaped
/// (`show_map_vma`, `fs/proc/task_mmu.c`), and spaces at its end are lost.
#[must_use]
pub fn written(path: &Path) -> Vec<u8> {
    let lines: Vec<_> = path.as_os_str().as_bytes().split(|b| *b == b'\n').collect();
    let path = lines.join(&br"\012"[..]);
    path.trim_ascii_end().to_vec()
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
    let (device, rest) = cut(rest)?;
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
        file: Image {
            device: parse_device(device)?,
            inode: str::from_utf8(inode).ok()?.parse().ok()?,
        },
        path,
    })
}

/// `major:minor`, in hexadecimal.
fn parse_device(text: &[u8]) -> Option<u64> {
    let (major, minor) = str::from_utf8(text).ok()?.split_once(':')?;
    let hex = |digits| u32::from_str_radix(digits, 16).ok();
    Some(makedev(hex(major)?, hex(minor)?))
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
    fn nothing(mapping: &Mapping<'_>) -> (Image, bool) {
        (mapping.file, false)
    }

    fn image(major: u32, minor: u32, inode: u64) -> Image {
        Image {
            device: makedev(major, minor),
            inode,
        }
    }

    #[test]
    fn the_hosts_own_libraries_are_told_apart() {
        let text = "1000-2000 r-xp 0 8:1 7 /usr/bin/a\n3000-4000 r-xp 0 8:1 8 /usr/lib/b.so\n\
                    5000-6000 r-xp 0 8:1 8 /usr/lib/b.so (deleted)\n7000-8000 r-xp 0 0:0 0 [vdso]\n";
        let look = |mapping: &Mapping<'_>| {
            let system = mapping.path.starts_with(b"/usr/lib") && mapping.file == image(8, 1, 8);
            (mapping.file, system)
        };
        let map = CodeMap::read(text.as_bytes(), look).unwrap();
        let places = [0x1000, 0x3000, 0x5000, 0x7000].map(|ip| map.place(ip));
        assert_eq!(
            places,
            [Place::File, Place::System, Place::Deleted, Place::File]
        );
    }

    #[test]
    fn a_file_mounted_over_a_library_is_another() {
        let text = "1000-2000 r-xp 0 fd:0a 8 /usr/lib/b.so\n\
                    3000-4000 r-xp 0 0:2d 8 /usr/lib/b.so\n\
                    5000-6000 r-xp 0 fd:0a 9 /usr/lib/b.so\n";
        let own = image(0xfd, 10, 8);
        let map = CodeMap::read(text.as_bytes(), |mapping| {
            (mapping.file, mapping.file == own)
        })
        .unwrap();
        let places = [0x1000, 0x3000, 0x5000].map(|ip| map.place(ip));
        assert_eq!(places, [Place::System, Place::File, Place::File]);
        let images = [0x1000, 0x3000, 0x5000].map(|ip| map.image(ip));
        let expected = [own, image(0, 0x2d, 8), image(0xfd, 10, 9)];
        assert_eq!(images, expected.map(Some));
    }

    #[test]
    fn a_file_is_asked_about_once() {
        let text = "1000-2000 r-xp 0 8:1 8 /b\n3000-4000 r-xp 0 8:1 8 /b\n";
        let mut asked = 0;
        let map = CodeMap::read(text.as_bytes(), |mapping| {
            asked += 1;
            (mapping.file, false)
        });
        assert_eq!((asked, map.unwrap().files.len()), (1, 1));
    }

    #[test]
    fn a_file_that_the_text_does_not_tell_is_asked_about_each_time() {
        let text = "1000-2000 r-xp 0 0:20 8 /b\n3000-4000 r-xp 0 0:20 8 /b\n";
        let map = CodeMap::read(text.as_bytes(), |mapping| {
            (image(0, 0x30, mapping.start), mapping.start == 0x1000)
        });
        let map = map.unwrap();
        let places = [0x1000, 0x3000].map(|ip| map.place(ip));
        assert_eq!(places, [Place::System, Place::File]);
        assert_eq!(map.image(0x3000), Some(image(0, 0x30, 0x3000)));
    }

    #[test]
    fn paths_are_compared_as_they_are_written() {
        let check = |path: &str, expected: &[u8]| assert_eq!(written(Path::new(path)), expected);
        check("/usr/bin/a b\\", b"/usr/bin/a b\\");
        check("/tmp/a\nb\n", br"/tmp/a\012b\012");
        check("/tmp/a ", b"/tmp/a");
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
        check(b"400000-401000 r-xp 0 0 0 /x", None);
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
        assert_eq!((map.image(0x5000), map.image(0x9000)), (None, None));

        let lines = (0..=MAX_FILES).map(|n| format!("{n:x}000-{n:x}fff r-xp 0 0:0 0 /{n}"));
        let map = CodeMap::read(lines.collect::<Vec<_>>().join("\n").as_bytes(), nothing).unwrap();
        assert_eq!((map.files.len(), map.truncated), (MAX_FILES, true));
        assert_eq!(map.name((MAX_FILES as u64) << 12), None);
    }

    /// Debian's ffmpeg has 215 libraries, and what it encodes with is none of the
    /// first.
    #[test]
    fn the_hosts_own_is_told_of_files_whose_names_are_not_kept() {
        let long = "x".repeat(NAME_CHARS - 20);
        let line = |n| format!("{n:x}000-{n:x}fff r-xp 0 0:0 0 /usr/lib/{long}{n}");
        let lines: Vec<_> = (1..MAX_FILES).map(line).collect();
        let own = |mapping: &Mapping<'_>| (mapping.file, true);
        let map = CodeMap::read(lines.join("\n").as_bytes(), own).unwrap();
        let last = (MAX_FILES as u64 - 1) << 12;
        assert_eq!((map.place(last), map.name(last)), (Place::System, None));
        assert!(map.name(0x1000).is_some() && map.names <= MAX_NAMES);
        assert!(!map.truncated);
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
