//! What the breaker counts of a process: whose it is.

use super::Level;
use crate::host::{
    Facts, Image,
    cgroup::identity::{Holder, domain},
};
use unjack_core::text::{Quoted, clean};

/// Characters of a path or a cgroup that are shown.
const TEXT_CHARS: usize = 256;

/// A process that is acted on, as the breaker counts it.
///
/// A user is a user id of the host, except where that says nothing: in a container any
/// process can become any user, so the container or pod counts with it; root's services
/// are told apart by their units.
///
/// A cgroup is its [`domain`]: however many cgroups or sessions a user opens, they are one.
/// A unit that several users' processes share (that of sshd or cron) is one for each user,
/// so that none of them decides about another.
#[derive(Clone, Debug)]
pub struct Act {
    /// Of the image and the user.
    pub(super) image: u64,
    user: u64,
    cgroup: u64,
    exe: String,
    uid: Option<u32>,
    domain: String,
}

impl Act {
    /// Of a process with this image, of which `facts` are known; `hash` is the breaker's.
    pub(super) fn of(
        image: Image,
        facts: Option<&Facts>,
        hash: impl Fn((Option<Option<u32>>, Option<&str>, Option<Image>)) -> u64,
    ) -> Self {
        let uid = facts.and_then(|facts| facts.uid);
        let (holder, domain) = domain(facts.map_or("", |facts| &facts.cgroup));
        let contained = holder == Holder::Container || matches!(uid, None | Some(0));
        let user = (Some(uid), contained.then_some(domain));
        let shared = holder == Holder::Host;
        Self {
            image: hash((user.0, user.1, Some(image))),
            user: hash((user.0, user.1, None)),
            cgroup: hash((shared.then_some(uid), Some(domain), None)),
            exe: facts.map_or_else(String::new, |facts| facts.exe.clone()),
            uid,
            domain: clean(domain.as_bytes(), TEXT_CHARS),
        }
    }

    /// What a level counts it as.
    pub(super) fn key(&self, level: Level) -> u64 {
        match level {
            Level::Image => self.image,
            Level::User => self.user,
            Level::Cgroup => self.cgroup,
            Level::Host => 0,
        }
    }

    /// The same for people.
    pub(super) fn text(&self, level: Level) -> String {
        let user = || match self.uid {
            Some(uid) => format!("user {uid}"),
            None => "an unknown user".to_owned(),
        };
        let place = || match &*self.domain {
            "" => "the root cgroup".to_owned(),
            domain => format!("cgroup {}", Quoted(domain)),
        };
        match level {
            Level::Image => format!("{} of {}", Quoted(&self.exe), user()),
            Level::User if self.uid == Some(0) => format!("{} in {}", user(), place()),
            Level::User => user(),
            Level::Cgroup => place(),
            Level::Host => "the host".to_owned(),
        }
    }
}
