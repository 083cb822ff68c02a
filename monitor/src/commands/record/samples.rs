//! The samples themselves, as the probes sent them, for `corpus pack` to fold
//! into windows again: when a feature changes, nothing has to be run anew.
//!
//! A file is [`MAGIC`], then frames: a head of sixteen bytes, and as many bytes as
//! that says. A sample's are the probes' own record, a reading's are a process's
//! counters, who was heard to speak Stratum is named by the third kind, and the fourth
//! tells how a process's connections behave by now. They come in the order in which a profile takes them in. Unlike a recording's windows they
//! hold code, registers and stack of what was recorded.

use std::io::{self, Read, Write};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use unjack_core::{
    event::{ImageKey, Process},
    profile::{Place, Reading},
    shape::Shape,
};

/// The first bytes of a file of this version.
pub const MAGIC: [u8; 8] = *b"UNJKSMP1";
/// The head's kind of a sample.
const SAMPLE: u32 = 1;
/// The head's kind of a reading.
const READING: u32 = 2;
/// The head's kind for a process that was heard.
const HEARD: u32 = 3;
/// The head's kind of how connections behave.
const SHAPE: u32 = 4;
/// The longest frame there may be: a file may be damaged.
const MAX_BYTES: u32 = 4096;
/// What stands for I/O that is not known.
const UNKNOWN: u64 = u64::MAX;

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Head {
    kind: u32,
    bytes: u32,
    /// Of a sample: number of its [`Place`].
    place: u32,
    reserved: u32,
}

/// A reading of a process's counters, as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct ReadingFrame {
    tgid: u32,
    image_device: u32,
    start_ns: u64,
    image_inode: u64,
    time_ns: u64,
    cpu_ns: u64,
    voluntary: u64,
    io_bytes: u64,
}

/// Who was heard to speak Stratum, as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct HeardFrame {
    start_ns: u64,
    tgid: u32,
    reserved: u32,
}

/// How the connections of a process behave, as it lies in a file.
#[derive(serde::Serialize, serde::Deserialize)]
struct ShapeFrame {
    process: Process,
    shape: Shape,
}

/// What a frame holds.
#[derive(Debug)]
pub enum Frame {
    /// A record of the probes, for [`event::decode`](unjack_core::event::decode), and
    /// where its code lies.
    Sample(Vec<u8>, Place),
    /// A second is over for a process, which executes this.
    Reading(Process, ImageKey, Reading),
    /// A process has been heard to speak Stratum.
    Heard(Process),
    /// How the connections of a process behave by now.
    Shape(Process, Shape),
}

/// Writes the beginning of a file.
///
/// # Errors
/// It cannot be written.
pub fn begin(mut out: impl Write) -> io::Result<()> {
    out.write_all(&MAGIC)
}

/// Writes a sample.
///
/// # Errors
/// It cannot be written.
pub fn sample(mut out: impl Write, record: &[u8], place: Place) -> io::Result<()> {
    let number = Place::ALL.iter().position(|known| *known == place);
    let head = Head {
        kind: SAMPLE,
        bytes: u32::try_from(record.len()).map_err(io::Error::other)?,
        place: number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        reserved: 0,
    };
    out.write_all(head.as_bytes())?;
    out.write_all(record)
}

/// Writes a reading.
///
/// # Errors
/// It cannot be written.
pub fn reading(
    mut out: impl Write,
    process: Process,
    image: ImageKey,
    reading: &Reading,
) -> io::Result<()> {
    let frame = ReadingFrame {
        tgid: process.tgid,
        image_device: image.device,
        start_ns: process.start_ns,
        image_inode: image.inode,
        time_ns: reading.time_ns,
        cpu_ns: reading.cpu_ns,
        voluntary: reading.voluntary,
        io_bytes: reading.io_bytes.unwrap_or(UNKNOWN),
    };
    let head = Head {
        kind: READING,
        bytes: u32::try_from(size_of::<ReadingFrame>()).map_err(io::Error::other)?,
        place: 0,
        reserved: 0,
    };
    out.write_all(head.as_bytes())?;
    out.write_all(frame.as_bytes())
}

/// Writes that a process has been heard to speak Stratum.
///
/// # Errors
/// It cannot be written.
pub fn heard(mut out: impl Write, process: Process) -> io::Result<()> {
    let frame = HeardFrame {
        start_ns: process.start_ns,
        tgid: process.tgid,
        reserved: 0,
    };
    let head = Head {
        kind: HEARD,
        bytes: u32::try_from(size_of::<HeardFrame>()).map_err(io::Error::other)?,
        place: 0,
        reserved: 0,
    };
    out.write_all(head.as_bytes())?;
    out.write_all(frame.as_bytes())
}

