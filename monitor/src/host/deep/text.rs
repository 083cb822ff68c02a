//! What a process has in its folder of `/proc`, as bounded lists of cleaned text.
//! Pure.

use serde::Serialize;

use unjack_core::text::clean;

/// Characters of one text: a path as long as the kernel takes.
pub(super) const CHARS: usize = 4096;
/// Arguments, and names in the environment, that are kept.
pub(super) const MAX_WORDS: usize = 256;

/// A list and what is to be known about its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bounded<T> {
    /// What was kept.
    pub kept: Vec<T>,
    /// There was more.
    pub cut: bool,
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            cut: false,
        }
    }
}

impl<T> Bounded<T> {
    /// Keeps at most `most`.
    pub(super) fn of(items: impl IntoIterator<Item = T>, most: usize) -> Self {
        let mut items = items.into_iter();
        let kept = items.by_ref().take(most).collect();
        Self {
            kept,
            cut: items.next().is_some(),
        }
    }
}

/// The text of `/proc/PID/maps`. It is cleaned when there is time: it may be
/// megabytes, and the process may be held meanwhile.
#[derive(Clone, Debug, Default)]
pub struct MapsText {
    pub(super) bytes: Vec<u8>,
    /// There was more.
    pub cut: bool,
}

impl MapsText {
    /// The text, cleaned, a line for a mapping.
    #[must_use]
    pub fn cleaned(&self) -> String {
        let mut text = String::with_capacity(self.bytes.len());
        for line in self.bytes.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                text.push_str(&clean(line, CHARS));
                text.push('\n');
            }
        }
        text
    }
}

pub(super) fn cut_at_bound<T>(list: Bounded<T>, cut: bool) -> Bounded<T> {
    Bounded {
        cut: list.cut || cut,
        ..list
    }
}

/// Strings that end in NUL, those `keep` makes something of.
pub(super) fn words(bytes: &[u8], keep: fn(&[u8]) -> Option<&[u8]>) -> Bounded<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let words = bytes.split(|byte| *byte == 0).filter_map(keep);
    Bounded::of(words.map(|word| clean(word, CHARS)), MAX_WORDS)
}

/// The name of a variable. A process may have overwritten its environment with
/// anything, and half a value must not pass for a name.
pub(super) fn variable_name(word: &[u8]) -> Option<&[u8]> {
    /// Characters of the longest name there is a reason for.
    const LONGEST: usize = 128;
    let end = word.iter().position(|byte| *byte == b'=')?;
    let name = &word[..end];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (!name.is_empty() && name.len() <= LONGEST && name.iter().all(is_name)).then_some(name)
}

/// What a variable is set to in an environment. Of two the first counts, as for
/// getenv.
pub(super) fn value_of<'a>(name: &str, environment: &'a [u8]) -> Option<&'a [u8]> {
    let mut words = environment.split(|byte| *byte == 0);
    words.find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Whether SIGKILL is pending, in `/proc/PID/status`: for the process or its first
/// thread. A process's name is in the same file, in one line: the kernel escapes it.
pub(super) fn awaits_kill(status: &[u8]) -> bool {
    const KILL: u64 = 1 << (libc::SIGKILL - 1);
    status.split(|byte| *byte == b'\n').any(|line| {
        let signals = (line.strip_prefix(b"SigPnd:\t")).or(line.strip_prefix(b"ShdPnd:\t"));
        let signals = signals.and_then(|hex| str::from_utf8(hex).ok());
        signals.is_some_and(|hex| u64::from_str_radix(hex, 16).is_ok_and(|set| set & KILL != 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ProcHandle;

    #[test]
    fn a_pending_sigkill_is_seen() {
        let status = |set: &str| format!("Name:\tx\nSigPnd:\t{set}\nShdPnd:\t{set}\n");
        assert!(awaits_kill(status("0000000000000100").as_bytes()));
        assert!(!awaits_kill(status("0000000000000200").as_bytes()));
        assert!(!awaits_kill(b""));
        assert!(
            !ProcHandle::open_pid(std::process::id())
                .unwrap()
                .is_killed()
        );
    }

    #[test]
    fn arguments_are_cleaned_and_bounded() {
        let list = words(b"a\0b\n\x1b[2J\xff\0\0", |word| Some(word));
        assert_eq!(list.kept, ["a", r"b\x0a\x1b[2J\xff", ""]);
        assert!(!list.cut);
        let many = b"x\0".repeat(MAX_WORDS + 1);
        let list = words(&many, |word| Some(word));
        assert_eq!((list.kept.len(), list.cut), (MAX_WORDS, true));
    }

    #[test]
    fn of_the_environment_only_names_are_kept() {
        let list = words(
            b"PATH=/bin\0TOKEN=hunter2\0hunter2\0pass word=x\0=y\0A=b=c\0",
            variable_name,
        );
        assert_eq!(list.kept, ["PATH", "TOKEN", "A"]);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = b"ACTION_X=1\0MY_ACTION=2\0ACTION=kill\0ACTION=no\0EMPTY=\0";
        let value = |name| value_of(name, environment);
        assert_eq!(value("ACTION"), Some(&b"kill"[..]));
        assert_eq!(value("EMPTY"), Some(&b""[..]));
        assert_eq!(value("ACT"), None);
    }
}
