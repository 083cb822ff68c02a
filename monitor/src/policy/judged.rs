//! What the policy says of a process that was judged: whether a rule is about it,
//! whether it is to be acted on, and why it is not. What of `/proc` a rule needs
//! is looked up, and no more.

use std::cmp::Reverse;

use super::{
    config::{self, ActOn, Rule, Wanted},
    guard::{Candidate, Guard},
    only::Only,
    refusal::Refusal,
};
use crate::{
    detect::collector::{ProcessState, Subject},
    host::{Facts, Image, digest::Digest},
};
use unjack_core::{event::Process, verdict::Verdict};

/// Whether any rule is about this process, whose image has this digest as far as
/// that is known.
pub(crate) fn matches(
    rules: &[Rule],
    subject: &mut Subject,
    family: &str,
    digest: Option<Digest>,
) -> bool {
    let any = |subject: &config::Subject<'_>| rules.iter().any(|rule| rule.matches(subject));
    !rules.is_empty() && looked_up(rules, subject, family, digest, any)
}

/// Whether the action is for this process: whether a rule of `--only` is about it, if
/// there is one.
pub(crate) fn is_enforced(only: &Only, subject: &mut Subject, digest: Option<Digest>) -> bool {
    let rules = only.rules();
    let includes = |subject: &config::Subject<'_>| only.includes(subject);
    rules.is_empty() || looked_up(rules, subject, "", digest, includes)
}

/// What `asked` says of a process, of which everything was looked up that the rules ask for.
fn looked_up(
    rules: &[Rule],
    subject: &mut Subject,
    family: &str,
    digest: Option<Digest>,
    asked: impl FnOnce(&config::Subject<'_>) -> bool,
) -> bool {
    // Looking at the host's path is a look at a file system of the process's
    // choice, which may never answer: only where a rule would match.
    let wanted = Wanted::by(rules);
    let link = wanted.exe.then(|| subject.link()).flatten();
    let named = link.is_some_and(|link| rules.iter().any(|rule| rule.may_be_about(&link)));
    let exe = named.then(|| subject.host_exe()).flatten();
    let sha256 = digest
        .filter(|_| wanted.sha256)
        .map(|digest| digest.to_string());
    let Some(facts) = subject.facts() else {
        return false;
    };
    let subject = config::Subject {
        exe: exe.as_deref(),
        sha256: sha256.as_deref(),
        ..facts.subject(family)
    };
    asked(&subject)
}

/// Whether a process is to be acted on, as far as the verdict goes.
pub(crate) fn is_condemned(case: &ProcessState, act_on: ActOn) -> bool {
    let verdict = case.judgement.verdict();
    verdict == Verdict::Miner
        || case.banned
        || (act_on == ActOn::Hashing && verdict == Verdict::Hashing)
}

/// Processes with their CPU time in nanoseconds, in the order in which they are acted
/// on: the one that used most first. When the breaker closes, no process that used less
/// takes the place of one that used more.
pub(crate) fn in_order(mut targets: Vec<(u64, Process)>) -> impl Iterator<Item = Process> {
    targets.sort_unstable_by_key(|(cpu_ns, process)| (Reverse(*cpu_ns), *process));
    targets.into_iter().map(|(_, process)| process)
}

/// The image a process was judged by, unless it is not to be acted on.
pub(crate) fn spared(subject: &mut Subject, guard: &Guard) -> Result<Image, Refusal> {
    if subject.case.allowed {
        return Err(Refusal::Allowed);
    }
    let image = subject.image();
    let (system, exe) = subject.system_exe();
    let kernel_thread = subject.facts().is_some_and(|facts| facts.kernel_thread);
    let unit = subject
        .facts()
        .and_then(|facts| facts.identity.unit.clone());
    // The rules of --allow were asked when it was judged.
    let candidate = Candidate {
        pid: subject.profile.process.tgid,
        kernel_thread,
        system,
        // The caller that wants a digest waited for it.
        undecided: false,
        subject: config::Subject {
            exe: exe.as_deref(),
            unit: unit.as_deref(),
            ..config::Subject::default()
        },
    };
    guard.without_rules().check(&candidate)?;
    image.ok_or(Refusal::Unreadable)
}

impl Facts {
    /// What rules look at, but for the image.
    #[must_use]
    pub fn subject<'a>(&'a self, family: &'a str) -> config::Subject<'a> {
        config::Subject {
            exe: None,
            sha256: None,
            uid: self.uid,
            cgroup: &self.cgroup,
            family,
            unit: self.identity.unit.as_deref(),
            container: self.identity.container.as_deref(),
            pod: self.identity.pod.as_deref(),
            owner: self.owner,
            namespace: None,
            image: None,
        }
    }
}
