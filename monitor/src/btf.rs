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
        })
    }
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
