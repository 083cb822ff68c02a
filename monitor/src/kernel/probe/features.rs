//! What this kernel's BPF can do, found by trying, where the probes have another way.
//!
//! What they have no other way for is not asked for here: it shows as a program or map
//! that the kernel refuses, see [`super::trial`].

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use aya::{
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the kernel has. What could not be tried, for lack of rights, counts as had: then
/// nothing else can be loaded either, and the kernel says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is had or not, whatever the others are"
)]
pub struct Features {
    /// Atomic exchange and comparison as instructions: Linux 5.12.
    pub atomics: bool,
    /// `bpf_get_current_task_btf`: Linux 5.11.
    pub task_btf: bool,
    /// `bpf_task_pt_regs`: Linux 5.15.
    pub task_pt_regs: bool,
    /// Memory of BPF counts as the cgroup's, not against `RLIMIT_MEMLOCK`: Linux 5.11.
    pub charges_cgroup: bool,
}

impl Features {
    /// All of them.
    pub const ALL: Self = Self {
        atomics: true,
        task_btf: true,
        task_pt_regs: true,
        charges_cgroup: true,
    };

    /// Tries each: four small programs are loaded, and gone at once.
    #[must_use]
    pub fn detect() -> Self {
        let has = |kind, helper| is_helper_supported(kind, helper).unwrap_or(true);
        let sampler_has = |helper| has(ProgramType::PerfEvent, helper);
        Self {
            atomics: has_atomics(),
            task_btf: sampler_has(BpfHelper::BPF_FUNC_get_current_task_btf),
            task_pt_regs: sampler_has(BpfHelper::BPF_FUNC_task_pt_regs),
            // A helper of the same release, in programs that have it on every kernel since;
            // libbpf tells it in the same way.
            charges_cgroup: has(
                ProgramType::SocketFilter,
                BpfHelper::BPF_FUNC_ktime_get_coarse_ns,
            ),
        }
    }

    /// What is lost for lack of each, in an operator's words.
    #[must_use]
    pub fn lost(self) -> Vec<&'static str> {
        let Self {
            atomics,
            task_btf,
            task_pt_regs,
            charges_cgroup,
        } = self;
        let each = [
            (
                atomics,
                "no atomic exchange: a thread older than unjack is sampled from its next context \
                 switch on",
            ),
            (task_btf, "no bpf_get_current_task_btf: a sample costs more"),
            (
                task_pt_regs,
                "no bpf_task_pt_regs: of samples in system calls the calling code is not known",
            ),
            (
                charges_cgroup,
                "BPF memory counts against RLIMIT_MEMLOCK, which unjack raises for itself",
            ),
        ];
        let lacking = each.into_iter().filter(|(has, _)| !has);
        lacking.map(|(_, lost)| lost).collect()
    }

    /// Makes room for the maps where they count against this process's limit. If that
    /// is refused, so may be the maps, and the kernel says so then.
    pub(super) fn make_room(self) {
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        if self.charges_cgroup || getrlimit(Resource::Memlock).current.is_none() {
            return;
        }
        if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
            tracing::warn!(
                "cannot raise RLIMIT_MEMLOCK, against which BPF maps count on this kernel \
                 ({error}): give unjack CAP_SYS_RESOURCE, or LimitMEMLOCK=infinity in its unit"
            );
        }
    }
}

/// `BPF_PROG_LOAD`, include/uapi/linux/bpf.h.
const PROG_LOAD: libc::c_long = 5;
/// `BPF_PROG_TYPE_SOCKET_FILTER`, which every kernel has.
const SOCKET_FILTER: u32 = 1;

/// The beginning of `union bpf_attr` for [`PROG_LOAD`]; the kernel takes the rest for 0.
#[repr(C)]
struct ProgLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// An instruction: operation, registers (source in the upper half), offset, constant.
#[repr(C)]
struct Instruction(u8, u8, i16, i32);

/// Loads a program that exchanges a word of its stack.
fn has_atomics() -> bool {
    const LICENCE: &[u8] = b"GPL\0";
    let program = [
        Instruction(0xb7, 0x02, 0, 0),     // r2 = 0
        Instruction(0x7b, 0x2a, -8, 0),    // *(u64 *)(r10 - 8) = r2
        Instruction(0xdb, 0x2a, -8, 0xe1), // r2 = xchg_64(r10 - 8, r2)
        Instruction(0xb7, 0x00, 0, 0),     // r0 = 0
        Instruction(0x95, 0x00, 0, 0),     // exit
    ];
    let attributes = ProgLoad {
        kind: SOCKET_FILTER,
        count: u32::try_from(program.len()).unwrap_or(0),
        instructions: program.as_ptr() as u64,
        licence: LICENCE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // SAFETY: the attributes are of the size named, and what they point to lives until
    // the call returns; the kernel writes to none of it.
    let loaded = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            &raw const attributes,
            size_of::<ProgLoad>(),
        )
    };
    if loaded < 0 {
        return io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL);
    }
    if let Ok(fd) = libc::c_int::try_from(loaded) {
        // SAFETY: a descriptor of the kernel's that nothing else has.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_said_for_each_feature_that_is_lacking() {
        assert!(Features::ALL.lost().is_empty());
        let none = Features {
            atomics: false,
            task_btf: false,
            task_pt_regs: false,
            charges_cgroup: false,
        };
        assert_eq!(none.lost().len(), 4);
        let one = Features {
            task_pt_regs: false,
            ..Features::ALL
        };
        assert!(
            one.lost()[0].contains("bpf_task_pt_regs"),
            "{:?}",
            one.lost()
        );
    }

    #[test]
    fn an_instruction_is_eight_bytes() {
        assert_eq!(size_of::<Instruction>(), 8);
        assert_eq!(size_of::<ProgLoad>(), 40);
    }

    /// Each came after the one before it.
    #[test]
    fn a_later_feature_comes_with_the_earlier_ones() {
        let found = Features::detect();
        assert!(found.atomics || !found.task_pt_regs, "{found:?}");
        assert!(found.task_btf || !found.atomics, "{found:?}");
        assert_eq!(found.task_btf, found.charges_cgroup, "{found:?}");
    }
}
