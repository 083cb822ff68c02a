//! Real work for the daemon to judge: see the library's `workload` module.

fn main() -> anyhow::Result<()> {
    workloads::main()
}
