//! unjack: finds cryptocurrency miners by what they execute, and stops them.
//!
//! The folders are in the order of the data's way, and imports point from later
//! to earlier ones only:
//!
//! ```text
//! core ← kernel ← host ← detect ← policy ← respond ← telemetry ← commands
//! ```
//!
//! - [`unjack_core`], a crate of its own, is what is pure: no I/O, no clock.
//! - [`kernel`] loads, attaches and drains the probes, and is the only place that
//!   names `aya`.
//! - [`host`] reads `/proc`, cgroups, sockets and clocks, and hashes images.
//! - [`detect`] gathers events into one profile a process and judges them.
//! - [`policy`] has the validated flags, the rules, and what is never acted on.
//! - [`respond`] is the only folder that changes anything outside this process.
//! - [`telemetry`] tells what happened and decides nothing.
//! - [`commands`] has the flags, the exit codes and one module a command.

pub mod commands;
pub mod detect;
pub mod host;
pub mod kernel;
pub mod policy;
pub mod respond;
pub mod telemetry;

#[cfg(test)]
mod layout;
