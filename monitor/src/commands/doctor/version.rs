//! Which upstream release a kernel is built from, by the texts that distributions
//! put it into. Pure.
//!
//! `uname -r` holds it on Fedora, Arch, Amazon Linux, Debian from 13 on and on kernels
//! that people build themselves. Debian 12 and Ubuntu write `6.1.0` there for all of
//! 6.1, and the release elsewhere; Red Hat and SUSE write it nowhere, as their kernels
//! are none of upstream's stable releases.

use std::fmt;

/// An upstream release. Ordered as releases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    /// The series, such as 6.1.
    pub(super) series: (u32, u32),
    /// Its stable release; `None` if that is not known.
    pub(super) patch: Option<u32>,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.series;
        write!(f, "{major}.{minor}")?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// What the host says about its kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Texts<'a> {
    /// `uname -r`.
    pub(super) release: &'a str,
    /// `uname -v`, where Debian writes the version of its package.
    pub(super) version: &'a str,
    /// `/proc/version_signature`, where Ubuntu writes upstream's release.
    pub(super) signature: Option<&'a str>,
}

impl Texts<'_> {
    /// The upstream release; `None` if `uname -r` does not begin with one.
    pub(super) fn upstream(self) -> Option<Release> {
        let (numbers, rest) = leading(self.release)?;
        let elsewhere = self.ubuntu().or_else(|| self.debian());
        // Of another series, it is not about this kernel.
        let elsewhere = elsewhere.filter(|found| found.series == numbers.series);
        let unknown = Release {
            patch: None,
            ..numbers
        };
        Some(match (elsewhere, numbers.patch) {
            (Some(found), _) => found,
            // `6.1.0-9-amd64`, `5.14.0-427.el9.x86_64`, `6.4.0-150600.23-default`: the
            // number is a distribution's. `6.17.0` is upstream's own.
            (None, Some(0)) if rest.starts_with('-') => unknown,
            // `6.12+deb13-amd64` is any release of 6.12, and `6.18-rc5` none.
            (None, None) if rest.starts_with(['-', '+']) => unknown,
            (None, patch) => Release {
                patch: Some(patch.unwrap_or(0)),
                ..numbers
            },
        })
    }

    /// `Ubuntu 6.17.0-8.8-generic 6.17.1`.
    fn ubuntu(self) -> Option<Release> {
        let mut words = self.signature?.split_whitespace();
        (words.next()? == "Ubuntu").then_some(())?;
        leading(words.last()?).map(|(release, _)| release)
    }

    /// `#1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)`.
    fn debian(self) -> Option<Release> {
        let (_, package) = self.version.split_once("Debian ")?;
        leading(package)
            .map(|(release, _)| release)
            .filter(|release| release.patch.is_some())
    }
}

/// The two or three numbers that a text begins with, and what follows them.
fn leading(text: &str) -> Option<(Release, &str)> {
    let (major, rest) = number(text)?;
    let (minor, rest) = number(rest.strip_prefix('.')?)?;
    let third = rest.strip_prefix('.').and_then(number);
    let (patch, rest) = third.map_or((None, rest), |(patch, rest)| (Some(patch), rest));
    let series = (major, minor);
    Some((Release { series, patch }, rest))
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: Texts<'_>, expected: &str) {
        let found = texts.upstream();
        let found = found.map_or_else(|| "none".to_owned(), |release| release.to_string());
        assert_eq!(found, expected, "{texts:?}");
    }

    fn release(release: &str) -> Texts<'_> {
        Texts {
            release,
            ..Texts::default()
        }
    }

    #[test]
    fn upstreams_own() {
        check(release("6.18.44"), "6.18.44");
        check(release("6.17.0"), "6.17.0");
        check(release("6.17"), "6.17.0");
        check(release("6.18.0-rc5"), "6.18");
        check(release("6.17.3-custom"), "6.17.3");
        check(release("6.12.41-rt11"), "6.12.41");
    }

    #[test]
    fn distributions_that_write_the_stable_release() {
        check(release("6.17.6-300.fc43.x86_64"), "6.17.6");
        check(release("6.1.25-37.47.amzn2023.x86_64"), "6.1.25");
        check(release("6.16.8-arch3-1"), "6.16.8");
        check(release("6.12.48+deb13-amd64"), "6.12.48");
        check(release("6.12.48+deb13-rt-amd64"), "6.12.48");
        check(release("6.12.48+deb13-cloud-amd64"), "6.12.48");
    }

    #[test]
    fn debian_writes_it_into_the_version() {
        let debian = |release, version| Texts {
            release,
            version,
            signature: None,
        };
        let bookworm = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)";
        check(debian("6.1.0-9-amd64", bookworm), "6.1.27");
        check(debian("6.1.0-9-cloud-amd64", bookworm), "6.1.27");
        let rt = "#1 SMP PREEMPT_RT Debian 6.1.38-4 (2023-08-08)";
        check(debian("6.1.0-11-rt-amd64", rt), "6.1.38");
        let bullseye = "#1 SMP Debian 5.10.223-1 (2024-08-10)";
        check(debian("5.10.0-32-amd64", bullseye), "5.10.223");
        let backport = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1~bpo11+1 (2023-10-08)";
        check(debian("6.1.0-0.deb11.13-amd64", backport), "6.1.55");
        // Without it, only the series is known.
        check(debian("6.1.0-9-amd64", "#1 SMP"), "6.1");
        check(debian("6.12+deb13-amd64", "#1 SMP"), "6.12");
        // Of another kernel.
        check(debian("6.12.5", bookworm), "6.12.5");
        check(debian("6.1.0-9-amd64", "#1 SMP Debian "), "6.1");
    }

    #[test]
    fn ubuntu_writes_it_into_the_signature() {
        let ubuntu = |signature| Texts {
            release: "6.17.0-8-generic",
            version: "#8-Ubuntu SMP PREEMPT_DYNAMIC Fri Nov 14 21:44:46 UTC 2025",
            signature,
        };
        check(ubuntu(Some("Ubuntu 6.17.0-8.8-generic 6.17.2")), "6.17.2");
        check(ubuntu(None), "6.17");
        check(ubuntu(Some("")), "6.17");
        check(ubuntu(Some("Ubuntu")), "6.17");
    }

    #[test]
    fn red_hat_and_suse_write_it_nowhere() {
        check(release("5.14.0-427.13.1.el9_4.x86_64"), "5.14");
        check(release("4.18.0-553.el8_10.x86_64"), "4.18");
        check(release("6.12.0-124.8.1.el10_1.x86_64"), "6.12");
        check(release("6.12.0-124.8.1.el10_1.x86_64+rt"), "6.12");
        check(release("6.4.0-150600.23.25-default"), "6.4");
    }

    #[test]
    fn anything_else_is_no_release() {
        for text in ["", "mine", "6", "6.", "v6.1", "99999999999.1", ".1"] {
            check(release(text), "none");
        }
        // A third number that is too large is no number.
        check(release("6.1.99999999999"), "6.1.0");
    }
}
