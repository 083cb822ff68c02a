//! `unjack run`: one loop that drains the probes, judges, acts and tells.
//!
//! [`Cadence`](crate::detect::cadence::Cadence) says how often. Blocking work (waiting for
//! a process to go) happens on threads of its own, at most [`MAX_ORDERS`] at a time.

mod bans;
mod decide;
mod energy;
mod error;
mod event_writer;
mod incidents;
mod judge;
mod orders;
mod recording;
mod reputation;
mod respond;
mod show;
mod start;
mod tell;

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};

pub use self::error::DaemonError;
use self::{
    energy::Energy, event_writer::EventWriter, incidents::Incidents, judge::count_stolen,
    orders::Orders, reputation::Reputation, show::Show,
};
use crate::{
    commands::record::{lost, writer::Writer},
    detect::{
        cadence::DRAIN,
        collector::Collector,
        network::Network,
        pipeline::{Pipeline, Taken, Tap},
        reputation::Lists,
    },
    host::{clock::monotonic_ns, container::Containers},
    kernel::probe::Probes,
    policy::{
        config::{Config, Rule},
        only::Only,
    },
    respond::{
        action::{ban::Bans, breaker::Breaker},
        hook::Hooks,
    },
    telemetry::{
        journal::Format,
        metrics::Metrics,
        notify,
        view::Recent,
        web::{Health, Server},
    },
};
use unjack_core::event::{Event, Malformed};

/// Processes that are being ended at the same time; others wait a second.
pub const MAX_ORDERS: usize = 16;

/// Runs until `shutdown` resolves, then detaches everything. Reads the lists
/// again whenever `hangup` says so.
///
/// # Errors
/// The daemon could not start. Once it runs it does not fail: what goes wrong
/// is logged and counted.
pub async fn run(
    config: Config,
    lists: Lists,
    format: Format,
    mut hangup: Signal,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DaemonError> {
    let mut daemon = Daemon::start(config, lists, format)?;
    daemon.orders.hold_manager.begin(&daemon.orders.host());
    daemon.bans.wait_ready();
    // Every metric series exists before the service manager is told that the daemon
    // is ready.
    daemon.tick();
    daemon.announce();
    daemon.health.attach(true);
    notify::tell(notify::State::Ready);
    daemon.watch(&mut hangup, shutdown).await;
    notify::tell(notify::State::Stopping);
    daemon.stop();
    Ok(())
}

struct Daemon {
    config: Config,
    probes: Probes,
    collector: Collector,
    pipeline: Pipeline<Network>,
    reputation: Reputation,
    containers: Containers,
    // What acts on processes.
    orders: Orders,
    breaker: Breaker,
    bans: Bans,
    /// The rules of `--allow`, for the code that carries out an order.
    allow: Arc<[Rule]>,
    // What tells of them.
    event_writer: EventWriter,
    metrics: Arc<Metrics>,
    incidents: Incidents,
    hooks: Option<Hooks>,
    health: Arc<Health>,
    recent: Recent,
    show: Show,
    server: Server,
    /// Where the action is for.
    only: Only,
    /// What is judged, for `unjack replay`.
    recording: Option<Writer>,
    energy: Energy,
    /// Of the probes' counters, as of the last tick.
    small_exit_ns: u64,
}

/// What else sees the events.
struct Taps<'a> {
    reputation: &'a mut Reputation,
    recording: &'a mut Option<Writer>,
    metrics: &'a Metrics,
}

impl Tap for Taps<'_> {
    fn taken(&mut self, taken: Taken<'_>, collector: &mut Collector) {
        let Taken { event, exited, .. } = taken;
        if let Event::Exec { process, .. } = event {
            self.reputation.executes(*process);
        }
        if let Some(recording) = self.recording {
            recording.encoder.taken(collector, event, exited.as_ref());
        }
        if let Some((mut subject, cpu_ns)) = exited {
            count_stolen(self.metrics, &mut subject, cpu_ns);
        }
    }

    fn contact_forgotten(&mut self) {
        self.metrics.response.contacts_forgotten.inc();
    }

    fn malformed(&mut self, error: &Malformed) {
        tracing::error!("probes and collector do not match: {error}");
    }
}

impl Daemon {
    async fn watch(&mut self, hangup: &mut Signal, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut timer = interval(DRAIN);
        // After a stall one drain makes up for all: no burst of ticks.
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                report = self.orders.next() => self.conclude(report),
                Some(()) = hangup.recv() => self.reload(),
                report = self.bans.next() => self.take_ban_report(report),
                _ = timer.tick() => {
                    self.drain();
                    if self.pipeline.drained() {
                        self.tick();
                        notify::tell(notify::State::Alive);
                    }
                    self.show();
                }
            }
        }
    }

    fn drain(&mut self) {
        let mut taps = Taps {
            reputation: &mut self.reputation,
            recording: &mut self.recording,
            metrics: &self.metrics,
        };
        let Ok(()) = self
            .pipeline
            .drain(&mut self.probes, &mut self.collector, &mut taps);
    }

    fn tick(&mut self) {
        let now_ns = monotonic_ns();
        let (mut direct, mut spilled) = (0_u64, 0_u64);
        self.pipeline
            .tick(now_ns, &mut self.probes, &mut self.collector, |spill, _| {
                *(if spill { &mut spilled } else { &mut direct }) += 1;
            });
        let collector = &mut self.collector;
        self.incidents
            .retain(|process| collector.subject(process).is_some());
        self.reputation
            .collect(|process| collector.subject(process).is_some());
        let network = &mut self.pipeline.witnesses;
        network.listen(now_ns, &mut self.probes, &self.collector);
        self.judge(now_ns);
        let network = &mut self.pipeline.witnesses;
        network.listen(now_ns, &mut self.probes, &self.collector);
        self.keep_up(now_ns);
        self.tell_evidence();
        let accounted = self.mirror(direct, spilled);
        self.metrics.age_groups(now_ns);
        self.health.tick(now_ns, accounted);
        if let Err(error) = self.probes.follow_processors() {
            tracing::warn!("a processor is not sampled: {error}");
        }
    }

    /// Reads the lists again, and the endpoint's file.
    fn reload(&mut self) {
        self.server.reload();
        self.reputation.reload();
        self.bans.allow(self.reputation.allow_list());
        // A list that was not taken is the old one.
        if let Err(error) = self.probes.list_pools(self.reputation.pools().compiled()) {
            tracing::error!("the kernel's list of pools is incomplete: {error}");
        }
    }

    /// Undoes what is to be undone, and detaches everything.
    fn stop(mut self) {
        self.orders.cancel();
        self.orders.hold_manager.end(&self.orders.host());
        self.incidents.finish();
        self.tell_evidence();
        self.health.attach(false);
        let Self {
            server,
            probes,
            collector,
            recording,
            ..
        } = self;
        if let Some(recording) = recording {
            recording.finish(lost(&probes, &collector));
        }
        drop(probes);
        server.stop();
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
