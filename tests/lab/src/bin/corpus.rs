//! The `corpus` program; see the module [`lab::corpus`].

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::corpus::main()
}
