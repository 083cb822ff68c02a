//! Where the action is for: the rules of `--only`.
//!
//! In: what was established about a process. Out: whether the action is for it. What is
//! outside is judged and reported as ever, and not acted on. With no rule everything is
//! inside. Pure: what a container runtime says is handed in with the judged process.
//!
//! A process that can leave what a rule names is free to mine, so what each key rests on
//! is in docs/policy.md. Two things are done here for that. A process in a user namespace
//! is also taken for the user that made the namespace: with a range of `/etc/subuid` any
//! user can run as another. And other processes of a scope, which are looked up one by
//! one, have the namespace and the image of the judged process only if they are in the
//! same container.

use std::sync::Arc;

use crate::{
    host::container::Home,
    policy::config::{Rule, RuleKey, Subject},
};
use unjack_core::score::Family;

/// The rules of `--only`, with what is known of the judged process.
#[derive(Clone, Debug, Default)]
pub struct Only {
    rules: Arc<[Rule]>,
    family: Option<Family>,
    place: Place,
}

/// What the files of a container runtime say of a process's container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    container: Option<String>,
    namespace: Option<String>,
    image: Option<String>,
}

impl Place {
    /// Of a process that belongs there. A namespace counts only where the kubelet's own
    /// cgroup says that there is a pod: with Docker, the author of an image may have
    /// written any label.
    #[must_use]
    pub fn of(home: Home) -> Self {
        let Home {
            unit: _,
            container,
            pod,
        } = home;
        let (id, image) = container.map_or((None, None), |it| (Some(it.id), it.image));
        Self {
            container: id,
            namespace: pod
                .filter(|pod| pod.uid.is_some())
                .and_then(|pod| pod.namespace),
            image,
        }
    }
}

impl Only {
    /// These rules, of which no process is judged yet.
    #[must_use]
    pub fn new(rules: Arc<[Rule]>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// The same rules for a process whose hash is of this family.
    #[must_use]
    pub fn of(&self, family: Option<Family>, place: Place) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            family,
            place,
        }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a container runtime has to be asked.
    #[must_use]
    pub fn wants_place(&self) -> bool {
        self.rules.iter().any(|rule| rule.key.is_of_runtime())
    }

    /// Whether the action is for this process. Its family is that of the judged process,
    /// in whose scope it is.
    #[must_use]
    pub fn includes(&self, subject: &Subject<'_>) -> bool {
        let there =
            subject.container.is_some() && subject.container == self.place.container.as_deref();
        let place = Some(&self.place).filter(|_| there);
        let subject = Subject {
            family: self.family,
            namespace: place.and_then(|place| place.namespace.as_deref()),
            image: place.and_then(|place| place.image.as_deref()),
            ..*subject
        };
        let by_owner = Subject {
            uid: subject.owner,
            ..subject
        };
        let is_about = |rule: &Rule| {
            rule.matches(&subject) || rule.key == RuleKey::User && rule.matches(&by_owner)
        };
        self.rules.is_empty() || self.rules.iter().any(is_about)
    }
}

#[cfg(test)]
mod tests;
