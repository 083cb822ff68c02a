//! Rules on subjects: what of `/proc` a rule needs is looked up, and no more.

use crate::{
    collector::Subject,
    config::{self, Rule, RuleKey},
};

/// Whether any rule is about this process.
pub(super) fn matches(rules: &[Rule], subject: &mut Subject, family: &str) -> bool {
    if rules.is_empty() {
        return false;
    }
    // Looking at the host's path is a look at a file system of the process's
    // choice: only for a rule that needs it.
    let by_path = rules.iter().any(|rule| rule.key == RuleKey::Exe);
    let exe = if by_path { subject.host_exe() } else { None };
    let Some(facts) = subject.facts() else {
        return false;
    };
    let subject = config::Subject {
        exe: exe.as_deref(),
        uid: facts.uid,
        cgroup: &facts.cgroup,
        family,
    };
    rules.iter().any(|rule| rule.matches(&subject))
}
