//! What unjack counts, and how Prometheus reads it.
//!
//! Numbers flow in from the daemon, text flows out to [`crate::web`]. Metrics
//! observe and never decide: nothing here is read back by the rest, but to be
//! shown.
//!
//! The number of series is bounded. Labels are fixed words, except for the
//! name of a process group, of which [`GroupLimits::max`] are kept and the rest
//! is `other`. There are no pids. Every error series exists from the
//! start, at zero, so that its first error is seen as an increase.

mod exposition;
mod groups;
mod registrar;
mod response;
mod traffic;
mod web;

use std::cell::RefCell;

use monitor_ebpf::{ProbeStats, bans::BanStats};
use procfs::process::Process;
use prometheus::{
    Counter, CounterVec, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Registry,
    proto::{Metric, MetricFamily},
};

pub use self::{
    exposition::Format,
    groups::{GROUP_KERNEL, GROUP_OTHER, GroupLimits, MAX_GROUP_CHARS},
    registrar::{Described, Mirror},
    response::Response,
    traffic::Traffic,
    web::{Cut, Login, WebMetrics},
};
use self::{groups::Groups, registrar::Registrar};
use crate::action::{Refusal, ban::rule::Spared, keeper::Kept};
use crate::journal::Outcome;
use crate::profile::cost;
use crate::record::writer::Ended;
use crate::score::FAMILIES;
use crate::verdict::Verdict;
use crate::view::Stolen;

/// What can come of hashing an image: it is none of those that are banned, it is
/// one, it is one but may not be banned, it was too large, it could not be read
/// (most were gone by then), or others were being hashed and it is asked about
/// again.
pub const BAN_RESULTS: [&str; 6] = [
    "clean",
    "banned",
    "spared",
    "too-large",
    "unreadable",
    "deferred",
];

/// Seconds. The default window is 5 s and a miner should be dead within 15 s,
/// so the steps are finest there.
const DELAY_BUCKETS: [f64; 13] = [
    1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0,
];

/// All metrics, in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    groups: Groups,
    suspects: IntGauge,
    verdicts: IntCounterVec,
    kills: IntCounterVec,
    kills_refused: IntCounterVec,
    stolen_cpu_seconds: CounterVec,
    allowed_cpu_seconds: CounterVec,
    held: IntGaugeVec,
    moved_back: IntCounter,
    breaker_open: IntGauge,
    verdict_delay: Histogram,
    map_entries: IntGaugeVec,
    map_capacity: IntGaugeVec,
    process_cpu_seconds: Counter,
    process_resident: Gauge,
    process_start: Gauge,
    ban_images: IntCounterVec,
    bans_refused: IntCounterVec,
    /// Bans in force.
    pub bans: IntGauge,
    execs_refused: Mirror,
    ban_events_lost: Mirror,
    ban_signals_failed: Mirror,
    /// Samples handed to the collector.
    pub samples: Mirror,
    /// Samples lost because the ring was full.
    pub samples_lost: Mirror,
    /// Samples not taken because a process reached its cap for the second.
    pub samples_capped: Mirror,
    /// User samples whose code could not be read.
    pub sample_code_faults: Mirror,
    /// Exec and exit records lost because the ring was full.
    pub events_lost: Mirror,
    /// Times a task could not be tracked because the tables were full.
    pub tasks_untracked: Mirror,
    /// Profiles dropped because too many processes were profiled at once.
    pub profiles_dropped: Mirror,
    /// See [`crate::collector::Collector::forgotten`].
    pub samples_forgotten: Mirror,
    /// Events that could not be written to standard output.
    pub journal_errors: IntCounter,
    /// Records of the probes that could not be decoded.
    pub events_malformed: Mirror,
    /// See [`crate::collector::Collector::looks_deferred`].
    pub group_looks_deferred: Mirror,
    /// Looks at a process's mappings that were cut short.
    pub code_maps_cut: Mirror,
    /// Miners that had to wait because enough were being ended.
    pub orders_deferred: IntCounter,
    recordings_ended: IntCounterVec,
    /// What an hour of a core costs, and what miners cost so far.
    stolen_cost: Option<(f64, CounterVec)>,
    stolen_energy: Option<Counter>,
    /// Evidence, lists and hooks.
    pub response: Response,
    /// The traffic of suspects.
    pub traffic: Traffic,
    /// The endpoint.
    pub web: WebMetrics,
}

