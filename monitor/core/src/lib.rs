//! What unjack judges by, and nothing that a host is needed for: no I/O, no
//! clock, no kernel. Replayed, it gives the same verdicts.
//!
//! ```text
//! event → isa → profile → score → verdict
//!                 ↑ shape, stratum
//! ```
//!
//! - [`event`] is the only decoding of the wire.
//! - [`isa`] turns instruction bytes into classes and marks.
//! - [`profile`] sums up the samples and counters of a process over a window.
//! - [`shape`] says how connections behave, [`stratum`] whether bytes are a
//!   miner's half of Stratum.
//! - [`score`] turns a summary into a score, a family and evidence; its numbers
//!   are in `model/`.
//! - [`verdict`] is a sequential test on scores.
//! - [`text`] cleans what a process wrote before it is shown.

pub mod event;
pub mod isa;
pub mod profile;
pub mod score;
pub mod shape;
pub mod stratum;
pub mod text;
pub mod verdict;
