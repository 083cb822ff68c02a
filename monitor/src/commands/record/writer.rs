//! The recording of `unjack run`: written by a thread of its own.
//!
//! A slow disk must not be the loop's. [`MAX_WAITING`] seconds may wait to be
//! written; when there is no room, the recording ends, as a gap would be replayed
//! wrongly. Why it ended is logged and counted, and written after all that waits
//! if the disk comes back.

use std::{
    io::{self, Write},
    iter,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use super::{
    encoder::RecordingEncoder,
    line::{Header, Why},
};
use crate::telemetry::metrics::Ended;

/// Seconds of a recording that may wait for the disk.
const MAX_WAITING: usize = 16;
/// How long the end waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// A recording that is being made beside other work.
#[derive(Debug)]
pub(crate) struct Writer {
    /// What is to be in it.
    pub(crate) encoder: RecordingEncoder,
    sender: Option<SyncSender<Vec<u8>>>,
    /// The last line, if there was no room for it among what waits.
    last: Arc<OnceLock<Vec<u8>>>,
    /// Its sender is dropped when the thread is done.
    done: Receiver<()>,
    failed: Arc<AtomicBool>,
}

impl Writer {
    /// Begins one in a file; what was in that is overwritten.
    ///
    /// # Errors
    /// The file cannot be made, or no thread be started.
    pub(crate) fn create(path: &Path, header: &Header, max_size: u64) -> io::Result<Self> {
        Self::new(super::create(path)?, header, max_size)
    }

    fn new(
        mut out: impl Write + Send + 'static,
        header: &Header,
        max_size: u64,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Vec<u8>>(MAX_WAITING);
        let (finished, done) = sync_channel(0);
        let failed = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failed);
        let last = Arc::new(OnceLock::new());
        let ends = Arc::clone(&last);
        thread::Builder::new()
            .name("recording".to_owned())
            .spawn(move || {
                let end = || ends.get().cloned().unwrap_or_default();
                for text in receiver.into_iter().chain(iter::once_with(end)) {
                    if let Err(error) = out.write_all(&text) {
                        tracing::error!(
                            "the recording cannot be written: {error}; it ends here, and \
                             what is in the file can be replayed"
                        );
                        fails.store(true, Ordering::Relaxed);
                        break;
                    }
                }
                drop(finished);
            })?;
        Ok(Self {
            encoder: RecordingEncoder::new(header, max_size),
            sender: Some(sender),
            last,
            done,
            failed,
        })
    }

    /// Has what the encoder holds written. Never blocks. Says if it ended, once.
    pub(crate) fn write(&mut self) -> Option<Ended> {
        let sender = self.sender.as_ref()?;
        let unsent = sender.try_send(self.encoder.take()).err();
        let ended = match unsent {
            _ if self.failed.load(Ordering::Relaxed) => Some(Ended::Error),
            Some(TrySendError::Disconnected(_)) => Some(Ended::Error),
            // A second for which there is no room is not recorded, the end is.
            Some(TrySendError::Full(_)) if !self.encoder.has_ended() => {
                self.encoder.end(Why::Slow);
                let _first = self.last.set(self.encoder.take());
                Some(Ended::Slow)
            }
            Some(TrySendError::Full(end)) => {
                let _first = self.last.set(end);
                Some(Ended::Size)
            }
            None => self.encoder.has_ended().then_some(Ended::Size),
        };
        if ended.is_some() {
            // What waits is still written.
            self.sender = None;
        }
        ended
    }

    /// Ends it, after so much was lost, and waits a moment for what is still to be
    /// written.
    pub(crate) fn finish(mut self, lost: u64) {
        self.encoder.loses(lost);
        self.encoder.end(Why::Done);
        let _ended = self.write();
        self.sender = None;
        if self.done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk is slow: the end of the recording is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc::channel};

    use super::*;
    use crate::commands::record::{
        encoder::Known,
        header,
        line::{End, Line},
    };
    use unjack_core::{profile::SAMPLE_HZ, verdict::Thresholds};

    fn begin(out: impl Write + Send + 'static, max_size: u64) -> Writer {
        Writer::new(out, &header(SAMPLE_HZ, &Thresholds::DEFAULT, 0), max_size).unwrap()
    }

    fn tick(writer: &mut Writer, n: u64) -> Option<Ended> {
        let no_subjects = || std::iter::empty();
        (writer.encoder).tick(n, no_subjects(), |_| true, |_| Known::default());
        writer.write()
    }

    /// Ticks until it ends: why, and after how many.
    fn ended(writer: &mut Writer) -> (Ended, u64) {
        (1..1000)
            .find_map(|n| Some((tick(writer, n)?, n)))
            .expect("it ends")
    }

    /// An output that takes nothing until told to, and then all there is.
    struct Blocked(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that it may go on.
            let _go_on = self.0.recv();
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_does_not_keep_up_ends_it() {
        let ((go_on, blocked), written) = (channel(), Arc::default());
        let out = Blocked(blocked, Arc::clone(&written));
        let mut writer = begin(out, 1 << 20);
        writer.encoder.loses(7);
        let (why, ticks) = ended(&mut writer);
        assert_eq!(why, Ended::Slow);
        // One is being written, the others wait.
        assert!(ticks <= MAX_WAITING as u64 + 2, "{ticks}");
        assert_eq!(tick(&mut writer, 0), None, "it is told once");
        drop(go_on);
        // It is all written once the disk comes back, and says why it ended.
        assert!(writer.done.recv().is_err());
        let written = written.lock().unwrap();
        let text = String::from_utf8_lossy(&written);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let (end, before) = lines.split_last().unwrap();
        let (why, lost) = (Why::Slow, 7);
        let end = Line::parse(end.as_bytes()).unwrap();
        assert_eq!(end, Line::End(End { why, lost }));
        assert_eq!(before.len() as u64, ticks - 1);
    }

    #[test]
    fn a_full_disk_ends_it() {
        let mut writer = begin(Full, 1 << 20);
        // It may have failed already.
        let first = tick(&mut writer, 1);
        while !writer.failed.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        assert_eq!(first.or(tick(&mut writer, 2)), Some(Ended::Error));
    }

    #[test]
    fn its_size_ends_it() {
        let mut writer = begin(io::sink(), 1);
        assert_eq!(tick(&mut writer, 1), Some(Ended::Size));
    }
}
