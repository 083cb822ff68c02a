//! What unjack counts, and how Prometheus reads it.
//!
//! Numbers flow in from the daemon, text flows out to [`crate::telemetry::web`]. Metrics
//! observe and never decide: nothing here is read back by the rest, but to be
//! shown.
//!
//! The number of series is bounded. Labels are fixed words, except for the
//! name of a process group, of which [`GroupLimits::max`] are kept and the rest
//! is `other`. There are no pids. Every error series exists from the
//! start, at zero, so that its first error is seen as an increase.

mod bans;
mod breaker;
mod groups;
mod held;
mod probes;
mod process;
mod reads;
mod registrar;
mod response;
mod stolen;
mod traffic;
mod verdicts;
mod web;

use std::cell::RefCell;

use clap::ValueEnum as _;
use monitor_ebpf::ProbeStats;
use prometheus::{
    Counter, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
    proto::{Metric, MetricFamily},
};

pub use self::{
    bans::BanMetrics,
    breaker::BreakerMetrics,
    groups::{GROUP_KERNEL, GROUP_OTHER},
    held::HeldMetrics,
    reads::ReadMetrics,
    registrar::{Described, Mirror},
    response::Response,
    stolen::StolenMetrics,
    traffic::Traffic,
    web::{Cut, Login, WebMetrics},
};
use self::{
    groups::Groups, probes::Probed, process::OwnProcess, registrar::Registrar, verdicts::Verdicts,
};
use crate::{
    policy::{
        config::{Action, GroupLimits, Rule, RuleKey, Scope},
        refusal::Refusal,
    },
    telemetry::journal::Outcome,
};
use unjack_core::{score::Family, verdict::Verdict};

/// The media type of [`Metrics::render`]: Prometheus' text format, version 0.0.4.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What can come of an action, other than a refusal. Outside of `--only` any is a dry run:
/// see [`Metrics::set_only`].
const fn outcomes(action: Action) -> &'static [Outcome] {
    match action {
        Action::Observe => &[Outcome::DryRun],
        Action::Throttle | Action::Freeze => &[Outcome::Held],
        Action::Kill => &[Outcome::Gone, Outcome::Survived],
    }
}

/// All metrics, in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    groups: Groups,
    suspects: IntGauge,
    verdicts: Verdicts,
    actions: IntCounterVec,
    actions_refused: IntCounterVec,
    scope_fallbacks: IntCounterVec,
    only_rules: IntGaugeVec,
    /// What miners took.
    pub stolen: StolenMetrics,
    /// What is throttled or frozen.
    pub held: HeldMetrics,
    /// The circuit breaker.
    pub breaker: BreakerMetrics,
    map_entries: IntGaugeVec,
    map_capacity: IntGaugeVec,
    process: OwnProcess,
    probed: Probed,
    /// Profiles dropped because too many processes were profiled at once.
    pub profiles_dropped: Mirror,
    /// See [`crate::detect::collector::Collector::forgotten`].
    pub samples_forgotten: Mirror,
    /// Events that could not be written to standard output.
    pub journal_errors: IntCounter,
    /// See [`crate::detect::collector::Collector::looks_deferred`].
    pub group_looks_deferred: Mirror,
    /// Looks at a process's mappings that were cut short.
    pub code_maps_cut: Mirror,
    /// Reads about processes that hang.
    pub reads: ReadMetrics,
    /// Miners that had to wait because enough were being ended.
    pub orders_deferred: IntCounter,
    recordings_ended: IntCounterVec,
    /// Evidence, lists and hooks.
    pub response: Response,
    /// The traffic of suspects.
    pub traffic: Traffic,
    /// Bans.
    pub bans: BanMetrics,
    /// The endpoint.
    pub web: WebMetrics,
}

