//! The `unjack` binary: parse, log, run.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use monitor::{
    commands::{
        bans,
        cli::{
            BansArgs, Cli, Command, DoctorArgs, ExplainArgs, RecordArgs, ReleaseArgs, ReplayArgs,
            RunArgs, SelftestArgs, TopArgs,
        },
        daemon, doctor,
        exit::Failure,
        explain, record, release, replay, selftest, top,
    },
    detect::reputation::Lists,
    policy::config::{self, Config},
    telemetry::journal::Format,
};
use tokio::signal::unix::{SignalKind, signal};
use unjack_core::verdict::Thresholds;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Explain(args) => explain(&args),
        Command::Record(args) => record(&args),
        Command::Replay(args) => replay(&args),
        Command::Bans(args) => bans(&args),
        Command::Doctor(args) => doctor(&args),
        Command::Selftest(args) => selftest(&args),
        Command::Top(args) => top(&args),
        Command::Release(args) => release(&args),
    };
    result.unwrap_or_else(|failure| {
        tell(&failure);
        failure.code()
    })
}

/// Tells on standard error; if it cannot be written, the exit code still tells.
fn tell(what: &impl fmt::Display) {
    let _told = writeln!(io::stderr(), "unjack: {what}");
}

fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing::Level::from(args.log_level));
    match args.log_format {
        Format::Text => log.init(),
        Format::Json => log.json().init(),
    }
    // Without the file, rules can still name users by number.
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let config = Config::from_cli(args, &passwd)?;
    let lists = Lists::read(&config.extras.lists)?;
    doctor::preflight()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        let shutdown = async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        };
        daemon::run(config, lists, args.log_format, hangup, shutdown).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    doctor::preflight()?;
    let found = explain::explain(args.pid, args.duration, &Thresholds::DEFAULT)?;
    let text = if args.json {
        serde_json::to_string(&found).map_err(io::Error::from)? + "\n"
    } else {
        found.render()
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    doctor::preflight()?;
    let RecordArgs {
        file,
        max_size,
        duration,
        samples,
        no_network_evidence,
        command,
    } = args;
    let wish = record::Wish {
        path: file,
        samples: samples.as_deref(),
        duration: *duration,
        max_size: *max_size,
        network: !no_network_evidence,
        command,
    };
    let recorded = record::record(wish, Thresholds::DEFAULT)?;
    tell(&format_args!("{recorded} in {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let config = config::Replay::from_cli(args, &passwd)?;
    let lists = Lists::read(&config.lists)?;
    let report = replay::file(&args.file, &config, &lists)?;
    let text = if args.json {
        serde_json::to_string(&report).map_err(io::Error::from)? + "\n"
    } else {
        report.render()
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn release(args: &ReleaseArgs) -> Result<ExitCode, Failure> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let released = release::release(args)?;
    tell(&format_args!("{released} let go"));
    Ok(ExitCode::SUCCESS)
}

fn bans(args: &BansArgs) -> Result<ExitCode, Failure> {
    let text = bans::run(args)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut checks = doctor::whole();
    checks.push(doctor::enforcement(args, &passwd)?);
    let text = if args.json {
        serde_json::to_string_pretty(&checks).map_err(io::Error::from)? + "\n"
    } else {
        doctor::render_text(&checks)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::from(if doctor::fatal(&checks) { 3 } else { 0 }))
}

fn top(args: &TopArgs) -> Result<ExitCode, Failure> {
    doctor::preflight()?;
    top::run(args)?;
    Ok(ExitCode::SUCCESS)
}

fn selftest(args: &SelftestArgs) -> Result<ExitCode, Failure> {
    if args.part.is_some() {
        selftest::hash()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = io::stdout();
    // The output is no longer read: the exit code still tells.
    let report = selftest::run(|step| {
        if !args.json {
            let _told = writeln!(out, "{step}");
        }
    });
    let last = if args.json {
        serde_json::to_string(&report).map_err(io::Error::from)?
    } else {
        report.conclusion()
    };
    let _told = writeln!(io::stdout(), "{last}");
    Ok(ExitCode::from(report.code()))
}
