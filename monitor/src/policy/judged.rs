//! What the policy says of a process that was judged: whether a rule is about it,
//! whether it is to be acted on, and why it is not. What of `/proc` a rule needs
//! is looked up, and no more.

use std::cmp::Reverse;

use super::{
    config::{self, ActOn, Rule, Wanted},
    guard::{BurningCode, Candidate, Guard, UNREAD_GRACE_NS, is_listed},
    only::Only,
    refusal::Refusal,
};
use crate::{
    detect::collector::{ProcessState, Subject},
    host::{Facts, Image, LookError, digest::Digest},
};
use unjack_core::{event::Process, score::Family, verdict::Verdict};

/// Whether any rule is about this process, whose image has this digest as far as
/// that is known.
pub(crate) fn matches(
    rules: &[Rule],
    subject: &mut Subject,
    family: Option<Family>,
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
    rules.is_empty() || looked_up(rules, subject, None, digest, includes)
}

/// What `asked` says of a process, of which everything was looked up that the rules ask for.
fn looked_up(
    rules: &[Rule],
    subject: &mut Subject,
    family: Option<Family>,
    digest: Option<Digest>,
    asked: impl FnOnce(&config::Subject<'_>) -> bool,
) -> bool {
    let wanted = Wanted::by(rules);
    // What cannot be told matches no rule: the caller that acts asks `exe_is_known` first.
    let exe = exe(rules, subject).unwrap_or_default();
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

/// Path of a process's image on the host, if a rule may be about it.
fn exe(rules: &[Rule], subject: &mut Subject) -> Result<Option<String>, LookError> {
    // Looking at the host's path is a look at a file system of the process's choice:
    // only where a rule would match.
    if !Wanted::by(rules).exe {
        return Ok(None);
    }
    let link = subject.recent_link()?;
    if link.is_some_and(|link| rules.iter().any(|rule| rule.may_be_about(&link))) {
        subject.host_exe()
    } else {
        Ok(None)
    }
}

/// Whether it can be told which of these rules are about a process's image, or it was
/// tried for [`UNREAD_GRACE_NS`]: then none of them is.
pub(crate) fn exe_is_known(rules: &[Rule], subject: &mut Subject, now_ns: u64) -> bool {
    let known = exe(rules, subject).is_ok();
    subject.unread_exe.lasts(!known, now_ns) >= UNREAD_GRACE_NS || known
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

/// The image a process was judged by, unless it is not to be acted on at `now_ns`,
/// nanoseconds of the clock of its samples.
pub(crate) fn spared(subject: &mut Subject, guard: &Guard, now_ns: u64) -> Result<Image, Refusal> {
    if subject.case.allowed {
        return Err(Refusal::Allowed);
    }
    let image = subject.image();
    let link = subject.link();
    let unread = link.is_err() && guard.builtin;
    let program = link.ok().flatten().filter(|link| is_listed(link));
    let provenance = program.as_ref().and_then(|_| subject.provenance());
    let code = match program {
        Some(_) => BurningCode::of(subject.code_origins()),
        None => BurningCode::default(),
    };
    let kernel_thread = subject.facts().is_some_and(|facts| facts.kernel_thread);
    // The rules of --allow were asked when it was judged.
    let candidate = Candidate {
        pid: subject.profile.process.tgid,
        kernel_thread,
        program: program.as_deref(),
        provenance: provenance.as_ref(),
        code,
        // The caller that wants a digest waited for it.
        undecided: false,
        subject: config::Subject::default(),
    };
    let checked = match guard.without_rules().check(&candidate) {
        // It may be on the list.
        Ok(()) if unread => Err(Refusal::ProtectionUnknown),
        checked => checked,
    };
    let unknown = checked == Err(Refusal::ProtectionUnknown);
    let lasts = subject.unread_protection.lasts(unknown, now_ns);
    if !unknown || lasts < UNREAD_GRACE_NS {
        checked?;
    }
    image.ok_or(Refusal::Unreadable)
}

impl Facts {
    /// What rules look at, but for the image.
    #[must_use]
    pub fn subject(&self, family: Option<Family>) -> config::Subject<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{HostFile, Provenance, Uids};
    use unjack_core::event::Process;

    const SECOND: u64 = 1_000_000_000;
    const IMAGE: Image = Image {
        device: 1,
        inode: 2,
    };

    fn guard() -> Guard {
        Guard {
            lineage: vec![900, 1],
            allow: std::sync::Arc::default(),
            listed: std::sync::Arc::default(),
            builtin: true,
            only: Only::default(),
        }
    }

    /// A listed program of which nothing but this is known.
    fn subject(provenance: Provenance) -> Subject {
        let mut subject = Subject::recorded(Process {
            tgid: 50,
            start_ns: SECOND,
        });
        let told = subject.recorded_mut().unwrap();
        told.image = Some(IMAGE);
        told.facts = Some(Facts::default());
        told.host_exe = Some("/usr/bin/dockerd".to_owned());
        told.provenance = Some(provenance);
        subject
    }

    fn of(uid: u32, initial_user_namespace: Option<bool>) -> Provenance {
        Provenance {
            file: HostFile::Own,
            uids: Some(Uids {
                real: uid,
                saved: uid,
            }),
            initial_user_namespace,
            host_root: Some(true),
            identity: Some(crate::host::cgroup::identity::Identity::default()),
        }
    }

    #[test]
    fn roots_own_is_spared_and_a_users_is_not() {
        let spared = |provenance| spared(&mut subject(provenance), &guard(), SECOND);
        assert_eq!(spared(of(0, Some(true))), Err(Refusal::Guarded));
        assert_eq!(spared(of(1000, Some(true))), Ok(IMAGE));
    }

    /// The process may be what keeps it from being read.
    #[test]
    fn what_cannot_be_read_spares_a_process_for_so_long_and_no_longer() {
        let (mut subject, guard) = (subject(of(0, None)), guard());
        let begun = 100 * SECOND;
        for (after, expected) in [
            (0, Err(Refusal::ProtectionUnknown)),
            (UNREAD_GRACE_NS - SECOND, Err(Refusal::ProtectionUnknown)),
            (UNREAD_GRACE_NS, Ok(IMAGE)),
            (UNREAD_GRACE_NS + SECOND, Ok(IMAGE)),
        ] {
            assert_eq!(spared(&mut subject, &guard, begun + after), expected);
        }
        // It counts from the start again only once it could be read.
        let told = |subject: &mut Subject, known| {
            subject.recorded_mut().unwrap().provenance = Some(of(0, known));
        };
        let later = begun + 2 * UNREAD_GRACE_NS;
        told(&mut subject, Some(true));
        assert_eq!(spared(&mut subject, &guard, later), Err(Refusal::Guarded));
        told(&mut subject, None);
        let refused = Err(Refusal::ProtectionUnknown);
        assert_eq!(spared(&mut subject, &guard, later + SECOND), refused);
    }

    /// Recordings that do not say where a process came from are of processes whose user
    /// and cgroup they say.
    #[test]
    fn an_older_recording_says_whose_a_process_is() {
        for (uid, expected) in [(0, Err(Refusal::Guarded)), (1000, Ok(IMAGE))] {
            let mut subject = subject(Provenance::default());
            let told = subject.recorded_mut().unwrap();
            told.provenance = None;
            told.system = true;
            told.facts = Some(Facts {
                uid: Some(uid),
                ..Facts::default()
            });
            assert_eq!(spared(&mut subject, &guard(), SECOND), expected);
        }
    }
}
