//! The probes' arrays, mapped: read without system calls while the probes
//! write.

use std::{marker::PhantomData, ptr};

use aya::{Ebpf, maps::Map};
use monitor_ebpf::{ParentSlot, TASK_SLOTS, TaskSlot};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use zerocopy::FromBytes;

use super::ProbeError;

/// A slot of an array that is indexed by id.
pub(super) trait Slot: FromBytes + Copy {
    /// What identifies the holder: the id, 0 if there is none, and the start time.
    fn tag(&self) -> (u32, u64);
}

impl Slot for TaskSlot {
    fn tag(&self) -> (u32, u64) {
        (self.tid, self.start_ns)
    }
}

impl Slot for ParentSlot {
    fn tag(&self) -> (u32, u64) {
        (self.tgid, self.start_ns)
    }
}

/// A read-only mapping of an array of [`TASK_SLOTS`].
pub(super) struct Table<T> {
    slots: ptr::NonNull<T>,
    of: PhantomData<T>,
}

impl<T: Slot> Table<T> {
    const BYTES: usize = TASK_SLOTS as usize * size_of::<T>();

    pub(super) fn map(ebpf: &Ebpf, name: &'static str) -> Result<Self, ProbeError> {
        let Some(Map::Array(data)) = ebpf.map(name) else {
            return Err(ProbeError::Mismatch(name));
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice; the
        // array was created with BPF_F_MMAPABLE and is BYTES long.
        let mapped = unsafe {
            mmap(
                ptr::null_mut(),
                Self::BYTES,
                ProtFlags::READ,
                MapFlags::SHARED,
                data.fd(),
                0,
            )
        };
        let failed = |source| ProbeError::Io {
            what: "mapping a table of the probes",
            source,
        };
        let mapped = mapped.map_err(|errno| failed(errno.into()))?;
        let slots = ptr::NonNull::new(mapped.cast())
            .ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
        Ok(Self {
            slots,
            of: PhantomData,
        })
    }

    /// Visits every slot in use. One that changes hands under the look is left
    /// for the next.
    pub(super) fn each(&self, visit: &mut impl FnMut(&T)) {
        for place in 0..TASK_SLOTS {
            if let Some(slot) = self.get(place) {
                visit(&slot);
            }
        }
    }

    /// The slot where this id has its place, unless it is free or its holder
    /// changes during the look. It may hold another id.
    pub(super) fn get(&self, id: u32) -> Option<T> {
        let place = (id & (TASK_SLOTS - 1)) as usize;
        // SAFETY: within the mapping. The kernel writes concurrently, hence
        // volatile; each field is a word of its own and any bits are valid.
        let (slot, again) = unsafe {
            let slot = self.slots.add(place).as_ptr();
            // The id is the first word of either.
            if slot.cast::<u32>().read_volatile() == 0 {
                return None;
            }
            (slot.read_volatile(), slot.read_volatile())
        };
        (slot.tag().0 != 0 && slot.tag() == again.tag()).then_some(slot)
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let bytes = TASK_SLOTS as usize * size_of::<T>();
        // SAFETY: the mapping is ours and nothing borrows from it.
        let unmapped = unsafe { munmap(self.slots.as_ptr().cast(), bytes) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}

// SAFETY: the pointer is to a shared mapping that any thread may read. What is read
// is a copy of a slot, so that a slot must be good on any thread.
unsafe impl<T: Slot + Send> Send for Table<T> {}
// SAFETY: as above; this process writes nothing to it.
unsafe impl<T: Slot + Send> Sync for Table<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two constants of one name an inherent one is taken, if its bounds hold.
    struct Ask<T>(PhantomData<T>);

    trait Otherwise {
        const SHARED: bool = false;
    }

    impl<T> Otherwise for Ask<T> {}

    impl<T: Send + Sync> Ask<T> {
        const SHARED: bool = true;
    }

    #[test]
    fn a_table_is_shared_between_threads_if_its_slots_may_be() {
        const {
            assert!(Ask::<Table<TaskSlot>>::SHARED);
            assert!(Ask::<Table<ParentSlot>>::SHARED);
            // Neither a slot nor good on another thread.
            assert!(!Ask::<Table<*const u8>>::SHARED);
        }
    }
}
