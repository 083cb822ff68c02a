//! unjack's integration tests: the harness of the suites.
//!
//! The suites in `tests/` run the real binary with the real probes on the
//! running kernel, and judge only what a user can see: exit codes, events,
//! metrics, and which processes live. What they judge are the programs of the crate
//! `workloads`, which are found as files: no suite is linked with a hash. The crate
//! `lab` measures and trains with the same harness. This library is what all share:
//!
//! | module | what it owns |
//! |---|---|
//! | [`daemon`] | `unjack run` as a child: its events, its output, its end |
//! | [`devtools`] | a browser's tab, driven and watched |
//! | [`output`] | what a child printed, byte for byte, and waiting for it |
//! | [`https`] | TLS: an authority, what it signs, clients |
//! | [`metrics`] | a scrape and the reading of it |
//! | [`news`] | a web server that is asked again and again |
//! | [`pins`] | a folder for the bans of one test |
//! | [`prometheus`] | a real Prometheus, and what it answers |
//! | [`webhook`] | a server that keeps the JSON it is sent |
//! | [`pool`] | a pool that miners mine at: plain, TLS, WebSocket |
//! | [`spawn`] | the workloads and other programs to be judged |
//! | [`podman`] | real containers |
//! | [`terminal`] | a program on a terminal: what is on its screen, keys, sizes |
//! | [`host`] | root, whose turn it is, waiting, the kernel's own accounts |
//! | [`evade`] | how miners hide, done for real |
//!
//! A test that cannot run fails: nothing is skipped in silence. Waiting is
//! always for an event, with a generous limit; a fixed time passes only where
//! the claim is about time.

pub mod daemon;
pub mod devtools;
pub mod evade;
pub mod host;
pub mod https;
pub mod metrics;
pub mod news;
pub mod output;
pub mod pins;
pub mod podman;
pub mod pool;
pub mod prometheus;
pub mod spawn;
pub mod terminal;
pub mod webhook;

pub use daemon::Daemon;
pub use metrics::Metrics;
pub use spawn::Workload;
