//! The child's end of the connection to the pool: Stratum in lines, as a miner
//! speaks it.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use super::pool::JOB_EVERY;

/// From a job to the share that it brings.
const SHARE_AFTER: Duration = JOB_EVERY.checked_div(2).unwrap();
/// How long the first job may take.
const FIRST: Duration = Duration::from_secs(10);
/// What is read at once, in bytes; no line of the pool is as long.
const PIECE: usize = 1024;

/// The connection, and the newest job.
#[derive(Debug)]
pub(super) struct Work {
    stream: TcpStream,
    /// What there is of a line, in bytes; a longer one is dropped.
    line: Vec<u8>,
    /// Messages that were sent.
    sent: u32,
    /// Jobs that came.
    jobs: u32,
    /// What the newest job comes to, as the root of a tree of transactions.
    root: [u8; 32],
    /// When a share is due.
    share: Option<Instant>,
}

impl Work {
    /// Connects to the pool at this port of 127.0.0.1, and waits for work.
    pub(super) fn get(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(FIRST))?;
        let mut work = Self {
            stream,
            line: Vec::new(),
            sent: 0,
            jobs: 0,
            root: [0; 32],
            share: None,
        };
        work.say("mining.subscribe", r#""unjack-selftest""#)?;
        work.say("mining.authorize", r#""selftest","x""#)?;
        while work.jobs == 0 {
            work.hear(Instant::now())?;
        }
        work.stream.set_nonblocking(true)?;
        Ok(work)
    }

    /// The root that belongs into the header.
    pub(super) fn root(&self) -> [u8; 32] {
        self.root
    }

    /// Takes what the pool has said, and brings this nonce if a share is due.
    /// Whether there is another job.
    pub(super) fn look(&mut self, nonce: u32) -> io::Result<bool> {
        let (now, before) = (Instant::now(), self.jobs);
        match self.hear(now) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            heard => heard?,
        }
        if self.share.is_some_and(|due| now >= due) {
            self.share = None;
            let share = format!(
                r#""selftest","{:x}","00000000","67400000","{nonce:08x}""#,
                self.jobs
            );
            self.say("mining.submit", &share)?;
        }
        Ok(self.jobs != before)
    }

    fn say(&mut self, method: &str, params: &str) -> io::Result<()> {
        self.sent += 1;
        let line = format!(
            "{{\"id\":{},\"method\":\"{method}\",\"params\":[{params}]}}\n",
            self.sent
        );
        self.stream.write_all(line.as_bytes())
    }

    /// Takes what there is.
    fn hear(&mut self, now: Instant) -> io::Result<()> {
        let mut piece = [0; PIECE];
        let count = self.stream.read(&mut piece)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for byte in &piece[..count] {
            match byte {
                b'\n' => self.take(now),
                _ if self.line.len() < PIECE => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes a line: a job, or an answer, of which nothing follows.
    fn take(&mut self, now: Instant) {
        const JOB: &[u8] = b"\"mining.notify\",";
        if self.line.windows(JOB.len()).any(|part| part == JOB) {
            self.jobs += 1;
            self.root = Sha256::digest(&self.line).into();
            self.share = Some(now + SHARE_AFTER);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::commands::selftest::pool::Pool;
    use unjack_core::stratum::recognise;

    #[test]
    fn work_is_got_and_comes_again() {
        let pool = Pool::start().unwrap();
        let mut work = Work::get(pool.port()).unwrap();
        let (first, begun) = (work.root(), Instant::now());
        assert_ne!(first, [0; 32]);
        while !work.look(7).unwrap() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(20));
        }
        assert_ne!(work.root(), first);
        // To subscribe, to authorize, and a share of the first job, unless this thread
        // slept until the second.
        assert!((2..=3).contains(&work.sent), "{}", work.sent);
        drop(pool);
        while work.look(7).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
    }

    /// A listener that is told the lines: they are a miner's half of Stratum.
    #[test]
    fn what_it_says_is_stratum() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let pool = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut said = Vec::new();
            let mut piece = [0; PIECE];
            while said.split(|byte| *byte == b'\n').count() < 4 {
                let job = "{\"method\": \"mining.notify\", \"params\": []}\n".replace(": ", ":");
                let count = stream.read(&mut piece).unwrap();
                said.extend_from_slice(&piece[..count]);
                stream.write_all(job.as_bytes()).unwrap();
            }
            said
        });
        let mut work = Work::get(port).unwrap();
        let begun = Instant::now();
        while work.sent < 3 {
            work.look(0x0102_0304).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
        let said = pool.join().unwrap();
        let lines: Vec<_> = said.split_inclusive(|byte| *byte == b'\n').collect();
        let heard: Vec<_> = lines.iter().map(|line| recognise(line)).collect();
        let expected = ["mining.subscribe", "mining.authorize", "mining.submit"];
        assert_eq!(heard, expected.map(Some));
    }
}
