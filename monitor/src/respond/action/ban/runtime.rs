//! Programs that run other people's programs, and the system's own under other
//! names.
//!
//! A ban is by content, so a ban of a copy of Python in a user's home would be a
//! ban of all such copies. What is recognised here by content can be forged: a
//! miner with an interpreter's marks in it is killed each time, but not banned.
//! Nothing here protects a process from being killed.

use std::{
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use memchr::memmem;

use crate::host::digest::{self, Digest};

/// Names that only the program itself has in it: of a function it exports, or a
/// variable it sets.
const MARKS: [&str; 15] = [
    "Py_BytesMain",
    "PyEval_EvalFrameDefault",
    "perl_parse",
    "ruby_run_node",
    "ruby_init_stack",
    "zend_execute_scripts",
    "lua_pcall",
    "napi_create_function",
    "JLI_Launch",
    "mono_jit_exec",
    "hostfxr_main",
    "BASH_VERSINFO",
    "ZSH_VERSION",
    "KSH_VERSION",
    "BusyBox v",
];
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Bytes of one chunk that are looked at again with the next: longer than a mark.
const OVERLAP: usize = 64;
/// Where a system keeps its programs. Only their first level is looked at.
const FOLDERS: [&str; 6] = [
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// Whether a file has a mark of something that runs other people's programs. One
/// that cannot be read has.
pub(super) fn has_marks(file: &File) -> bool {
    let finders = MARKS.map(memmem::Finder::new);
    let mut chunk = vec![0; OVERLAP + CHUNK];
    let (mut kept, mut at) = (0, 0);
    loop {
        let read = match file.read_at(&mut chunk[kept..], at) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(_) => return true,
        };
        let filled = kept + read;
        let found = |finder: &memmem::Finder<'_>| finder.find(&chunk[..filled]).is_some();
        if finders.iter().any(found) {
            return true;
        }
        at += read as u64;
        kept = filled.min(OVERLAP);
        chunk.copy_within(filled - kept..filled, 0);
    }
}

/// Whether the system has the same file among its own programs.
pub(super) fn is_the_systems(size: u64, digest: Digest) -> bool {
    FOLDERS
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .any(|entry| is_same(&entry.path(), size, digest))
}

fn is_same(path: &Path, size: u64, digest: Digest) -> bool {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let meta = std::fs::metadata(path);
    let may = meta.is_ok_and(|meta| {
        meta.is_file()
            && meta.len() == size
            && meta.uid() == 0
            && meta.mode() & WRITABLE_BY_OTHERS == 0
    });
    may && File::open(path).is_ok_and(|file| digest::of(&file) == Ok(digest))
}

/// Whether a file is called like something that runs other people's programs,
/// with or without a version. A name is worth nothing by itself: it counts
/// only for a file that is root's (a container's own Python, for one, which has
/// the same bytes as all other copies).
pub(super) fn is_called_like_one(path: &Path) -> bool {
    const RUNTIMES: [&str; 42] = [
        "ash",
        "bash",
        "beam.smp",
        "bun",
        "busybox",
        "chrome",
        "chromium",
        "dash",
        "deno",
        "dotnet",
        "electron",
        "env",
        "firefox",
        "firefox-bin",
        "fish",
        "gawk",
        "guile",
        "java",
        "julia",
        "ksh",
        "ld-linux-aarch64.so",
        "ld-linux-x86-64.so",
        "ld-musl-x86_64.so",
        "lua",
        "luajit",
        "mawk",
        "mono",
        "msedge",
        "node",
        "nodejs",
        "perl",
        "php",
        "php-fpm",
        "pypy",
        "python",
        "qemu-x86_64",
        "ruby",
        "sh",
        "toybox",
        "wine64-preloader",
        "wine-preloader",
        "zsh",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    RUNTIMES.contains(&name) || RUNTIMES.contains(&bare)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[track_caller]
    fn check(before: usize, mark: &str, after: usize, expected: bool) {
        let content = [&vec![b'x'; before], mark.as_bytes(), &vec![b'y'; after]].concat();
        assert_eq!(has_marks(&file(&content)), expected);
    }

    #[test]
    fn a_mark_is_found_wherever_it_is() {
        check(0, "Py_BytesMain", 0, true);
        check(3 * CHUNK, "JLI_Launch", 5, true);
        for before in CHUNK - 10..CHUNK + OVERLAP + 10 {
            check(before, "BusyBox v", CHUNK, true);
        }
    }

    #[test]
    fn what_has_none_is_none() {
        check(0, "", 0, false);
        check(3 * CHUNK + 7, "Py_Bytes", 0, false);
    }

    #[test]
    fn a_copy_of_the_shell_is_the_systems() {
        let shell = File::open("/bin/sh").unwrap();
        let digest = digest::of(&shell).unwrap();
        assert!(is_the_systems(shell.metadata().unwrap().len(), digest));
        assert!(!is_the_systems(
            shell.metadata().unwrap().len(),
            Digest([7; 32])
        ));
    }
}