impl Metrics {
    /// Registers everything, the error series at zero.
    ///
    /// # Errors
    /// If two metrics have one name: a mistake in this module.
    pub fn new(version: &str) -> prometheus::Result<Self> {
        let new = Registrar::default();
        let build = new.int_gauges(
            "unjack_build_info",
            "Version of unjack; always 1.",
            &["version"],
        )?;
        build.with_label_values(&[version]).set(1);
        let metrics = Self {
            groups: Groups::new(&new)?,
            suspects: new.add(IntGauge::new(
                "unjack_suspects",
                "Processes that use enough CPU to be judged and look like miners now.",
            )?)?,
            verdicts: Verdicts::new(&new)?,
            actions: new.int_counters(
                "unjack_actions_total",
                "Actions on miners, by outcome; dry-run under --action observe, and outside of --only.",
                &["action", "family", "outcome"],
            )?,
            scope_fallbacks: new.int_counters(
                "unjack_scope_fallbacks_total",
                "Actions whose --scope was refused, by the narrower scope in which they were carried out.",
                &["scope"],
            )?,
            actions_refused: new.int_counters(
                "unjack_actions_refused_total",
                "Miners not acted on because the action was not allowed or not safe, by reason.",
                &["reason"],
            )?,
            only_rules: new.int_gauges(
                "unjack_only_rules",
                "Rules of --only in force, by key; if all are 0, the action is for the whole host.",
                &["key"],
            )?,
            stolen: StolenMetrics::new(&new)?,
            held: HeldMetrics::new(&new)?,
            breaker: BreakerMetrics::new(&new)?,
            map_entries: new.int_gauges("unjack_map_entries", "Entries in a BPF map.", &["map"])?,
            map_capacity: new.int_gauges(
                "unjack_map_capacity",
                "Capacity of a BPF map, in entries.",
                &["map"],
            )?,
            profiles_dropped: new.mirror(
                "unjack_profiles_dropped_total",
                "Profiles dropped because too many processes were profiled at once.",
            )?,
            samples_forgotten: new.mirror(
                "unjack_samples_forgotten_total",
                "Samples forgotten early because there were too many to keep.",
            )?,
            group_looks_deferred: new.mirror(
                "unjack_group_looks_deferred_total",
                "Processes whose group was not looked up in that second: more than 64 were new.",
            )?,
            code_maps_cut: new.mirror(
                "unjack_code_maps_cut_total",
                "Readings of a process's mappings that were deferred or incomplete.",
            )?,
            reads: ReadMetrics::new(&new)?,
            orders_deferred: new.add(IntCounter::new(
                "unjack_orders_deferred_total",
                "Times an action was delayed because too many were in progress.",
            )?)?,
            journal_errors: new.add(IntCounter::new(
                "unjack_journal_errors_total",
                "Events that could not be written to standard output.",
            )?)?,
            recordings_ended: new.int_counters(
                "unjack_recordings_ended_total",
                "Times the recording of --record ended before unjack did, by reason.",
                &["reason"],
            )?,
            response: Response::new(&new)?,
            traffic: Traffic::new(&new)?,
            bans: BanMetrics::new(&new)?,
            process: OwnProcess::new(&new)?,
            probed: Probed::new(&new)?,
            web: WebMetrics::new(&new)?,
            described: new.described.take(),
            registry: new.registry,
        };
        metrics.create_series();
        Ok(metrics)
    }

    /// The same, with what miners cost where an hour of a core costs `rate`.
    ///
    /// # Errors
    /// Two metrics have one name: a mistake in this module.
    pub fn with_cost(mut self, rate: f64) -> prometheus::Result<Self> {
        let new = self.registrar();
        self.stolen.price(&new, rate)?;
        self.described = new.described.take();
        Ok(self)
    }

    /// The same, with an estimate of the energy that miners used.
    ///
    /// # Errors
    /// Two metrics have one name: a mistake in this module.
    pub fn with_energy(mut self) -> prometheus::Result<Self> {
        let new = self.registrar();
        self.stolen.estimate_energy(&new)?;
        self.described = new.described.take();
        Ok(self)
    }

    /// To add to what there is.
    fn registrar(&mut self) -> Registrar {
        Registrar {
            registry: self.registry.clone(),
            described: RefCell::new(std::mem::take(&mut self.described)),
        }
    }

    fn create_series(&self) {
        for family in Family::ALL {
            for action in Action::value_variants() {
                for outcome in outcomes(*action) {
                    self.actions
                        .with_label_values(&[action.name(), family.name(), outcome.name()]);
                }
            }
        }
        for scope in [Scope::Tree, Scope::Process] {
            self.scope_fallbacks.with_label_values(&[scope.name()]);
        }
        self.set_only(Action::Observe, &[]);
        for ended in Ended::ALL {
            self.recordings_ended.with_label_values(&[ended.name()]);
        }
        for reason in Refusal::ALL {
            self.actions_refused.with_label_values(&[reason.name()]);
        }
    }

    /// Takes over the probes' own counters, and the collector's of what it
    /// could not decode.
    pub fn mirror_probes(&self, stats: &ProbeStats, malformed: u64) {
        self.probed.mirror(stats, malformed);
    }

    /// The same metrics, with other limits of the groups. None that has a series
    /// already is removed for it.
    #[must_use]
    pub fn with_groups(mut self, limits: GroupLimits) -> Self {
        self.groups.limit(limits);
        self
    }

    /// Adds CPU time of a process to its group. `group` may be hostile: it is
    /// cleaned, it cannot pass for the kernel, and it gets a series only while
    /// fewer than [`GroupLimits::max`] have one. What is not a positive number of
    /// seconds is ignored.
    pub fn add_group_cpu(&self, group: &str, seconds: f64) {
        self.groups.add(group, seconds);
    }

