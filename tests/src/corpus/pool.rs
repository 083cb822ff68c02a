//! A pool for miners to mine at while they are recorded: Stratum over TCP on the
//! loopback interface, the halves of it that miners use.
//!
//! Both dialects that CPU miners speak: version 1 (`mining.…`), and the one of
//! `RandomX` and `CryptoNight` (`login`). Every client is given work, new work every
//! so often, and a difficulty that follows its shares. Shares are looked at and
//! answered; they are not hashed, since the pool knows no algorithm.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// New work as often: busy pools' jobs come every ten seconds to a minute.
const JOB_EVERY: Duration = Duration::from_secs(10);
/// A share as often is what the difficulty is set for, roughly.
const SHARE_EVERY: Duration = Duration::from_secs(4);
/// So many shares of one job show that it is too easy: the next comes at once.
const MANY: u32 = 8;
/// Time in which shares are counted, at least: the first come before the miner
/// knows that they are too easy.
const LEAST: Duration = Duration::from_millis(50);
/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(500);
/// One hash in two to this is a share, at first.
const BITS: u32 = 4;
/// The most: a first word of zeroes.
const MAX_BITS: u32 = 32;
/// A line longer than this is nobody's message.
const MAX_LINE: usize = 16 << 10;

/// Starts a pool that ends with this process; its address.
pub(super) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for a pool")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for (number, client) in (1_u32..).zip(listener.incoming().flatten()) {
            thread::spawn(move || {
                // A miner that is killed ends this with an error, as it does any pool's.
                let _ = client
                    .try_clone()
                    .and_then(|reader| Client::new(client, number).serve(reader));
            });
        }
    });
    Ok(address)
}

/// What a miner speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Mining,
    Login,
}

struct Client {
    out: TcpStream,
    /// Goes into its extra nonce, so that no two have the same work.
    number: u32,
    /// Known when it asked for work.
    dialect: Option<Dialect>,
    job: u32,
    job_at: Instant,
    bits: u32,
    /// Of this job.
    shares: u32,
}

impl Client {
    fn new(out: TcpStream, number: u32) -> Self {
        let now = Instant::now();
        Self {
            out,
            number,
            dialect: None,
            job: 0,
            job_at: now,
            bits: BITS,
            shares: 0,
        }
    }

    fn serve(mut self, reader: TcpStream) -> std::io::Result<()> {
        reader.set_read_timeout(Some(TICK))?;
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        loop {
            let room = (MAX_LINE - line.len()) as u64;
            match (&mut reader).take(room).read_until(b'\n', &mut line) {
                Ok(0) => return Ok(()),
                Ok(_) if line.ends_with(b"\n") => {
                    let Ok(message) = serde_json::from_slice(&line) else {
                        return Ok(());
                    };
                    line.clear();
                    self.answer(&message)?;
                }
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            if line.len() >= MAX_LINE {
                return Ok(());
            }
            self.tick()?;
        }
    }

    /// Sends new work when it is due.
    fn tick(&mut self) -> std::io::Result<()> {
        if self.dialect.is_none() {
            return Ok(());
        }
        if self.job_at.elapsed() >= JOB_EVERY || self.shares >= MANY {
            self.bits = difficulty(self.bits, self.shares, self.job_at.elapsed());
            self.shares = 0;
            self.send_job()?;
        }
        Ok(())
    }

    fn answer(&mut self, message: &Value) -> std::io::Result<()> {
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

    fn send_job(&mut self) -> std::io::Result<()> {
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

    fn send(&mut self, message: &Value) -> std::io::Result<()> {
        self.out.write_all(format!("{message}\n").as_bytes())
    }
}

/// The bits of the next job, for a share in [`SHARE_EVERY`]: of one that has been
/// there for `time`, so many shares were found with `bits`.
fn difficulty(bits: u32, shares: u32, time: Duration) -> u32 {
    let wanted = time.max(LEAST).as_secs_f64() / SHARE_EVERY.as_secs_f64();
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

#[cfg(test)]
mod tests {
    use monitor::stratum::recognise;

    use super::*;

    /// What the pool says to these lines, until it has said `count` lines.
    fn talk(lines: &[Value], count: usize) -> Vec<String> {
        let mut client = TcpStream::connect(start().unwrap()).unwrap();
        for line in lines {
            client.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let heard = BufReader::new(client).lines().take(count);
        heard.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_miner_is_given_work_and_its_share_is_taken() {
        let subscribe = json!({"id": 1, "method": "mining.subscribe", "params": ["m/1"]});
        let authorize = json!({"id": 2, "method": "mining.authorize", "params": ["u", "x"]});
        let submit = |job: &str| json!({"id": 3, "method": "mining.submit", "params": ["u", job, "00000000", "67400001", "00000007"]});
        let said = talk(&[subscribe, authorize, submit("1"), submit("9")], 6);
        let said: Vec<Value> = said
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(said[0]["result"][2], 4);
        assert_eq!(said[1]["result"], true);
        assert_eq!(said[2]["method"], "mining.set_difficulty");
        assert_eq!(said[3]["method"], "mining.notify");
        assert_eq!(said[4]["result"], true);
        assert_eq!(said[5]["error"][0], 21);
    }

    #[test]
    fn what_it_sends_is_a_pools_half_of_stratum() {
        let login = json!({"id": 1, "jsonrpc": "2.0", "method": "login", "params": {"login": "u", "pass": "x", "agent": "m/1"}});
        let said = talk(&[login], 2);
        let job: Value = serde_json::from_str(&said[0]).unwrap();
        assert_eq!(job["result"]["job"]["blob"].as_str().unwrap().len(), 152);
        let next: Value = serde_json::from_str(&said[1]).unwrap();
        assert_eq!(next["method"], "job");
        // The miner's half is another.
        assert!(said.iter().all(|line| recognise(line.as_bytes()).is_none()));
    }

    #[test]
    fn difficulty_follows_the_shares() {
        let after =
            |bits, shares, seconds| difficulty(bits, shares, Duration::from_secs_f64(seconds));
        // A share in four seconds, as it should be.
        assert_eq!(after(20, 2, 8.0), 20);
        assert_eq!(after(20, 8, 8.0), 22);
        assert_eq!(after(20, 0, 8.0), 17);
        // However fast they come at first, it does not shoot past.
        assert_eq!(after(8, MANY, 0.0001), 8 + 9);
        assert_eq!(after(MAX_BITS, 100, 1.0), MAX_BITS);
        assert_eq!(after(0, 0, 10.0), 0);
    }
}
