//! A pool that the workload mines at: a small Stratum client of version 1.
//!
//! One connection for all threads, as miners have it. A thread of its own reads
//! it; those that hash look at a counter to see whether there is new work.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::link::Link;
use crate::relay;

/// The pool, if the command line names one.
static POOL: OnceLock<Pool> = OnceLock::new();

/// A connection and what was last said on it.
pub(super) struct Pool {
    /// Another number for every other work.
    generation: AtomicU64,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    sent: u64,
    /// The pool's part of the extra nonce, and the size of the miner's.
    extra: Vec<u8>,
    size: usize,
    difficulty: f64,
    job: Vec<Value>,
}

/// Work for a thread.
pub(super) struct Work {
    /// The header of a block; its nonce is 0.
    pub(super) header: [u8; 80],
    /// The most that the word of a share may be.
    pub(super) limit: u32,
    /// When [`Pool::generation`] is another, there is newer work.
    pub(super) generation: u64,
    job: Value,
    time: Value,
    extra: String,
}

/// Connects to the pool at `address`, for all miners of this process, and waits
/// for work. If there is a helper, it has the connection.
pub(super) fn connect(address: &str, helper: Option<&Path>) -> Result<()> {
    let link = match helper {
        None => Link::open(address),
        Some(program) => relay::helper(program, address),
    };
    let Link { reader, writer, .. } = link.with_context(|| format!("no pool at {address}"))?;
    let mut lines = BufReader::new(reader).lines();
    let mut state = State {
        out: writer,
        sent: 0,
        extra: Vec::new(),
        size: 0,
        difficulty: 1.0,
        job: Vec::new(),
    };
    state.send("mining.subscribe", &json!(["workload/1"]))?;
    state.send("mining.authorize", &json!(["workload", "x"]))?;
    while state.job.is_empty() {
        let said = lines.next().context("the pool hung up")??;
        state.take(&serde_json::from_str(&said)?)?;
    }
    let pool = POOL.get_or_init(|| Pool {
        generation: AtomicU64::new(1),
        state: Mutex::new(state),
    });
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let Ok(message) = serde_json::from_str(&line) else {
                return;
            };
            let mut state = pool.lock();
            match state.take(&message) {
                Ok(true) => _ = pool.generation.fetch_add(1, Ordering::Relaxed),
                Ok(false) => {}
                Err(error) => return eprintln!("the pool says what is no Stratum: {error:#}"),
            }
        }
    });
    Ok(())
}

/// The pool, if there is one.
pub(super) fn pool() -> Option<&'static Pool> {
    POOL.get()
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with the work.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The newest work, other than any other thread's.
    pub(super) fn work(&self, thread: u32) -> Result<Work> {
        let state = self.lock();
        state.work(thread, self.generation())
    }

    /// Tells of a nonce whose hash is a share. A pool that is gone is told nothing.
    pub(super) fn share(&self, work: &Work, nonce: u32) {
        let nonce = format!("{nonce:08x}");
        let found = json!(["workload", work.job, work.extra, work.time, nonce]);
        let _ = self.lock().send("mining.submit", &found);
    }
}

impl State {
    fn send(&mut self, method: &str, params: &Value) -> Result<()> {
        self.sent += 1;
        let message = json!({"id": self.sent, "method": method, "params": params});
        Ok(self.out.write_all(format!("{message}\n").as_bytes())?)
    }

    /// Takes a message; whether it is new work.
    fn take(&mut self, message: &Value) -> Result<bool> {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("mining.set_difficulty") => {
                self.difficulty = params[0].as_f64().context("no difficulty")?;
            }
            Some("mining.notify") => {
                let job = params.as_array().context("no job")?;
                ensure!(job.len() >= 8, "a job of {} parts", job.len());
                self.job.clone_from(job);
                return Ok(true);
            }
            // The answer to the first message.
            None if message["id"] == 1 => {
                self.extra = bytes(&message["result"][1])?;
                let size = message["result"][2].as_u64().context("no size")?;
                self.size = usize::try_from(size)?;
            }
            _ => {}
        }
        Ok(false)
    }

    /// Builds the header of a block, as every miner does.
    fn work(&self, thread: u32, generation: u64) -> Result<Work> {
        let [
            job,
            previous,
            first,
            second,
            branches,
            version,
            bits,
            time,
            ..,
        ] = &self.job[..]
        else {
            anyhow::bail!("no job");
        };
        let extra: Vec<u8> = (thread.to_be_bytes().into_iter().rev())
            .chain(std::iter::repeat(0))
            .take(self.size)
            .collect();
        let coinbase = [
            bytes(first)?,
            self.extra.clone(),
            extra.clone(),
            bytes(second)?,
        ]
        .concat();
        let twice = |data: &[u8]| Sha256::digest(Sha256::digest(data));
        let mut root = twice(&coinbase);
        for branch in branches.as_array().context("no branches")? {
            root = twice(&[&root[..], &bytes(branch)?].concat());
        }
        let turned = |value| -> Result<Vec<u8>> { Ok(bytes(value)?.into_iter().rev().collect()) };
        let previous: Vec<u8> = (bytes(previous)?.chunks(4))
            .flat_map(|word| word.iter().rev().copied())
            .collect();
        let parts = [
            turned(version)?,
            previous,
            root.to_vec(),
            turned(time)?,
            turned(bits)?,
        ];
        let whole = [parts.concat(), vec![0; 4]].concat();
        let header = whole.try_into().ok().context("a header of another size")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates"
        )]
        let limit = (1.0 / self.difficulty) as u32;
        Ok(Work {
            header,
            limit,
            generation,
            job: job.clone(),
            time: time.clone(),
            extra: hex(&extra),
        })
    }
}

/// The digits of bytes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that digits stand for.
fn bytes(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str().context("no digits")?;
    ensure!(
        text.len().is_multiple_of(2) && text.is_ascii(),
        "half a byte"
    );
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::from_str_radix(&text[at..at + 2], 16)?))
        .collect()
}
