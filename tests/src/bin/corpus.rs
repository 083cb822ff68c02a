//! The `corpus` program; see the module [`tests::corpus`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::corpus::main()
}
