//! The probes' object: loaded with the offsets and settings of this host, and its
//! programs and maps by name.

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Map, MapError},
    programs::ProgramError,
};

use super::{Features, ProbeError, Settings};
use crate::kernel::btf::Offsets;

/// The probes' object code, built by this crate's build script.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unjack-probes"));

/// The same for kernels without atomic instructions.
static PLAIN: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unjack-probes-plain"));

pub(super) fn load(
    offsets: &Offsets,
    settings: Settings,
    features: Features,
) -> Result<Ebpf, ProbeError> {
    let Offsets {
        task_pid,
        task_tgid,
        task_flags,
        task_state,
        task_start,
        task_runtime,
        task_nvcsw,
        task_leader,
        task_signal,
        signal_live,
        task_nivcsw,
        task_min_flt,
        task_maj_flt,
        task_mm,
        mm_exe,
        file_inode,
        inode_number,
        inode_super,
        super_device,
        inode_ctime: _,
        bprm_file: _,
        task_parent: _,
        task_comm: _,
        task_rchar,
        task_wchar,
        rounding,
        sock,
    } = offsets;
    let cap = settings.sample_cap.div_ceil(8);
    features.make_room();
    let object = if features.atomics { OBJECT } else { PLAIN };
    Ok(EbpfLoader::new()
        .override_global("TASK_PID", task_pid, true)
        .override_global("TASK_TGID", task_tgid, true)
        .override_global("TASK_FLAGS", task_flags, true)
        .override_global("TASK_STATE", task_state, true)
        .override_global("TASK_START", task_start, true)
        .override_global("TASK_RUNTIME", task_runtime, true)
        .override_global("TASK_NVCSW", task_nvcsw, true)
        .override_global("TASK_LEADER", task_leader, true)
        .override_global("TASK_SIGNAL", task_signal, true)
        .override_global("SIGNAL_LIVE", signal_live, true)
        .override_global("TASK_NIVCSW", task_nivcsw, true)
        .override_global("TASK_MIN_FLT", task_min_flt, true)
        .override_global("TASK_MAJ_FLT", task_maj_flt, true)
        .override_global("TASK_MM", task_mm, true)
        .override_global("MM_EXE", mm_exe, true)
        .override_global("FILE_INODE", file_inode, true)
        .override_global("INODE_NUMBER", inode_number, true)
        .override_global("INODE_SUPER", inode_super, true)
        .override_global("SUPER_DEVICE", super_device, true)
        .override_global("TASK_RCHAR", task_rchar, true)
        .override_global("TASK_WCHAR", task_wchar, true)
        .override_global("TASK_ROUNDING", &rounding.from_task, true)
        .override_global("ROUNDING_IN_STATE", &rounding.in_state, true)
        .override_global("SOCK_FAMILY", &sock.family, true)
        .override_global("SOCK_ADDRESS4", &sock.address4, true)
        .override_global("SOCK_ADDRESS6", &sock.address6, true)
        .override_global("SOCK_PORT", &sock.port, true)
        .override_global("HAS_TASK_BTF", &u32::from(features.task_btf), true)
        .override_global("HAS_TASK_PT_REGS", &u32::from(features.task_pt_regs), true)
        .override_global("TARGET_TGID", &settings.target.unwrap_or(0), true)
        .override_global("SELF_TGID", &std::process::id(), true)
        .override_global("SAMPLE_CAP", &cap, true)
        .load(object)?)
}

pub(super) fn program<'e, P>(
    ebpf: &'e mut Ebpf,
    name: &'static str,
) -> Result<&'e mut P, ProbeError>
where
    &'e mut P: TryFrom<&'e mut aya::programs::Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or(ProbeError::Mismatch(name))?
        .try_into()
        .map_err(|source| ProbeError::Program { name, source })
}

pub(super) fn map<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, ProbeError> {
    let map = ebpf.take_map(name).ok_or(ProbeError::Mismatch(name))?;
    M::try_from(map).map_err(|source| ProbeError::Map { name, source })
}
