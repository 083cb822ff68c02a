//! The lists in force, and the digests they are asked for.
//!
//! An image is hashed when a process that executes it burns enough to be
//! judged, and only if there is a list to look it up in.

use std::{collections::HashMap, io, sync::Arc};

use crate::{
    digest::{Digest, Hasher, Unknown},
    event::Process,
    host::Image,
    metrics::Response,
    reputation::{Files, Hashes, List, Lists, pools::Pools},
};

/// How long an action waits for a digest that may allow the process. A judgement
/// takes longer than hashing; whoever makes reading slow is not spared for it.
const PATIENCE_NS: u64 = 10_000_000_000;

/// A digest that was asked for.
#[derive(Debug)]
struct Asked {
    image: Image,
    /// When that first was, nanoseconds.
    since_ns: u64,
    /// The hasher had room for it.
    sent: bool,
    digest: Option<Result<Digest, Unknown>>,
}

/// What the operator's lists say of processes.
#[derive(Debug)]
pub(super) struct Reputation {
    files: Files,
    lists: Lists,
    hasher: Option<Hasher>,
    /// One for each process that burns: at most as many as there are subjects.
    asked: HashMap<Process, Asked>,
    metrics: Response,
}

impl Reputation {
    pub(super) fn new(files: Files, lists: Lists, metrics: Response) -> io::Result<Self> {
        let wanted = !files.deny.is_empty() || !files.allow.is_empty();
        let reputation = Self {
            hasher: wanted.then(Hasher::start).transpose()?,
            files,
            lists,
            asked: HashMap::new(),
            metrics,
        };
        reputation.count();
        Ok(reputation)
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
        for (process, image, digest) in self.hasher.iter().flat_map(Hasher::answers) {
            self.metrics.count_image(&digest);
            if let Some(asked) = self.asked.get_mut(&process)
                && asked.image == image
            {
                asked.digest = Some(digest);
            }
        }
    }

    /// Has the image of a process hashed that burns, unless it was.
    pub(super) fn ask(&mut self, process: Process, image: Option<Image>, now_ns: u64) {
        let (Some(hasher), Some(image)) = (&self.hasher, image) else {
            return;
        };
        let asked = self.asked.entry(process).or_insert(Asked {
            image,
            since_ns: now_ns,
            sent: false,
            digest: None,
        });
        if asked.image != image {
            *asked = Asked {
                image,
                since_ns: now_ns,
                sent: false,
                digest: None,
            };
        }
        if !asked.sent {
            asked.sent = hasher.ask(process, image);
            if !asked.sent {
                self.metrics.defer_image();
            }
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

    /// Whether it may yet turn out that its image may mine.
    pub(super) fn undecided(&self, process: Process, now_ns: u64) -> bool {
        !self.lists.allow.is_empty()
            && self.asked.get(&process).is_some_and(|asked| {
                asked.digest.is_none() && now_ns.saturating_sub(asked.since_ns) < PATIENCE_NS
            })
    }

    fn digest(&self, process: Process) -> Option<Digest> {
        self.asked.get(&process)?.digest?.ok()
    }
}
