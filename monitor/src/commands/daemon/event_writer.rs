//! Events to standard output, from a thread of their own.
//!
//! A full pipe or a stopped terminal blocks the thread that writes to it; that must
//! not be the loop that judges. [`MAX_WAITING`] events may wait; what does not fit
//! is lost and counted, as is what could not be written.

use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, SystemTime},
};

use prometheus::IntCounter;

use crate::telemetry::journal::{Event, Format, Journal};

/// Events that may wait to be written: far more than there can be in a second.
const MAX_WAITING: usize = 1024;
/// How long the end waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(1);

type Told = (SystemTime, Event);

/// Where events go. Dropping it waits a moment for them to be written.
pub(super) struct EventWriter {
    sender: Option<SyncSender<Told>>,
    /// Its sender is dropped when the thread is done.
    done: Receiver<()>,
    errors: IntCounter,
}

impl EventWriter {
    /// Writes to `out` from now on; counts in `errors`.
    ///
    /// # Errors
    /// No thread could be started.
    pub(super) fn new(
        out: impl Write + Send + 'static,
        format: Format,
        errors: IntCounter,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Told>(MAX_WAITING);
        let (finished, done) = sync_channel(0);
        let failed = errors.clone();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                let mut journal = Journal::new(out, format);
                for (ts, event) in receiver {
                    if let Err(error) = journal.write(ts, &event) {
                        failed.inc();
                        tracing::warn!("an event could not be written: {error}");
                    }
                }
                drop(finished);
            })?;
        Ok(Self {
            sender: Some(sender),
            done,
            errors,
        })
    }

    /// Has an event of this time written. Never blocks.
    pub(super) fn tell(&self, time: SystemTime, event: Event) {
        let sent = self
            .sender
            .as_ref()
            .is_some_and(|sender| sender.try_send((time, event)).is_ok());
        if !sent {
            self.errors.inc();
        }
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        self.sender = None;
        if self.done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("standard output is blocked: events are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// An output that takes nothing until told to.
    struct Blocked(Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that it may go on.
            let _go_on = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that can be looked at.
    struct Lines(Sender<Vec<u8>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn event() -> Event {
        Event::Ready {
            version: String::new(),
            kernel: String::new(),
            programs: Vec::new(),
            sampler: String::new(),
        }
    }

    fn errors() -> IntCounter {
        IntCounter::new("errors", "of a test").unwrap()
    }

    #[test]
    fn a_blocked_output_blocks_no_caller_and_losses_are_counted() {
        let (go_on, blocked): (Sender<()>, _) = channel();
        let errors = errors();
        let event_writer =
            EventWriter::new(Blocked(blocked), Format::Json, errors.clone()).unwrap();
        for _ in 0..MAX_WAITING + 10 {
            event_writer.tell(SystemTime::now(), event());
        }
        // One is with the writer, or still waits.
        assert!((9..=10).contains(&errors.get()), "{}", errors.get());
        drop(go_on);
    }

    #[test]
    fn what_was_told_is_written_before_the_end() {
        let (lines, written) = channel();
        let event_writer = EventWriter::new(Lines(lines), Format::Json, errors()).unwrap();
        event_writer.tell(SystemTime::now(), event());
        event_writer.tell(SystemTime::now(), event());
        drop(event_writer);
        assert_eq!(written.iter().count(), 2);
    }
}
