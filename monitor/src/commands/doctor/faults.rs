//! Faults of released kernels that sampling can run into, by the release. Pure.
//!
//! A fault does not show by trying: what would try it out hangs the machine. So these,
//! and only these, go by the kernel's number, and none of them keeps unjack from
//! starting. A distribution may have repaired a kernel without changing the number.

use super::{
    Check,
    version::{Release, Texts},
};

/// What of a host decides whether a fault concerns it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Host<'a> {
    /// What it says about its kernel.
    pub(super) kernel: Texts<'a>,
    /// Samples are taken by the processor's cycles: no cpu-clock event exists.
    pub(super) cycles: bool,
    /// `/proc/cmdline`.
    pub(super) command_line: &'a str,
    /// `/boot/config-RELEASE`, if it can be read.
    pub(super) config: Option<&'a str>,
}

impl Host<'_> {
    /// Whether copies from user memory are checked. `hardened_usercopy=` is read as
    /// `kstrtobool` reads it; the last one counts.
    fn checks_copies(self) -> bool {
        let switch = self
            .command_line
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("hardened_usercopy="))
            .next_back();
        let off = switch.is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.starts_with(['0', 'n']) || value.starts_with("of")
        });
        let built = self.config.is_none_or(|config| {
            config
                .lines()
                .any(|line| line == "CONFIG_HARDENED_USERCOPY=y")
        });
        built && !off
    }
}

/// Releases of one series that have a fault.
struct Span {
    series: (u32, u32),
    /// The first release with it.
    from: u32,
    /// The first one without it; `None` if the series ended with it.
    until: Option<u32>,
}

impl Span {
    const fn new(series: (u32, u32), from: u32, until: Option<u32>) -> Self {
        Self {
            series,
            from,
            until,
        }
    }

    /// Whether `release` is one of these, as far as is known.
    fn holds(&self, release: Release) -> bool {
        self.series == release.series
            && release.patch.is_none_or(|patch| {
                patch >= self.from && self.until.is_none_or(|until| patch < until)
            })
    }
}

