//! unjack's eBPF probes for kernels without atomic instructions: `main.rs`, with the
//! module `plain` in the place of `atomic`.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "see the atomic module")
)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        clippy::inline_always,
        reason = "a call costs as much as the work, and the verifier follows typed pointers best in one body"
    ),
    expect(clippy::similar_names, reason = "tid and tgid are the kernel's terms"),
    expect(
        clippy::needless_pass_by_value,
        reason = "aya's macros hand contexts over by value"
    )
)]

#[cfg(target_arch = "bpf")]
#[path = "plain.rs"]
mod atomic;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod licence;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod net;
#[cfg(target_arch = "bpf")]
mod object;
#[cfg(target_arch = "bpf")]
mod process;
#[cfg(target_arch = "bpf")]
mod sample;
#[cfg(target_arch = "bpf")]
mod sched;
#[cfg(target_arch = "bpf")]
mod stratum;
#[cfg(target_arch = "bpf")]
mod task;

#[cfg(not(target_arch = "bpf"))]
fn main() {}
