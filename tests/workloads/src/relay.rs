//! A process that has the connection to the pool so that another need not have it: a
//! helper at the end of a socket pair, or a proxy that listens.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};

use crate::link::Link;
use crate::run::say;
use ::tests::pool::{Options, Pool};

/// What is passed on at once, in bytes.
const PIECE: usize = 16 << 10;

/// Passes on what comes until either side ends it: between the address and every
/// client that connects to `listen`, or without that the socket that is its standard
/// input.
pub(super) fn run(to: &str, listen: Option<SocketAddr>) -> Result<()> {
    let Some(listen) = listen else {
        let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        return join(socket.try_clone()?, socket, Link::open(to)?);
    };
    let listener = TcpListener::bind(listen).context("nothing to listen on")?;
    say(&serde_json::json!({"event": "started", "address": listener.local_addr()?.to_string()}))?;
    for client in listener.incoming() {
        let client = client?;
        client.set_nodelay(true)?;
        let link = Link::open(to)?;
        // Either side may end it.
        thread::spawn(move || join(client.try_clone()?, client, link));
    }
    Ok(())
}

/// A pool until killed.
pub(super) fn pool(listen: SocketAddr) -> Result<()> {
    let pool = Pool::start_at(listen, Options::default())?;
    say(&serde_json::json!({
        "event": "started",
        "address": pool.plain.to_string(),
        "tls": pool.tls_url(),
        "wss": pool.wss_url(),
    }))?;
    loop {
        thread::park();
    }
}

/// Starts `program` as a helper that has the connection to `address`: the way to it.
pub(super) fn helper(program: &Path, address: &str) -> Result<Link> {
    let (ours, its) = UnixStream::pair()?;
    Command::new(program)
        .args(["relay", address])
        .stdin(Stdio::from(OwnedFd::from(its)))
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(Link {
        reader: Box::new(ours.try_clone()?),
        writer: Box::new(ours),
        socket: None,
    })
}

fn join(from: impl Read, to: impl Write + Send + 'static, link: Link) -> Result<()> {
    let Link {
        reader,
        writer,
        socket,
    } = link;
    let back = thread::spawn(move || pass(reader, to));
    let there = pass(from, writer);
    // Without the miner the pool has no client to speak to.
    if let Some(socket) = socket {
        let _ = socket.shutdown(Shutdown::Both);
    }
    let _ = back.join();
    there
}

fn pass(mut from: impl Read, mut to: impl Write) -> Result<()> {
    let mut piece = [0; PIECE];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            count => to.write_all(&piece[..count])?,
        }
    }
}
