//! Reads of kernel objects, at offsets the collector found in the kernel's BTF.

use aya_ebpf::Global;

/// An offset in bytes, set by the loader. Without that it is 0 and the
/// verifier refuses most loads.
pub(crate) type Offset = Global<u32>;

/// A kernel object the verifier knows the type of: `struct task_struct *` or
/// one found in it.
#[derive(Clone, Copy)]
pub(crate) struct Object(pub(crate) *const u8);

impl Object {
    /// The `T` at `offset`. A bad pointer reads as 0; a bad offset does not
    /// pass the verifier.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(self, offset: &Offset) -> T {
        // SAFETY: the verifier only admits this load if `self` is a BTF-typed
        // pointer with a member of this size at the offset, and the kernel
        // makes it fault-safe. Volatile keeps LLVM from splitting or merging
        // loads into forms the verifier does not take.
        unsafe {
            self.0
                .add(offset.load() as usize)
                .cast::<T>()
                .read_volatile()
        }
    }

    /// The object a pointer member at `offset` points to.
    #[inline(always)]
    pub(crate) fn follow(self, offset: &Offset) -> Self {
        Self(self.read(offset))
    }
}
