//! The commands of `unjack`, a module each, their flags and their exit codes.

pub mod bans;
pub mod cli;
pub mod daemon;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod record;
pub mod release;
pub mod replay;
pub mod selftest;
pub mod top;
