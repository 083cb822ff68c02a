//! Reads of kernel objects, at offsets the collector found in the kernel's BTF.

use core::mem::MaybeUninit;

use aya_ebpf::{
    Global,
    helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel},
};

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

/// A kernel object: the `struct task_struct` of a thread, or one found in it.
pub(crate) trait Object: Copy {
    /// The `T` at `offset`. A bad pointer reads as 0.
    fn read<T: Member>(self, offset: &Offset) -> T;

    /// The object that a pointer member at `offset` points to.
    fn follow(self, offset: &Offset) -> Self;

    /// The pointer itself, for a helper that takes one.
    fn as_ptr(self) -> *const u8;
}

/// An object whose type the verifier knows: a read is one plain instruction, and one at
/// a bad offset does not pass the verifier.
#[derive(Clone, Copy)]
pub(crate) struct Typed(*const u8);

impl Typed {
    /// The object that a hook was called with.
    ///
    /// # Safety
    /// `pointer` must be an argument of the hook which is a pointer to a struct,
    /// as the kernel handed it over.
    #[inline(always)]
    pub(crate) const unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }
}

impl Object for Typed {
    #[inline(always)]
    fn as_ptr(self) -> *const u8 {
        self.0
    }

    #[inline(always)]
    fn read<T: Member>(self, offset: &Offset) -> T {
        // SAFETY: `self` came from the kernel by `new` or a helper, or by
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

    /// Of a member that is no pointer the verifier has no type, and refuses to have it
    /// read.
    #[inline(always)]
    fn follow(self, offset: &Offset) -> Self {
        Self(self.read(offset))
    }
}

/// An object whose address is a number to the verifier: every read is a call of a helper.
/// For where no kernel hands out a typed pointer, and for kernels that do not.
#[derive(Clone, Copy)]
pub(crate) struct Untyped(*const u8);

impl Untyped {
    /// The task that runs: `struct task_struct *`.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task() } as *const u8)
    }
}

impl Object for Untyped {
    #[inline(always)]
    fn as_ptr(self) -> *const u8 {
        self.0
    }

    #[inline(always)]
    fn read<T: Member>(self, offset: &Offset) -> T {
        let mut value = MaybeUninit::<T>::zeroed();
        #[expect(clippy::cast_possible_truncation, reason = "eight bytes at most")]
        let bytes = size_of::<T>() as u32;
        // SAFETY: the destination is of that many bytes; the helper checks the source,
        // and zeroes the destination if it cannot be read. Any bits are a `T`.
        unsafe {
            let from = self.0.wrapping_add(offset.load() as usize);
            bpf_probe_read_kernel(value.as_mut_ptr().cast(), bytes, from.cast());
            value.assume_init()
        }
    }

    #[inline(always)]
    fn follow(self, offset: &Offset) -> Self {
        Self(self.read(offset))
    }
}
