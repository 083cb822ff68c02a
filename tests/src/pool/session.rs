//! What the pool says to one client, and when.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Options;
use super::transport::{Received, Transport};

/// So many shares of one job show that it is too easy: the next comes at once.
pub(super) const MANY: u32 = 8;
/// Time in which shares are counted, at least: the first come before the miner
/// knows that they are too easy.
const LEAST: Duration = Duration::from_millis(50);
/// The most: a first word of zeroes.
pub(super) const MAX_BITS: u32 = 32;

/// What a miner speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Mining,
    Login,
}

/// Shares that a difficulty is told by, if they come as they should.
const COUNTED: u32 = 4;

/// A client, and what it was last told.
pub(super) struct Session<T> {
    transport: T,
    options: Options,
    /// Goes into its extra nonce, so that no two have the same work.
    number: u32,
    /// Known when it asked for work.
    dialect: Option<Dialect>,
    job: u32,
    job_at: Instant,
    bits: u32,
    /// Of this job.
    shares: u32,
    /// Shares since then, with these bits.
    counted: u32,
    counted_at: Instant,
}

impl<T: Transport> Session<T> {
    pub(super) fn new(transport: T, number: u32, options: Options) -> Self {
        Self {
            transport,
            options,
            number,
            dialect: None,
            job: 0,
            job_at: Instant::now(),
            bits: options.first_bits,
            shares: 0,
            counted: 0,
            counted_at: Instant::now(),
        }
    }

    /// Until the client goes, or says what is no message.
    pub(super) fn serve(mut self) -> io::Result<()> {
        loop {
            match self.transport.receive()? {
                Received::Message(text) => match serde_json::from_slice(&text) {
                    Ok(message) => self.answer(&message)?,
                    Err(_) => return Ok(()),
                },
                Received::Nothing => {}
                Received::End => return Ok(()),
            }
            self.tick()?;
        }
    }

    /// Sends new work when it is due.
    fn tick(&mut self) -> io::Result<()> {
        if self.dialect.is_none() {
            return Ok(());
        }
        let many = self.shares >= MANY;
        if many || self.job_at.elapsed() >= self.options.job_every {
            let counted = self.counted_at.elapsed();
            // Unless it is far too easy, it is told by more than a share or two: it
            // would go up and down with chance.
            if many || counted >= COUNTED * self.options.share_every {
                let every = self.options.share_every;
                self.bits = difficulty(self.bits, self.counted, counted, every);
                (self.counted, self.counted_at) = (0, Instant::now());
            }
            self.shares = 0;
            self.send_job()?;
        }
        Ok(())
    }

    fn answer(&mut self, message: &Value) -> io::Result<()> {
        let id = &message["id"];
        let params = &message["params"];
        let yes = |result: Value| json!({"id": id, "result": result, "error": null});
        match message["method"].as_str().unwrap_or_default() {
            "mining.subscribe" => {
                let extra = format!("{:08x}", self.number);
                let topics = json!([["mining.set_difficulty", extra], ["mining.notify", extra]]);
                self.send(&yes(json!([topics, extra, 4])))
            }
            "mining.authorize" => {
                self.send(&yes(json!(true)))?;
                self.dialect = Some(Dialect::Mining);
                self.send_job()
            }
            "mining.submit" => {
                if params[1] == self.job_id() {
                    self.shares += 1;
                    self.counted += 1;
                    self.send(&yes(json!(true)))
                } else {
                    self.send(
                        &json!({"id": id, "result": null, "error": [21, "Job not found", null]}),
                    )
                }
            }
            "login" => {
                self.dialect = Some(Dialect::Login);
                self.job += 1;
                self.job_at = Instant::now();
                let result =
                    json!({"id": self.number.to_string(), "job": self.blob(), "status": "OK"});
                self.send(&yes(result))
            }
            "submit" => {
                self.shares += u32::from(params["job_id"] == self.job_id());
                self.send(&yes(json!({"status": "OK"})))
            }
            _ => {
                self.send(&json!({"id": id, "result": null, "error": [20, "Unknown method", null]}))
            }
        }
    }

    fn job_id(&self) -> String {
        format!("{:x}", self.job)
    }

    fn send_job(&mut self) -> io::Result<()> {
        self.job += 1;
        self.job_at = Instant::now();
        if self.dialect == Some(Dialect::Login) {
            let job = json!({"jsonrpc": "2.0", "method": "job", "params": self.blob()});
            return self.send(&job);
        }
        // Difficulty 1 is a share in 2^32 hashes.
        let difficulty = (f64::from(self.bits) - 32.0).exp2();
        self.send(&json!({"id": null, "method": "mining.set_difficulty", "params": [difficulty]}))?;
        let words = |seed: u32| -> String {
            let word = |n: u32| (seed ^ n).wrapping_mul(0x9e37_79b1);
            (1..9).fold(String::new(), |mut text, n| {
                let _ = write!(text, "{:08x}", word(n));
                text
            })
        };
        let coinbase =
            "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff20";
        let branches = json!([words(self.job + 100), words(self.job + 200)]);
        let params = json!([
            self.job_id(),
            words(self.job),
            coinbase,
            "ffffffff0100f2052a01000000",
            branches,
            "20000000",
            "1d00ffff",
            format!("{:08x}", 0x6740_0000 + self.job),
            true
        ]);
        self.send(&json!({"id": null, "method": "mining.notify", "params": params}))
    }

    /// Work in the other dialect: a blob of 76 bytes whose nonce is at byte 39.
    fn blob(&self) -> Value {
        let blob = format!(
            "1010{:08x}{:08x}{}00000000{}",
            self.job,
            self.number,
            "5a".repeat(29),
            "a5".repeat(33)
        );
        let target = (u32::MAX >> self.bits.min(31)).swap_bytes();
        json!({"blob": blob, "job_id": self.job_id(), "target": format!("{target:08x}"), "height": self.job, "seed_hash": "00".repeat(32)})
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        self.transport.send(&message.to_string())
    }
}

/// The bits of the next job, for a share in `share_every`: of one that has been
/// there for `time`, so many shares were found with `bits`.
pub(super) fn difficulty(bits: u32, shares: u32, time: Duration, share_every: Duration) -> u32 {
    let wanted = time.max(LEAST).as_secs_f64() / share_every.as_secs_f64();
    // None at all is a quarter of one.
    let found = f64::from(shares).max(0.25);
    let bits = f64::from(bits) + (found / wanted).log2();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is clamped"
    )]
    let bits = bits.round().clamp(0.0, f64::from(MAX_BITS)) as u32;
    bits
}
