//! Empty programs on the hooks of the real probes: the yardstick of the
//! benchmark, which runs both side by side and subtracts.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod bpf {
    use aya_ebpf::{
        macros::{btf_tracepoint, perf_event},
        programs::{BtfTracePointContext, PerfEventContext},
    };

    #[btf_tracepoint(function = "sched_switch")]
    fn empty_sched_switch(_ctx: BtfTracePointContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "sched_process_exec")]
    fn empty_sched_process_exec(_ctx: BtfTracePointContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "sched_process_fork")]
    fn empty_sched_process_fork(_ctx: BtfTracePointContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "sched_process_exit")]
    fn empty_sched_process_exit(_ctx: BtfTracePointContext) -> i32 {
        0
    }

    #[perf_event]
    fn empty_sample(_ctx: PerfEventContext) -> u32 {
        0
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
