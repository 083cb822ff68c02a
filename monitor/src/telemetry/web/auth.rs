//! Passwords: who may have an answer.
//!
//! bcrypt is slow on purpose, so a client that may send passwords may burn a core.
//! Therefore: one check at a time, on a thread of its own; after a wrong password
//! that thread rests as long as it worked; and what was checked is remembered,
//! right and wrong apart, so that no flood of wrong ones pushes a scraper's right
//! one out. A thousand scrapes with one password cost one check. A client that
//! waits too long for its check is cut off by the time limit of its connection.
//!
//! A user that does not exist costs as much as one that does, if all hashes
//! have one cost; else as much as the dearest.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::http::HeaderValue;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, oneshot};

use super::file::{MAX_USERS, cost};
use crate::telemetry::metrics::{Login, WebMetrics};

/// Right passwords that are remembered: one a user.
const MAX_ACCEPTED: usize = MAX_USERS;
/// Wrong passwords that are remembered: those of scrapers that were not told of
/// a new one.
const MAX_REFUSED: usize = 64;
/// Longest rest after a wrong password.
const MAX_REST: Duration = Duration::from_secs(2);

type Key = [u8; 32];

/// All that was checked.
#[derive(Debug, Default)]
struct Known {
    accepted: VecDeque<Key>,
    refused: VecDeque<Key>,
}

impl Known {
    fn answer(&self, key: &Key) -> Option<bool> {
        if self.accepted.contains(key) {
            Some(true)
        } else if self.refused.contains(key) {
            Some(false)
        } else {
            None
        }
    }

    fn remember(&mut self, key: Key, right: bool) {
        let (list, most) = if right {
            (&mut self.accepted, MAX_ACCEPTED)
        } else {
            (&mut self.refused, MAX_REFUSED)
        };
        if list.len() >= most {
            list.pop_front();
        }
        list.push_back(key);
    }
}

/// Checks logins.
#[derive(Debug)]
pub(super) struct Logins {
    known: Arc<Mutex<Known>>,
    /// The one check at a time.
    turn: Arc<Semaphore>,
    metrics: WebMetrics,
}

impl Logins {
    pub(super) fn new(metrics: WebMetrics) -> Self {
        Self {
            known: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
            metrics,
        }
    }

    /// Whether the header `Authorization` names one of the users, with the right
    /// password. To be called on a runtime that has a thread for blocking work.
    pub(super) async fn accept(
        &self,
        users: &BTreeMap<String, String>,
        header: Option<&HeaderValue>,
    ) -> bool {
        let login = match header.and_then(credentials) {
            None => Login::Absent,
            Some((user, password)) => {
                if self.check(users, &user, password).await {
                    Login::Accepted
                } else {
                    Login::Refused
                }
            }
        };
        self.metrics.count_login(login);
        login == Login::Accepted
    }

    async fn check(&self, users: &BTreeMap<String, String>, user: &str, password: Vec<u8>) -> bool {
        let hash = users.get(user);
        let exists = hash.is_some();
        let hash = hash.cloned().unwrap_or_else(|| nobody(users));
        let key = key(user, &hash, &password);
        if let Some(answer) = lock(&self.known).answer(&key) {
            return answer;
        }
        // Never closed.
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return false;
        };
        // Another request may have had it checked meanwhile.
        if let Some(answer) = lock(&self.known).answer(&key) {
            return answer;
        }
        self.metrics.count_check();
        let (tell, told) = oneshot::channel();
        let known = Arc::clone(&self.known);
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let right = bcrypt::verify(&password, &hash).unwrap_or(false) && exists;
            lock(&known).remember(key, right);
            // The client that asked may have gone.
            let _gone = tell.send(right);
            if !right {
                thread::sleep(begun.elapsed().min(MAX_REST));
            }
            drop(turn);
        });
        told.await.unwrap_or(false)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// User and password of `Basic BASE64`.
fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, text) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut user = STANDARD.decode(text.trim()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((String::from_utf8(user).ok()?, password))
}

/// A hash that no password has, as dear as the dearest user's.
fn nobody(users: &BTreeMap<String, String>) -> String {
    let dearest = users.values().filter_map(|hash| cost(hash)).max();
    format!("$2b${:02}${}", dearest.unwrap_or(4), ".".repeat(53))
}

/// The hash is in it, so that a user's new password is a new question.
fn key(user: &str, hash: &str, password: &[u8]) -> Key {
    let mut all = Sha256::new();
    for part in [user.as_bytes(), hash.as_bytes(), password] {
        all.update((part.len() as u64).to_le_bytes());
        all.update(part);
    }
    all.finalize().into()
}

#[cfg(test)]
mod tests;