    /// Adds CPU time of kernel threads.
    pub fn add_kernel_cpu(&self, seconds: f64) {
        self.groups.add_kernel(seconds);
    }

    /// Takes the series from groups that burned nothing for
    /// [`GroupLimits::timeout`]. To be called once a tick, with nanoseconds of a
    /// clock that never steps back.
    pub fn age_groups(&self, now_ns: u64) {
        self.groups.age(now_ns);
    }

    /// Sets how many processes are being profiled.
    pub fn set_suspects(&self, count: usize) {
        self.suspects.set(to_gauge(count as u64));
    }

    /// Counts a verdict of a family, and the time it took from the
    /// start of the burn, in seconds.
    pub fn count_verdict(&self, verdict: Verdict, family: Family, delay: f64) {
        self.verdicts.count(verdict, family, delay);
    }

    /// Counts a process that hashes as one of a family does, and that nothing explains.
    pub fn count_unexplained(&self, family: Family) {
        self.verdicts.count_unexplained(family);
    }

    /// Counts an action on a miner of a family, by its outcome. A
    /// refusal is not an action: it goes to [`Self::count_refusal`].
    pub fn count_action(&self, action: Action, family: Family, outcome: Outcome) {
        if outcome != Outcome::Refused {
            self.actions
                .with_label_values(&[action.name(), family.name(), outcome.name()])
                .inc();
        }
    }

    /// Sets where the action is for: the rules of `--only`. With any, the action has series
    /// for what is outside.
    pub fn set_only(&self, action: Action, rules: &[Rule]) {
        if !rules.is_empty() {
            let outcome = Outcome::DryRun.name();
            for family in Family::ALL {
                self.actions
                    .with_label_values(&[action.name(), family.name(), outcome]);
            }
        }
        for key in RuleKey::ALL {
            let count = rules.iter().filter(|rule| rule.key == key).count();
            let gauge = self.only_rules.with_label_values(&[key.name()]);
            gauge.set(to_gauge(count as u64));
        }
    }

    /// Counts a refused action.
    pub fn count_refusal(&self, reason: Refusal) {
        self.actions_refused
            .with_label_values(&[reason.name()])
            .inc();
    }

    /// Counts an action that was carried out in a narrower scope than was asked for.
    pub fn count_scope_fallback(&self, scope: Scope) {
        self.scope_fallbacks
            .with_label_values(&[scope.name()])
            .inc();
    }

    /// Counts a recording that ended before this process did.
    pub(crate) fn count_recording(&self, ended: Ended) {
        self.recordings_ended
            .with_label_values(&[ended.name()])
            .inc();
    }

    /// Sets how full a map is, and how full it can be.
    pub fn set_map(&self, map: &'static str, entries: u64, capacity: u64) {
        self.map_entries
            .with_label_values(&[map])
            .set(to_gauge(entries));
        self.map_capacity
            .with_label_values(&[map])
            .set(to_gauge(capacity));
    }

    /// All metrics in Prometheus' text format, see [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// If a metric cannot be encoded: a mistake in this module.
    pub fn render(&self) -> prometheus::Result<String> {
        // A host that hides /proc/self still gets all other metrics.
        if let Err(error) = self.process.refresh() {
            tracing::debug!(%error, "process metrics not refreshed: /proc/self cannot be read");
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Every metric there is, in the order of their names.
    #[must_use]
    pub fn described(&self) -> Vec<Described> {
        let families = self.registry.gather();
        let mut all = self.described.clone();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        for metric in &mut all {
            let family = families.iter().find(|it| it.name() == metric.name);
            let series = family.into_iter().flat_map(MetricFamily::get_metric);
            for pair in series.flat_map(Metric::get_label) {
                let label = metric.labels.iter_mut().find(|it| it.0 == pair.name());
                if let Some((_, values)) = label {
                    values.insert(pair.value().to_owned());
                }
            }
        }
        all
    }
}

/// Counters panic on a negative increment in debug builds; a clock that
/// steps back must not.
fn add(counter: &Counter, seconds: f64) {
    if seconds > 0.0 && seconds.is_finite() {
        counter.inc_by(seconds);
    }
}

fn to_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Why a recording ended that was to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is as large as it may be.
    Size,
    /// The disk did not keep up.
    Slow,
    /// It could not be written.
    Error,
}

impl Ended {
    /// Every one there is.
    pub(crate) const ALL: [Self; 3] = [Self::Size, Self::Slow, Self::Error];

    /// Its name in metrics.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Slow => "slow",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests;
