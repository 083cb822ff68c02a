//! What this host has and lacks for unjack, check by check, with the remedy.
//!
//! Reads a fixed list of small files under `/proc` and `/sys`, loads the probes without
//! attaching them, and changes nothing. Reading is here; judging what was read is in `judge`, pure, so
//! that hosts we do not have can be tested. A failed check means that probes
//! cannot be loaded or would see the wrong processes; a warning means that
//! something is unknown or will work less well.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::{
    commands::cli::DoctorArgs,
    host::container::Containers,
    kernel::probe::{Settings, trial},
    policy::config::{ConfigError, ONLY, parse_passwd, parse_rules},
};

mod enforcement;
mod faults;
mod judge;
mod kernel;
mod limits;
mod version;

const BTF: &str = "/sys/kernel/btf/vmlinux";
const PMU_DEVICES: &str = "/sys/bus/event_source/devices";
const PMU_UNKNOWN: &str = "cannot be listed";
/// Of the probes that are only loaded; any will do.
const TRIAL_WINDOW: Duration = Duration::from_secs(10);

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Unknown, or works less well.
    Warn,
    /// Cannot work.
    Fail,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What is there, and what that means.
    pub found: String,
    /// What to do about it; `None` if all is well.
    pub remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    fn warn(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Warn,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn fail(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Fail,
            ..Self::warn(name, found, remedy)
        }
    }
}

/// Looks at everything, in the order in which to fix it, and has the kernel load the
/// probes: it is judged by what it can do.
#[must_use]
pub fn whole() -> Vec<Check> {
    let mut checks = checks();
    let tried = (!fatal(&checks)).then(|| {
        let settings = Settings::new(None, unjack_core::profile::SAMPLE_HZ, TRIAL_WINDOW);
        trial::run(settings)
            .map(|trial| kernel::Tried::new(&trial))
            .map_err(|error| error.refusal())
    });
    checks.extend(kernel::judge(tried.as_ref()));
    checks
}

/// Looks at everything that is read, in the order in which to fix it.
#[must_use]
pub fn checks() -> Vec<Check> {
    let uname = rustix::system::uname();
    let caps = judge::Caps::parse(&read("/proc/self/status").unwrap_or_default());
    let mounts = read("/proc/self/mountinfo").unwrap_or_default();
    let sysctl = |name: &str| read(&format!("/proc/sys/{name}")).ok();
    let security = |name: &str| read(&format!("/sys/kernel/security/{name}")).ok();
    let devices = pmu_devices();
    vec![
        kernel::release(&uname.release().to_string_lossy()),
        known_faults(&uname, judge::counts_cycles(&devices)),
        judge::arch(std::env::consts::ARCH),
        judge::btf(&btf_magic()),
        judge::load_caps(caps),
        judge::act_caps(caps),
        judge::namespace(&judge::PID_NAMESPACE, namespace_link("pid").as_deref()),
        judge::namespace(&judge::USER_NAMESPACE, namespace_link("user").as_deref()),
        judge::namespace(
            &judge::CGROUP_NAMESPACE,
            namespace_link("cgroup").as_deref(),
        ),
        judge::lockdown(security("lockdown").as_deref()),
        judge::jit(sysctl("net/core/bpf_jit_enable").as_deref()),
        judge::perf_paranoid(sysctl("kernel/perf_event_paranoid").as_deref(), caps),
        limits::sample_rate(sysctl("kernel/perf_event_max_sample_rate").as_deref()),
        judge::pmu(&devices),
        judge::bpf_lsm(security("lsm").as_deref()),
        limits::bpf_filesystem(&mounts),
        judge::cgroups(&mounts),
        limits::cpu_controller(&mounts, unified_controllers(&mounts).as_deref()),
        judge::hidepid(&mounts, caps),
        judge::programs(is_hosts("/usr"), caps),
    ]
}

