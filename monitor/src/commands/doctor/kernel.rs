//! The kernel, judged by what it can do: whether it takes every program. Pure.

use super::Check;
use crate::kernel::probe::trial::Trial;

/// Names the kernel, and says nothing of its number: what it cannot do is found by
/// trying.
pub(super) fn release(release: &str) -> Check {
    Check::ok("kernel", format!("Linux {release}"))
}

/// What came of loading every program.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// What is lost where the probes have another way.
    pub(super) lost: Vec<&'static str>,
    /// Refused programs: what is lost without each, or `None` if unjack cannot run, and
    /// the kernel's words.
    pub(super) refused: Vec<(Option<&'static str>, String)>,
}

impl Tried {
    pub(super) fn new(trial: &Trial) -> Self {
        let refused = trial.refused.iter();
        Self {
            lost: trial.features.lost(),
            refused: refused
                .map(|refused| (refused.lost, refused.why.refusal()))
                .collect(),
        }
    }
}

/// `tried` is `None` if nothing was tried, because a check failed that has to be mended
/// first.
pub(super) fn judge(tried: Option<&Result<Tried, String>>) -> [Check; 2] {
    const FEATURES: &str = "BPF features";
    const PROGRAMS: &str = "BPF programs";
    const NEWER: &str = "boot a newer kernel: Linux 5.15 has all of them";
    const REPORT: &str = "correct what the checks above report; if that does not help, report the kernel's message and version";
    let tried = match tried {
        Some(Ok(tried)) => tried,
        Some(Err(why)) => {
            return [
                Check::warn(FEATURES, "not known: nothing could be loaded", REPORT),
                Check::fail(PROGRAMS, one_line(why), REPORT),
            ];
        }
        None => {
            const FIRST: &str = "correct what failed above, and run unjack doctor again";
            return [FEATURES, PROGRAMS]
                .map(|name| Check::warn(name, "not tried, as a check failed", FIRST));
        }
    };
    let features = if tried.lost.is_empty() {
        Check::ok(FEATURES, "all that the probes use")
    } else {
        Check::warn(FEATURES, tried.lost.join("; "), NEWER)
    };
    if tried.refused.is_empty() {
        return [features, Check::ok(PROGRAMS, "all load")];
    }
    let said: Vec<String> = tried
        .refused
        .iter()
        .map(|(lost, why)| {
            let lost = lost.unwrap_or("unjack cannot run");
            format!("{lost}: {}", one_line(why))
        })
        .collect();
    let said = said.join("; ");
    let programs = if tried.refused.iter().any(|(lost, _)| lost.is_none()) {
        Check::fail(PROGRAMS, said, REPORT)
    } else {
        Check::warn(PROGRAMS, said, REPORT)
    };
    [features, programs]
}

/// The verifier's words are many lines; each check is one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Status;

    #[track_caller]
    fn check(tried: Option<&Result<Tried, String>>, expected: [(Status, &str); 2]) {
        let checks = judge(tried);
        for (check, (status, found)) in checks.iter().zip(expected) {
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.found.contains(found), "{check:?}");
            assert!(!check.found.contains('\n'), "{check:?}");
            assert_eq!(check.remedy.is_none(), status == Status::Ok, "{check:?}");
        }
    }

    #[test]
    fn no_kernel_is_refused_for_its_number() {
        for name in [
            "2.6.32",
            "4.18.0-553.el8_10.x86_64",
            "5.14.0-427.el9.x86_64",
            "mine",
        ] {
            let check = release(name);
            assert_eq!(check.status, Status::Ok, "{check:?}");
            assert!(check.found.contains(name), "{check:?}");
        }
    }

    #[test]
    fn a_kernel_that_takes_all_is_all_right() {
        let all = [(Status::Ok, "all"), (Status::Ok, "all load")];
        check(Some(&Ok(Tried::default())), all);
    }

    #[test]
    fn what_has_another_way_is_a_warning() {
        let tried = Tried {
            lost: vec!["no a: b", "no c: d"],
            ..Tried::default()
        };
        let expected = [(Status::Warn, "no a: b; no c: d"), (Status::Ok, "all load")];
        check(Some(&Ok(tried)), expected);
    }

    #[test]
    fn a_refused_program_is_fatal_if_unjack_cannot_run_without_it() {
        let refused = |lost| Tried {
            refused: vec![
                (Some("--pools"), "why".to_owned()),
                (lost, "x:\n0: (79)".to_owned()),
            ],
            ..Tried::default()
        };
        let some = (Status::Ok, "all");
        let warned = [some, (Status::Warn, "--pools: why; --ban: x: 0: (79)")];
        check(Some(&Ok(refused(Some("--ban")))), warned);
        let failed = [some, (Status::Fail, "unjack cannot run: x: 0: (79)")];
        check(Some(&Ok(refused(None))), failed);
    }

    #[test]
    fn what_was_not_tried_is_not_said_to_be_lacking() {
        check(
            None,
            [(Status::Warn, "not tried"), (Status::Warn, "not tried")],
        );
        let maps = Err("map EVENTS: EINVAL".to_owned());
        check(
            Some(&maps),
            [(Status::Warn, "not known"), (Status::Fail, "map EVENTS")],
        );
    }
}
