//! Struct offsets of the running kernel, read from its BTF.
//!
//! The probes cannot relocate themselves (see `monitor-ebpf`'s `kernel`
//! module); this is the one place that knows which members they read and what
//! those are called from one kernel to the next.

use std::path::Path;

use btf::{Btf, Type};

/// Where the kernel publishes its types.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's types could not be had, or lack something the probes need.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// No file: a kernel without BTF, or a container without /sys.
    #[error(
        "BTF not found at {path}: this kernel was built without CONFIG_DEBUG_INFO_BTF, or /sys is \
         not mounted here; use a kernel with BTF (every distribution's since 2021 has it)"
    )]
    Missing {
        /// Where it was looked for.
        path: String,
    },
    /// A file that does not parse.
    #[error("cannot parse the kernel's BTF at {path}: {reason}; please report this kernel")]
    Unreadable {
        /// Where it was read.
        path: String,
        /// What the parser said.
        reason: String,
    },
    /// A member that this kernel does not have.
    #[error(
        "this kernel's {path} is not where any known kernel keeps it; please report its version"
    )]
    Member {
        /// `struct.member`.
        path: String,
    },
}

/// Byte offsets the probes read, one per global of the probes' `kernel` module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.flags`
    pub task_flags: u32,
    /// `task_struct.__state`, or `state`
    pub task_state: u32,
    /// `task_struct.start_boottime`
    pub task_start: u32,
    /// `task_struct.se.sum_exec_runtime`
    pub task_runtime: u32,
    /// `task_struct.nvcsw`
    pub task_nvcsw: u32,
    /// `task_struct.group_leader`
    pub task_leader: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `signal_struct.live`
    pub signal_live: u32,
    /// `task_struct.nivcsw`
    pub task_nivcsw: u32,
    /// `task_struct.min_flt`
    pub task_min_flt: u32,
    /// `task_struct.maj_flt`
    pub task_maj_flt: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `mm_struct.exe_file`
    pub mm_exe: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `inode.i_ino`
    pub inode_number: u32,
    /// `inode.i_sb`
    pub inode_super: u32,
    /// `super_block.s_dev`
    pub super_device: u32,
    /// When an inode last changed.
    pub inode_ctime: Ctime,
    /// `linux_binprm.file`
    pub bprm_file: u32,
    /// `task_struct.real_parent`
    pub task_parent: u32,
    /// `task_struct.comm`
    pub task_comm: u32,
    /// `task_struct.ioac.rchar`, or 0 where I/O is not counted
    pub task_rchar: u32,
    /// `task_struct.ioac.wchar`, or 0
    pub task_wchar: u32,
    /// Where a thread's saved rounding mode is.
    pub rounding: Rounding,
    /// Where a socket's destination is.
    pub sock: Sock,
}

/// Where the kernel keeps a socket's destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sock {
    /// `sock.__sk_common.skc_family`
    pub family: u32,
    /// `….skc_daddr`
    pub address4: u32,
    /// `….skc_v6_daddr`, or 0 on a kernel without version 6
    pub address6: u32,
    /// `….skc_dport`
    pub port: u32,
}

/// Where an inode keeps the time of its last change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctime {
    /// Its seconds.
    pub seconds: u32,
    /// Its nanoseconds.
    pub nanoseconds: u32,
}

/// Where the kernel keeps the floating-point rounding mode of a thread that
/// does not run. All 0 if that is not known: one witness less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounding {
    /// Bytes from the task to it, or to the pointer to what holds it.
    pub from_task: u32,
    /// Bytes from there to it; 0 if there is no pointer.
    pub in_state: u32,
}

