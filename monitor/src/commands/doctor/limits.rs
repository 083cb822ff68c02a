//! What sampling, throttling and bans take beyond the probes. Pure, as `judge` is.

use super::{Check, judge::mounts};
use unjack_core::profile::SAMPLE_HZ;

/// `content` is that of `kernel.perf_event_max_sample_rate`. The kernel lowers it
/// by itself where sampling takes too long (`kernel.perf_cpu_time_max_percent`),
/// and refuses events that ask for more.
pub(super) fn sample_rate(content: Option<&str>) -> Check {
    const NAME: &str = "sampling rate";
    const REMEDY: &str = "sysctl -w kernel.perf_event_max_sample_rate=100000; or unjack run with \
                          --sample-hz below it";
    match content.and_then(|text| text.parse::<u32>().ok()) {
        Some(most) if most >= SAMPLE_HZ => Check::ok(NAME, format!("up to {most} a second")),
        Some(most) => Check::warn(
            NAME,
            format!("at most {most} a second: sampling at {SAMPLE_HZ} is refused"),
            REMEDY,
        ),
        None => Check::warn(
            NAME,
            "unknown: kernel.perf_event_max_sample_rate cannot be read",
            REMEDY,
        ),
    }
}

/// `controllers` is the text of `cgroup.controllers` at the root of the unified
/// hierarchy. A controller is either there, or mounted as version 1.
pub(super) fn cpu_controller(mountinfo: &str, controllers: Option<&str>) -> Check {
    const NAME: &str = "cpu controller";
    let first = mounts(mountinfo)
        .find(|(_, kind, options)| *kind == "cgroup" && options.split(',').any(|o| o == "cpu"));
    let unified = controllers.is_some_and(|list| {
        list.split_whitespace()
            .any(|controller| controller == "cpu")
    });
    match first {
        Some((point, ..)) => Check::ok(NAME, format!("v1, at {point}")),
        None if unified => Check::ok(NAME, "v2"),
        None => Check::warn(
            NAME,
            "none: miners cannot be throttled",
            "boot without cgroup_disable=cpu; in a container, mount the host's /sys/fs/cgroup; or \
             use --action freeze or kill",
        ),
    }
}

/// Whether there is somewhere to keep bans.
pub(super) fn bpf_filesystem(mountinfo: &str) -> Check {
    const NAME: &str = "BPF file system";
    match mounts(mountinfo).find(|(_, kind, _)| *kind == "bpf") {
        Some((point, ..)) => Check::ok(NAME, format!("at {point}")),
        None => Check::warn(
            NAME,
            "not mounted: bans outlive unjack only if it may mount one at /sys/fs/bpf",
            "mount -t bpf bpf /sys/fs/bpf; in a container, mount the host's",
        ),
    }
}
