//! What a recording is of, and how the recording is called.

use std::fmt;

use super::manifest::Program;

/// How a program with variants is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// Threads that work.
    pub(super) threads: u32,
    /// Percent of the time in which they do.
    pub(super) duty: u32,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}d{}", self.threads, self.duty)
    }
}

/// All variants: more threads, and the throttling with which miners hide.
pub(super) const VARIANTS: [Variant; 4] = [
    Variant::of(1, 100),
    Variant::of(2, 100),
    Variant::of(1, 30),
    Variant::of(1, 10),
];

impl Variant {
    const fn of(threads: u32, duty: u32) -> Self {
        Self { threads, duty }
    }
}

/// What a recording is of: a program, in one of its variants if it has any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The program.
    pub(super) program: &'a Program,
    /// None when the program has none.
    pub(super) variant: Option<Variant>,
}

impl Subject<'_> {
    /// The name of its recording, without the extension: unique, and without
    /// spaces.
    #[must_use]
    pub(super) fn stem(&self) -> String {
        let name = stem(&self.program.name);
        match self.variant {
            Some(variant) => format!("{name}@{variant}"),
            None => name,
        }
    }

    /// The shell text that runs it once.
    #[must_use]
    pub(super) fn run(&self) -> String {
        let run = &self.program.run;
        match self.variant {
            Some(variant) => run
                .replace("{threads}", &variant.threads.to_string())
                .replace("{duty}", &variant.duty.to_string()),
            None => run.clone(),
        }
    }
}

/// A name as that of a file.
pub(super) fn stem(name: &str) -> String {
    name.replace(' ', "_")
}
