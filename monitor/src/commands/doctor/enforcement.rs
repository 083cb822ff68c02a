//! What an action is for. Pure, as `judge` is.

use super::Check;
use crate::policy::config::{Action, Rule};
use unjack_core::text::clean;

/// Characters of the rules that are shown.
const RULES_CHARS: usize = 1024;

/// `runtimes` says whether any container runtime keeps files that can be read.
pub(super) fn enforcement(action: Action, only: &[Rule], runtimes: bool) -> Check {
    const NAME: &str = "enforcement";
    let rules: Vec<&str> = only.iter().map(|rule| rule.text.as_str()).collect();
    let rules = clean(rules.join(", ").as_bytes(), RULES_CHARS);
    let found = match (action, only) {
        (Action::Observe, _) => "observe: miners are only reported, everywhere".to_owned(),
        (action, []) => format!("{action}, on the whole host"),
        (action, _) => format!("{action}, only for {rules}; other miners are only reported"),
    };
    let asks = only.iter().any(|rule| rule.key.is_of_runtime());
    if asks && !runtimes {
        return Check::warn(
            NAME,
            format!(
                "{found}; namespace= and image= match nothing, as no container runtime's files are found"
            ),
            "in a container, mount the host's /run/containerd and /var/lib/containers or \
             /var/lib/docker, or run with the host's pid namespace; --container-dir of unjack run \
             names other places",
        );
    }
    Check::ok(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Status;

    #[track_caller]
    fn check(action: Action, rules: &[&str], runtimes: bool, status: Status, expected: &str) {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|text| Rule::parse(text, &[]).unwrap())
            .collect();
        let check = enforcement(action, &rules, runtimes);
        assert_eq!(check.status, status, "{check:?}");
        assert!(check.found.contains(expected), "{check:?}");
    }

    #[test]
    fn what_is_enforced_where() {
        check(Action::Observe, &[], false, Status::Ok, "observe: miners");
        check(
            Action::Kill,
            &[],
            false,
            Status::Ok,
            "kill, on the whole host",
        );
        let expected = "freeze, only for unit=ci.service, user=5; other";
        check(
            Action::Freeze,
            &["unit=ci.service", "user=5"],
            false,
            Status::Ok,
            expected,
        );
        check(
            Action::Kill,
            &["namespace=ci"],
            true,
            Status::Ok,
            "only for namespace=ci",
        );
        check(
            Action::Kill,
            &["image=a/*"],
            false,
            Status::Warn,
            "match nothing",
        );
    }
}
