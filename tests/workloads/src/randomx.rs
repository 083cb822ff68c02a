//! Monero's `RandomX` by librandomx, opened at run time.
//!
//! Opened and not linked: the workspace then builds on every machine, and only
//! the test that mines says which package it misses. Only the few functions
//! that a miner calls are bound; their types are those of `randomx.h` 1.1 (the
//! interface of every Debian so far), where flags are a C enum, an `int`.

use std::ffi::{c_int, c_ulong, c_void};
use std::ptr;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail};
use libloading::Library;

use crate::{Step, Task};

const FULL_MEMORY: c_int = 4;
const JIT: c_int = 8;
/// Any key will do; a real chain changes it every 2048 blocks.
const KEY: &[u8] = b"unjack integration test";
/// Names of the library: the package's, then that of any other build.
const NAMES: [&str; 2] = ["librandomx.so.0", "librandomx.so"];

type Alloc = unsafe extern "C" fn(c_int) -> *mut c_void;
type InitCache = unsafe extern "C" fn(*mut c_void, *const c_void, usize);
type InitDataset = unsafe extern "C" fn(*mut c_void, *mut c_void, c_ulong, c_ulong);
type CreateVm = unsafe extern "C" fn(c_int, *mut c_void, *mut c_void) -> *mut c_void;
type HashFirst = unsafe extern "C" fn(*mut c_void, *const c_void, usize);
type HashNext = unsafe extern "C" fn(*mut c_void, *const c_void, usize, *mut c_void);

/// The functions of the library, valid as long as it is open.
struct Api {
    flags: unsafe extern "C" fn() -> c_int,
    alloc_cache: Alloc,
    init_cache: InitCache,
    alloc_dataset: Alloc,
    items: unsafe extern "C" fn() -> c_ulong,
    init_dataset: InitDataset,
    create_vm: CreateVm,
    first: HashFirst,
    next: HashNext,
    _library: Library,
}

impl Api {
    fn open() -> Result<Self> {
        let mut reasons = Vec::new();
        let library = NAMES
            .iter()
            // SAFETY: librandomx runs no code of its own when it is opened.
            .find_map(|name| match unsafe { Library::new(*name) } {
                Ok(library) => Some(library),
                Err(error) => {
                    reasons.push(error.to_string());
                    None
                }
            });
        let Some(library) = library else {
            bail!(
                "librandomx is not installed: apt-get install librandomx0 ({})",
                reasons.join("; ")
            );
        };
        // SAFETY: the types are those that randomx.h declares.
        unsafe {
            Ok(Self {
                flags: find(&library, "randomx_get_flags")?,
                alloc_cache: find(&library, "randomx_alloc_cache")?,
                init_cache: find(&library, "randomx_init_cache")?,
                alloc_dataset: find(&library, "randomx_alloc_dataset")?,
                items: find(&library, "randomx_dataset_item_count")?,
                init_dataset: find(&library, "randomx_init_dataset")?,
                create_vm: find(&library, "randomx_create_vm")?,
                first: find(&library, "randomx_calculate_hash_first")?,
                next: find(&library, "randomx_calculate_hash_next")?,
                _library: library,
            })
        }
    }
}

/// Copies a function out of the library.
///
/// # Safety
///
/// `F` must be the function's type.
unsafe fn find<F: Copy>(library: &Library, name: &str) -> Result<F> {
    // SAFETY: the caller's promise.
    let symbol = unsafe { library.get::<F>(name) };
    Ok(*symbol.with_context(|| format!("librandomx has no {name}"))?)
}

/// The read-only memory that the threads share. Lives until the process ends.
struct Memory {
    api: Api,
    flags: c_int,
    cache: *mut c_void,
    /// Null in light mode.
    dataset: *mut c_void,
}

