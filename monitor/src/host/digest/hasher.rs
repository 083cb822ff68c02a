//! The threads that read.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    Cache, Digest, MAX_WAITING, MAX_WORKERS, PATIENCE, Purpose, Unknown, WORKERS,
    budget::{Budget, User},
    lock,
    outcome::count,
    queue::{Answer, Question, Queue},
    read::of_file,
};
use crate::host::Image;

/// An image that no caller waited for in this time is waited for anew; a caller
/// that waits asks every few seconds.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Questions {
    queue: Mutex<Queue>,
    more: Condvar,
}

/// What the threads share.
pub(super) struct Shared {
    pub cache: Mutex<Cache>,
    /// Of what is urgent, and of all else.
    budgets: [Mutex<Budget>; 2],
}

impl Default for Shared {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            cache: Mutex::default(),
            budgets: [Budget::new(now), Budget::new(now)].map(Mutex::new),
        }
    }
}

impl Shared {
    /// Whether so many bytes may be read now.
    fn may_read(&self, purpose: Purpose, user: User, bytes: u64) -> bool {
        let [urgent, others] = &self.budgets;
        let budget = if purpose.is_urgent() { urgent } else { others };
        lock(budget).take(user, bytes, Instant::now())
    }
}

pub(super) struct Hasher {
    questions: Arc<Questions>,
    pub shared: Arc<Shared>,
    /// Threads that were started.
    workers: Mutex<usize>,
    /// Images that a caller waits for: since when, and when last. Which of them a
    /// thread has.
    pub waited_for: Mutex<HashMap<Image, (Instant, Instant)>>,
    pub in_work: Arc<Mutex<HashSet<Image>>>,
}

impl Hasher {
    pub(super) fn start() -> Option<Self> {
        let hasher = Self {
            questions: Arc::default(),
            shared: Arc::default(),
            workers: Mutex::default(),
            waited_for: Mutex::default(),
            in_work: Arc::default(),
        };
        (0..WORKERS).all(|_| hasher.add_worker()).then_some(hasher)
    }

    /// Starts a thread; whether that was possible.
    fn add_worker(&self) -> bool {
        let (asked, shared) = (Arc::clone(&self.questions), Arc::clone(&self.shared));
        let begun = thread::Builder::new()
            .name("digest".to_owned())
            .spawn(move || work(&asked, &shared));
        match begun {
            Ok(_) => {
                *lock(&self.workers) += 1;
                true
            }
            Err(error) => {
                tracing::error!("images cannot be hashed: {error}");
                false
            }
        }
    }

    pub(super) fn put(&self, question: Question) -> bool {
        let mut queue = lock(&self.questions.queue);
        let lost = queue.lost(Instant::now());
        let room = queue.put(question).is_ok();
        drop(queue);
        let workers = *lock(&self.workers);
        if workers < (WORKERS + lost).min(MAX_WORKERS) && self.add_worker() {
            count("lost");
        }
        if room {
            self.questions.more.notify_one();
        } else {
            count("deferred");
        }
        room
    }

    /// Whether this image is not worth waiting for any more.
    pub(super) fn was_patient(&self, image: Image) -> bool {
        let mut waited_for = lock(&self.waited_for);
        if waited_for.len() >= MAX_WAITING {
            waited_for.retain(|_, (_, last)| last.elapsed() < FORGOTTEN);
        }
        if waited_for.len() >= MAX_WAITING && !waited_for.contains_key(&image) {
            return false;
        }
        let now = Instant::now();
        let (since, last) = waited_for.entry(image).or_insert((now, now));
        // Another time altogether.
        if last.elapsed() >= FORGOTTEN {
            *since = now;
        }
        *last = now;
        since.elapsed() >= PATIENCE
    }
}

fn work(questions: &Questions, shared: &Shared) {
    loop {
        let mut queue = lock(&questions.queue);
        let question = loop {
            match queue.next() {
                Some(next) => break next,
                None => {
                    queue = (questions.more.wait(queue)).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(queue);
        let user = match question.purpose.user() {
            Ok(user) => user,
            Err(unknown) => {
                finish(question.answer, Err(unknown));
                continue;
            }
        };
        let begun = lock(&questions.queue).begin(user, question, Instant::now());
        match begun {
            Ok(None) => {}
            Err(question) => finish(question.answer, Err(Unknown::OverBudget)),
            Ok(Some(question)) => {
                let Question {
                    purpose,
                    open,
                    answer,
                } = question;
                let may_read = |bytes| shared.may_read(purpose, user, bytes);
                let digest = open().and_then(|file| of_file(&shared.cache, &file, may_read));
                lock(&questions.queue).end(user);
                // The next of this user's may have been waiting.
                questions.more.notify_one();
                finish(answer, digest);
            }
        }
    }
}

fn finish(answer: Answer, digest: Result<Digest, Unknown>) {
    count(digest.map_or_else(Unknown::name, |_| "hashed"));
    answer(digest);
}
