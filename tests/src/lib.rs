//! unjack's integration tests: a harness, real workloads and the suites.
//!
//! The suites in `tests/` run the real binary with the real probes on the
//! running kernel, and judge only what a user can see: exit codes, events,
//! metrics, and which processes live. This library is what they share:
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
//! | [`honest`] | the `honest` program: jobs of an honest machine beside a daemon that kills |
//! | [`host`] | root, one test at a time, waiting, the kernel's own accounts |
//! | [`evade`] | how miners hide, done for real |
//! | [`fit`] | the model: fitted to the corpus, and judged by it |
//! | [`workload`] | the `workload` program itself |
//! | [`corpus`] | the `corpus` program: what the model is trained from |
//! | [`code`] | the code that was sampled, as it is kept |
//!
//! A test that cannot run fails: nothing is skipped in silence. Waiting is
//! always for an event, with a generous limit; a fixed time passes only where
//! the claim is about time.

pub mod code;
pub mod corpus;
pub mod daemon;
pub mod devtools;
pub mod evade;
pub mod fit;
pub mod honest;
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
pub mod workload;

pub use daemon::Daemon;
pub use metrics::Metrics;
pub use spawn::Workload;