impl Offsets {
    /// Reads them from a BTF file, usually [`VMLINUX`].
    ///
    /// # Errors
    /// The file is missing, does not parse, or lacks a member.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let shown = path.display().to_string();
        if !path.exists() {
            return Err(BtfError::Missing { path: shown });
        }
        let btf = Btf::from_file(path).map_err(|error| BtfError::Unreadable {
            path: shown,
            reason: error.to_string(),
        })?;
        let task = |member| offset(&btf, "task_struct", member);
        Ok(Self {
            task_pid: task("pid")?,
            task_tgid: task("tgid")?,
            task_flags: task("flags")?,
            // Renamed in 5.14.
            task_state: task("__state").or_else(|_| task("state"))?,
            task_start: task("start_boottime")?,
            task_runtime: task("se")? + offset(&btf, "sched_entity", "sum_exec_runtime")?,
            task_nvcsw: task("nvcsw")?,
            task_leader: task("group_leader")?,
            task_signal: task("signal")?,
            signal_live: offset(&btf, "signal_struct", "live")?,
            task_nivcsw: task("nivcsw")?,
            task_min_flt: task("min_flt")?,
            task_maj_flt: task("maj_flt")?,
            task_mm: task("mm")?,
            mm_exe: offset(&btf, "mm_struct", "exe_file")?,
            file_inode: offset(&btf, "file", "f_inode")?,
            inode_number: offset(&btf, "inode", "i_ino")?,
            inode_super: offset(&btf, "inode", "i_sb")?,
            super_device: offset(&btf, "super_block", "s_dev")?,
            inode_ctime: ctime(&btf)?,
            bprm_file: offset(&btf, "linux_binprm", "file")?,
            task_parent: task("real_parent")?,
            task_comm: task("comm")?,
            // Without CONFIG_TASK_XACCT the struct is empty.
            task_rchar: io(&btf, "rchar").unwrap_or(0),
            task_wchar: io(&btf, "wchar").unwrap_or(0),
            rounding: rounding(&btf).unwrap_or_default(),
            sock: sock(&btf)?,
        })
    }
}

fn sock(btf: &Btf) -> Result<Sock, BtfError> {
    let common = offset(btf, "sock", "__sk_common")?;
    let member = |member| Ok(common + offset(btf, "sock_common", member)?);
    Ok(Sock {
        family: member("skc_family")?,
        address4: member("skc_daddr")?,
        address6: member("skc_v6_daddr").unwrap_or(0),
        port: member("skc_dport")?,
    })
}

/// Two members since 6.11; before, a `timespec64`, named `__i_ctime` since 6.6.
fn ctime(btf: &Btf) -> Result<Ctime, BtfError> {
    let inode = |member| offset(btf, "inode", member);
    if let (Ok(seconds), Ok(nanoseconds)) = (inode("i_ctime_sec"), inode("i_ctime_nsec")) {
        return Ok(Ctime {
            seconds,
            nanoseconds,
        });
    }
    let start = inode("__i_ctime").or_else(|_| inode("i_ctime"))?;
    Ok(Ctime {
        seconds: start + offset(btf, "timespec64", "tv_sec")?,
        nanoseconds: start + offset(btf, "timespec64", "tv_nsec")?,
    })
}

/// A member of a task's own I/O counters.
fn io(btf: &Btf, member: &str) -> Result<u32, BtfError> {
    Ok(offset(btf, "task_struct", "ioac")? + offset(btf, "task_io_accounting", member)?)
}

/// `MXCSR` lies 24 bytes into what FXSAVE and XSAVE write (Intel SDM volume 1,
/// 10.5.1). Before 5.16 that was part of the task, since then it is behind
/// `fpu.fpstate`; and since 6.16 the `fpu` no longer is in `thread` but follows
/// the task (`x86_task_fpu`, arch/x86/include/asm/processor.h).
#[cfg(target_arch = "x86_64")]
fn rounding(btf: &Btf) -> Result<Rounding, BtfError> {
    const MXCSR: u32 = 24;
    let embedded = offset(btf, "task_struct", "thread")
        .and_then(|thread| Ok(thread + offset(btf, "thread_struct", "fpu")?));
    let fpu = embedded.or_else(|_| size_of_task(btf))?;
    if let Ok(fpstate) = offset(btf, "fpu", "fpstate") {
        return Ok(Rounding {
            from_task: fpu + fpstate,
            in_state: offset(btf, "fpstate", "regs")? + MXCSR,
        });
    }
    Ok(Rounding {
        from_task: fpu + offset(btf, "fpu", "state")? + MXCSR,
        in_state: 0,
    })
}

