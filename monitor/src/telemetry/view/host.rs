//! The host that is shown.

use std::time::Duration;

use aya::util::online_cpus;
use rustix::{
    system::uname,
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};

use unjack_core::text::clean;

/// Characters of a name: the kernel's own limit is 64 bytes.
const NAME_CHARS: usize = 64;

/// The host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Instruction set.
    pub machine: String,
    /// Processors that are online, also those that are not for unjack itself.
    pub processors: usize,
    /// Seconds since it booted.
    pub uptime_seconds: f64,
    /// Seconds that unjack has run for.
    pub running_seconds: f64,
}

impl Host {
    /// This host, with an unjack that has run for so long.
    #[must_use]
    pub fn this(running: Duration) -> Self {
        let names = uname();
        let name = |name: &std::ffi::CStr| clean(name.to_bytes(), NAME_CHARS);
        let boot = clock_gettime(ClockId::Boottime);
        Self {
            name: name(names.nodename()),
            kernel: name(names.release()),
            machine: name(names.machine()),
            processors: online_cpus().map_or(1, |online| online.len()),
            uptime_seconds: boot.tv_sec as f64,
            running_seconds: running.as_secs_f64(),
        }
    }
}
