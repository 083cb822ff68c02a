//! The `honest` program; see the module [`tests::honest`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::honest::main()
}
