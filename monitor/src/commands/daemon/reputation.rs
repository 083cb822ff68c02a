//! The lists in force, and the digests they are asked for.
//!
//! An image is hashed when a process that executes it burns enough to be
//! judged, and only if there is a list or a `sha256=` rule to look it up in. With
//! `--deny-file` it is hashed at exec, and who executes a listed one need not burn.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use crate::{
    detect::reputation::{Files, Hashes, List, Lists, listed_text, pools::Pools},
    host::{
        Image, ProcHandle,
        digest::{self, Digest, MAX_WAITING, PATIENCE, Purpose, Unknown},
    },
    policy::config::{Rule, RuleKey},
    telemetry::metrics::Response,
};
use unjack_core::event::Process;

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
    /// Who was seen to execute an image of `--deny-file`: the sender's end goes
    /// with each question.
    executed: (SyncSender<Answer>, Receiver<Answer>),
    metrics: Response,
}

impl Reputation {
    pub(super) fn new(
        files: Files,
        lists: Lists,
        (allow, deny, only): (&[Rule], &[Rule], &[Rule]),
        metrics: Response,
    ) -> Self {
        let by_digest = |rules: &[Rule]| rules.iter().any(|rule| rule.key == RuleKey::Sha256);
        // The loop takes the answers before it asks for more; if not, the threads
        // that read wait.
        let (answer, answers) = sync_channel(MAX_WAITING);
        let reputation = Self {
            rules: Wanted {
                // What is not known yet may be inside of --only, so that waits, too.
                allow: by_digest(allow) || by_digest(only),
                deny: by_digest(deny),
            },
            answer,
            answers,
            files,
            lists,
            asked: HashMap::new(),
            executed: sync_channel(MAX_WAITING),
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
                    "{error}; all old lists stay in force: correct that line and send SIGHUP again"
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
                if digest.is_err_and(Unknown::passes) {
                    // There may be budget in a second, or it can be told.
                    asked.sent = false;
                } else {
                    asked.digest = Some(digest);
                }
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

    /// A process executes another image. With `--deny-file` it is hashed, off this
    /// loop; one there is no room for is hashed when it burns.
    pub(super) fn executes(&mut self, process: Process) {
        self.asked.remove(&process);
        if self.lists.deny.is_empty() {
            return;
        }
        let (deny, tell) = (Arc::clone(&self.lists.deny), self.executed.0.clone());
        let image = Arc::new(OnceLock::new());
        let opened = Arc::clone(&image);
        let open = move || {
            let file = ProcHandle::open(process)
                .and_then(|seen| seen.open_image())
                .map_err(|_| Unknown::Gone)?;
            let meta = file.metadata().map_err(|_| Unknown::Unreadable)?;
            // Opened once.
            let _set = opened.set(Image::from(&meta));
            Ok(file)
        };
        let _asked = digest::ask_opened(Purpose::Executed(process), open, move |digest| {
            if let (Some(image), Ok(known)) = (image.get(), digest)
                && deny.get(&known).is_some()
            {
                // An error means that the daemon is on its way out.
                let _sent = tell.send((process, *image, digest));
            }
        });
    }

    /// Who executes an image of `--deny-file`, as far as was found since this was
    /// last asked. `there` says whether it still does.
    pub(super) fn caught(
        &mut self,
        now_ns: u64,
        mut there: impl FnMut(Process, Image) -> bool,
    ) -> Vec<Process> {
        let mut caught = Vec::new();
        for (process, image, digest) in self.executed.1.try_iter() {
            if there(process, image) {
                let asked = Asked {
                    sent: true,
                    digest: Some(digest),
                    ..Asked::new(image, now_ns)
                };
                self.asked.insert(process, asked);
                caught.push(process);
            }
        }
        caught
    }

    /// Why a process is a miner by decree: a sentence.
    pub(super) fn denied(&self, process: Process, image: Option<Image>) -> Option<String> {
        let digest = self.digest(process, image)?;
        let name = self.lists.deny.get(&digest)?;
        Some(listed_text(name, &digest))
    }

    /// Whether its image may mine.
    pub(super) fn allowed(&self, process: Process, image: Option<Image>) -> bool {
        self.digest(process, image)
            .is_some_and(|digest| self.lists.allow.get(&digest).is_some())
    }

    /// The images that may mine, for code that looks at other processes.
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

    /// The digest of the image a process executes, as far as it is known. What was
    /// found of one that it executed before says nothing of this one.
    pub(super) fn digest(&self, process: Process, image: Option<Image>) -> Option<Digest> {
        let asked = self.asked.get(&process)?;
        asked.digest.filter(|_| image == Some(asked.image))?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    const PROCESS: Process = Process {
        tgid: 7,
        start_ns: 1,
    };
    const DIGEST: Digest = Digest([0xab; 32]);

    fn image(inode: u64) -> Image {
        Image { device: 1, inode }
    }

    /// For a process that was seen to execute image 1, which is denied.
    fn caught(there: bool) -> (Reputation, Vec<Process>) {
        let mut deny = Hashes::default();
        deny.parse(&format!("{DIGEST} TROJ_COINMINE")).unwrap();
        let lists = Lists {
            deny: Arc::new(deny),
            ..Lists::default()
        };
        let metrics = Metrics::new("0").unwrap();
        let response = metrics.response.clone();
        let mut reputation = Reputation::new(Files::default(), lists, (&[], &[], &[]), response);
        let answer = (PROCESS, image(1), Ok(DIGEST));
        reputation.executed.0.send(answer).unwrap();
        let caught = reputation.caught(5, |process, seen| {
            assert_eq!((process, seen), (PROCESS, image(1)));
            there
        });
        (reputation, caught)
    }

    #[test]
    fn who_executes_a_listed_image_is_denied_until_it_executes_another() {
        let (mut reputation, caught) = caught(true);
        assert_eq!(caught, [PROCESS]);
        let why = reputation.denied(PROCESS, Some(image(1))).unwrap();
        assert!(why.contains("TROJ_COINMINE"), "{why}");
        // The record of its exec may be lost.
        assert_eq!(reputation.denied(PROCESS, Some(image(2))), None);
        assert_eq!(reputation.denied(PROCESS, None), None);
        reputation.executes(PROCESS);
        assert_eq!(reputation.denied(PROCESS, Some(image(1))), None);
    }

    #[test]
    fn who_executes_another_image_by_now_is_not_denied() {
        let (reputation, caught) = caught(false);
        assert_eq!(caught, []);
        assert_eq!(reputation.denied(PROCESS, Some(image(1))), None);
    }

    #[test]
    fn what_was_taken_off_the_list_is_not_denied() {
        let (mut reputation, _) = caught(true);
        reputation.lists.deny = Arc::default();
        assert_eq!(reputation.denied(PROCESS, Some(image(1))), None);
    }
}
