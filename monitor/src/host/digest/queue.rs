//! What waits to be read, and for whom something is being read.
//!
//! What a judged process executes goes first: whether that process is spared may
//! depend on it, and a user who has many other images executed must not be able to
//! delay it. One user's images have one thread at a time: a file system of its own that
//! never answers (FUSE) takes one thread, and no other user's time.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    time::{Duration, Instant},
};

use super::{Digest, MAX_WAITING, Purpose, Unknown, WORKERS, budget::User};

/// After this a thread that still reads is taken for lost: the largest image takes a
/// second.
const LOST: Duration = Duration::from_secs(30);

/// What opens a file, on the thread that reads: opening may wait for a file system.
pub(super) type Open = Box<dyn FnOnce() -> Result<File, Unknown> + Send>;

/// What is done with the answer, on the thread that read.
pub(super) type Answer = Box<dyn FnOnce(Result<Digest, Unknown>) + Send>;

/// What was asked for.
pub(super) struct Question {
    pub purpose: Purpose,
    pub open: Open,
    pub answer: Answer,
}

#[derive(Default)]
pub(super) struct Queue {
    judged: VecDeque<Question>,
    others: VecDeque<Question>,
    /// What waits for the images of its user that are being read.
    parked: VecDeque<(User, Question)>,
    /// For whom something is being read, by how many threads, and since when the
    /// last of them.
    reading: HashMap<User, (usize, Instant)>,
}

impl Queue {
    /// Takes a question in; it is returned if there is no room.
    pub(super) fn put(&mut self, question: Question) -> Result<(), Question> {
        let queue = self.queue_of(&question);
        if queue.len() >= MAX_WAITING {
            return Err(question);
        }
        queue.push_back(question);
        Ok(())
    }

    fn queue_of(&mut self, question: &Question) -> &mut VecDeque<Question> {
        if question.purpose.is_urgent() {
            &mut self.judged
        } else {
            &mut self.others
        }
    }

    /// The next question.
    pub(super) fn next(&mut self) -> Option<Question> {
        self.judged.pop_front().or_else(|| self.others.pop_front())
    }

    /// Begins to read for a user, or has the question wait until what is read for that
    /// user is; one for which there is no room is returned with an error.
    pub(super) fn begin(
        &mut self,
        user: User,
        question: Question,
        now: Instant,
    ) -> Result<Option<Question>, Question> {
        let most = if user.is_root() { WORKERS } else { 1 };
        let (threads, since) = self.reading.entry(user).or_insert((0, now));
        if *threads < most {
            *threads += 1;
            *since = now;
            return Ok(Some(question));
        }
        if self.parked.len() >= MAX_WAITING {
            return Err(question);
        }
        self.parked.push_back((user, question));
        Ok(None)
    }

    /// What was read for a user is: the next of that user's may be.
    pub(super) fn end(&mut self, user: User) {
        if let Some((threads, _)) = self.reading.get_mut(&user) {
            *threads -= 1;
            if *threads == 0 {
                self.reading.remove(&user);
            }
        }
        let next = self.parked.iter().position(|(of, _)| *of == user);
        if let Some((_, question)) = next.and_then(|at| self.parked.remove(at)) {
            // It had its turn.
            self.queue_of(&question).push_front(question);
        }
    }

    /// How many threads are taken for lost.
    pub(super) fn lost(&self, now: Instant) -> usize {
        let lost = |since: &Instant| now.saturating_duration_since(*since) >= LOST;
        let reading = self.reading.values();
        reading
            .filter(|(_, since)| lost(since))
            .map(|(threads, _)| threads)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unjack_core::event::Process;

    const fn process(tgid: u32) -> Process {
        Process { tgid, start_ns: 0 }
    }

    fn question(purpose: Purpose) -> Question {
        Question {
            purpose,
            open: Box::new(|| Err(Unknown::Gone)),
            answer: Box::new(|_| ()),
        }
    }

    fn put(queue: &mut Queue, purpose: Purpose) -> bool {
        queue.put(question(purpose)).is_ok()
    }

    fn next(queue: &mut Queue) -> Option<Purpose> {
        queue.next().map(|question| question.purpose)
    }

    fn executed(number: u32) -> Purpose {
        Purpose::Executed(process(number))
    }

    #[test]
    fn what_a_judged_process_executes_goes_first_and_has_room_of_its_own() {
        let mut queue = Queue::default();
        for number in 0..u32::try_from(MAX_WAITING).unwrap() {
            assert!(put(&mut queue, executed(number)));
        }
        assert!(!put(&mut queue, executed(1000)));
        for urgent in [Purpose::Judged(process(1001)), Purpose::Condemned(1000)] {
            assert!(put(&mut queue, urgent));
            assert_eq!(next(&mut queue), Some(urgent));
        }
        assert_eq!(next(&mut queue), Some(executed(0)));
    }

    #[test]
    fn one_user_has_one_thread_and_the_others_are_in_no_way() {
        let (now, user, other) = (Instant::now(), User::of(1000), User::of(1001));
        let mut queue = Queue::default();
        let begin = |queue: &mut Queue, user, number| {
            let begun = queue.begin(user, question(executed(number)), now);
            begun.map(|question| question.is_some()).map_err(|_| ())
        };
        assert_eq!(begin(&mut queue, user, 1), Ok(true));
        assert_eq!(begin(&mut queue, user, 2), Ok(false));
        assert_eq!(begin(&mut queue, other, 3), Ok(true));
        assert_eq!(next(&mut queue), None, "it waits");
        queue.end(user);
        assert_eq!(next(&mut queue), Some(executed(2)));
        // Root's are as many as there are threads.
        assert_eq!(begin(&mut queue, User::of(0), 4), Ok(true));
        assert_eq!(begin(&mut queue, User::of(0), 5), Ok(true));
        assert_eq!(begin(&mut queue, User::of(0), 6), Ok(false));
        // A user with a file that is never read does not fill the memory.
        for number in 0..u32::try_from(MAX_WAITING).unwrap() {
            let _parked = begin(&mut queue, other, number);
        }
        assert_eq!(begin(&mut queue, other, 7), Err(()));
    }

    #[test]
    fn a_thread_that_reads_for_long_is_lost() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for uid in [1000, 1001] {
            let begun = queue.begin(User::of(uid), question(executed(1)), now);
            assert!(begun.is_ok());
        }
        assert_eq!(queue.lost(now), 0);
        assert_eq!(queue.lost(now + LOST), 2);
        queue.end(User::of(1000));
        assert_eq!(queue.lost(now + LOST), 1);
    }
}
