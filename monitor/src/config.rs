//! The policy of `unjack run`, validated.
//!
//! Flags flow in from [`crate::cli`], and `/etc/passwd` as text (nothing is
//! read here). Out comes a [`Config`] whose every field is in its stated
//! range, and [`Rule`]s that match a [`Subject`]. A rule never looks at what a
//! process says about itself: not its `comm`, not its argv.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use globset::{GlobBuilder, GlobMatcher};
use serde::Serialize;

use crate::action::ban::Policy;
use crate::cli::RunArgs;
use crate::score::FAMILIES;

/// What to do with a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Report it.
    Observe,
    /// Slow it down (not available yet).
    Throttle,
    /// Stop it, so that it can go on later (not available yet).
    Freeze,
    /// End it.
    Kill,
}

/// Which verdicts are acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActOn {
    /// Mining.
    Miner,
    /// Hashing too, whatever it is for.
    Hashing,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Throttle => "throttle",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
        })
    }
}

/// The validated policy.
#[derive(Clone, Debug)]
pub struct Config {
    /// Observe or kill; the others are refused.
    pub action: Action,
    /// CPU burn from which a process is judged, as a fraction of one core:
    /// above 0, and above 1 for more than one core.
    pub min_cpu: f64,
    /// Score from which it is a miner, 0 to 1.
    pub min_score: f64,
    /// Time over which it is judged, 1 s to 60 s.
    pub window: Duration,
    /// How far the window may reach back for samples enough, the window to 1 h.
    pub patience: Duration,
    /// Which verdicts are acted on.
    pub act_on: ActOn,
    /// Time between SIGTERM and SIGKILL, 0 to 60 s.
    pub grace: Duration,
    /// What is banned, and how.
    pub ban: Policy,
    /// Who is never acted on.
    pub allow: Vec<Rule>,
    /// Who is a miner whatever the score; `allow` wins.
    pub deny: Vec<Rule>,
    /// Samples a second on every processor, 1 to 999.
    pub sample_hz: u32,
    /// Where metrics are served.
    pub listen: SocketAddr,
}

/// A flag's value that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value '{value}' for '{flag}': {problem}")]
pub struct ConfigError {
    /// The flag, dashes included.
    pub flag: &'static str,
    /// Its value, or the part of it that is wrong.
    pub value: String,
    /// What is wrong with it, and what is accepted.
    pub problem: String,
}

impl Config {
    /// Validates the flags of `unjack run`. `passwd` is the content of
    /// `/etc/passwd`, for rules that name a user; it may be empty.
    ///
    /// # Errors
    /// Names the flag, its value and what is accepted.
    pub fn from_cli(args: &RunArgs, passwd: &str) -> Result<Self, ConfigError> {
        let RunArgs {
            action,
            min_cpu,
            min_score,
            window,
            patience,
            act_on,
            grace,
            ban,
            ban_with,
            pin_dir,
            allow,
            deny,
            sample_hz,
            listen,
            log_format: _,
            log_level: _,
        } = args;
        let users = parse_passwd(passwd);
        let seconds = |n| Duration::from_secs(n);
        let allow = parse_rules("--allow", allow, &users)?;
        Ok(Self {
            action: accept(
                "--action",
                *action,
                action,
                "not yet available; use observe or kill",
                |a| matches!(a, Action::Observe | Action::Kill),
            )?,
            // The ceiling is beyond any machine, and keeps out "inf".
            min_cpu: accept(
                "--min-cpu",
                *min_cpu,
                min_cpu,
                "must be a percentage of one core above 0, such as 10, or 250 for two and a half cores",
                |p| *p > 0.0 && *p <= 1e6,
            )? / 100.0,
            min_score: accept(
                "--min-score",
                *min_score,
                min_score,
                "must be from 0 to 1",
                |s| (0.0..=1.0).contains(s),
            )?,
            window: accept(
                "--window",
                *window,
                humantime::format_duration(*window),
                "must be from 1s to 60s",
                |d| (seconds(1)..=seconds(60)).contains(d),
            )?,
            patience: accept(
                "--patience",
                *patience,
                humantime::format_duration(*patience),
                "must be at least --window, and at most 1h",
                |d| (*window..=seconds(3600)).contains(d),
            )?,
            act_on: *act_on,
            grace: accept(
                "--grace",
                *grace,
                humantime::format_duration(*grace),
                "must be from 0s to 60s",
                |d| *d <= seconds(60),
            )?,
            ban: Policy {
                ttl: accept(
                    "--ban",
                    *ban,
                    humantime::format_duration(*ban),
                    "must be 0, or from 1s to 365d",
                    |d| d.is_zero() || (seconds(1)..=Duration::from_hours(365 * 24)).contains(d),
                )?,
                with: *ban_with,
                dir: pin_dir.clone(),
                enforce: *action == Action::Kill,
                allow: allow.clone(),
            },
            allow,
            deny: parse_rules("--deny", deny, &users)?,
            sample_hz: accept(
                "--sample-hz",
                *sample_hz,
                sample_hz,
                "must be from 1 to 999",
                |hz| (1..=999).contains(hz),
            )?,
            listen: *listen,
        })
    }
}

