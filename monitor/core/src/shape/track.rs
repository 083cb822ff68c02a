//! One connection from look to look: what of its traffic are jobs, and what shares.
//!
//! The kernel tells when data was last sent and last received, and how much so far.
//! From one look to the next that orders the events as long as there are few of them.
//! Where the order is not certain, nothing is counted.

use std::net::SocketAddr;

use super::{Observation, pace::Pace};

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;
/// A message this soon after another is an answer to it.
const AT_ONCE_NS: u64 = 300 * MS;
/// Data received this soon after data was sent may be the answer, however slow.
const PROMPTED_NS: u64 = 1_000 * MS;
/// The same, in round trips.
const PROMPTED_ROUND_TRIPS: u64 = 4;
/// Bytes of a job, with what encryption adds. Heartbeats and pings are smaller.
const PUSH_BYTES: std::ops::RangeInclusive<u64> = 64..=8192;
/// Bytes of a share, or of several: the smallest, a `SubmitSharesStandard` of Stratum V2,
/// takes 62 (protocol specification, "Mining Protocol" and "Protocol Security").
/// Heartbeats are smaller (a PING of HTTP/2 in TLS takes up to 46), uploads larger.
const SUBMISSION_BYTES: std::ops::RangeInclusive<u64> = 48..=8192;
/// Bytes either way per CPU second beyond which a connection carries data, not
/// work: the busiest pools stay far below 1 KiB.
const MAX_FLOW: f64 = 65536.0;
/// Seconds after which what was counted is worth a third.
const RECENT_SECONDS: f64 = 5.0;
/// CPU seconds below which a rate says nothing: it is taken of so much.
pub(super) const LEAST_CPU_SECONDS: f64 = 1.0;

/// What was seen at a look, with times of the looks' clock.
#[derive(Clone, Copy, Debug)]
struct Seen {
    time_ns: u64,
    sent: u64,
    received: u64,
    segments_out: u32,
    segments_in: u32,
    sent_ns: u64,
    received_ns: u64,
}

impl Seen {
    fn new(now_ns: u64, found: &Observation) -> Self {
        let ago = |ms: u32| now_ns.saturating_sub(u64::from(ms) * MS);
        Self {
            time_ns: now_ns,
            sent: found.sent,
            received: found.received,
            segments_out: found.segments_out,
            segments_in: found.segments_in,
            sent_ns: ago(found.since_sent_ms),
            received_ns: ago(found.since_received_ms),
        }
    }
}

/// What flowed between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// Bytes sent.
    pub(super) sent: u64,
    /// Bytes received.
    pub(super) received: u64,
    /// Data segments, both ways.
    pub(super) segments: u64,
}

/// How many messages there are per second: lately, as a miner finds a flood of shares
/// until the pool knows how fast it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    segments: f64,
    seconds: f64,
}

impl Recent {
    /// Adds messages that came and went within so many seconds.
    pub(super) fn add(&mut self, segments: u64, seconds: f64) {
        let kept = (-seconds / RECENT_SECONDS).exp();
        self.segments = self.segments * kept + segments as f64;
        self.seconds = self.seconds * kept + seconds;
    }

    /// Messages per second.
    pub(super) fn rate(&self) -> f64 {
        self.segments / self.seconds.max(1.0)
    }
}

/// A connection, and those to the same peer that it took the place of.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) cookie: u64,
    pub(super) peer: SocketAddr,
    pub(super) outward: bool,
    pub(super) pushes: u32,
    pub(super) submissions: u32,
    /// Since it was first seen.
    pub(super) flow: Flow,
    /// Data was received on it, before it was first seen or since.
    pub(super) has_data: bool,
    /// When it was first seen, and the CPU time of the process then, nanoseconds.
    pub(super) first_ns: u64,
    pub(super) first_cpu_ns: u64,
    /// Messages lately.
    pub(super) recent: Recent,
    last: Seen,
    /// A push, unless it turns out to have been answered at once.
    pending: bool,
}

impl Track {
    /// A connection that is seen for the first time. Of what flowed before nothing
    /// is known.
    pub(super) fn new(now_ns: u64, cpu_ns: u64, found: &Observation) -> Self {
        Self {
            cookie: found.cookie,
            peer: found.peer,
            outward: found.outward,
            pushes: 0,
            submissions: 0,
            flow: Flow::default(),
            has_data: found.received > 0,
            first_ns: now_ns,
            first_cpu_ns: cpu_ns,
            recent: Recent::default(),
            last: Seen::new(now_ns, found),
            pending: false,
        }
    }

    /// A new connection to the same peer goes on counting for this one. All that
    /// flowed on it did so since the last look.
    pub(super) fn reopened(&mut self, now_ns: u64, found: &Observation) -> Flow {
        self.cookie = found.cookie;
        self.pending = false;
        self.last = Seen::new(now_ns, found);
        self.begins_with(found)
    }

    /// Counts all that has flowed on a connection that was opened since the last
    /// look.
    pub(super) fn begins_with(&mut self, found: &Observation) -> Flow {
        self.has_data |= found.received > 0;
        let flow = Flow {
            sent: found.sent,
            received: found.received,
            segments: u64::from(found.segments_in) + u64::from(found.segments_out),
        };
        self.add(flow);
        flow
    }

