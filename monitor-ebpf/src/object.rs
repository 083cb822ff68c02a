//! Reads of kernel objects, at offsets the collector found in the kernel's BTF.

use aya_ebpf::{Global, helpers::generated::bpf_get_current_task_btf};

/// An offset in bytes, set by the loader. Without that it is 0 and the
/// verifier refuses most loads.
pub(crate) type Offset = Global<u32>;

/// What a member of a kernel object may be read as.
///
/// # Safety
/// Any bits must be a value of the type, and a load of it one instruction: an
/// integer of at most eight bytes, or a raw pointer.
pub(crate) unsafe trait Member: Copy {}

// SAFETY: an integer of two bytes.
unsafe impl Member for u16 {}
// SAFETY: an integer of four bytes.
unsafe impl Member for u32 {}
// SAFETY: an integer of four bytes.
unsafe impl Member for i32 {}
// SAFETY: an integer of eight bytes.
unsafe impl Member for u64 {}
// SAFETY: a raw pointer, which only an unsafe block follows.
unsafe impl Member for *const u8 {}

/// A kernel object the verifier knows the type of: `struct task_struct *` or
/// one found in it.
#[derive(Clone, Copy)]
pub(crate) struct Object(*const u8);

impl Object {
    /// The object that a hook was called with.
    ///
    /// # Safety
    /// `pointer` must be an argument of the hook which is a pointer to a struct,
    /// as the kernel handed it over.
    #[inline(always)]
    pub(crate) const unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The task that runs: `struct task_struct *`.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task_btf() }.cast_const().cast())
    }

    /// The pointer itself, for a helper that takes one.
    #[inline(always)]
    pub(crate) const fn as_ptr(self) -> *const u8 {
        self.0
    }

    /// The `T` at `offset`. A bad pointer reads as 0; a bad offset does not
    /// pass the verifier.
    #[inline(always)]
    pub(crate) fn read<T: Member>(self, offset: &Offset) -> T {
        // SAFETY: `self` came from the kernel by `new` or `current`, or by
        // `follow` from such a one, so that the verifier has its type and
        // only admits this load if there is a member of this size at the
        // offset; the kernel makes it fault-safe, and any bits are a `T`.
        // Volatile keeps LLVM from splitting or merging loads into forms the
        // verifier does not take.
        unsafe {
            self.0
                .add(offset.load() as usize)
                .cast::<T>()
                .read_volatile()
        }
    }

    /// The object a pointer member at `offset` points to. (Of a member that is
    /// no pointer the verifier has no type, and refuses to have it read.)
    #[inline(always)]
    pub(crate) fn follow(self, offset: &Offset) -> Self {
        Self(self.read(offset))
    }
}
