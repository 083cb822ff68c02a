//! Tells the benchmark where the empty probes are, which the monitor's build script
//! built. They are in no other program.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let empty = std::env::var("DEP_UNJACK_PROBES_EMPTY")
        .expect("the monitor's build script says where the empty probes are");
    println!("cargo::rerun-if-changed={empty}");
    println!("cargo::rustc-env=UNJACK_EMPTY_PROBES={empty}");
}
