//! What may not be banned: images that the operator's rules and lists allow.

use monitor_ebpf::bans::{BAN_BY_HAND, Ban, BanKey, NAME_BYTES};

use super::{
    super::record::{key, sha256},
    BanWorker,
};
use crate::{
    host::digest::Digest,
    policy::config::{Rule, RuleKey, Subject},
};

impl BanWorker {
    /// Whether a rule or list allows an image of this content.
    pub(super) fn allows_digest(&self, digest: Digest) -> bool {
        let hex = digest.to_string();
        let subject = Subject {
            sha256: Some(&hex),
            ..Subject::default()
        };
        let by_digest = |rule: &&Rule| rule.key == RuleKey::Sha256;
        self.own.listed.lock().get(&digest).is_some()
            || self
                .allow
                .iter()
                .filter(by_digest)
                .any(|rule| rule.matches(&subject))
    }

    /// Whether there are rules about who executes an image rather than about the
    /// image. The kernel refuses it to all processes, so an allowed one would be
    /// refused as well.
    pub(super) fn allows_runners(&self) -> bool {
        let by_image = |rule: &Rule| matches!(rule.key, RuleKey::Exe | RuleKey::Sha256);
        !self.allow.iter().all(by_image)
    }

    /// Whether there are rules of `--only` about anything but the content of an image. The
    /// kernel refuses an image everywhere.
    pub(super) fn is_limited(&self) -> bool {
        let by_content = |rule: &Rule| rule.key == RuleKey::Sha256;
        !self.policy.only.iter().all(by_content)
    }

    /// Whether a ban, made by this daemon or another program, is about an image
    /// that is allowed.
    pub(super) fn allows(&self, of: &BanKey, ban: &Ban) -> bool {
        if self.allows_runners() && ban.flags & BAN_BY_HAND == 0
            || sha256(ban).is_some_and(|digest| self.allows_digest(digest))
        {
            return true;
        }
        let name = &ban.name[..(ban.name_len as usize).min(NAME_BYTES)];
        let Ok(path) = std::str::from_utf8(name) else {
            return false;
        };
        let subject = Subject {
            exe: Some(path),
            ..Subject::default()
        };
        let by_path = |rule: &&Rule| rule.key == RuleKey::Exe;
        // A name that was cut begins anywhere: it leads nowhere. Only the very
        // file is allowed, and not whatever is banned under its path.
        path.starts_with('/')
            && self
                .allow
                .iter()
                .filter(by_path)
                .any(|rule| rule.matches(&subject))
            && std::fs::metadata(path).is_ok_and(|meta| key(of.device, &meta) == *of)
    }
}
