//! unjack: finds cryptocurrency miners by what they execute, and stops them.
//!
//! The way of the data, and the module each step lives in:
//!
//! ```text
//! kernel ─ probe ─ event ─ collector ─ profile ─ score ─ verdict ─ action
//!            │                 │        └ isa                        │
//!           btf              host                              journal, metrics ─ web
//! ```
//!
//! - [`probe`] loads, attaches and drains the probes, and is the only place
//!   that names `aya`; [`btf`] tells them where the running kernel keeps things.
//! - [`event`] is the only decoding of the wire.
//! - [`collector`] gathers events into one profile a process, asking [`host`]
//!   (`/proc`) where code lies and who somebody is.
//! - [`isa`], [`profile`], [`stratum`], [`score`] and [`verdict`] are pure: no I/O,
//!   no clock.
//! - [`action`] is the only module that changes anything outside this process;
//!   [`guard`] says whom it must not touch, [`kin`] who belongs to whom, and
//!   [`cgroup`] what the kernel's texts about cgroups mean: all three are pure.
//! - [`journal`], [`metrics`] and [`view`] tell what happened and decide nothing;
//!   [`web`] serves the metrics and the page, [`mod@notify`] tells systemd.
//! - [`daemon`] is the event loop of `unjack run`, [`mod@explain`] that of
//!   `unjack explain`, [`mod@record`] that of `unjack record`; [`mod@release`] undoes
//!   what was held; [`doctor`] checks the host, [`selftest`] all of it; [`mod@exit`]
//!   has the exit codes.
//! - [`evidence`] keeps what is known of a miner before it is acted on,
//!   [`mod@reputation`] has the operator's lists, [`mod@digest`] the hashing of
//!   images for them, [`hook`] runs the operator's program.
//! - [`cli`] has the flags, [`config`] what they mean, [`text`] the cleaning of
//!   whatever a process wrote.

pub mod action;
pub mod btf;
pub mod cgroup;
pub mod cli;
pub mod collector;
pub mod config;
mod court;
pub mod daemon;
pub mod digest;
pub mod doctor;
pub mod energy;
pub mod event;
pub mod evidence;
pub mod exit;
pub mod explain;
pub mod guard;
pub mod hook;
pub mod host;
pub mod isa;
pub mod journal;
pub mod kin;
pub mod metrics;
pub mod notify;
pub mod probe;
pub mod profile;
pub mod record;
pub mod release;
pub mod replay;
pub mod reputation;
pub mod score;
pub mod selftest;
pub mod shape;
pub mod stratum;
pub mod text;
pub mod top;
pub mod verdict;
pub mod view;
pub mod web;