    /// Takes in another look at the same connection; what flowed since the last.
    pub(super) fn look(&mut self, now_ns: u64, found: &Observation, pace: &Pace) -> Flow {
        let before = self.last;
        let now = Seen::new(now_ns, found);
        self.last = now;
        // It cannot change, but what tells it may be known only later.
        self.outward = found.outward;
        self.has_data |= found.received > 0;
        let step = Step {
            received: now.received.saturating_sub(before.received),
            sent: now.sent.saturating_sub(before.sent),
            segments_in: now.segments_in.wrapping_sub(before.segments_in),
            segments_out: now.segments_out.wrapping_sub(before.segments_out),
            round_trip_ns: u64::from(found.rtt_us) * 1000,
            before,
            now,
        };
        if std::mem::take(&mut self.pending) && step.leaves_unanswered() {
            self.pushes = self.pushes.saturating_add(1);
        }
        // A worker that is given something to do was idle.
        match step.push() {
            Push::Undecided | Push::Certain if !pace.went_on(before.sent_ns, now.received_ns) => {}
            Push::None => {}
            Push::Undecided => self.pending = true,
            Push::Certain => self.pushes = self.pushes.saturating_add(1),
        }
        self.submissions = self.submissions.saturating_add(step.is_submission().into());
        let flow = Flow {
            sent: step.sent,
            received: step.received,
            segments: u64::from(step.segments_in) + u64::from(step.segments_out),
        };
        self.add(flow);
        flow
    }

    /// When it was last seen.
    pub(super) fn last_ns(&self) -> u64 {
        self.last.time_ns
    }

    /// Seconds for which it was seen.
    pub(super) fn age_seconds(&self) -> f64 {
        self.last.time_ns.saturating_sub(self.first_ns) as f64 / 1e9
    }

    /// It began here, and what flows on it is no more than work and results.
    pub(super) fn may_be_a_pools(&self, cpu_seconds: f64) -> bool {
        let most = MAX_FLOW * cpu_seconds.max(LEAST_CPU_SECONDS);
        let Flow { sent, received, .. } = self.flow;
        self.outward && sent as f64 <= most && received as f64 <= most
    }

    fn add(&mut self, flow: Flow) {
        let all = &mut self.flow;
        all.sent = all.sent.saturating_add(flow.sent);
        all.received = all.received.saturating_add(flow.received);
        all.segments = all.segments.saturating_add(flow.segments);
    }
}

/// Whether data that was received is a job.
enum Push {
    None,
    /// It is, if nothing is sent right after it.
    Undecided,
    Certain,
}

/// Two looks at a connection, and what lies between them.
struct Step {
    before: Seen,
    now: Seen,
    received: u64,
    sent: u64,
    segments_in: u32,
    segments_out: u32,
    round_trip_ns: u64,
}

impl Step {
    /// Whether data was received that nothing had asked for.
    ///
    /// What was sent last before must have had its answer at the look before this
    /// one. So an answer that takes long is none, however long it takes.
    fn push(&self) -> Push {
        let Self { before, now, .. } = self;
        // Sent after it was received, if at all: another order is not certain.
        let later = match self.segments_out {
            0 => None,
            1 if now.sent_ns > now.received_ns => Some(now.sent_ns),
            _ => return Push::None,
        };
        let asked_ns = before.sent_ns;
        let answered = before.received_ns >= asked_ns;
        let prompted_ns = PROMPTED_NS.max(self.round_trip_ns.saturating_mul(PROMPTED_ROUND_TRIPS));
        if !PUSH_BYTES.contains(&self.received)
            || !answered
            || now.received_ns.saturating_sub(asked_ns) <= prompted_ns
        {
            return Push::None;
        }
        match later {
            Some(sent_ns) if sent_ns - now.received_ns < AT_ONCE_NS => Push::None,
            None if now.time_ns.saturating_sub(now.received_ns) < AT_ONCE_NS => Push::Undecided,
            _ => Push::Certain,
        }
    }

    /// Whether what was received at the end of the look before had no answer at
    /// once, as far as that is certain.
    fn leaves_unanswered(&self) -> bool {
        let Self { before, now, .. } = self;
        match self.segments_out {
            0 => true,
            1 => now.sent_ns.saturating_sub(before.received_ns) >= AT_ONCE_NS,
            _ => false,
        }
    }

    /// Whether data was sent that is no answer to any.
    fn is_submission(&self) -> bool {
        let Self { before, now, .. } = self;
        if self.segments_out == 0 || !SUBMISSION_BYTES.contains(&self.sent) {
            return false;
        }
        if now.received_ns < now.sent_ns {
            return now.sent_ns - now.received_ns > AT_ONCE_NS;
        }
        // The last that was received answers what was sent. Before that there was
        // nothing else since the look before, or as many answers as questions.
        match self.segments_in {
            0 | 1 => now.sent_ns.saturating_sub(before.received_ns) > AT_ONCE_NS,
            answers if answers <= self.segments_out => {
                before.time_ns.saturating_sub(before.received_ns) > AT_ONCE_NS
            }
            _ => false,
        }
    }
}
