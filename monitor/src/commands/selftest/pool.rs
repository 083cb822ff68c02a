//! The pool that the child mines at: Stratum on the loopback interface, in lines, as
//! small as it can be.
//!
//! What hashes and brings it nowhere is no miner, so the child gets work and
//! brings results. Jobs come unasked and shares are answered; nothing is paid. One
//! thread serves all clients, and lives as long as the [`Pool`]. Any process of this host
//! may connect: what a client says is counted in lines, answered, and kept nowhere.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Time between two jobs. More than a second apart from the child's shares, which
/// come half as long after each: neither is the answer to the other.
pub(super) const JOB_EVERY: Duration = Duration::from_millis(2400);
/// Time between two looks at the clients.
const LOOK: Duration = Duration::from_millis(50);
/// How long a connection to the pool itself may take.
const REACHABLE: Duration = Duration::from_secs(2);
/// Clients at once: the child, and a few that try their luck.
const CLIENTS: usize = 4;
/// What one client may send in all, in bytes: the child sends 10 KiB in two minutes.
const MAX_SENT: usize = 64 << 10;
/// What is read from a client in one look, in bytes.
const PIECE: usize = 1024;
/// Lines after which a client gets work: it has subscribed and authorized.
const HELLO: u32 = 2;

/// A pool. It is gone when dropped.
#[derive(Debug)]
pub(super) struct Pool {
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pool {
    /// Starts one on a free port, and sees that it can be reached.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        // Loopback may be down, or closed by a firewall. This one is let go at once.
        drop(TcpStream::connect_timeout(&address, REACHABLE)?);
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = thread::Builder::new()
            .name("selftest-pool".to_owned())
            .spawn(move || serve(&listener, &told))?;
        Ok(Self {
            port: address.port(),
            over,
            thread: Some(thread),
        })
    }

    /// Where it listens on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic, and there is no one to report to.
            let _ended = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, over: &AtomicBool) {
    let mut clients: Vec<Client> = Vec::with_capacity(CLIENTS);
    while !over.load(Ordering::Relaxed) {
        while let Ok((stream, _)) = listener.accept() {
            if clients.len() < CLIENTS && stream.set_nonblocking(true).is_ok() {
                // Without it an answer waits for the one before to be acknowledged.
                let _sooner = stream.set_nodelay(true);
                clients.push(Client::new(stream));
            }
        }
        let now = Instant::now();
        clients.retain_mut(|client| client.look(now).is_ok());
        thread::sleep(LOOK);
    }
}

struct Client {
    stream: TcpStream,
    /// Bytes and lines that it has sent.
    sent: usize,
    lines: u32,
    jobs: u32,
    next_job: Option<Instant>,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            sent: 0,
            lines: 0,
            jobs: 0,
            next_job: None,
        }
    }

    /// Takes what it has sent, answers every line, and sends the job that is due. An
    /// error if it has gone, or does not keep to the bounds.
    fn look(&mut self, now: Instant) -> io::Result<()> {
        let mut piece = [0; PIECE];
        let count = match self.stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.sent += count;
        if self.sent > MAX_SENT {
            return Err(ErrorKind::InvalidData.into());
        }
        for _ in piece[..count].iter().filter(|byte| **byte == b'\n') {
            // The child counts its messages as well.
            self.lines += 1;
            // A client that does not read has no room for it: then it is gone.
            let answer = answer(self.lines);
            self.stream.write_all(answer.as_bytes())?;
        }
        if self.lines >= HELLO && self.next_job.is_none_or(|due| now >= due) {
            self.next_job = Some(now + JOB_EVERY);
            self.jobs += 1;
            let job = job(self.jobs);
            self.stream.write_all(job.as_bytes())?;
        }
        Ok(())
    }
}

/// What the pool says to a client's message of this number: to the first, which
/// subscribes, its part of the extra nonce and the size of the client's.
fn answer(id: u32) -> String {
    let result = match id {
        1 => r#"[[["mining.notify","selftest"]],"00000001",4]"#,
        _ => "true",
    };
    format!("{{\"id\":{id},\"result\":{result},\"error\":null}}\n")
}

/// New work: a previous block that is another each time, as if one had been found.
fn job(number: u32) -> String {
    let previous = format!("{:08x}", number.wrapping_mul(0x9e37_79b1)).repeat(8);
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{number:x}\",\"{previous}\",\
         \"01000000\",\"ffffffff\",[],\"20000000\",\"1d00ffff\",\"67400000\",true]}}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_client_gets_answers_and_work_unasked() {
        let pool = Pool::start().unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, pool.port())).unwrap();
        let limit = Some(Duration::from_secs(20));
        client.set_read_timeout(limit).unwrap();
        client.write_all(b"{}\n{}\n").unwrap();
        let begun = Instant::now();
        let lines = BufReader::new(client).lines().take(4);
        let said: Vec<Value> = lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect();
        assert_eq!(said[0]["id"], 1);
        assert_eq!(said[0]["result"][2], 4);
        assert_eq!(said[1]["result"], true);
        for (line, job) in said[2..].iter().zip(["1", "2"]) {
            assert_eq!(line["method"], "mining.notify");
            assert_eq!(line["params"][0], job);
        }
        assert!(begun.elapsed() >= JOB_EVERY / 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_client_that_sends_too_much_is_let_go() {
        let pool = Pool::start().unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, pool.port())).unwrap();
        let limit = Some(Duration::from_secs(20));
        client.set_write_timeout(limit).unwrap();
        let piece = [b'x'; PIECE];
        let begun = Instant::now();
        while client.write_all(&piece).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
    }

    #[test]
    fn nothing_listens_any_more_when_it_is_dropped() {
        let pool = Pool::start().unwrap();
        let address = (Ipv4Addr::LOCALHOST, pool.port());
        drop(pool);
        assert!(TcpStream::connect(address).is_err());
    }
}
