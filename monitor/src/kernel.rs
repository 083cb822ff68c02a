//! The kernel's side: probes are loaded, attached and drained here, and the
//! running kernel's BTF is read.
//!
//! The only place that names `aya`. It hands on records and does not interpret
//! them.

pub mod btf;
pub mod prefix;
pub mod probe;
