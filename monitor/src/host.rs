//! What is read of this host: `/proc`, cgroups, sockets, clocks, and the hashes of
//! images. Reads are bounded, and those that can last are waited for only so long.
//! Nothing is written.

pub mod cgroup;
pub(crate) mod clock;
pub mod connections;
pub mod container;
pub mod deep;
pub mod digest;
pub mod energy;
mod error;
mod facts;
mod image;
pub mod maps;
mod members;
mod process;
mod provenance;
mod relatives;
mod root;
pub mod sockets;
mod tcp_info;
pub mod timed_read;
mod user_namespace;

pub(crate) use self::process::{is_systems_own, tick_ns};
pub use self::{
    error::{Cause, LookError},
    facts::Facts,
    image::Image,
    members::{Member, living, parents},
    process::{ProcHandle, executes, executing, io_bytes, lineage, ticks},
    provenance::{HostFile, Provenance, Uids, without_deleted},
};
