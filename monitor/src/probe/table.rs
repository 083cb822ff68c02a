//! The task table, mapped: read without system calls while the probes write.

use std::ptr;

use aya::{Ebpf, maps::Map};
use monitor_ebpf::{TASK_SLOTS, TaskSlot};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::ProbeError;

const BYTES: usize = TASK_SLOTS as usize * size_of::<TaskSlot>();

/// A read-only mapping of the probes' `TASKS` array.
pub(super) struct TaskTable(ptr::NonNull<TaskSlot>);

impl TaskTable {
    pub(super) fn map(ebpf: &Ebpf) -> Result<Self, ProbeError> {
        let Some(Map::Array(data)) = ebpf.map("TASKS") else {
            return Err(ProbeError::Mismatch("TASKS"));
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice; the
        // array was created with BPF_F_MMAPABLE and is BYTES long.
        let mapped = unsafe {
            mmap(
                ptr::null_mut(),
                BYTES,
                ProtFlags::READ,
                MapFlags::SHARED,
                data.fd(),
                0,
            )
        };
        let failed = |source| ProbeError::Io {
            what: "mapping the task table",
            source,
        };
        let mapped = mapped.map_err(|errno| failed(errno.into()))?;
        ptr::NonNull::new(mapped.cast())
            .map(Self)
            .ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Visits every slot in use. One that changes hands under the look is left
    /// for the next.
    pub(super) fn each(&self, visit: &mut impl FnMut(&TaskSlot)) {
        for place in 0..TASK_SLOTS as usize {
            // SAFETY: within the mapping. The kernel writes concurrently, hence
            // volatile; each field is a word of its own and any bits are valid.
            let (tid, slot, again) = unsafe {
                let slot = self.0.add(place).as_ptr();
                let tid = (&raw const (*slot).tid).read_volatile();
                if tid == 0 {
                    continue;
                }
                (
                    tid,
                    slot.read_volatile(),
                    (&raw const (*slot).start_ns).read_volatile(),
                )
            };
            if slot.tid == tid && slot.start_ns == again {
                visit(&slot);
            }
        }
    }
}

impl Drop for TaskTable {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing borrows from it.
        let unmapped = unsafe { munmap(self.0.as_ptr().cast(), BYTES) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}

// SAFETY: the pointer is to a shared mapping that any thread may read.
unsafe impl Send for TaskTable {}
