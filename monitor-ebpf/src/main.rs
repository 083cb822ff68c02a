//! unjack's eBPF probes.
//!
//! | module | hook |
//! |---|---|
//! | [`sched`] | BTF tracepoint `sched_switch`: exact on-CPU time |
//! | [`process`] | BTF tracepoints `sched_process_{exec,fork,exit}`: births, images, deaths |
//! | [`net`] | BTF tracepoint `inet_sock_set_state`, LSM `socket_connect`: connections to listed pools |
//! | [`sample`] | perf event on every processor: what is being executed |
//! | [`stratum`] | cgroup, packets that go out: what suspects say on their sockets |
//! | [`task`] | the table the three share; no hook of its own |
//!
//! What refuses banned images is a program of its own, `ban.rs`: it outlives the
//! collector. `plain_main.rs` is this same object for kernels without atomic instructions.
//!
//! On any other target than BPF this binary is empty: it exists so that the
//! workspace builds as one.
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