/// Faults of this kernel that sampling can run into. `cycles` says that a processor's
/// cycles drive the sampler.
fn known_faults(uname: &rustix::system::Uname, cycles: bool) -> Check {
    let (release, version) = (
        uname.release().to_string_lossy(),
        uname.version().to_string_lossy(),
    );
    let signature = read("/proc/version_signature").ok();
    let command_line = read("/proc/cmdline").unwrap_or_default();
    let config = read(&format!("/boot/config-{release}")).ok();
    faults::known_faults(faults::Host {
        kernel: version::Texts {
            release: &release,
            version: &version,
            signature: signature.as_deref(),
        },
        cycles,
        command_line: &command_line,
        config: config.as_deref(),
    })
}

/// What the action of `unjack run` would be for, with these flags.
///
/// # Errors
/// A rule that is not accepted.
pub fn enforcement(args: &DoctorArgs, passwd: &str) -> Result<Check, ConfigError> {
    let DoctorArgs {
        action,
        only,
        json: _,
    } = args;
    let rules = parse_rules(ONLY, only, &parse_passwd(passwd))?;
    let runtimes = Containers::of_host(Vec::new()).any_runtime();
    Ok(enforcement::enforcement(*action, &rules, runtimes))
}

/// The controllers of the unified hierarchy, wherever that is mounted.
fn unified_controllers(mounts: &str) -> Option<String> {
    let unified = judge::mounts(mounts).find(|(_, kind, _)| *kind == "cgroup2");
    let (point, ..) = unified?;
    read(&format!("{point}/cgroup.controllers")).ok()
}

/// Whether a folder is the one that process 1 has under the same path.
fn is_hosts(folder: &str) -> Option<bool> {
    let own = fs::metadata(folder).ok()?;
    let theirs = fs::metadata(format!("/proc/1/root{folder}")).ok()?;
    Some((own.dev(), own.ino()) == (theirs.dev(), theirs.ino()))
}

/// Whether a check failed that unjack cannot work without.
#[must_use]
pub fn fatal(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.status == Status::Fail)
}

/// Looks at everything before probes are loaded.
///
/// # Errors
/// The failed checks, without which loading makes no sense.
pub fn preflight() -> Result<(), Vec<Check>> {
    let mut failed = checks();
    // It can hang the machine: that is not for `unjack doctor` alone to say.
    let fault = |check: &&Check| check.name == faults::NAME && check.status == Status::Warn;
    for Check { found, remedy, .. } in failed.iter().filter(fault) {
        let remedy = remedy.as_deref().unwrap_or_default();
        tracing::warn!("{}: {found}; {remedy}", faults::NAME);
    }
    failed.retain(|check| check.status == Status::Fail);
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed)
    }
}

/// The checks for people: a line each, and the remedy below where there is one.
#[must_use]
pub fn render_text(checks: &[Check]) -> String {
    let width = checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for Check {
        name,
        status,
        found,
        remedy,
    } in checks
    {
        let status = match status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{status:<4}  {name:<width$}  {found}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{:width$}        remedy: {remedy}", "");
        }
    }
    text
}

/// The files read here are small, but for a mount table on a container host.
const MAX_READ: u64 = 1 << 20;

fn read(path: &str) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_READ)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// First two bytes of the kernel's BTF, or why they cannot be had.
fn btf_magic() -> Result<[u8; 2], String> {
    let mut magic = [0; 2];
    fs::File::open(BTF)
        .and_then(|mut file| file.read_exact(&mut magic))
        .map_err(|error| error.to_string())?;
    Ok(magic)
}

fn namespace_link(kind: &str) -> Option<String> {
    let link = fs::read_link(Path::new("/proc/self/ns").join(kind)).ok()?;
    Some(link.to_string_lossy().into_owned())
}

fn pmu_devices() -> Result<Vec<String>, &'static str> {
    let entries = fs::read_dir(PMU_DEVICES).map_err(|_| PMU_UNKNOWN)?;
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names
        .map(|name| name.to_string_lossy().into_owned())
        .collect())
}

#[cfg(test)]
mod tests;
