//! Who is judged, by what, each second.
//!
//! Records of the probes and facts of the host flow in, detections flow out. It
//! acts on nothing.

pub mod cadence;
pub mod collector;
pub(crate) mod contacts;
pub mod counts;
pub(crate) mod detector;
pub(crate) mod network;
pub(crate) mod pipeline;
pub mod report;
pub mod reputation;
mod shapes;
pub mod state;
pub(crate) mod stratum;
