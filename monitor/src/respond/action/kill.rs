//! Signals that end: to one process, to a tree, to a cgroup.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    ActionRequest, ActionResult, Outcome, Signal, Signals, check,
    folders::Folders,
    hold::freeze_folder,
    hold_manager::HoldManager,
    scope::{Looks, Target, World},
    signals::{hold, send, wait},
    transient_stop::TransientStop,
};
use crate::{
    host::cgroup::{Kind, Site},
    policy::{guard::never_act_on, refusal::Refusal},
};

/// How long a process may take to go after SIGKILL: it may be deep in the
/// kernel.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// Looks for processes that were forked while their parents were being ended.
const ROUNDS: usize = 3;

/// Ends a process and waits until it is gone. Blocks for at most the grace and
/// five seconds.
pub fn one<S: Signals>(
    order: &ActionRequest,
    grace: Duration,
    lineage: &[u32],
    signals: &S,
) -> Outcome {
    match try_one(order, grace, lineage, signals) {
        Ok(true) => Outcome::Gone,
        Ok(false) => Outcome::Survived,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn try_one<S: Signals>(
    order: &ActionRequest,
    grace: Duration,
    lineage: &[u32],
    signals: &S,
) -> Result<bool, Refusal> {
    never_act_on(order.process.tgid, false, lineage)?;
    let held = hold(order.process.tgid, signals)?;
    // The pidfd means one process for good. If the one that was judged is
    // still there now, it already was when the pidfd was taken: it is that one.
    let step = |signal, time| -> Result<bool, Refusal> {
        if signals.is_cancelled() {
            return Err(Refusal::Cancelled);
        }
        let wait = |time| wait(&held, time, signals);
        match check(order.judged(), order.image, signals) {
            // It may have gone by itself or by the signal before; but only the
            // pidfd knows, as a process may lack all else and still run.
            Err(refusal) if wait(Duration::ZERO)? => {
                return if signal == Signal::Kill && !grace.is_zero() {
                    Ok(true)
                } else {
                    Err(refusal)
                };
            }
            checked => checked?,
        }
        send(&held, signal, signals)?;
        wait(time)
    };
    if !grace.is_zero() && step(Signal::Terminate, grace)? {
        return Ok(true);
    }
    step(Signal::Kill, KILL_WAIT)
}

/// Ends the tree of a process, the topmost first, so that nothing starts again
/// what was just ended. Who is protected is left out.
pub(super) fn tree<H>(
    order: &ActionRequest,
    grace: Duration,
    world: &World<'_, H>,
) -> Result<ActionResult, Refusal>
where
    H: Signals + Looks + Folders,
{
    let judged = World::<H>::judged(order);
    let targets = world.tree(order)?;
    let mut known: Vec<_> = targets.iter().map(|target| target.member).collect();
    let mut fate = strike(&targets, judged, grace, world.host)?;
    for _ in 0..ROUNDS {
        let mut new = world.descendants(&known);
        new.retain(|target| !known.contains(&target.member));
        if new.is_empty() {
            break;
        }
        known.extend(new.iter().map(|target| target.member));
        // The judged process is not among them: a failure here does not undo
        // what is known of it, or its image would not be banned.
        match strike(&new, judged, Duration::ZERO, world.host) {
            Ok(late) => fate.others += late.others,
            Err(_) if fate.outcome == Outcome::Gone => break,
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(fate)
}

/// Ends these processes, in order. All are held and checked before the first
/// signal; if the judged one is among them and is no longer what it was,
/// nothing is done. If it is gone, no failure among the others is a refusal.
fn strike<S: Signals>(
    targets: &[Target],
    judged: Target,
    grace: Duration,
    signals: &S,
) -> Result<ActionResult, Refusal> {
    let mut held = Vec::with_capacity(targets.len());
    for target in targets {
        let taken = hold(target.member.pid, signals)
            .and_then(|held| check(target.member, target.image, signals).map(|()| held));
        match taken {
            Ok(taken) => held.push((*target, taken)),
            Err(refusal) if *target == judged => return Err(refusal),
            // It went by itself, or is another by now.
            Err(_) => {}
        }
    }
    let mut done = ActionResult::from(Outcome::Survived);
    if !grace.is_zero() {
        signal_each(&held, Signal::Terminate, judged, signals)?;
        let deadline = Instant::now() + grace;
        retain_living(&mut held, deadline, judged, &mut done, signals)?;
    }
    match signal_each(&held, Signal::Kill, judged, signals) {
        Ok(()) => {}
        Err(_) if done.outcome == Outcome::Gone => return Ok(done),
        Err(refusal) => return Err(refusal),
    }
    let deadline = Instant::now() + KILL_WAIT;
    retain_living(&mut held, deadline, judged, &mut done, signals)?;
    Ok(done)
}

fn signal_each<S: Signals>(
    held: &[(Target, S::Held)],
    signal: Signal,
    judged: Target,
    signals: &S,
) -> Result<(), Refusal> {
    for (target, held) in held {
        if signals.is_cancelled() {
            return Err(Refusal::Cancelled);
        }
        let sent =
            check(target.member, target.image, signals).and_then(|()| send(held, signal, signals));
        match sent {
            Err(refusal) if *target == judged && !wait(held, Duration::ZERO, signals)? => {
                return Err(refusal);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Forgets those that are gone by the deadline, and counts them. If the kernel
/// does not tell whether another than the judged one is gone, it is taken for
/// living.
fn retain_living<S: Signals>(
    held: &mut Vec<(Target, S::Held)>,
    deadline: Instant,
    judged: Target,
    done: &mut ActionResult,
    signals: &S,
) -> Result<(), Refusal> {
    for (target, taken) in std::mem::take(held) {
        let left = deadline.saturating_duration_since(Instant::now());
        match wait(&taken, left, signals) {
            Err(refusal) if target == judged => return Err(refusal),
            Ok(false) | Err(_) => held.push((target, taken)),
            Ok(true) if target == judged => done.outcome = Outcome::Gone,
            Ok(true) => done.others += 1,
        }
    }
    Ok(())
}

/// Ends everything in the cgroup of a process: SIGTERM to each, then, frozen so
/// that nothing is forked or looks another meanwhile, all at once.
pub(super) fn cgroup<H>(
    order: &ActionRequest,
    grace: Duration,
    world: &World<'_, H>,
    hold_manager: &HoldManager,
) -> Result<ActionResult, Refusal>
where
    H: Signals + Looks + Folders,
{
    let judged = World::<H>::judged(order);
    let (site, targets) = world.cgroup(order)?;
    let own = hold(judged.member.pid, world.host)?;
    check(judged.member, judged.image, world.host)?;
    let mut held = Vec::with_capacity(targets.len());
    for target in &targets {
        let taken = hold(target.member.pid, world.host);
        // One that has ended by itself, or is another process by now, is not waited
        // for.
        if let Ok(taken) = taken
            && check(target.member, target.image, world.host).is_ok()
        {
            held.push((*target, taken));
        }
    }
    let mut done = ActionResult::from(Outcome::Survived);
    if !grace.is_zero() {
        signal_each(&held, Signal::Terminate, judged, world.host)?;
        let deadline = Instant::now() + grace;
        retain_living(&mut held, deadline, judged, &mut done, world.host)?;
    }
    if world.host.is_cancelled() {
        // SIGTERM may have ended it.
        return match done.outcome {
            Outcome::Gone => Ok(done),
            _ => Err(Refusal::Cancelled),
        };
    }
    if !wait(&own, Duration::ZERO, world.host)? {
        check(judged.member, judged.image, world.host)?;
    }
    // A freeze that could not be written down might never be undone.
    let intents = (site.kind == Kind::Unified)
        .then(|| hold_manager.note(TransientStop::Frozen(site.dir.clone())))
        .flatten();
    let frozen = intents.is_some() && freeze_folder(&site.dir, true, world.host).is_ok();
    let ended = end_all(&site, judged, world);
    if let Some(intents) = intents {
        // Gone with the cgroup, if that was removed by the program that made it.
        intents.over(if frozen {
            freeze_folder(&site.dir, false, world.host)
        } else {
            Ok(())
        });
    }
    // A failure at another process does not undo the end of the judged one.
    if let Err(refusal) = ended
        && !wait(&own, Duration::ZERO, world.host)?
    {
        return Err(refusal);
    }
    let deadline = Instant::now() + KILL_WAIT;
    retain_living(&mut held, deadline, judged, &mut done, world.host)?;
    if wait(&own, Duration::ZERO, world.host)? {
        done.outcome = Outcome::Gone;
    }
    Ok(done)
}

/// SIGKILL to all in a cgroup, if still none of them is protected: by the
/// kernel where it can (Linux 5.14), else one by one until no process is left.
fn end_all<H>(site: &Site, judged: Target, world: &World<'_, H>) -> Result<(), Refusal>
where
    H: Signals + Looks + Folders,
{
    for _ in 0..ROUNDS {
        let targets = world.within(site, judged.member)?;
        if targets.is_empty() {
            return Ok(());
        }
        let file = Path::new("cgroup.kill");
        if site.kind == Kind::Unified && world.host.write(&site.dir.join(file), "1").is_ok() {
            return Ok(());
        }
        for target in targets {
            let held = match hold(target.member.pid, world.host) {
                Err(Refusal::Vanished) => continue,
                held => held?,
            };
            if check(target.member, target.image, world.host).is_ok() {
                send(&held, Signal::Kill, world.host)?;
                // A frozen one ends too; in a while is soon enough.
                let _gone = wait(&held, Duration::from_millis(100), world.host)?;
            }
        }
    }
    Ok(())
}