impl Metrics {
    /// Registers everything, the error series at zero.
    ///
    /// # Errors
    /// If two metrics have one name: a mistake in this module.
    #[expect(clippy::too_many_lines, reason = "it is a list, one metric an entry")]
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
                "Processes that burn enough CPU and look like miners now.",
            )?)?,
            verdicts: new.int_counters(
                "unjack_verdicts_total",
                "Processes judged to be miners, or to be hashing for another purpose.",
                &["verdict", "family"],
            )?,
            kills: new.int_counters(
                "unjack_kills_total",
                "Miners acted on, by what came of it; dry-run under --action observe.",
                &["family", "outcome"],
            )?,
            kills_refused: new.int_counters(
                "unjack_kills_refused_total",
                "Miners not acted on because it was not allowed or not safe.",
                &["reason"],
            )?,
            stolen_cpu_seconds: new.counters(
                "unjack_stolen_cpu_seconds_total",
                "CPU time burned by processes judged to be miners.",
                "family",
            )?,
            allowed_cpu_seconds: new.counters(
                "unjack_allowed_cpu_seconds_total",
                "CPU time burned by miners that a rule allows.",
                "family",
            )?,
            held: new.int_gauges(
                "unjack_held",
                "Miners that are throttled or frozen now, with all in their scope.",
                &["action"],
            )?,
            moved_back: new.add(IntCounter::new(
                "unjack_held_moved_back_total",
                "Times a throttled process had left its cgroup and was moved back.",
            )?)?,
            breaker_open: new.add(IntGauge::new(
                "unjack_breaker_open",
                "1 while miners are only reported, as too many were acted on.",
            )?)?,
            verdict_delay: new.add(Histogram::with_opts(
                HistogramOpts::new(
                    "unjack_verdict_delay_seconds",
                    "Time from the start of a process's burn to the verdict.",
                )
                .buckets(DELAY_BUCKETS.to_vec()),
            )?)?,
            map_entries: new.int_gauges("unjack_map_entries", "Entries in a BPF map.", &["map"])?,
            map_capacity: new.int_gauges(
                "unjack_map_capacity",
                "Entries a BPF map has room for; bytes for a ring.",
                &["map"],
            )?,
            process_cpu_seconds: new.add(Counter::new(
                "process_cpu_seconds_total",
                "CPU time of unjack itself, user and system.",
            )?)?,
            process_resident: new.add(Gauge::new(
                "process_resident_memory_bytes",
                "Resident memory of unjack itself.",
            )?)?,
            process_start: new.add(Gauge::new(
                "process_start_time_seconds",
                "When unjack started, in seconds since the Unix epoch.",
            )?)?,
            ban_images: new.int_counters(
                "unjack_ban_images_total",
                "Images that were new to the kernel while there were bans, by what came of it.",
                &["result"],
            )?,
            bans_refused: new.int_counters(
                "unjack_bans_refused_total",
                "Images of miners that were not banned, or whose ban had to make room.",
                &["reason"],
            )?,
            bans: new.add(IntGauge::new("unjack_bans", "Bans of images in force.")?)?,
            execs_refused: new.mirror(
                "unjack_execs_refused_total",
                "Execs of banned images that were refused.",
            )?,
            ban_events_lost: new.mirror(
                "unjack_ban_events_lost_total",
                "Refused execs and questions about images that nobody was told of.",
            )?,
            ban_signals_failed: new.mirror(
                "unjack_ban_signals_failed_total",
                "Signals to processes of banned images that the kernel would not send.",
            )?,
            samples: new.mirror("unjack_samples_total", "Instruction samples received.")?,
            samples_lost: new.mirror(
                "unjack_samples_lost_total",
                "Samples lost because the ring was full.",
            )?,
            samples_capped: new.mirror(
                "unjack_samples_capped_total",
                "Samples not taken because the process had enough in that second.",
            )?,
            sample_code_faults: new.mirror(
                "unjack_sample_code_faults_total",
                "Samples whose instruction bytes could not be read.",
            )?,
            events_lost: new.mirror(
                "unjack_events_lost_total",
                "Exec and exit events lost because the ring was full.",
            )?,
            tasks_untracked: new.mirror(
                "unjack_tasks_untracked_total",
                "Times a task could not be tracked because the tables were full.",
            )?,
            profiles_dropped: new.mirror(
                "unjack_profiles_dropped_total",
                "Profiles dropped because too many processes were profiled at once.",
            )?,
            samples_forgotten: new.mirror(
                "unjack_samples_forgotten_total",
                "Samples forgotten early because there were too many to keep.",
            )?,
            events_malformed: new.mirror(
                "unjack_events_malformed_total",
                "Records of the probes that could not be decoded.",
            )?,
            group_looks_deferred: new.mirror(
                "unjack_group_looks_deferred_total",
                "Processes whose group was not looked up in that second, as there were too many.",
            )?,
            code_maps_cut: new.mirror(
                "unjack_code_maps_cut_total",
                "Looks at a process's mappings that were put off or cut short.",
            )?,
            orders_deferred: new.add(IntCounter::new(
                "unjack_orders_deferred_total",
                "Times a miner had to wait because enough were being ended.",
            )?)?,
            journal_errors: new.add(IntCounter::new(
                "unjack_journal_errors_total",
                "Events that could not be written to standard output.",
            )?)?,
            recordings_ended: new.int_counters(
                "unjack_recordings_ended_total",
                "Times the recording of --record ended before unjack did, by why.",
                &["reason"],
            )?,
            response: Response::new(&new)?,
            traffic: Traffic::new(&new)?,
            web: WebMetrics::new(&new)?,
            stolen_cost: None,
            stolen_energy: None,
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
        let cost = new.counters(
            "unjack_stolen_cost_total",
            "CPU time burned by miners, in the currency of --core-hour-cost.",
            "family",
        )?;
        for family in FAMILIES {
            cost.with_label_values(&[family]);
        }
        self.stolen_cost = Some((rate, cost));
        self.described = new.described.take();
        Ok(self)
    }

    /// The same, with an estimate of the energy that miners used.
    ///
    /// # Errors
    /// Two metrics have one name: a mistake in this module.
    pub fn with_energy(mut self) -> prometheus::Result<Self> {
        let new = self.registrar();
        self.stolen_energy = Some(new.add(Counter::new(
            "unjack_stolen_energy_joules_total",
            "Estimate: the processors' energy while there were miners, times their share of all CPU time.",
        )?)?);
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
        for family in FAMILIES {
            for verdict in [Verdict::Miner, Verdict::Hashing] {
                self.verdicts.with_label_values(&[verdict.name(), family]);
            }
            let outcomes = [
                Outcome::Gone,
                Outcome::Survived,
                Outcome::Held,
                Outcome::DryRun,
            ];
            for outcome in outcomes {
                self.kills.with_label_values(&[family, outcome.name()]);
            }
            self.stolen_cpu_seconds.with_label_values(&[family]);
            self.allowed_cpu_seconds.with_label_values(&[family]);
        }
        self.set_held(&Kept::default());
        for ended in Ended::ALL {
            self.recordings_ended.with_label_values(&[ended.name()]);
        }
        for result in BAN_RESULTS {
            self.ban_images.with_label_values(&[result]);
        }
        for reason in Spared::ALL {
            self.bans_refused.with_label_values(&[reason.name()]);
        }
        for reason in Refusal::ALL {
            self.kills_refused.with_label_values(&[reason.name()]);
        }
    }

    /// Takes over the probes' own counters, and the collector's of what it
    /// could not decode.
    pub fn mirror_probes(&self, stats: &ProbeStats, malformed: u64) {
        let ProbeStats {
            samples,
            samples_lost,
            samples_capped,
            code_faults,
            events_lost,
            tasks_lost,
            small_exit_ns: _,
            small_exits: _,
        } = stats;
        self.samples.set_total(*samples);
        self.samples_lost.set_total(*samples_lost);
        self.samples_capped.set_total(*samples_capped);
        self.sample_code_faults.set_total(*code_faults);
        self.events_lost.set_total(*events_lost);
        self.tasks_untracked.set_total(*tasks_lost);
        self.events_malformed.set_total(malformed);
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

    /// Counts a verdict on one of [`FAMILIES`], and the time it took from the
    /// start of the burn, in seconds.
    pub fn count_verdict(&self, verdict: Verdict, family: &'static str, delay: f64) {
        self.verdicts
            .with_label_values(&[verdict.name(), family])
            .inc();
        self.verdict_delay.observe(delay);
    }

    /// Counts what came of acting on a miner of one of [`FAMILIES`]. A refusal
    /// is not a kill: it goes to [`Self::count_refusal`].
    pub fn count_kill(&self, family: &'static str, outcome: Outcome) {
        if outcome != Outcome::Refused {
            self.kills
                .with_label_values(&[family, outcome.name()])
                .inc();
        }
    }

    /// Takes over how many bans there are, and what their programs counted.
    pub fn mirror_bans(&self, bans: usize, stats: &BanStats) {
        let BanStats {
            refused,
            events_lost,
            signals_failed,
            checked: _,
        } = stats;
        self.bans.set(to_gauge(bans as u64));
        self.execs_refused.set_total(*refused);
        self.ban_events_lost.set_total(*events_lost);
        self.ban_signals_failed.set_total(*signals_failed);
    }

    /// Counts an image that was hashed, or was to be: one of [`BAN_RESULTS`].
    pub fn count_ban_image(&self, result: &'static str) {
        self.ban_images.with_label_values(&[result]).inc();
    }

    /// Counts an image that was not banned.
    pub fn count_spared(&self, reason: Spared) {
        self.bans_refused.with_label_values(&[reason.name()]).inc();
    }

    /// Counts a refused kill.
    pub fn count_refusal(&self, reason: Refusal) {
        self.kills_refused.with_label_values(&[reason.name()]).inc();
    }

    /// Adds CPU time burned by a miner of one of [`FAMILIES`].
    pub fn add_stolen_cpu(&self, family: &'static str, seconds: f64) {
        add(
            &self.stolen_cpu_seconds.with_label_values(&[family]),
            seconds,
        );
        if let Some((rate, stolen)) = &self.stolen_cost {
            add(&stolen.with_label_values(&[family]), cost(seconds, *rate));
        }
    }

    /// Adds an estimate of the energy that miners used.
    pub fn add_stolen_energy(&self, joules: f64) {
        if let Some(stolen) = &self.stolen_energy {
            add(stolen, joules);
        }
    }

    /// Adds CPU time burned by a miner of one of [`FAMILIES`] that a rule
    /// allows.
    pub fn add_allowed_cpu(&self, family: &'static str, seconds: f64) {
        add(
            &self.allowed_cpu_seconds.with_label_values(&[family]),
            seconds,
        );
    }

    /// CPU seconds that miners burned and that a rule allows, by family, where
    /// there are any.
    #[must_use]
    pub fn stolen(&self) -> Vec<Stolen> {
        let families = FAMILIES.into_iter().map(|family| Stolen {
            family: family.to_owned(),
            stolen_seconds: self.stolen_cpu_seconds.with_label_values(&[family]).get(),
            allowed_seconds: self.allowed_cpu_seconds.with_label_values(&[family]).get(),
        });
        families
            .filter(|taken| taken.stolen_seconds + taken.allowed_seconds > 0.0)
            .collect()
    }

    /// Sets how many miners are held, and adds how many were moved back.
    pub fn set_held(&self, kept: &Kept) {
        let Kept {
            throttled,
            frozen,
            moved_back,
        } = kept;
        for (action, count) in [("throttle", throttled), ("freeze", frozen)] {
            self.held
                .with_label_values(&[action])
                .set(to_gauge(*count as u64));
        }
        self.moved_back.inc_by(u64::from(*moved_back));
    }

    /// Counts a recording that ended before this process did.
    pub(crate) fn count_recording(&self, ended: Ended) {
        self.recordings_ended
            .with_label_values(&[ended.name()])
            .inc();
    }

    /// Sets whether the breaker is open.
    pub fn set_breaker(&self, open: bool) {
        self.breaker_open.set(i64::from(open));
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

    /// All metrics in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// If a metric cannot be encoded: a mistake in this module.
    pub fn render(&self) -> prometheus::Result<String> {
        self.render_as(Format::Text)
    }

    /// All metrics in one of the formats.
    ///
    /// # Errors
    /// If a metric cannot be encoded: a mistake in this module.
    pub fn render_as(&self, format: Format) -> prometheus::Result<String> {
        // A host that hides /proc/self still gets all other metrics.
        if let Err(error) = self.refresh_process() {
            tracing::debug!(%error, "process metrics not refreshed: /proc/self cannot be read");
        }
        format.encode(&self.registry.gather())
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

    fn refresh_process(&self) -> procfs::ProcResult<()> {
        let stat = Process::myself()?.stat()?;
        let hz = procfs::ticks_per_second() as f64;
        let cpu = (stat.utime + stat.stime) as f64 / hz;
        add(
            &self.process_cpu_seconds,
            cpu - self.process_cpu_seconds.get(),
        );
        self.process_resident
            .set((stat.rss * procfs::page_size()) as f64);
        self.process_start
            .set(procfs::boot_time_secs()? as f64 + stat.starttime as f64 / hz);
        Ok(())
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

#[cfg(test)]
mod tests;
