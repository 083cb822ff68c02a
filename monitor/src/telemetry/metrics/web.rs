//! What is counted of the endpoint.

use prometheus::{IntCounter, IntCounterVec};

use super::registrar::Registrar;

/// What came of a login. With no passwords asked for there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The user, and the right password.
    Accepted,
    /// No such user, or the wrong password.
    Refused,
    /// The request had none.
    Absent,
}

impl Login {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Absent];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "denied",
            Self::Absent => "absent",
        }
    }
}

/// Why a connection was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its time was over.
    Late,
    /// It sent too much.
    TooLarge,
    /// It sent what is not HTTP.
    Malformed,
    /// No TLS came about: plain HTTP, no certificate, no common version.
    Handshake,
}

impl Cut {
    /// Every one there is.
    pub const ALL: [Self; 4] = [Self::Late, Self::TooLarge, Self::Malformed, Self::Handshake];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::Handshake => "handshake",
        }
    }
}

/// Metrics of the endpoint. Clones count in the same series.
#[derive(Clone, Debug)]
pub struct WebMetrics {
    cut: IntCounterVec,
    full: IntCounter,
    logins: IntCounterVec,
    checks: IntCounter,
    reloads: IntCounterVec,
}

impl WebMetrics {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            cut: new.int_counters(
                "unjack_web_connections_cut_total",
                "Connections to the endpoint that were cut, by reason.",
                &["reason"],
            )?,
            full: new.add(IntCounter::new(
                "unjack_web_connections_full_total",
                "Times a client had to wait because the maximum number was being served.",
            )?)?,
            logins: new.int_counters(
                "unjack_web_logins_total",
                "Requests where a password is needed, by outcome.",
                &["outcome"],
            )?,
            checks: new.add(IntCounter::new(
                "unjack_web_password_checks_total",
                "Passwords that were hashed to be checked; all others were in the cache.",
            )?)?,
            reloads: new.int_counters(
                "unjack_web_reloads_total",
                "Times --web.config.file was read again; kept-old if it was bad.",
                &["outcome"],
            )?,
        };
        for cut in Cut::ALL {
            metrics.cut.with_label_values(&[cut.name()]);
        }
        for login in Login::ALL {
            metrics.logins.with_label_values(&[login.name()]);
        }
        for outcome in ["loaded", "kept-old"] {
            metrics.reloads.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// Counts a connection that was cut.
    pub fn count_cut(&self, cut: Cut) {
        self.cut.with_label_values(&[cut.name()]).inc();
    }

    /// Counts that all places were taken.
    pub fn count_full(&self) {
        self.full.inc();
    }

    /// Counts a login.
    pub fn count_login(&self, login: Login) {
        self.logins.with_label_values(&[login.name()]).inc();
    }

    /// Counts a password that is hashed.
    pub fn count_check(&self) {
        self.checks.inc();
    }

    /// Counts a reading of the file after the first.
    pub fn count_reload(&self, loaded: bool) {
        let outcome = if loaded { "loaded" } else { "kept-old" };
        self.reloads.with_label_values(&[outcome]).inc();
    }
}
