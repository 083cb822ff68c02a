//! Rules of `--allow`, `--deny` and `--only`: `KEY=VALUE`, read and matched.
//!
//! A rule never looks at what a process says about itself, only at what was
//! established about it: see [`Subject`].

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use super::ConfigError;
use unjack_core::score::{FAMILIES, Family, NoFamily};

/// Hexadecimal digits of a SHA-256.
const SHA256_CHARS: usize = 64;
/// Digits from which on the beginning of a container's id stands for it.
const SHORT_ID_CHARS: usize = 12;

/// The flag whose rules limit what is acted on.
pub(crate) const ONLY: &str = "--only";

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
    /// SHA-256 of the image.
    Sha256,
    /// The system's unit it belongs to.
    Unit,
    /// The container, or the pod, it runs in.
    Container,
    /// The Kubernetes namespace of its pod. Of `--only` alone.
    Namespace,
    /// The image of its container. Of `--only` alone.
    Image,
}

impl RuleKey {
    /// Every key there is.
    pub const ALL: [Self; 9] = [
        Self::Exe,
        Self::User,
        Self::Cgroup,
        Self::Family,
        Self::Sha256,
        Self::Unit,
        Self::Container,
        Self::Namespace,
        Self::Image,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exe => "exe",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Family => "family",
            Self::Sha256 => "sha256",
            Self::Unit => "unit",
            Self::Container => "container",
            Self::Namespace => "namespace",
            Self::Image => "image",
        }
    }

    /// Whether a container runtime's file has to be read for it.
    #[must_use]
    pub const fn is_of_runtime(self) -> bool {
        matches!(self, Self::Namespace | Self::Image)
    }
}

/// One `KEY=VALUE` of `--allow`, `--deny` or `--only`.
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
    Family(Family),
    Digest(String),
    /// A glob, and the text of it, which may be the beginning of an id.
    Id(GlobMatcher, String),
}

/// What rules ask for that costs more than a read of `/proc`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// The host's path of the image: a look at a file system of the process's
    /// choice.
    pub exe: bool,
    /// SHA-256 of the image.
    pub sha256: bool,
}

impl Wanted {
    /// What these rules ask for.
    #[must_use]
    pub fn by(rules: &[Rule]) -> Self {
        let any = |key| rules.iter().any(|rule| rule.key == key);
        Self {
            exe: any(RuleKey::Exe),
            sha256: any(RuleKey::Sha256),
        }
    }
}

/// What the collector established about a process, for rules to match.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// Path of its image as the *host* sees it, verified by the caller to lead
    /// to the very file the process executes; `None` if that could not be
    /// verified, and then no `exe=` rule matches.
    pub exe: Option<&'a str>,
    /// User it runs as; `None` if unknown, and then no `user=` rule matches.
    pub uid: Option<u32>,
    /// Path of its cgroup.
    pub cgroup: &'a str,
    /// Family found, if any was.
    pub family: Option<Family>,
    /// SHA-256 of its image in hexadecimal; `None` if it could not be computed
    /// or no rule asks for it.
    pub sha256: Option<&'a str>,
    /// The system's unit it belongs to; see [`crate::host::cgroup::identity`].
    pub unit: Option<&'a str>,
    /// The container it runs in.
    pub container: Option<&'a str>,
    /// The uid of its pod.
    pub pod: Option<&'a str>,
    /// The user that made the user namespace it is in, where that is not the host's. Only
    /// `--only` looks at it: see [`crate::policy::only`].
    pub owner: Option<u32>,
    /// The Kubernetes namespace of its pod, if a rule asks for it.
    pub namespace: Option<&'a str>,
    /// The image of its container, if a rule asks for it.
    pub image: Option<&'a str>,
}

