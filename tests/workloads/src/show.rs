//! What a miner may do besides hashing, for show: each is what honest programs are told
//! by, and costs the miner a twentieth of its time at most.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{generated::Generated, packed};

/// Part of the time that a show takes: one in so many.
const PART: u32 = 20;
/// Bytes that are read, written or newly used in one go.
const AT_ONCE: usize = 1 << 16;
/// Bytes of a message for show.
const MESSAGE: usize = 512;
/// Bytes of a page.
const PAGE: usize = 4096;

/// What is done for show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Show {
    /// Use new memory, a page fault for each page of it.
    Faults,
    /// Read a file.
    Reads,
    /// Write a file.
    Writes,
    /// Talk to itself over TCP.
    Chatter,
    /// Listen on a socket that is never connected to: costs nothing at all.
    Listens,
    /// Sleep.
    Sleeps,
    /// Run code that was generated in memory.
    Generated,
    /// Have all code of this program in memory without a file, as a packer leaves it.
    Packed,
}

/// One thread's show.
pub(super) struct Feint {
    begun: Instant,
    spent: Duration,
    act: Act,
}

/// What is done again and again, or only had.
enum Act {
    Does(Box<dyn FnMut() -> Result<()>>),
    Has(#[expect(dead_code, reason = "it only has to stay open")] Option<TcpListener>),
}

impl Feint {
    pub(super) fn new(show: Show) -> Result<Self> {
        let act: Box<dyn FnMut() -> Result<()>> = match show {
            Show::Listens => {
                let socket = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
                return Ok(Self::with(Act::Has(Some(socket))));
            }
            Show::Packed => {
                packed::unpack()?;
                return Ok(Self::with(Act::Has(None)));
            }
            Show::Faults => Box::new(|| {
                let mut memory = vec![0_u8; AT_ONCE * 16];
                memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
                black_box(memory);
                Ok(())
            }),
            Show::Reads => {
                let file = File::open("/proc/self/exe").context("cannot open this program")?;
                let mut buffer = vec![0; AT_ONCE];
                Box::new(move || {
                    file.read_exact_at(&mut buffer, 0)
                        .context("cannot read this program")
                })
            }
            Show::Writes => {
                let file = tempfile::tempfile().context("cannot make a file")?;
                let buffer = vec![1; AT_ONCE];
                Box::new(move || file.write_all_at(&buffer, 0).context("cannot write a file"))
            }
            Show::Chatter => {
                let (mut to, mut from) = pair().context("cannot connect to itself")?;
                let mut message = [1; MESSAGE];
                Box::new(move || {
                    to.write_all(&message).context("cannot talk to itself")?;
                    from.read_exact(&mut message)
                        .context("cannot listen to itself")
                })
            }
            Show::Sleeps => Box::new(|| {
                thread::sleep(Duration::from_millis(1));
                Ok(())
            }),
            Show::Generated => {
                let code = Generated::new()?;
                Box::new(move || {
                    code.run();
                    Ok(())
                })
            }
        };
        Ok(Self::with(Act::Does(act)))
    }

    fn with(act: Act) -> Self {
        Self {
            begun: Instant::now(),
            spent: Duration::ZERO,
            act,
        }
    }

    /// Called between two steps: does as much for show as is due.
    pub(super) fn pause(&mut self) -> Result<()> {
        let Act::Does(act) = &mut self.act else {
            return Ok(());
        };
        let due = self.begun.elapsed() / PART;
        while self.spent < due {
            let from = Instant::now();
            act()?;
            self.spent += from.elapsed();
        }
        Ok(())
    }
}

/// Two ends of a connection to itself.
fn pair() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = TcpStream::connect(listener.local_addr()?)?;
    let (from, _) = listener.accept()?;
    to.set_nodelay(true)?;
    Ok((to, from))
}
