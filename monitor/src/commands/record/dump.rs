//! The file of samples while it is written, for `unjack record --samples`.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{
    begin::{empty, open},
    descendants::Descendants,
    samples,
};
use crate::detect::{collector::Subject, stratum::Stratum};
use unjack_core::{event::Process, profile::Place, shape::Shape};

/// The file of samples, and those samples of which it is not known yet whether
/// their process is recorded.
pub(super) struct Samples {
    out: BufWriter<File>,
    waiting: Vec<(Process, Vec<u8>, Place)>,
    /// Who was written to have been heard.
    heard: HashSet<Process>,
    /// How each process's connections were written to behave.
    shapes: HashMap<Process, Shape>,
}

impl Samples {
    /// To a file, in which nothing changes before [`Self::begin`].
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::new(open(path)?),
            waiting: Vec::new(),
            heard: HashSet::new(),
            shapes: HashMap::new(),
        })
    }

    /// Empties the file, and writes its beginning.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        empty(self.out.get_ref())?;
        samples::begin(&mut self.out)
    }

    /// Writes what waited, and then what the counters say now.
    pub(super) fn tick<'a>(
        &mut self,
        descendants: &Descendants,
        stratum: &Stratum,
        subjects: impl Iterator<Item = &'a mut Subject>,
    ) -> io::Result<()> {
        self.write_waiting(descendants)?;
        for subject in subjects {
            let process = subject.profile.process;
            self.heard(descendants, stratum, process)?;
            self.shape(descendants, stratum, process)?;
            self.reading(descendants, subject)?;
        }
        Ok(())
    }

    /// A sample of a process that may or may not be recorded.
    pub(super) fn hold(&mut self, process: Process, record: &[u8], place: Place) {
        self.waiting.push((process, record.to_vec(), place));
    }

    /// Writes what the file's buffer holds.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn write_waiting(&mut self, descendants: &Descendants) -> io::Result<()> {
        for (process, record, place) in std::mem::take(&mut self.waiting) {
            if descendants.has(process) {
                samples::sample(&mut self.out, &record, place)?;
            }
        }
        Ok(())
    }

    /// Writes once, for a recorded process, that it was heard.
    fn heard(
        &mut self,
        descendants: &Descendants,
        stratum: &Stratum,
        process: Process,
    ) -> io::Result<()> {
        if descendants.has(process) && stratum.was_heard(process) && self.heard.insert(process) {
            samples::heard(&mut self.out, process)?;
        }
        Ok(())
    }

    /// Writes of one that is recorded how its connections behave, if that changed.
    fn shape(
        &mut self,
        descendants: &Descendants,
        stratum: &Stratum,
        process: Process,
    ) -> io::Result<()> {
        let shape = stratum.shape(process);
        if descendants.has(process)
            && self.shapes.get(&process).copied().unwrap_or_default() != shape
        {
            self.shapes.insert(process, shape);
            samples::shape(&mut self.out, process, shape)?;
        }
        Ok(())
    }

    /// Writes what waited of a process that is gone. Of others it is not known
    /// yet whose they are.
    pub(super) fn exit(
        &mut self,
        descendants: &Descendants,
        stratum: &Stratum,
        subject: &Subject,
    ) -> io::Result<()> {
        let process = subject.profile.process;
        let waiting = std::mem::take(&mut self.waiting);
        let (its, others) = waiting.into_iter().partition(|(of, ..)| *of == process);
        self.waiting = its;
        self.write_waiting(descendants)?;
        self.waiting = others;
        self.heard(descendants, stratum, process)?;
        self.shape(descendants, stratum, process)?;
        self.shapes.remove(&process);
        self.reading(descendants, subject)
    }

    fn reading(&mut self, descendants: &Descendants, subject: &Subject) -> io::Result<()> {
        let process = subject.profile.process;
        match subject.profile.latest() {
            Some(reading) if descendants.has(process) => {
                samples::reading(&mut self.out, process, subject.image_key(), reading)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_before_stay_until_all_has_started() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("samples");
        std::fs::write(&path, "of yesterday").unwrap();
        drop(Samples::open(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"of yesterday");
        let mut file = Samples::open(&path).unwrap();
        file.begin().unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), samples::MAGIC);
    }
}
