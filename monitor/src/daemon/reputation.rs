//! The lists in force, and the digests they are asked for.
//!
//! An image is hashed when a process that executes it burns enough to be
//! judged, and only if there is a list or a `sha256=` rule to look it up in.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use crate::{
    config::{Rule, RuleKey},
    digest::{self, Digest, MAX_WAITING, PATIENCE, Unknown},
    event::Process,
    host::Image,
    metrics::Response,
    reputation::{Files, Hashes, List, Lists, pools::Pools},
};

/// An answer: of which process and image, and the digest.
type Answer = (Process, Image, Result<Digest, Unknown>);

/// A digest that was asked for.
#[derive(Debug)]
struct Asked {
    image: Image,
    /// When that first was, nanoseconds.
    since_ns: u64,
    /// The hasher had room for it.
    sent: bool,
    digest: Option<Result<Digest, Unknown>>,
    /// It was waited for long enough, and that is counted.
    late: bool,
}

impl Asked {
    fn new(image: Image, since_ns: u64) -> Self {
        Self {
            image,
            since_ns,
            sent: false,
            digest: None,
            late: false,
        }
    }
}

/// Which rules ask for digests.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    allow: bool,
    deny: bool,
}

/// What the operator's lists say of processes.
#[derive(Debug)]
pub(super) struct Reputation {
    files: Files,
    lists: Lists,
    /// Rules ask for digests.
    rules: Wanted,
    answer: SyncSender<Answer>,
    answers: Receiver<Answer>,
    /// One for each process that burns: at most as many as there are subjects.
    asked: HashMap<Process, Asked>,
    metrics: Response,
}

impl Reputation {
    pub(super) fn new(
        files: Files,
        lists: Lists,
        (allow, deny): (&[Rule], &[Rule]),
        metrics: Response,
    ) -> Self {
        let by_digest = |rules: &[Rule]| rules.iter().any(|rule| rule.key == RuleKey::Sha256);
        // Whoever asks takes the answers before asking more; if not, the
        // threads that read wait.
        let (answer, answers) = sync_channel(MAX_WAITING);
        let reputation = Self {
            rules: Wanted {
                allow: by_digest(allow),
                deny: by_digest(deny),
            },
            answer,
            answers,
            files,
            lists,
            asked: HashMap::new(),
            metrics,
        };
        reputation.count();
        reputation
    }

    /// Whether there is anything to look a digest up in.
    fn wants_digests(&self) -> bool {
        let Wanted { allow, deny } = self.rules;
        allow || deny || !self.files.deny.is_empty() || !self.files.allow.is_empty()
    }

    /// The listed pools.
    pub(super) fn pools(&self) -> &Pools {
        &self.lists.pools
    }

    /// Reads the lists again. If one is bad, all of the old ones stay.
    pub(super) fn reload(&mut self) {
        let read = Lists::read(&self.files);
        self.metrics.count_reload(read.is_ok());
        match read {
            Ok(lists) => {
                self.lists = lists;
                self.count();
                tracing::info!("the lists were read again");
            }
            Err(error) => {
                tracing::error!(
                    "{error}; all lists stay as they were: mend that line and send SIGHUP again"
                );
            }
        }
    }

    fn count(&self) {
        for list in List::ALL {
            self.metrics.set_list(list, self.lists.len(list));
        }
        let unresolved = self.lists.pools.unresolved;
        if unresolved > 0 {
            tracing::warn!(
                "{unresolved} host names of --pools match nothing: {}",
                if self.files.resolve {
                    "/etc/hosts leads them nowhere else but here"
                } else {
                    "list their addresses, or give --pools-resolve for those in /etc/hosts"
                }
            );
        }
    }

    /// Takes what was hashed, and forgets processes that are not there any more.
    pub(super) fn collect(&mut self, mut there: impl FnMut(Process) -> bool) {
        self.asked.retain(|process, _| there(*process));
        for (process, image, digest) in self.answers.try_iter() {
            if let Some(asked) = self.asked.get_mut(&process)
                && asked.image == image
            {
                asked.digest = Some(digest);
            }
        }
    }

    /// Has the image of a process hashed that burns, unless it was.
    pub(super) fn ask(&mut self, process: Process, image: Option<Image>, now_ns: u64) {
        let Some(image) = image.filter(|_| self.wants_digests()) else {
            return;
        };
        let new = || Asked::new(image, now_ns);
        let asked = self.asked.entry(process).or_insert_with(new);
        if asked.image != image {
            *asked = new();
        }
        if !asked.sent {
            let answer = self.answer.clone();
            asked.sent = digest::ask(process, image, move |digest| {
                // An error means that the daemon is on its way out.
                let _sent = answer.send((process, image, digest));
            });
        }
    }

    /// Why a process is a miner by decree: a sentence.
    pub(super) fn denied(&self, process: Process) -> Option<String> {
        let digest = self.digest(process)?;
        let name = self.lists.deny.get(&digest)?;
        let name = if name.is_empty() { "no name" } else { name };
        Some(format!(
            "its image is on the list of --deny-file: {name}, SHA-256 {digest}"
        ))
    }

    /// Whether its image may mine.
    pub(super) fn allowed(&self, process: Process) -> bool {
        self.digest(process)
            .is_some_and(|digest| self.lists.allow.get(&digest).is_some())
    }

    /// The images that may mine, for whoever looks at other processes.
    pub(super) fn allow_list(&self) -> Arc<Hashes> {
        Arc::clone(&self.lists.allow)
    }

    /// Whether it may yet turn out that its image may mine. It is waited for
    /// [`PATIENCE`] long; one that cannot be read or is too large is decided.
    pub(super) fn undecided(&mut self, process: Process, now_ns: u64) -> bool {
        if self.lists.allow.is_empty() && !self.rules.allow {
            return false;
        }
        let Some(asked) = self.asked.get_mut(&process) else {
            return false;
        };
        let patient = asked.since_ns.saturating_add(super::nanoseconds(PATIENCE)) > now_ns;
        if asked.digest.is_none() && !patient && !asked.late {
            asked.late = true;
            digest::count_late();
            tracing::warn!("an image is acted on though its SHA-256 could not be had in time");
        }
        asked.digest.is_none() && patient
    }

    /// The digest of its image, as far as it is known.
    pub(super) fn digest(&self, process: Process) -> Option<Digest> {
        self.asked.get(&process)?.digest?.ok()
    }
}
