//! Rules on subjects: what of `/proc` a rule needs is looked up, and no more.

use crate::{
    detect::collector::Subject,
    host::{Wanted, digest::Digest},
    policy::config::{self, Rule},
};

/// Whether any rule is about this process, whose image has this digest as far as
/// that is known.
pub(crate) fn matches(
    rules: &[Rule],
    subject: &mut Subject,
    family: &str,
    digest: Option<Digest>,
) -> bool {
    if rules.is_empty() {
        return false;
    }
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
    rules.iter().any(|rule| rule.matches(&subject))
}