/// `FPCR`, as arch/arm64/include/asm/processor.h keeps it.
#[cfg(target_arch = "aarch64")]
fn rounding(btf: &Btf) -> Result<Rounding, BtfError> {
    // `uw` is a struct without a name of its own.
    let thread = offset(btf, "task_struct", "thread")? + offset(btf, "thread_struct", "uw")?;
    let fpsimd = inner(btf, "thread_struct", "uw", "fpsimd_state")?;
    Ok(Rounding {
        from_task: thread + fpsimd + offset(btf, "user_fpsimd_state", "fpcr")?,
        in_state: 0,
    })
}

/// Byte offset of a member of a member, where the latter's type has no name.
#[cfg(target_arch = "aarch64")]
fn inner(btf: &Btf, structure: &str, member: &str, inner: &str) -> Result<u32, BtfError> {
    let missing = || BtfError::Member {
        path: format!("{structure}.{member}.{inner}"),
    };
    let Ok(found) = btf.get_type_by_name(structure) else {
        return Err(missing());
    };
    let Type::Struct(body) = &found.base_type else {
        return Err(missing());
    };
    body.members
        .iter()
        .find(|found| found.name.as_deref() == Some(member))
        .and_then(|found| btf.get_type_by_id(found.type_id).ok())
        .and_then(|found| bits(btf, &found.base_type, inner))
        .map(|bits| bits / 8)
        .ok_or_else(missing)
}

/// Bytes of a task. The parser knows the end of the last member only, and the
/// kernel aligns tasks to a cache line.
#[cfg(target_arch = "x86_64")]
fn size_of_task(btf: &Btf) -> Result<u32, BtfError> {
    let found = btf.get_type_by_name("task_struct");
    let bytes = found.map_or(0, |found| found.bits.div_ceil(8));
    if bytes == 0 {
        return Err(BtfError::Member {
            path: "task_struct".to_owned(),
        });
    }
    Ok(bytes.next_multiple_of(64))
}

/// Byte offset of a struct's member, also if it sits in an anonymous struct or
/// union of it.
fn offset(btf: &Btf, structure: &str, member: &str) -> Result<u32, BtfError> {
    btf.get_type_by_name(structure)
        .ok()
        .and_then(|found| bits(btf, &found.base_type, member))
        .map(|bits| bits / 8)
        .ok_or_else(|| BtfError::Member {
            path: format!("{structure}.{member}"),
        })
}

fn bits(btf: &Btf, within: &Type, member: &str) -> Option<u32> {
    let (Type::Struct(body) | Type::Union(body)) = within else {
        return None;
    };
    body.members
        .iter()
        .find_map(|found| match found.name.as_deref() {
            Some(name) if name == member => Some(found.offset),
            None | Some("") => {
                let inner = btf.get_type_by_id(found.type_id).ok()?;
                Some(found.offset + bits(btf, &inner.base_type, member)?)
            }
            Some(_) => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_btf_is_told_apart() {
        let error = Offsets::read(Path::new("/nonexistent/vmlinux")).unwrap_err();
        assert!(
            error.to_string().contains("CONFIG_DEBUG_INFO_BTF"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_not_btf_is_refused() {
        let error = Offsets::read(Path::new("/proc/self/status")).unwrap_err();
        assert!(matches!(error, BtfError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn the_running_kernel_has_every_member() {
        let offsets = Offsets::read(Path::new(VMLINUX)).expect("tests need a kernel with BTF");
        // pid and tgid are neighbours in every kernel there has been.
        assert_eq!(offsets.task_tgid, offsets.task_pid + 4);
        assert_ne!(offsets.task_runtime, 0);
    }
}
