//! Whether this kernel takes every program, found by loading each: for `unjack doctor`.
//!
//! Nothing is attached, and all of it is gone before this returns. What was refused is
//! named with what is lost without it.

use std::path::Path;

use aya::{
    Btf, Ebpf, EbpfError,
    programs::{BtfTracePoint, CgroupSkb, Lsm, PerfEvent},
};

use super::{
    Features, ProbeError, SAMPLER, Settings, TRACEPOINTS, bans,
    load::{load, program},
};
use crate::kernel::btf::{Offsets, VMLINUX};

/// A program that the kernel refuses.
#[derive(Debug)]
pub struct Refused {
    /// What is lost without it; `None` if unjack cannot run.
    pub lost: Option<&'static str>,
    /// Which program or map, and the kernel's words.
    pub why: ProbeError,
}

/// What loading all programs shows.
#[derive(Debug)]
pub struct Trial {
    /// What the kernel has where there is another way.
    pub features: Features,
    /// Programs that it refuses.
    pub refused: Vec<Refused>,
}

/// Loads every program.
///
/// # Errors
/// The kernel's types or the maps cannot be had, so that there is nothing to load.
pub fn run(settings: Settings) -> Result<Trial, ProbeError> {
    let features = Features::detect();
    let offsets = Offsets::read(Path::new(VMLINUX))?;
    let btf = Btf::from_sys_fs().map_err(EbpfError::from)?;
    let mut ebpf = load(&offsets, settings, features)?;
    let mut refused = Vec::new();
    let mut note = |lost, result: Result<(), ProbeError>| {
        if let Err(why) = result {
            refused.push(Refused { lost, why });
        }
    };
    for name in TRACEPOINTS {
        note(None, tracepoint(&mut ebpf, &btf, name));
    }
    note(None, sampler(&mut ebpf));
    let pools = tracepoint(&mut ebpf, &btf, "inet_sock_set_state");
    note(
        Some("--pools: connections to listed pools are not seen"),
        pools,
    );
    let blocked = security(&mut ebpf, &btf, "socket_connect");
    note(Some("--block-pools: connections are not refused"), blocked);
    note(Some("Stratum is not recognized"), traffic(&mut ebpf));
    drop((ebpf, btf));
    let banned = bans::Programs::load(bans::With::Signal, None);
    note(Some("--ban: images are not refused"), banned.map(drop));
    Ok(Trial { features, refused })
}

fn tracepoint(ebpf: &mut Ebpf, btf: &Btf, name: &'static str) -> Result<(), ProbeError> {
    let program: &mut BtfTracePoint = program(ebpf, name)?;
    let loaded = program.load(name, btf);
    loaded.map_err(|source| ProbeError::Program { name, source })
}

fn security(ebpf: &mut Ebpf, btf: &Btf, name: &'static str) -> Result<(), ProbeError> {
    let program: &mut Lsm = program(ebpf, name)?;
    let loaded = program.load(name, btf);
    loaded.map_err(|source| ProbeError::Program { name, source })
}

fn sampler(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    let program: &mut PerfEvent = program(ebpf, SAMPLER)?;
    let name = SAMPLER;
    let loaded = program.load();
    loaded.map_err(|source| ProbeError::Program { name, source })
}

fn traffic(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    const NAME: &str = "stratum_out";
    let program: &mut CgroupSkb = program(ebpf, NAME)?;
    let loaded = program.load();
    loaded.map_err(|source| ProbeError::Program { name: NAME, source })
}
