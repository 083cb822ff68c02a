//! One look at a process for evidence: everything that is gone with it.

use std::{fs::File, io};

use serde::Serialize;

use crate::host::{
    Image, LookError, ProcHandle,
    deep::{Ancestor, Bounded, MapsText},
    sockets::Socket,
};
use unjack_core::event::Process;

/// What was read. A part that could not be is empty, and named in `unreadable`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Look {
    /// Path of its image, in full.
    exe_path: Option<String>,
    working_directory: Option<String>,
    arguments: Bounded<String>,
    environment_names: Bounded<String>,
    cgroups: Bounded<String>,
    ancestors: Bounded<Ancestor>,
    sockets: Bounded<Socket>,
    /// Its name, and why it could not be read.
    unreadable: Vec<(&'static str, String)>,
    #[serde(skip)]
    pub(super) maps: MapsText,
    /// The image and its size.
    #[serde(skip)]
    image: Option<(File, u64)>,
}

impl Look {
    /// Looks at a process that executes `image`; `None` if it is gone. What a
    /// process cannot make slow comes first.
    pub(super) fn at(process: Process, image: Image) -> Option<Self> {
        let seen = ProcHandle::open(process).ok()?;
        let mut look = Self {
            exe_path: seen.exe_path(),
            working_directory: seen.working_directory(),
            ..Self::default()
        };
        look.arguments = look.part("arguments", seen.arguments());
        look.environment_names = look.part("environment", seen.environment_names());
        look.cgroups = look.part("cgroups", seen.cgroups());
        look.image = look.part("image", open_image(&seen, image).map(Some));
        look.ancestors = seen.ancestors();
        look.sockets = look.part("sockets", seen.sockets());
        look.maps = look.part("maps", seen.maps_text());
        Some(look)
    }

    /// Takes the image out of it.
    pub(super) fn take_image(&mut self) -> Option<(File, u64)> {
        self.image.take()
    }

    /// Whether a list is not whole.
    pub(super) fn is_cut(&self) -> bool {
        self.arguments.cut
            || self.environment_names.cut
            || self.cgroups.cut
            || self.ancestors.cut
            || self.sockets.cut
            || self.maps.cut
    }

    fn part<T: Default>(&mut self, name: &'static str, read: Result<T, LookError>) -> T {
        read.unwrap_or_else(|error| {
            self.unreadable.push((name, error.to_string()));
            T::default()
        })
    }
}

fn open_image(seen: &ProcHandle, image: Image) -> Result<(File, u64), LookError> {
    let file = seen.open_image()?;
    let meta = file.metadata()?;
    if Image::from(&meta) == image {
        Ok((file, meta.len()))
    } else {
        Err(io::Error::other("it executes another image by now").into())
    }
}
