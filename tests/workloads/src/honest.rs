//! Honest programs that hash, or do what looks like it, all the time: servers that
//! check passwords or take the digest of what they are sent, a chain of hashes, and
//! the verification of signatures.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use argon2::Argon2;
use ed25519_dalek::{Signer as _, SigningKey, Verifier as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::Task;
use crate::link::Link;
use crate::run::say;

/// A client that says or takes nothing for as long is given up.
const GONE: Duration = Duration::from_secs(10);
/// No line of a request is longer, in bytes; nor has a request so many lines.
const MAX_LINE: u64 = 8 << 10;
const MAX_LINES: usize = 100;
/// What an upload is read by, in bytes.
const PIECE: usize = 64 << 10;
/// Hashes from one of the published ones to the next, and in one step.
const TICK: u64 = 800_000;
const BATCH: u64 = 4096;
/// Signatures verified in a step, and bytes of each message.
const SIGNATURES: u32 = 16;
const MESSAGE: usize = 200;
/// The one password that the login server lets in.
const PASSWORD: &str = "hunter2";
const SALT: &[u8] = b"a salt of its own";

/// Serves every client that connects, each thread one client at a time, and says
/// where.
fn serve(
    threads: u32,
    listen: SocketAddr,
    serve: impl Fn(TcpStream) -> Result<()> + Sync,
) -> Result<()> {
    let listener = TcpListener::bind(listen).context("nothing to listen on")?;
    let address = listener.local_addr()?.to_string();
    say(&json!({"event": "started", "address": address}))?;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for client in listener.incoming().flatten() {
                    // A client that breaks it off is not the server's concern.
                    let _ = configure(&client).and_then(|()| serve(client));
                }
            });
        }
    });
    Ok(())
}

fn configure(client: &TcpStream) -> Result<()> {
    client.set_read_timeout(Some(GONE))?;
    Ok(client.set_write_timeout(Some(GONE))?)
}

/// Logins over HTTP: `GET /login?u=NAME&p=PASSWORD`, checked by Argon2id with the
/// crate's own parameters (19 MiB, two passes).
pub(super) fn logins(threads: u32, listen: SocketAddr) -> Result<()> {
    let digest = |password: &[u8]| -> Result<[u8; 32]> {
        let mut digest = [0; 32];
        let done = Argon2::default().hash_password_into(password, SALT, &mut digest);
        done.map_err(|error| anyhow!("argon2 refuses its own parameters: {error}"))?;
        Ok(digest)
    };
    let known = digest(PASSWORD.as_bytes())?;
    serve(threads, listen, |mut client| {
        let mut reader = BufReader::new(client.try_clone()?);
        let request = head(&mut reader)?;
        let target = request.split(' ').nth(1).unwrap_or_default();
        let password = target.rsplit('=').next().unwrap_or_default();
        let answer = if digest(password.as_bytes())? == known {
            "HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nwelcome\n"
        } else {
            "HTTP/1.0 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n"
        };
        Ok(client.write_all(answer.as_bytes())?)
    })
}

/// The first line of a request; what else is in its head is passed over.
fn head(reader: &mut impl BufRead) -> Result<String> {
    let mut first = String::new();
    for number in 0..MAX_LINES {
        let mut line = String::new();
        reader.by_ref().take(MAX_LINE).read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        if number == 0 {
            first = line;
        }
    }
    Ok(first)
}

/// Uploads over TCP: all that comes until the end is digested by SHA-256, and the
/// digest is the answer.
pub(super) fn uploads(threads: u32, listen: SocketAddr) -> Result<()> {
    serve(threads, listen, |mut client| {
        let mut piece = vec![0; PIECE];
        let mut digest = Sha256::new();
        loop {
            match client.read(&mut piece)? {
                0 => break,
                count => digest.update(&piece[..count]),
            }
        }
        Ok(client.write_all(&digest.finalize())?)
    })
}

/// Proof of history: a chain of SHA-256, of which every so many hashes one is
/// published. It shows that time has passed, and earns nothing.
pub(super) fn history() -> Task {
    Task::new("proof-of-history", |thread| {
        let mut hash: [u8; 32] = Sha256::digest(thread.to_le_bytes()).into();
        let mut count = 0;
        Ok(Box::new(move || {
            for _ in 0..BATCH {
                hash = Sha256::digest(hash).into();
                count += 1;
                if count % TICK == 0 {
                    // The reader may have gone.
                    let _ = say(&json!({"event": "tick", "count": count, "first": hash[0]}));
                }
            }
            0
        }))
    })
}

/// Verifies Ed25519 signatures of short messages, as ledgers and mirrors do.
pub(super) fn signatures() -> Task {
    Task::new("verify", |thread| {
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(&thread.to_le_bytes());
        let key = SigningKey::from_bytes(&secret);
        let public = key.verifying_key();
        let message = [0x5a; MESSAGE];
        let signature = key.sign(&message);
        Ok(Box::new(move || {
            for _ in 0..SIGNATURES {
                black_box(public.verify(&message, &signature).is_ok());
            }
            0
        }))
    })
}

/// Asks a web server again and again, on one connection that is kept, as programs do
/// that watch for news: nothing that comes is unasked.
pub(super) fn poll(address: &str, every: Duration) -> Result<()> {
    let Link {
        reader, mut writer, ..
    } = Link::open(address)?;
    let request = "GET /news HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    thread::spawn(move || -> Result<()> {
        let mut reader = BufReader::new(reader);
        loop {
            writer.write_all(request.as_bytes())?;
            let length = length(&mut reader)?;
            std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
            thread::sleep(every);
        }
    });
    Ok(())
}

/// The length of the body that follows this head.
fn length(reader: &mut impl BufRead) -> Result<u64> {
    let mut length = 0;
    for _ in 0..MAX_LINES {
        let mut line = String::new();
        let count = reader.by_ref().take(MAX_LINE).read_line(&mut line)?;
        anyhow::ensure!(count > 0, "the server has gone");
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim_end().parse()?;
        }
    }
    Ok(length)
}