fn accept<T>(
    flag: &'static str,
    value: T,
    shown: impl fmt::Display,
    problem: &str,
    accepted: impl Fn(&T) -> bool,
) -> Result<T, ConfigError> {
    if accepted(&value) {
        return Ok(value);
    }
    Err(ConfigError {
        flag,
        value: shown.to_string(),
        problem: problem.to_owned(),
    })
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKey {
    /// Path of the image.
    Exe,
    /// User it runs as.
    User,
    /// Path of its cgroup.
    Cgroup,
    /// Family of hash algorithm.
    Family,
}

/// One `KEY=VALUE` of `--allow` or `--deny`.
#[derive(Clone)]
pub struct Rule {
    /// What it looks at.
    pub key: RuleKey,
    /// The rule as it was written, for messages.
    pub text: String,
    pattern: Pattern,
}

impl fmt::Debug for Rule {
    /// The rule as it was written: a compiled glob fills pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.text).finish()
    }
}

#[derive(Clone)]
enum Pattern {
    Glob(GlobMatcher),
    Uid(u32),
    Family(&'static str),
}

/// What the collector established about a process, for rules to match.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Path of its image as the *host* sees it, verified by the caller to lead
    /// to the very file the process executes; `None` if that could not be
    /// verified, and then no `exe=` rule matches.
    pub exe: Option<&'a str>,
    /// User it runs as; `None` if unknown, and then no `user=` rule matches.
    pub uid: Option<u32>,
    /// Path of its cgroup.
    pub cgroup: &'a str,
    /// Family found, one of [`FAMILIES`]; empty if none.
    pub family: &'a str,
}

impl Rule {
    /// Whether the rule is about this process.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match (&self.pattern, self.key) {
            (Pattern::Glob(glob), RuleKey::Exe) => {
                subject.exe.is_some_and(|exe| glob.is_match(exe))
            }
            (Pattern::Glob(glob), _) => glob.is_match(subject.cgroup),
            (Pattern::Uid(uid), _) => subject.uid == Some(*uid),
            (Pattern::Family(family), _) => subject.family == *family,
        }
    }

    /// Reads one `KEY=VALUE`; `Err` says what is wrong and what is accepted.
    fn parse(text: &str, users: &[(&str, u32)]) -> Result<Self, String> {
        const KEYS: &str = "accepted are exe=GLOB, user=NAME, cgroup=GLOB and family=NAME";
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("not KEY=VALUE; {KEYS}"))?;
        if value.is_empty() && key != "comm" {
            return Err(format!("nothing after '='; {KEYS}"));
        }
        let (key, pattern) = match key {
            "exe" => (RuleKey::Exe, Pattern::Glob(parse_glob(value)?)),
            "cgroup" => (RuleKey::Cgroup, Pattern::Glob(parse_glob(value)?)),
            "user" => (RuleKey::User, Pattern::Uid(find_user(value, users)?)),
            "family" => (RuleKey::Family, Pattern::Family(find_family(value)?)),
            "comm" => {
                return Err("a process chooses its own name, so no rule can trust it; \
                            use exe=, user= or cgroup="
                    .to_owned());
            }
            _ => return Err(format!("unknown key; {KEYS}")),
        };
        Ok(Self {
            key,
            text: text.to_owned(),
            pattern,
        })
    }
}

fn parse_glob(text: &str) -> Result<GlobMatcher, String> {
    if !text.starts_with('/') {
        return Err("must be an absolute path, such as /opt/tool or /opt/**".to_owned());
    }
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("not a glob: {}", error.kind()))
}

fn find_user(name: &str, users: &[(&str, u32)]) -> Result<u32, String> {
    // A name wins, as in chown(1): a user may be called by a number.
    let known = users
        .iter()
        .find(|(user, _)| *user == name)
        .map(|(_, uid)| *uid);
    known.or_else(|| name.parse().ok()).ok_or_else(|| {
        "no such user in /etc/passwd; use a numeric uid for one from elsewhere (id -u NAME)"
            .to_owned()
    })
}

fn find_family(name: &str) -> Result<&'static str, String> {
    let known = FAMILIES.into_iter().find(|family| *family == name);
    known.ok_or_else(|| format!("no such family; known are {}", FAMILIES.join(", ")))
}

fn parse_rules(
    flag: &'static str,
    values: &[String],
    users: &[(&str, u32)],
) -> Result<Vec<Rule>, ConfigError> {
    let rules = values.iter().flat_map(|value| split_list(value));
    rules
        .map(|text| {
            Rule::parse(text, users).map_err(|problem| ConfigError {
                flag,
                value: text.to_owned(),
                problem,
            })
        })
        .collect()
}

/// Parts of a list joined by commas, except commas in a glob's `{a,b}` or
/// `[a,]`, or after a backslash. Empty parts are left out.
fn split_list(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let mut escaped = false;
    list.split(move |c| {
        let plain = !escaped;
        escaped = plain && c == '\\';
        match c {
            '{' | '[' if plain => depth += 1,
            '}' | ']' if plain => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && plain && depth == 0
    })
    .filter(|part| !part.is_empty())
}

/// Names and uids in the text of `/etc/passwd`; lines that are not entries are
/// skipped.
#[must_use]
pub fn parse_passwd(text: &str) -> Vec<(&str, u32)> {
    let entries = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        Some((name, uid))
    });
    entries.collect()
}

#[cfg(test)]
mod tests;
