//! The inputs that every program of the corpus may use: `big`, `text` and
//! `big.c`. Real bytes, since what a compressor or a parser executes depends
//! on what it reads.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::place::Place;

/// Bytes of `big`.
const BIG: u64 = 512 << 20;
/// Bytes of `text`.
const TEXT: u64 = 64 << 20;
/// At most this much of one file, so that no single one makes up the input.
const BIG_PIECE: usize = 8 << 20;
/// The same of a text.
const TEXT_PIECE: usize = 256 << 10;
/// Functions of `big.c`: gcc -O2 takes about 17 ms for each on a core of 2020.
const FUNCTIONS: u32 = 400;

/// Makes what is not there yet.
pub(super) fn make(place: &Place) -> Result<()> {
    let host = ["/usr/bin", "/usr/sbin", "/usr/lib"].map(PathBuf::from);
    let mut texts = vec![place.repo.clone()];
    texts.extend(
        [
            "/usr/share/doc",
            "/usr/share/perl",
            "/usr/include",
            "/usr/lib",
        ]
        .map(PathBuf::from),
    );
    let gather = |name: &str, size, dirs: &[PathBuf], piece, wanted: fn(&Path, &[u8]) -> bool| {
        let file = place.corpus.join(name);
        if fs::metadata(&file).is_ok_and(|meta| meta.len() == size) {
            return Ok(());
        }
        eprintln!("corpus: making {} ({} MiB)", file.display(), size >> 20);
        replace(&file, |out| collect(out, size, dirs, piece, wanted))
    };
    gather("big", BIG, &host, BIG_PIECE, is_machine_code)?;
    gather("text", TEXT, &texts, TEXT_PIECE, is_text)?;
    let source = place.corpus.join("big.c");
    if source.is_file() {
        return Ok(());
    }
    eprintln!("corpus: making {}", source.display());
    replace(&source, |out| Ok(out.write_all(c_source().as_bytes())?))
}

/// Writes a file that is either complete or not there.
fn replace(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let part = file.with_added_extension("part");
    let mut out = BufWriter::new(
        File::create(&part).with_context(|| format!("cannot write {}", part.display()))?,
    );
    write(&mut out)?;
    out.flush()?;
    fs::rename(&part, file)?;
    Ok(())
}

/// Concatenates files, the same again if there are too few.
fn collect(
    out: &mut dyn Write,
    size: u64,
    dirs: &[PathBuf],
    piece: usize,
    wanted: fn(&Path, &[u8]) -> bool,
) -> Result<()> {
    let mut files = Vec::new();
    for dir in dirs {
        walk(dir, &mut files);
    }
    let mut left = size;
    while left > 0 {
        let before = left;
        for file in &files {
            // What cannot be read is not for us.
            let Ok(mut bytes) = fs::read(file) else {
                continue;
            };
            if !wanted(file, &bytes) {
                continue;
            }
            bytes.truncate(piece.min(usize::try_from(left)?));
            out.write_all(&bytes)?;
            left -= bytes.len() as u64;
            if left == 0 {
                break;
            }
        }
        ensure!(left < before, "no such file in any of {dirs:?}");
    }
    Ok(())
}

/// Regular files below a directory, in order; links are not followed.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        // What cargo builds and git keeps is neither host nor text.
        if meta.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            walk(&path, files);
        } else if meta.is_file() && meta.len() > 0 {
            files.push(path);
        }
    }
}

fn is_machine_code(_: &Path, bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

fn is_text(path: &Path, bytes: &[u8]) -> bool {
    let extension = path.extension().and_then(|ext| ext.to_str()).unwrap_or("");
    let named = ["h", "md", "pl", "pm", "pod", "py", "rs", "rst", "txt"].contains(&extension);
    (named || path.ends_with("copyright") || path.ends_with("README"))
        && !bytes.contains(&0)
        && std::str::from_utf8(bytes).is_ok()
}

/// C that an optimising compiler has work with: loops to unroll and to
/// vectorise, switches, and calls to inline. The same every time.
fn c_source() -> String {
    let mut text = String::from("#include <stddef.h>\n#include <stdint.h>\n\n");
    // A linear congruence with Knuth's constants for MMIX.
    let mut state = 1_u64;
    let mut draw = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for number in 0..FUNCTIONS {
        let _ = write!(
            text,
            "double f{number}(double *restrict a, const double *restrict b, uint32_t *u, size_t n)\n{{\n\
             \tdouble sum = {};\n\tuint32_t mix = {}u;\n\
             \tfor (size_t i = 0; i < n; i++) {{\n\
             \t\ta[i] = a[i] * b[i] + {}.5 * b[n - 1 - i];\n\t\tsum += a[i] - b[i] / {}.0;\n\t}}\n\
             \tfor (size_t i = 0; i < n; i++) {{\n\t\tmix ^= u[i] << {} | u[i] >> {};\n\
             \t\tswitch (mix & 7) {{\n",
            draw(100),
            draw(1 << 31),
            draw(50),
            draw(50) + 1,
            draw(30) + 1,
            draw(30) + 1,
        );
        for case in 0..7 {
            let _ = writeln!(
                text,
                "\t\tcase {case}: mix = mix * {}u + {}u; u[i % {}] {} mix; break;",
                draw(1 << 20) | 1,
                draw(1 << 31),
                draw(64) + 1,
                ["+=", "-=", "^=", "|="][usize::try_from(draw(4)).unwrap_or(0)],
            );
        }
        let _ = writeln!(
            text,
            "\t\tdefault: sum += (double)mix / {}.0;\n\t\t}}\n\t}}",
            draw(1000) + 1
        );
        if number > 0 {
            let callee = draw(u64::from(number));
            let _ = writeln!(
                text,
                "\tif (mix % {} == 0)\n\t\tsum += f{callee}(a, b, u, n / 2);",
                draw(90) + 7
            );
        }
        text.push_str("\treturn sum + mix;\n}\n\n");
    }
    text
}
