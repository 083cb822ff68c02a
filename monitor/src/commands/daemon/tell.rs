//! What the daemon tells: events for the journal, and the metrics.

use std::time::{Duration, Instant, SystemTime};

use super::{Daemon, show};
use crate::{
    detect::{collector::Charge, detector::family_label, report::VerdictEvent},
    host,
    policy::config::ActOn,
    respond::{
        action::Fallback,
        evidence::{Incident, MAX_PIECES},
    },
    telemetry::{
        journal::{self, ActionEvent, Event},
        metrics::GROUP_OTHER,
    },
};
use unjack_core::{
    event::Process,
    profile::seconds,
    score::Family,
    verdict::{Detection, Verdict},
};

/// What came of an action, as it is told.
#[derive(Clone, Copy)]
pub(super) struct ActionTold<'a> {
    pub(super) outcome: journal::Outcome,
    /// Why it was done, or refused.
    pub(super) reason: &'a str,
    /// To how many other processes it was done as well.
    pub(super) others: u32,
    /// It was done in a narrower scope than was asked for.
    pub(super) fallback: Option<Fallback>,
}

impl<'a> ActionTold<'a> {
    /// Of the process that was judged, and no other.
    pub(super) fn of(outcome: journal::Outcome, reason: &'a str) -> Self {
        Self {
            outcome,
            reason,
            others: 0,
            fallback: None,
        }
    }
}

/// Instructions shown with a verdict.
const SHOWN: usize = 8;

impl Daemon {
    /// Has an event written, and remembers what is shown of it.
    pub(super) fn tell(&mut self, event: Event) {
        let now = SystemTime::now();
        self.recent.hear(show::epoch(now), &event);
        self.event_writer.tell(now, event);
    }

    pub(super) fn announce(&mut self) {
        let uname = rustix::system::uname();
        self.tell(Event::Ready {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
            programs: self.probes.programs().into_keys().collect(),
            sampler: self.probes.source().to_string(),
        });
    }

    pub(super) fn report(&mut self, process: Process, detection: Detection) {
        let Detection {
            verdict,
            thread,
            assessment,
            evidence,
            summary,
            delay_ns,
            first,
            unexplained,
        } = detection;
        let family = family_label(assessment.family);
        if first {
            self.metrics
                .count_verdict(verdict, family, seconds(delay_ns));
        }
        if unexplained {
            self.metrics.count_unexplained(family);
        }
        let acted_on = verdict == Verdict::Miner || self.config.policy.act_on == ActOn::Hashing;
        let wanted = first && acted_on && self.incidents.wanted();
        let arch = self.collector.arch();
        let Some(subject) = self.collector.subject(process) else {
            return;
        };
        let burn_ns = subject.profile.latest().map_or(0, |reading| reading.cpu_ns);
        let code = subject.hot_code(arch, &summary).map(|code| {
            let shown = code.instructions.iter().take(SHOWN).cloned();
            format!("{code}: {}", shown.collect::<Vec<_>>().join("; "))
        });
        let allowed = subject.case.allowed;
        let pieces = if wanted {
            subject.pieces(arch, MAX_PIECES)
        } else {
            Vec::new()
        };
        let facts = subject.facts();
        let identity = facts.map(|facts| facts.identity.clone());
        let (home, lookup) = self
            .containers
            .home(&identity.unwrap_or_default(), Instant::now());
        if let Some(lookup) = lookup {
            self.metrics.response.count_container(lookup);
        }
        let event = VerdictEvent {
            pid: process.tgid,
            thread,
            start_time: host::ticks(process.start_ns),
            exe: facts
                .map(|facts| facts.exe.clone())
                .filter(|exe| !exe.is_empty()),
            comm: facts.map_or_else(String::new, |facts| facts.comm.clone()),
            home,
            verdict: verdict.name(),
            unexplained,
            family: Family::name_or_empty(assessment.family),
            score: assessment.score,
            cpu_percent: 100.0 * summary.time.cores,
            burn_seconds: seconds(burn_ns),
            evidence,
            code: code.into_iter().collect(),
        };
        if let Some(hooks) = &self.hooks {
            hooks.run(&event);
        }
        if wanted && !allowed {
            let incident = Incident {
                verdict: event.clone(),
                action: self.config.action,
                delay_seconds: seconds(delay_ns),
                summary,
                code: pieces,
            };
            self.incidents.add(process, incident);
        }
        self.tell(Event::Verdict(event));
    }

    /// Tells of evidence that was kept.
    pub(super) fn tell_evidence(&mut self) {
        for event in self.incidents.kept() {
            self.tell(Event::Evidence(event));
        }
    }

    pub(super) fn tell_action(&mut self, process: Process, told: ActionTold<'_>, time: Duration) {
        let ActionTold {
            outcome,
            reason,
            others,
            fallback,
        } = told;
        if let Some(Fallback { scope, .. }) = fallback {
            self.metrics.count_scope_fallback(scope);
        }
        let action = self.config.action;
        self.tell(Event::Action(ActionEvent {
            pid: process.tgid,
            action,
            outcome,
            reason: reason.to_owned(),
            others,
            fallback: fallback.map(Into::into),
            seconds: time.as_secs_f64(),
        }));
    }

    /// Brings the metrics up to date. Whether the probes accounted anything.
    pub(super) fn mirror(&mut self, direct: u64, spilled: u64) -> bool {
        let accounted = self.collector.accounted();
        let (mut other, mut all) = (0.0, 0.0);
        for charge in self.collector.charges() {
            match charge {
                Charge::Group(name, time) => {
                    all += time;
                    self.metrics.add_group_cpu(&name, time);
                }
                Charge::Kernel(time) => {
                    all += time;
                    self.metrics.add_kernel_cpu(time);
                }
                Charge::Other(time) => other += time,
            }
        }
        self.metrics
            .set_map("tasks", direct, monitor_ebpf::TASK_SLOTS.into());
        self.metrics
            .set_map("spill", spilled, monitor_ebpf::SPILL_ENTRIES.into());
        self.metrics
            .profiles_dropped
            .set_total(self.collector.dropped);
        self.metrics
            .samples_forgotten
            .set_total(self.collector.forgotten);
        self.metrics
            .code_maps_cut
            .set_total(self.collector.maps_cut());
        self.metrics.reads.mirror();
        self.metrics
            .group_looks_deferred
            .set_total(self.collector.looks_deferred());
        match self.probes.stats() {
            Ok(stats) => {
                let small_ns = stats.small_exit_ns.saturating_sub(self.small_exit_ns);
                self.small_exit_ns = stats.small_exit_ns;
                other += seconds(small_ns);
                self.metrics.mirror_probes(&stats, self.collector.malformed);
            }
            Err(error) => tracing::warn!("the probes' counters cannot be read: {error}"),
        }
        self.metrics.response.mirror_images();
        match self.probes.pool_stats() {
            Ok(stats) => self.metrics.response.mirror_pools(&stats),
            Err(error) => tracing::warn!("the counters of pools cannot be read: {error}"),
        }
        match self.probes.watch_stats() {
            Ok(stats) => self.metrics.traffic.mirror(&stats),
            Err(error) => tracing::warn!("the counters of traffic cannot be read: {error}"),
        }
        self.metrics.add_group_cpu(GROUP_OTHER, other);
        self.charge_energy(all + other);
        accounted
    }
}
