//! Set-up: from what the machine has to what building the probes takes.
//!
//! [`facts`] looks, [`plan`] decides (and is pure), this module announces the
//! plan, carries it out and looks again until nothing is left to do. So it may
//! run any number of times, and its success means that the tools were seen to
//! be there.

mod facts;
mod packages;
mod plan;
mod steps;

use anyhow::{Result, anyhow, bail};

use self::facts::Attempts;
pub(crate) use self::packages::Extras;
use self::plan::{Facts, Plan, Step};
pub(crate) use self::plan::{Route, Toolchain};
use crate::shell::{self, Privilege};
use crate::workspace::Workspace;

/// Installs what is missing and records the probes' toolchain.
pub(crate) fn run(workspace: &Workspace, route: Route, extras: Extras) -> Result<()> {
    let toolchain = ensure(workspace, route, extras)?;
    let record = workspace.record();
    let line = format!("{}\n", toolchain.name());
    // Written only when it changes: the probes are rebuilt when it does.
    if std::fs::read_to_string(&record).ok().as_ref() != Some(&line) {
        std::fs::create_dir_all(workspace.tools())?;
        std::fs::write(&record, line)?;
        eprintln!(
            "setup: recorded toolchain `{}` in {}",
            toolchain.name(),
            record.display()
        );
    }
    eprintln!("setup: ready (probes' toolchain: {})", toolchain.name());
    Ok(())
}

/// Installs what is missing for `route`, without recording the choice; gives
/// the toolchain that builds the probes.
pub(crate) fn ensure(workspace: &Workspace, route: Route, extras: Extras) -> Result<Toolchain> {
    let mut attempts = Attempts::default();
    let mut done: Vec<Step> = Vec::new();
    loop {
        let mut facts = Facts::gather(workspace, extras, &attempts);
        if let Ok(plan) = plan::plan(&facts, route)
            && plan.steps.is_empty()
        {
            return Ok(plan.toolchain);
        }
        // Only now: apt takes a second to answer.
        facts.ask_apt(extras);
        let plan = plan::plan(&facts, route).map_err(|blocked| anyhow!("{blocked}"))?;
        if let Some(step) = plan.steps.iter().find(|step| done.contains(step)) {
            bail!(
                "set-up did this, and still does not find what it should have brought: {step}\n\
                 Look at the messages above, mend it by hand, and run `cargo xtask setup` again"
            );
        }
        announce(&plan, workspace, facts.privilege)?;
        for step in &plan.steps {
            eprintln!("setup: {step}");
            let result = steps::run(step, workspace, facts.privilege);
            match (step, result) {
                // What follows depends on what it brought.
                (Step::UpdateLists, Ok(())) => {
                    attempts.updated = true;
                    break;
                }
                (_, Ok(())) => done.push(step.clone()),
                (Step::RustupInstall(_) | Step::RustupSource(_), Err(error))
                    if route == Route::Auto =>
                {
                    eprintln!(
                        "setup: rustup could not fetch it ({error:#}); trying Debian's packages"
                    );
                    attempts.rustup_failed = true;
                    break;
                }
                (step, Err(error)) => bail!("{error:#}\n{}", plan::failure_remedy(step)),
            }
        }
    }
}

fn announce(plan: &Plan, workspace: &Workspace, privilege: Privilege) -> Result<()> {
    eprintln!("setup: this machine lacks some of what unjack needs. Going to:");
    for step in &plan.steps {
        eprintln!("  - {step}");
        if let Some(command) = steps::command(step, workspace, privilege)? {
            eprintln!("      {}", shell::render(&command));
        }
    }
    Ok(())
}
