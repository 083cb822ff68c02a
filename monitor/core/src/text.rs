//! Makes bytes that came from a monitored process safe to print.
//!
//! Names, paths and command lines are chosen by the process, and a miner
//! chooses them to hurt: escape codes that repaint a terminal, newlines that
//! forge a log line, bidirectional overrides that swap the ends of a path.
//! Bytes flow in from `/proc` and the probes; what flows out is one line of
//! visible characters, bounded, from which the bytes can still be told apart.
//! Nothing else about the text is believed or interpreted.

use std::fmt::{self, Write as _};

/// Ends a text that was cut short.
const ELLIPSIS: char = '…';

/// Turns hostile `bytes` into one line of at most `max` characters.
///
/// | in | out |
/// |---|---|
/// | invalid UTF-8, ASCII control characters | `\xNN`, a byte each |
/// | `\` | `\\` |
/// | every other character without a visible shape of its own | `\u{…}` |
/// | the rest, quotes among it | unchanged |
///
/// The third row holds C1 controls, bidirectional and zero-width characters,
/// line and paragraph separators, foreign spaces, combining marks, private and
/// unassigned code points. A text that does not fit ends in `…`, never inside
/// an escape. Work is bounded by `max`, not by the input.
#[must_use]
pub fn clean(bytes: &[u8], max: usize) -> String {
    let mut line = Line::new(max);
    // Every input byte yields at least a quarter of a character, so more than
    // this cannot fit. The extra bytes keep "does not fit" visible.
    let bytes = &bytes[..bytes.len().min(max.saturating_mul(4).saturating_add(8))];
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !line.push(&escape(c)) {
                return line.text;
            }
        }
        for byte in chunk.invalid() {
            if !line.push(&format!("\\x{byte:02x}")) {
                return line.text;
            }
        }
    }
    line.text
}

/// Cleans a text that was cleaned before, and went through a file that any user may
/// have written: what was escaped is not escaped again.
#[must_use]
pub fn cleaned_again(text: &str, max: usize) -> String {
    let mut line = Line::new(max);
    for c in text.chars() {
        let piece = if c == '\\' { c.to_string() } else { escape(c) };
        if !line.push(&piece) {
            break;
        }
    }
    line.text
}

fn escape(c: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c if is_visible(c) => c.to_string(),
        c => c.escape_unicode().to_string(),
    }
}

fn is_visible(c: char) -> bool {
    match c {
        // `escape_debug` escapes quotes for Rust's sake; they are harmless.
        '"' | '\'' => true,
        // Letters and a symbol by category, blanks by shape.
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => false,
        // The standard library's table of printable characters: a code point
        // newer than the table counts as invisible, the safe side.
        c => c.escape_debug().len() == 1,
    }
}

/// A text under construction that never exceeds its bound.
struct Line {
    text: String,
    chars: usize,
    max: usize,
    /// Byte offset of the last place where the ellipsis still fits.
    cut: usize,
}

impl Line {
    fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            chars: 0,
            max,
            cut: 0,
        }
    }

    /// Appends `piece` whole, or ends the text and returns false.
    fn push(&mut self, piece: &str) -> bool {
        let chars = self.chars + piece.chars().count();
        if chars > self.max {
            self.text.truncate(self.cut);
            if self.max > 0 {
                self.text.push(ELLIPSIS);
            }
            return false;
        }
        self.text.push_str(piece);
        self.chars = chars;
        if chars < self.max {
            self.cut = self.text.len();
        }
        true
    }
}

/// A text on one line.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            f.write_char(if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            })
        })
    }
}

/// A text whose end cannot be forged by what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Plain(&self.0.replace('"', "\\\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: impl AsRef<[u8]>, expected: &str) {
        assert_eq!(clean(input.as_ref(), 64), expected);
    }

    #[test]
    fn ordinary_text_is_unchanged() {
        check("/usr/bin/python3.11 -O", "/usr/bin/python3.11 -O");
        check("grün 日本 ñ", "grün 日本 ñ");
    }

    #[test]
    fn quotes_stay() {
        check(r#"a"b'c"#, r#"a"b'c"#);
    }

    #[test]
    fn backslash_is_doubled_so_that_escapes_cannot_be_forged() {
        check(r"\x1b", r"\\x1b");
    }

    #[test]
    fn what_was_cleaned_is_not_escaped_again_and_the_rest_is() {
        let once = clean(b"a\\b\x1b\xff", 64);
        assert_eq!(cleaned_again(&once, 64), once);
        assert_eq!(cleaned_again("a\x1b[2J\u{202e}", 64), r"a\x1b[2J\u{202e}");
        assert_eq!(cleaned_again("abcdef", 4), "abc…");
    }

    #[test]
    fn terminal_escape_codes() {
        check("\x1b[2J\x1b]0;x\x07", r"\x1b[2J\x1b]0;x\x07");
    }

    #[test]
    fn newline_tab_nul_and_delete() {
        check("a\nb\r\tc\0\x7f", r"a\x0ab\x0d\x09c\x00\x7f");
    }

    #[test]
    fn c1_control_in_utf8() {
        check("\u{9b}31m", r"\u{9b}31m");
    }

    #[test]
    fn invalid_utf8_byte_by_byte() {
        check(b"a\xff\xc3(\xe2\x82", r"a\xff\xc3(\xe2\x82");
    }

    #[test]
    fn right_to_left_override_and_isolates() {
        check("a\u{202e}exe\u{2066}b", r"a\u{202e}exe\u{2066}b");
    }

    #[test]
    fn zero_width_and_other_invisible_characters() {
        check(
            "a\u{200b}\u{200d}\u{feff}\u{ad}b",
            r"a\u{200b}\u{200d}\u{feff}\u{ad}b",
        );
        check("\u{3164}\u{e0041}\u{fe0f}", r"\u{3164}\u{e0041}\u{fe0f}");
    }

    #[test]
    fn line_separators_and_foreign_spaces() {
        check("a\u{2028}b\u{2029}c\u{a0}d", r"a\u{2028}b\u{2029}c\u{a0}d");
    }

    #[test]
    fn four_kibibytes_are_cut_with_an_ellipsis() {
        let path = "/".repeat(4096);
        let cleaned = clean(path.as_bytes(), 64);
        assert_eq!(cleaned.chars().count(), 64);
        assert!(cleaned.ends_with("/…"), "{cleaned}");
    }

    #[test]
    fn a_text_that_just_fits_is_not_cut() {
        assert_eq!(clean(b"abcd", 4), "abcd");
        assert_eq!(clean(b"abcde", 4), "abc…");
    }

    #[test]
    fn an_escape_is_never_cut_in_half() {
        assert_eq!(clean(b"ab\x1b", 5), "ab…");
        assert_eq!(clean(b"ab\x1b", 6), r"ab\x1b");
    }

    #[test]
    fn four_byte_characters_up_to_the_bound() {
        assert_eq!(clean("😀😀😀".as_bytes(), 3), "😀😀😀");
        assert_eq!(clean("😀".repeat(100).as_bytes(), 3), "😀😀…");
    }

    #[test]
    fn no_room_at_all() {
        assert_eq!(clean(b"abc", 0), "");
        assert_eq!(clean(b"abc", 1), "…");
        assert_eq!(clean(b"", 0), "");
    }
}