/// A fault of some kernels.
struct Fault {
    /// What happens, and where it was reported.
    what: &'static str,
    remedy: &'static str,
    spans: &'static [Span],
    concerns: fn(Host<'_>) -> bool,
}

const FAULTS: [Fault; 3] = [
    // Brought by 18dbcbfabfff ("perf: Fix the POLL_HUP delivery breakage"): 6.17-rc5,
    // and 6.16.8 (stable review of 2025-09-17, patch 7 of 189). Repaired by
    // eb3182ef0405 ("perf/core: Fix system hang caused by cpu-clock usage"): 6.18-rc5,
    // and 6.17.8 (stable review of 2025-11-11, patch 818 of 849). 6.16 had ended.
    // https://github.com/async-profiler/async-profiler/issues/1578
    Fault {
        what: "a cpu-clock event that the kernel stops by itself hangs the machine \
               (async-profiler#1578: PERF_EVENT_IOC_REFRESH, which unjack does not use, but \
               other profilers do)",
        remedy: "boot Linux 6.18.6 or later",
        spans: &[Span::new((6, 16), 8, None), Span::new((6, 17), 0, Some(8))],
        concerns: |host| !host.cycles,
    },
    // Brought by that repair: the event may be freed while its timer runs. Repaired by
    // ff5860f5088e ("perf: Ensure swevent hrtimer is properly destroyed"): 6.19-rc5, and
    // 6.18.6 (stable review of 2026-01-15, patch 111 of 181). 6.17 had ended.
    Fault {
        what: "the kernel may use a cpu-clock event after it was freed, which is when unjack ends \
               or a processor goes offline (CVE-2026-23014)",
        remedy: "boot Linux 6.18.6 or later",
        spans: &[Span::new((6, 17), 8, None), Span::new((6, 18), 0, Some(6))],
        concerns: |host| !host.cycles,
    },
    // Brought by 0aef499f3172 ("mm/usercopy: Detect vmalloc overruns"), 5.19. Repaired by
    // d319f344561d ("mm: Fix copy_from_user_nofault()."): 6.4, 6.3.10 and 6.1.36 (stable
    // reviews of 2023-06-26). 5.19, 6.0 and 6.2 had ended. Red Hat has both in its 5.14
    // (CentOS Stream 9, merge request 3479, RHEL-18440); the build is not known here.
    // https://github.com/parca-dev/parca-agent/issues/1675
    Fault {
        what: "reading a program's code in an interrupt may wait for a lock that the interrupted \
               thread holds, and lock up the machine (hardened usercopy; parca-agent#1675)",
        remedy: "boot Linux 6.1.36, 6.3.10, 6.4 or later, or boot with hardened_usercopy=off",
        spans: &[
            Span::new((5, 19), 0, None),
            Span::new((6, 0), 0, None),
            Span::new((6, 1), 0, Some(36)),
            Span::new((6, 2), 0, None),
            Span::new((6, 3), 0, Some(10)),
        ],
        concerns: |host| host.checks_copies(),
    },
];

/// The check's name.
pub(super) const NAME: &str = "kernel faults";

pub(super) fn known_faults(host: Host<'_>) -> Check {
    let Some(release) = host.kernel.upstream() else {
        return Check::warn(
            NAME,
            format!("release {:?} is not a version", host.kernel.release),
            "compare it with the kernels named in docs/troubleshooting.md",
        );
    };
    let found: Vec<&Fault> = FAULTS
        .iter()
        .filter(|fault| fault.spans.iter().any(|span| span.holds(release)))
        .filter(|fault| (fault.concerns)(host))
        .collect();
    if found.is_empty() {
        return Check::ok(NAME, format!("none known of {release} that concern unjack"));
    }
    let certain = if release.patch.is_some() {
        "unless your distribution has repaired it"
    } else {
        "or not, as the stable release that it is built from is not known"
    };
    let what: Vec<&str> = found.iter().map(|fault| fault.what).collect();
    let mut remedies: Vec<&str> = found.iter().map(|fault| fault.remedy).collect();
    remedies.dedup();
    Check::warn(
        NAME,
        format!("Linux {release}, {certain}: {}", what.join("; ")),
        remedies.join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Status;

    const CLOCK: &str = "async-profiler#1578";
    const FREED: &str = "CVE-2026-23014";
    const COPY: &str = "parca-agent#1675";

    fn host(release: &str) -> Host<'_> {
        Host {
            kernel: Texts {
                release,
                ..Texts::default()
            },
            ..Host::default()
        }
    }

    /// Exactly the faults in `expected` are named.
    #[track_caller]
    fn check(host: Host<'_>, expected: &[&str]) {
        let check = known_faults(host);
        let named: Vec<&str> = [CLOCK, FREED, COPY]
            .into_iter()
            .filter(|name| check.found.contains(name))
            .collect();
        assert_eq!(named, expected, "{check:?}");
        let status = if expected.is_empty() {
            Status::Ok
        } else {
            Status::Warn
        };
        assert_eq!(check.status, status, "{check:?}");
        assert_eq!(check.remedy.is_some(), !expected.is_empty(), "{check:?}");
    }

    #[test]
    fn cpu_clock_hangs_from_6_16_8_to_6_17_7() {
        for (release, expected) in [
            ("6.15.11", &[][..]),
            ("6.16.7", &[]),
            ("6.16.8-200.fc42.x86_64", &[CLOCK]),
            ("6.16.12", &[CLOCK]),
            ("6.17.1-300.fc43.x86_64", &[CLOCK]),
            ("6.17.7", &[CLOCK]),
            ("6.17.8", &[FREED]),
            ("6.17.13", &[FREED]),
            ("6.18.5", &[FREED]),
            ("6.18.6", &[]),
            ("6.18.44", &[]),
            ("6.19", &[]),
            ("7.2.1", &[]),
        ] {
            check(host(release), expected);
        }
    }

    #[test]
    fn cpu_clock_does_not_matter_to_a_sampler_of_cycles() {
        for release in ["6.16.9", "6.17.1", "6.18.1"] {
            let cycles = Host {
                cycles: true,
                ..host(release)
            };
            check(cycles, &[]);
        }
    }

    #[test]
    fn hardened_usercopy_locks_up_from_5_19_to_6_1_35_and_6_3_9() {
        for (release, expected) in [
            ("5.10.223", &[][..]),
            ("5.15.0-91-generic", &[]),
            ("5.18.19", &[]),
            ("5.19.17", &[COPY]),
            ("6.0.19", &[COPY]),
            ("6.1.25-37.47.amzn2023.x86_64", &[COPY]),
            ("6.1.35", &[COPY]),
            ("6.1.36", &[]),
            ("6.2.16", &[COPY]),
            ("6.3.9", &[COPY]),
            ("6.3.10", &[]),
            ("6.4.0", &[]),
        ] {
            check(host(release), expected);
            let cycles = Host {
                cycles: true,
                ..host(release)
            };
            check(cycles, expected);
        }
    }

    #[test]
    fn debians_kernel_is_judged_by_its_package() {
        let debian = |version| Host {
            kernel: Texts {
                release: "6.1.0-9-amd64",
                version,
                signature: None,
            },
            ..Host::default()
        };
        check(
            debian("#1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)"),
            &[COPY],
        );
        check(
            debian("#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)"),
            &[],
        );
        check(debian("#1 SMP"), &[COPY]);
    }

    #[test]
    fn what_is_not_certain_is_said_to_be_so() {
        let found = |release| known_faults(host(release)).found;
        let ubuntu = found("6.17.0-8-generic");
        assert!(ubuntu.contains("not known"), "{ubuntu}");
        assert!(found("6.17.3").contains("unless your distribution"));
        // Of a series that never had one there is nothing to say.
        check(host("5.14.0-427.13.1.el9_4.x86_64"), &[]);
        let odd = known_faults(host("mine"));
        assert_eq!(odd.status, Status::Warn, "{odd:?}");
    }

    #[test]
    fn copies_that_are_not_checked_take_no_lock() {
        fn bad<'a>(command_line: &'a str, config: Option<&'a str>) -> Host<'a> {
            Host {
                command_line,
                config,
                ..host("6.1.25")
            }
        }
        for off in ["off", "0", "no", "OFF"] {
            let line = format!("quiet hardened_usercopy={off} panic=-1");
            check(bad(&line, None), &[]);
        }
        check(bad("hardened_usercopy=on", None), &[COPY]);
        check(
            bad("hardened_usercopy=off hardened_usercopy=on", None),
            &[COPY],
        );
        check(bad("xhardened_usercopy=off", None), &[COPY]);
        let without =
            "CONFIG_HAVE_HARDENED_USERCOPY_ALLOCATOR=y\n# CONFIG_HARDENED_USERCOPY is not set\n";
        check(bad("", Some(without)), &[]);
        check(bad("", Some("CONFIG_HARDENED_USERCOPY=y\n")), &[COPY]);
    }

    #[test]
    fn spans_of_a_fault_are_in_order_and_apart() {
        for fault in &FAULTS {
            for pair in fault.spans.windows(2) {
                assert!(pair[0].series < pair[1].series, "{}", fault.what);
            }
            for span in fault.spans {
                assert!(span.until.is_none_or(|until| until > span.from));
            }
        }
    }
}