/// Writes how the connections of a process behave.
///
/// # Errors
/// It cannot be written.
pub fn shape(mut out: impl Write, process: Process, shape: Shape) -> io::Result<()> {
    // In JSON, as it is in a recording: what is added to it later is told apart.
    let bytes = serde_json::to_vec(&ShapeFrame { process, shape })?;
    let head = Head {
        kind: SHAPE,
        bytes: u32::try_from(bytes.len()).map_err(io::Error::other)?,
        place: 0,
        reserved: 0,
    };
    out.write_all(head.as_bytes())?;
    out.write_all(&bytes)
}

/// Reads the beginning of a file, which must be [`MAGIC`].
///
/// # Errors
/// It cannot be read, or is none of ours.
pub fn open(mut from: impl Read) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    if magic == MAGIC {
        Ok(())
    } else {
        Err(io::Error::other("this is no file of samples"))
    }
}

/// Reads the next frame; `None` at the end of the file.
///
/// # Errors
/// It cannot be read, or is damaged.
pub fn next(mut from: impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; size_of::<Head>()];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let damaged = || io::Error::other("a frame is damaged");
    let head = Head::read_from_bytes(&head).map_err(|_| damaged())?;
    if head.bytes > MAX_BYTES {
        return Err(damaged());
    }
    let mut bytes = vec![0; head.bytes as usize];
    from.read_exact(&mut bytes)?;
    match head.kind {
        SAMPLE => {
            let place = Place::ALL.get(head.place as usize).ok_or_else(damaged)?;
            Ok(Some(Frame::Sample(bytes, *place)))
        }
        READING => {
            let frame = ReadingFrame::read_from_bytes(&bytes).map_err(|_| damaged())?;
            let process = Process {
                tgid: frame.tgid,
                start_ns: frame.start_ns,
            };
            let image = ImageKey {
                device: frame.image_device,
                inode: frame.image_inode,
            };
            let reading = Reading {
                time_ns: frame.time_ns,
                cpu_ns: frame.cpu_ns,
                voluntary: frame.voluntary,
                io_bytes: (frame.io_bytes != UNKNOWN).then_some(frame.io_bytes),
            };
            Ok(Some(Frame::Reading(process, image, reading)))
        }
        HEARD => {
            let frame = HeardFrame::read_from_bytes(&bytes).map_err(|_| damaged())?;
            Ok(Some(Frame::Heard(Process {
                tgid: frame.tgid,
                start_ns: frame.start_ns,
            })))
        }
        SHAPE => {
            let ShapeFrame { process, shape } =
                serde_json::from_slice(&bytes).map_err(|_| damaged())?;
            Ok(Some(Frame::Shape(process, shape)))
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (mut file, process) = (
            Vec::new(),
            Process {
                tgid: 1,
                start_ns: 2,
            },
        );
        let image = ImageKey {
            device: 3,
            inode: 4,
        };
        let counters = Reading {
            time_ns: 5,
            cpu_ns: 6,
            voluntary: 7,
            io_bytes: None,
        };
        begin(&mut file).unwrap();
        sample(&mut file, &[1, 2, 3], Place::Memfd).unwrap();
        reading(&mut file, process, image, &counters).unwrap();
        heard(&mut file, process).unwrap();
        let behaves = Shape {
            looks: 8,
            sent_per_cpu_second: 0.25,
            ..Shape::default()
        };
        shape(&mut file, process, behaves).unwrap();
        let mut from = &file[..];
        open(&mut from).unwrap();
        assert!(matches!(
            next(&mut from).unwrap(),
            Some(Frame::Sample(bytes, Place::Memfd)) if bytes == [1, 2, 3]
        ));
        assert!(matches!(
            next(&mut from).unwrap(),
            Some(Frame::Reading(p, i, r)) if (p, i, r) == (process, image, counters)
        ));
        assert!(matches!(next(&mut from).unwrap(), Some(Frame::Heard(p)) if p == process));
        assert!(matches!(
            next(&mut from).unwrap(),
            Some(Frame::Shape(p, s)) if (p, s) == (process, behaves)
        ));
        assert!(next(&mut from).unwrap().is_none());
    }

    #[test]
    fn damage_is_an_error() {
        assert!(open(&b"UNJKSMP9"[..]).is_err());
        let mut file = Vec::new();
        sample(&mut file, &[0; 8], Place::File).unwrap();
        file[4] = 0xff;
        file[5] = 0xff;
        assert!(next(&file[..]).is_err());
        assert!(next(&[9; 40][..]).is_err());
    }
}
