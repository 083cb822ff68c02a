//! Declares the cfg that says which architecture's registers the probes read;
//! for the BPF target it comes on the command line.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(bpf_target_arch, values(\"x86_64\", \"aarch64\"))");
}
