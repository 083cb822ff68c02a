//! The command line of the workload program, and nothing else.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::show::Show;
use crate::{Task, benign, drivers, honest, miners, randomx, relay};

/// Real work to be judged: proof-of-work miners and honest burners.
#[derive(Debug, Parser)]
pub(super) struct Cli {
    /// Threads that work.
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) threads: u32,
    /// Stop after this many seconds; without it, work until killed.
    #[arg(long, global = true)]
    pub(super) seconds: Option<u64>,
    /// Percent of each 100 ms in which every thread is busy.
    #[arg(long, global = true, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    duty: u32,
    /// Overwrite the program's own arguments and name, as a miner in hiding
    /// does: ps then shows this.
    #[arg(long, global = true)]
    pub(super) title: Option<OsString>,
    /// After --seconds of work, stay this many seconds without.
    #[arg(long, global = true, requires = "seconds")]
    pub(super) rest: Option<u64>,
    /// Work on a thread of its own and end the first one: what is left has no
    /// image in /proc/PID.
    #[arg(long, global = true)]
    pub(super) headless: bool,
    /// Threads that do honest work beside the others, always at full speed:
    /// the others are then a miner in a busy process.
    #[arg(long, global = true, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub(super) busy_threads: u32,
    /// Read this many MiB a second, of zeroes, beside the work.
    #[arg(long, global = true, default_value_t = 0)]
    pub(super) fake_io: u64,
    /// Do this besides, for a twentieth of the time.
    #[arg(long, global = true)]
    pub(super) show: Option<Show>,
    /// Map this file and read it, while another thread wants memory: if it never
    /// answers, who looks at the process's memory waits.
    #[arg(long, global = true)]
    pub(super) stall: Option<PathBuf>,
    /// Mine at the pool at HOST:PORT, over Stratum, or at tls://HOST:PORT: those
    /// that hash one header after the other get theirs from there. `RandomX` and
    /// what is no miner connect to none.
    #[arg(long, global = true, env = "POOL")]
    pool: Option<String>,
    /// Leave the connection to the pool to a process of its own, which executes
    /// this program, and talk to it over a socket pair.
    #[arg(long, global = true, requires = "pool")]
    pub(super) helper: Option<PathBuf>,
    /// Ask the web server at tls://HOST:PORT for news every three seconds, on one
    /// connection, whatever the work is.
    #[arg(long, global = true)]
    pub(super) poll: Option<String>,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Monero's `RandomX`, by Debian's librandomx.
    #[command(name = "randomx")]
    RandomX {
        /// Mine with the 2 GiB dataset, as miners do; without it, verify-mode
        /// with the 256 MiB cache, which starts within a second.
        #[arg(long)]
        full: bool,
        /// Interpret the programs instead of compiling them.
        #[arg(long)]
        interpret: bool,
    },
    /// Bitcoin: double SHA-256 over an 80-byte header.
    Sha256d {
        /// Without the processor's SHA instructions.
        #[arg(long)]
        portable: bool,
    },
    /// Litecoin: scrypt with N=1024, r=1, p=1.
    Scrypt,
    /// Chukwa (`TurtleCoin`): Argon2id over 512 KiB, three passes.
    Argon2,
    /// Double SHA-512 over a header.
    Sha512d,
    /// Keccak-256 over a header, as in Maxcoin.
    Keccak,
    /// BLAKE3 over a header, as in Alephium.
    Blake3,
    /// Any other coin's hash, by name.
    Mine {
        /// The hash and, where there are several, the implementation.
        #[arg(value_parser = PossibleValuesParser::new(drivers::names()))]
        driver: String,
    },
    /// Sieve, Collatz and harmonic sums: busy, and no hash.
    Burn,
    /// The same, asleep for half of each 100 ms.
    Half,
    /// A chain of SHA-256 that shows that time has passed; no proof of work.
    Poh,
    /// Verify Ed25519 signatures.
    Verify,
    /// Check passwords by Argon2id, over HTTP.
    ServeLogin(Listen),
    /// Take the SHA-256 of what is sent.
    ServeUpload(Listen),
    /// Be a pool to mine at: at this address in the clear, and besides, which is
    /// told, behind TLS and through a WebSocket.
    ServePool(Listen),
    /// Pass on what clients say to a pool, and what it answers: a proxy, or the
    /// helper of --helper.
    Relay {
        /// The pool, as --pool has it.
        to: String,
        /// Where clients connect; without it the one client is the socket that is
        /// the standard input.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, Args)]
struct Listen {
    /// The address; port 0 is any that is free, which is told.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

impl Cli {
    /// The pool, if the work is one that is brought to a pool.
    pub(super) fn pool(&self) -> Option<&str> {
        let mines = match &self.work {
            Work::Sha256d { .. }
            | Work::Scrypt
            | Work::Argon2
            | Work::Sha512d
            | Work::Keccak
            | Work::Blake3
            | Work::Mine { .. } => true,
            Work::RandomX { .. }
            | Work::Burn
            | Work::Half
            | Work::Poh
            | Work::Verify
            | Work::ServeLogin(_)
            | Work::ServeUpload(_)
            | Work::ServePool(_)
            | Work::Relay { .. } => false,
        };
        self.pool.as_deref().filter(|_| mines)
    }

    /// Serves others, if that was asked for: what came of it.
    pub(super) fn serve(&self) -> Option<Result<()>> {
        match &self.work {
            Work::ServeLogin(Listen { listen }) => Some(honest::logins(self.threads, *listen)),
            Work::ServeUpload(Listen { listen }) => Some(honest::uploads(self.threads, *listen)),
            Work::ServePool(Listen { listen }) => Some(relay::pool(*listen)),
            Work::Relay { to, listen } => Some(relay::run(to, *listen)),
            _ => None,
        }
    }

    /// The task that was asked for.
    pub(super) fn task(&self) -> Result<Task> {
        Ok(match &self.work {
            Work::RandomX { full, interpret } => randomx::task(*full, *interpret, self.threads)?,
            Work::Sha256d { portable: false } => miners::sha256d(),
            Work::Sha256d { portable: true } => miners::sha256d_portable(),
            Work::Scrypt => miners::scrypt(),
            Work::Argon2 => miners::argon2(),
            Work::Sha512d => miners::sha512d(),
            Work::Keccak => miners::keccak(),
            Work::Blake3 => miners::blake3(),
            Work::Mine { driver } => drivers::task(driver)?,
            Work::Burn | Work::Half => benign::burn(),
            Work::Poh => honest::history(),
            Work::Verify => honest::signatures(),
            Work::ServeLogin(_)
            | Work::ServeUpload(_)
            | Work::ServePool(_)
            | Work::Relay { .. } => {
                unreachable!("a server has no task")
            }
        })
    }

    /// Percent of the time in which every thread is busy.
    pub(super) fn duty(&self) -> u32 {
        match self.work {
            Work::Half => 50,
            _ => self.duty,
        }
    }
}
