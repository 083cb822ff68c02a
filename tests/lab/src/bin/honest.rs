//! The `honest` program; see the module [`lab::honest`].

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::honest::main()
}