// SAFETY: cache and dataset are written only in `Memory::new`, before they are
// shared; afterwards virtual machines of all threads read them, which is what
// the library made them for.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(full: bool, interpret: bool, threads: u32) -> Result<Self> {
        let api = Api::open()?;
        // SAFETY: takes nothing and only asks the processor.
        let mut flags = unsafe { (api.flags)() };
        if interpret {
            flags &= !JIT;
        }
        // SAFETY: the flags came from the library.
        let cache = unsafe { (api.alloc_cache)(flags) };
        if cache.is_null() {
            bail!("librandomx cannot allocate its cache of 256 MiB");
        }
        // SAFETY: the cache is the library's own and the key is readable.
        unsafe { (api.init_cache)(cache, KEY.as_ptr().cast(), KEY.len()) };
        let mut memory = Self {
            api,
            flags,
            cache,
            dataset: ptr::null_mut(),
        };
        if full {
            memory.flags |= FULL_MEMORY;
            memory.fill_dataset(threads)?;
        }
        Ok(memory)
    }

    /// Computes the 2 GiB dataset, on all threads.
    fn fill_dataset(&mut self, threads: u32) -> Result<()> {
        // SAFETY: the flags came from the library.
        self.dataset = unsafe { (self.api.alloc_dataset)(self.flags) };
        if self.dataset.is_null() {
            bail!("librandomx cannot allocate its dataset of 2 GiB");
        }
        // SAFETY: takes nothing and returns a constant.
        let items = unsafe { (self.api.items)() };
        let (memory, threads) = (&*self, c_ulong::from(threads));
        thread::scope(|scope| {
            for number in 0..threads {
                scope.spawn(move || {
                    let start = items * number / threads;
                    let end = items * (number + 1) / threads;
                    // SAFETY: the ranges of the threads do not overlap and
                    // lie within the dataset; the cache is initialised.
                    unsafe {
                        (memory.api.init_dataset)(memory.dataset, memory.cache, start, end - start);
                    }
                });
            }
        });
        Ok(())
    }
}

/// A miner of one thread: a virtual machine and a header that counts up.
struct Miner {
    memory: Arc<Memory>,
    vm: *mut c_void,
    /// Monero's hashing blob: the nonce is at byte 39.
    blob: [u8; 76],
}

impl Miner {
    fn new(memory: Arc<Memory>, thread: u32) -> Result<Self> {
        // SAFETY: flags, cache and dataset belong together and are initialised.
        let vm = unsafe { (memory.api.create_vm)(memory.flags, memory.cache, memory.dataset) };
        if vm.is_null() {
            bail!("librandomx cannot create a virtual machine: no executable memory?");
        }
        let mut blob = [0x5a; 76];
        blob[43..47].copy_from_slice(&thread.to_le_bytes());
        // SAFETY: the machine is this thread's own and the blob is readable.
        unsafe { (memory.api.first)(vm, blob.as_ptr().cast(), blob.len()) };
        Ok(Self { memory, vm, blob })
    }

    /// Finishes one hash and begins the next, as miners do. The library leaves
    /// the rounding mode of its last program behind, so no floating point may
    /// be used between two calls.
    fn hash(&mut self) -> [u8; 32] {
        let mut nonce = [0; 4];
        nonce.copy_from_slice(&self.blob[39..43]);
        let nonce = u32::from_le_bytes(nonce).wrapping_add(1);
        self.blob[39..43].copy_from_slice(&nonce.to_le_bytes());
        let mut digest = [0; 32];
        // SAFETY: the machine is this thread's own, a hash was begun on it,
        // the blob is readable and the digest has the 32 bytes of a hash.
        unsafe {
            (self.memory.api.next)(
                self.vm,
                self.blob.as_ptr().cast(),
                self.blob.len(),
                digest.as_mut_ptr().cast(),
            );
        }
        digest
    }
}

/// A task that mines.
pub(super) fn task(full: bool, interpret: bool, threads: u32) -> Result<Task> {
    let memory = Arc::new(Memory::new(full, interpret, threads)?);
    Ok(Task::new("randomx", move |thread| {
        let mut miner = Miner::new(Arc::clone(&memory), thread)?;
        let step: Step = Box::new(move || {
            std::hint::black_box(miner.hash());
            1
        });
        Ok(step)
    }))
}
