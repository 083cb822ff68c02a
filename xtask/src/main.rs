//! unjack's tasks: `cargo xtask TASK`.
//!
//! A dispatcher and nothing else; every task is a file beside this one. Tasks
//! build as the caller and elevate only the programs that need root.

mod bench;
mod charts;
mod ci;
mod corpus;
mod deb;
mod dist;
mod fit;
mod honest;
mod lint;
mod routes;
mod run;
mod setup;
mod shell;
mod test;
mod timing;
mod vm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::setup::{Extras, Route};
use crate::workspace::Workspace;

/// Build, test and measure unjack.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building the probes takes, and say so first.
    Setup {
        /// Where the probes' compiler comes from.
        #[arg(long, value_enum, default_value_t = Route::Auto)]
        route: Route,
        /// Also install what the integration tests use.
        #[arg(long)]
        tests: bool,
    },
    /// Set up, build and start the daemon as root.
    Run {
        /// Arguments of `unjack run`.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Set up and run every test; the suites run as root.
    Test {
        /// Only the tests that need no root: seconds instead of minutes.
        #[arg(long, conflicts_with = "suite")]
        fast: bool,
        /// Only this suite of tests/tests, such as `bans`; may be repeated.
        #[arg(long, value_name = "NAME")]
        suite: Vec<String>,
        /// Arguments of the test programs, such as part of a test's name.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Check formatting, lints and documentation; a warning fails.
    Lint,
    /// Render the Helm chart and the kustomize overlays, and validate them.
    Charts,
    /// What a change must pass: lint, charts, test and routes, and how long each step took.
    Ci,
    /// Build the probes with each compiler route and report on each.
    Routes,
    /// Run the daemon on another kernel, in a virtual machine.
    Vm {
        /// A kernel version that a Debian release carries: 5.10, 6.1, 6.12, 7.2.
        version: String,
        /// The processor of the virtual machine.
        #[arg(long, value_enum, default_value_t)]
        arch: vm::Guest,
        /// Keep what the machine was started from, and print its command.
        #[arg(long)]
        keep: bool,
    },
    /// Measure the probes with the kernel's own statistics, or the time to a
    /// verdict, as root.
    Bench {
        /// Arguments of the benchmark: `costs` (the default), `latency`, `bans`, `help`.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Install, record and pack the programs that the model is trained from.
    #[command(disable_help_flag = true)]
    Corpus {
        /// Arguments of the corpus program: `setup`, `record`, `pack`, `replay`, `help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run honest jobs for two hours beside a daemon that kills, as root: nothing may be
    /// signalled.
    #[command(disable_help_flag = true)]
    Honest {
        /// Arguments of the honest program: `--for 3m`, `--jobs N`, `--observe`, `--help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Build a Debian package and a tarball, in target/dist.
    Dist {
        /// Also make an OCI image, with podman.
        #[arg(long)]
        image: bool,
        /// Also install, try, remove and purge it in a clean Debian, as root;
        /// fetches one with debootstrap.
        #[arg(long)]
        check: bool,
    },
    /// Fit the model to the packed recordings, and write it.
    Train,
    /// Judge every program of the corpus by a model that never saw it, and
    /// write docs/DETECTION.md.
    Evaluate,
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup { route, tests } => {
            let extras = if tests { Extras::Tests } else { Extras::None };
            setup::run(&workspace, route, extras)
        }
        Task::Run { arguments } => run::run(&workspace, &arguments),
        Task::Test {
            fast,
            suite,
            arguments,
        } => test::run(
            &workspace,
            &test::Wanted {
                fast,
                suites: &suite,
                arguments: &arguments,
            },
        ),
        Task::Lint => lint::run(&workspace),
        Task::Charts => charts::run(&workspace),
        Task::Ci => ci::run(&workspace),
        Task::Routes => routes::run(&workspace),
        Task::Vm {
            version,
            arch,
            keep,
        } => vm::run(&workspace, arch, &version, keep),
        Task::Bench { arguments } => bench::run(&workspace, &arguments),
        Task::Honest { arguments } => honest::run(&workspace, &arguments),
        Task::Dist { image, check } => dist::run(&workspace, image, check),
        Task::Train => fit::run(&workspace, "train"),
        Task::Evaluate => fit::run(&workspace, "evaluate"),
        Task::Corpus { arguments } => corpus::run(&workspace, &arguments),
    }
}