impl Rule {
    /// Whether the rule is about this process.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match (&self.pattern, self.key) {
            (Pattern::Glob(glob), RuleKey::Exe) => {
                subject.exe.is_some_and(|exe| glob.is_match(exe))
            }
            (Pattern::Glob(glob), RuleKey::Unit) => {
                subject.unit.is_some_and(|unit| glob.is_match(unit))
            }
            (Pattern::Glob(glob), RuleKey::Namespace) => {
                subject.namespace.is_some_and(|name| glob.is_match(name))
            }
            (Pattern::Glob(glob), RuleKey::Image) => {
                subject.image.is_some_and(|image| glob.is_match(image))
            }
            (Pattern::Glob(glob), _) => glob.is_match(subject.cgroup),
            (Pattern::Uid(uid), _) => subject.uid == Some(*uid),
            (Pattern::Family(family), _) => subject.family == Some(*family),
            (Pattern::Digest(digest), _) => subject.sha256 == Some(digest),
            (Pattern::Id(glob, text), _) => {
                subject.pod.is_some_and(|pod| glob.is_match(pod))
                    || subject.container.is_some_and(|id| {
                        glob.is_match(id) || (is_short_id(text) && id.starts_with(text.as_str()))
                    })
            }
        }
    }

    /// Whether it is about an image with this path, should that be verified.
    #[must_use]
    pub fn may_be_about(&self, exe: &str) -> bool {
        match (&self.pattern, self.key) {
            (Pattern::Glob(glob), RuleKey::Exe) => glob.is_match(exe),
            _ => false,
        }
    }

    /// Reads one `KEY=VALUE`; `Err` says what is wrong and what is accepted.
    pub(crate) fn parse(text: &str, users: &[(&str, u32)]) -> Result<Self, String> {
        const KEYS: &str = "accepted are exe=GLOB, sha256=HEX, user=NAME, cgroup=GLOB, \
                            unit=GLOB, container=ID and family=NAME";
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
            "sha256" => (RuleKey::Sha256, Pattern::Digest(parse_digest(value)?)),
            "unit" => (RuleKey::Unit, Pattern::Glob(parse_unit(value)?)),
            "container" => (
                RuleKey::Container,
                Pattern::Id(compile(value)?, value.to_owned()),
            ),
            "family" => (RuleKey::Family, Pattern::Family(find_family(value)?)),
            "namespace" => (RuleKey::Namespace, Pattern::Glob(compile(value)?)),
            "image" => (RuleKey::Image, Pattern::Glob(compile(value)?)),
            "comm" => {
                return Err("a process chooses its own name, so no rule can trust it; \
                            use exe=, sha256=, unit= or another key"
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
    compile(text)
}

fn compile(text: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("not a glob: {}", error.kind()))
}

fn parse_unit(text: &str) -> Result<GlobMatcher, String> {
    if !text.contains(['.', '*']) {
        return Err("must be a unit with its kind, such as backup.service or backup*".to_owned());
    }
    compile(text)
}

fn parse_digest(text: &str) -> Result<String, String> {
    let fits = text.len() == SHA256_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("not a SHA-256: 64 hexadecimal digits, as sha256sum(1) prints them".to_owned())
    }
}

fn is_short_id(text: &str) -> bool {
    text.len() >= SHORT_ID_CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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

fn find_family(name: &str) -> Result<Family, String> {
    name.parse()
        .map_err(|NoFamily(_)| format!("no such family; known are {}", FAMILIES.join(", ")))
}

pub(crate) fn parse_rules(
    flag: &'static str,
    values: &[String],
    users: &[(&str, u32)],
) -> Result<Vec<Rule>, ConfigError> {
    let rules = values.iter().flat_map(|value| split_list(value));
    rules
        .map(|text| {
            let rule = Rule::parse(text, users);
            let rule = rule.and_then(|rule| is_trusted(flag, rule));
            rule.map_err(|problem| ConfigError {
                flag,
                value: text.to_owned(),
                problem,
            })
        })
        .collect()
}

/// A rule, if its key may decide what this flag says. What is written in a runtime's files
/// may limit what is acted on: no process can change it, and to be outside is to be
/// reported. It may not exempt, and not condemn.
fn is_trusted(flag: &str, rule: Rule) -> Result<Rule, String> {
    match rule.key {
        _ if flag == ONLY => Ok(rule),
        RuleKey::Image => Err(
            "only --only takes image=: a user that starts a container chooses its image, and \
             can give any image that name; use container= or sha256="
                .to_owned(),
        ),
        RuleKey::Namespace => Err(
            "only --only takes namespace=: every user that may start pods in the namespace \
             would be exempt or condemned with it, and its name is the runtime's word, not \
             the kernel's; use container= with the uid of a pod"
                .to_owned(),
        ),
        _ => Ok(rule),
    }
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
