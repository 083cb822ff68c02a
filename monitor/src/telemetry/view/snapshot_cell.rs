//! Where the loop leaves a view, and a client's connection takes it.
//!
//! The loop builds a view when it is asked to, so that it costs nothing while
//! no client looks, and at most one a second, however many clients look and however
//! often.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::View;

/// Age up to which a view is as good as a new one.
const FRESH_NS: u64 = 1_000_000_000;
/// How long one who looks waits for the loop, which comes by four times a second.
const PATIENCE: Duration = Duration::from_secs(2);

/// A view, and when it was built: nanoseconds of `CLOCK_MONOTONIC`.
type Dated = Option<(u64, Arc<View>)>;

/// The newest view, shared by the loop and those who look.
#[derive(Debug)]
pub struct SnapshotCell {
    wanted: AtomicBool,
    newest: watch::Sender<Dated>,
}

impl Default for SnapshotCell {
    fn default() -> Self {
        Self {
            wanted: AtomicBool::new(false),
            newest: watch::Sender::new(None),
        }
    }
}

impl SnapshotCell {
    /// Whether a client waits for a view, and the last one is old enough.
    #[must_use]
    pub fn is_wanted(&self, now_ns: u64) -> bool {
        self.wanted.load(Ordering::Relaxed) && self.fresh(now_ns).is_none()
    }

    /// Shows it to all who wait.
    pub fn publish(&self, view: View, now_ns: u64) {
        self.wanted.store(false, Ordering::Relaxed);
        self.newest.send_replace(Some((now_ns, Arc::new(view))));
    }

    /// A view of this second. If the loop does not come by, the last there was;
    /// `None` if there never was one.
    pub async fn look(&self, now_ns: u64) -> Option<Arc<View>> {
        let mut newest = self.newest.subscribe();
        if let Some(view) = self.fresh(now_ns) {
            return Some(view);
        }
        self.wanted.store(true, Ordering::Relaxed);
        // Whether it came in time or not: what is there is shown.
        let _in_time = timeout(PATIENCE, newest.changed()).await;
        let newest = newest.borrow();
        newest.as_ref().map(|(_, view)| Arc::clone(view))
    }

    fn fresh(&self, now_ns: u64) -> Option<Arc<View>> {
        let newest = self.newest.borrow();
        let (at_ns, view) = newest.as_ref()?;
        (now_ns.saturating_sub(*at_ns) < FRESH_NS).then(|| Arc::clone(view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn view(version: &str) -> View {
        View {
            version: version.to_owned(),
            ..View::default()
        }
    }

    /// Time passes by itself while all tasks wait.
    fn runtime() -> tokio::runtime::Runtime {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().unwrap()
    }

    #[test]
    fn nothing_is_wanted_until_a_client_looks_and_then_once_a_second() {
        let snapshot = Arc::new(SnapshotCell::default());
        assert!(!snapshot.is_wanted(SECOND));
        runtime().block_on(async {
            let looks = Arc::clone(&snapshot);
            let looker = tokio::spawn(async move { looks.look(SECOND).await });
            while !snapshot.is_wanted(SECOND) {
                tokio::task::yield_now().await;
            }
            snapshot.publish(view("a"), SECOND);
            assert_eq!(looker.await.unwrap().unwrap().version, "a");
            assert!(
                !snapshot.is_wanted(3 * SECOND),
                "no client has looked since"
            );

            // Who looks in the same second gets the same, and asks for nothing.
            let again = snapshot.look(SECOND + SECOND / 2).await.unwrap();
            assert_eq!(again.version, "a");
            assert!(!snapshot.is_wanted(3 * SECOND));
        });
    }

    #[test]
    fn a_loop_that_hangs_leaves_the_last_view() {
        let snapshot = SnapshotCell::default();
        runtime().block_on(async {
            assert!(snapshot.look(SECOND).await.is_none());
            snapshot.publish(view("old"), SECOND);
            let old = snapshot.look(60 * SECOND).await.unwrap();
            assert_eq!(old.version, "old");
            assert!(snapshot.is_wanted(60 * SECOND));
            assert!(!snapshot.is_wanted(SECOND + 1), "not twice in a second");
        });
    }
}
