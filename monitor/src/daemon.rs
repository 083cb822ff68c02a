//! `unjack run`: one loop that drains the probes, judges, acts and tells.
//!
//! The kernel is drained four times a second rather than for every record: a
//! wake-up per exec would cost a busy host more than the answer is worth.
//! Everything is judged once a second. Blocking work (waiting for a process to
//! go) happens on threads of its own, at most [`MAX_ORDERS`] at a time.

mod bans;
mod groups;
mod judge;
mod orders;
mod rules;
mod tell;
mod teller;

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

use self::{
    groups::Groups,
    judge::count_stolen,
    orders::{Orders, Report},
    teller::Teller,
};
use crate::{
    action::{self, Order, Outcome, Refusal, ban::Bans},
    collector::{Collector, Standing},
    config::{Action, Config},
    event::{self, Process},
    host,
    isa::Arch,
    journal::{self, Format},
    metrics::Metrics,
    probe::{ProbeError, Probes, Settings},
    score::{Model, ModelError},
    verdict::Thresholds,
    web::{self, BindError, Web},
};

/// Processes that are being ended at the same time; others wait a second.
pub const MAX_ORDERS: usize = 16;
/// Time between two drains of the ring.
const DRAIN: Duration = Duration::from_millis(250);
/// Drains to a tick.
const DRAINS_A_TICK: u32 = 4;
/// Records taken in one drain: twice what the ring holds of the smallest.
const DRAIN_LIMIT: usize = 200_000;

/// The daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The listening socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The shipped model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The metrics' own registry.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
    /// The runtime.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// Runs until `shutdown` resolves, then detaches everything.
///
/// # Errors
/// The daemon could not start. Once it runs it does not fail: what goes wrong
/// is logged and counted.
pub async fn run(
    config: Config,
    format: Format,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DaemonError> {
    let arch = Arch::HOST.ok_or(DaemonError::Arch)?;
    let model = Model::shipped()?;
    // A port in use is told before the kernel is touched.
    let listener = web::bind(config.listen)?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("metrics are served on http://{address}/metrics");
    }
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))?);
    let ready = Arc::new(AtomicBool::new(false));
    let bans = Bans::start(config.ban.clone(), Arc::clone(&metrics))?;
    let probes = Probes::attach(Settings::new(None, config.sample_hz, config.window))?;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let state = Web {
        metrics: Arc::clone(&metrics),
        ready: Arc::clone(&ready),
    };
    let server = tokio::spawn(web::serve(listener, state, async {
        // An error means the sender is gone: stop as well.
        let _stopped = stopped.await;
    }));

    let teller = Teller::new(io::stdout(), format, metrics.journal_errors.clone())?;
    let mut daemon = Daemon::new(config, arch, model, teller, metrics, probes, bans);
    daemon.bans.wait_ready();
    // Every series is there before anybody is told to come and look.
    daemon.tick();
    daemon.announce();
    ready.store(true, Ordering::Relaxed);
    daemon.watch(shutdown).await;
    daemon.orders.cancel();
    ready.store(false, Ordering::Relaxed);
    drop(daemon);
    // The receiver is gone only if the server has already ended.
    let _sent = stop.send(());
    match server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("the metrics server ended: {error}"),
        Err(error) => tracing::warn!("the metrics server ended: {error}"),
    }
    Ok(())
}

struct Daemon {
    config: Config,
    thresholds: Thresholds,
    model: Model,
    teller: Teller,
    metrics: Arc<Metrics>,
    probes: Probes,
    collector: Collector,
    groups: Groups,
    ticks: u32,
    orders: Orders,
    bans: Bans,
    /// Of the probes' counters, as of the last tick.
    small_exit_ns: u64,
}

impl Daemon {
    fn new(
        config: Config,
        arch: Arch,
        model: Model,
        teller: Teller,
        metrics: Arc<Metrics>,
        probes: Probes,
        bans: Bans,
    ) -> Self {
        Self {
            collector: Collector::new(arch, nanoseconds(config.patience)),
            thresholds: Thresholds {
                min_cpu: config.min_cpu,
                min_score: config.min_score,
                window_ns: nanoseconds(config.window),
                patience_ns: nanoseconds(config.patience),
            },
            groups: Groups::new(config.sample_hz),
            ticks: 0,
            orders: Orders::new(),
            bans,
            config,
            model,
            teller,
            metrics,
            probes,
            small_exit_ns: 0,
        }
    }

    async fn watch(&mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut timer = interval(DRAIN);
        // After a stall one drain makes up for all: no burst of ticks.
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drains = 0;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                report = self.orders.next() => self.conclude(report),
                report = self.bans.next() => self.take_ban_report(report),
                _ = timer.tick() => {
                    self.drain();
                    drains = (drains + 1) % DRAINS_A_TICK;
                    if drains == 0 {
                        self.tick();
                    }
                }
            }
        }
    }

    fn drain(&mut self) {
        let (collector, metrics) = (&mut self.collector, &self.metrics);
        self.probes
            .drain(DRAIN_LIMIT, |record| match event::decode(record) {
                Ok(event) => {
                    if let Some((mut subject, cpu_ns)) = collector.take(&event) {
                        count_stolen(metrics, &mut subject, cpu_ns);
                    }
                }
                Err(error) => {
                    collector.malformed += 1;
                    tracing::error!("probes and collector do not match: {error}");
                }
            });
    }

    fn tick(&mut self) {
        let now_ns = monotonic_ns();
        let (mut direct, mut spilled) = (0_u64, 0_u64);
        let probes = &self.probes;
        self.collector.tick(now_ns, |visit| {
            probes.tasks(|spill, slot| {
                *(if spill { &mut spilled } else { &mut direct }) += 1;
                visit(slot);
            });
        });
        self.judge(now_ns);
        self.mirror(direct, spilled);
        if let Err(error) = self.probes.follow_processors() {
            tracing::warn!("a processor is not sampled: {error}");
        }
    }

    /// Acts on a process that mines, unless that is under way or settled.
    fn act(&mut self, process: Process, now_ns: u64) {
        let Some(subject) = self.collector.subject(process) else {
            return;
        };
        let due = match subject.case.standing {
            Standing::Open => true,
            Standing::UnderWay | Standing::Settled => false,
            Standing::Again(at_ns) => now_ns >= at_ns,
        };
        if !due {
            return;
        }
        if self.orders.full() {
            self.metrics.orders_deferred.inc();
            return;
        }
        let (allowed, family) = (subject.case.allowed, subject.case.family);
        let lineage = host::lineage();
        let kernel_thread = subject.facts().is_some_and(|facts| facts.kernel_thread);
        let image = if allowed {
            Err(Refusal::Allowed)
        } else {
            action::guard(process, kernel_thread, &lineage)
                .and(subject.image().ok_or(Refusal::Unreadable))
        };
        match (image, self.config.action) {
            (Ok(image), Action::Kill) => {
                // One that was told to end and executed another image instead
                // had its grace.
                let grace = if subject.signalled {
                    Duration::ZERO
                } else {
                    self.config.grace
                };
                subject.signalled = true;
                subject.case.standing = Standing::UnderWay;
                let order = Order {
                    process,
                    image,
                    grace,
                };
                bans::condemn(&self.bans, subject, image, &self.config.deny);
                self.orders.give(order, lineage, family);
            }
            (Ok(_), _) => {
                subject.case.standing = Standing::Settled;
                self.metrics
                    .count_kill(family_label(family), journal::Outcome::DryRun);
                self.tell_action(process, journal::Outcome::DryRun, "observe", Duration::ZERO);
            }
            (Err(refusal), _) => {
                let outcome = Outcome::Refused(refusal);
                self.conclude(Report {
                    process,
                    family,
                    outcome,
                    time: Duration::ZERO,
                });
            }
        }
    }

    /// Tells and counts what came of an order, and whether it is tried again.
    fn conclude(&mut self, report: Report) {
        let Report {
            process,
            family,
            outcome,
            time,
        } = report;
        if let Some(subject) = self.collector.subject(process) {
            subject.case.standing = orders::after(subject.case.standing, outcome, monotonic_ns());
        }
        let (outcome, reason) = match outcome {
            Outcome::Gone => (journal::Outcome::Gone, ""),
            Outcome::Survived => (journal::Outcome::Survived, "still there after SIGKILL"),
            Outcome::Refused(refusal) => {
                self.metrics.count_refusal(refusal);
                (journal::Outcome::Refused, refusal.name())
            }
        };
        self.metrics.count_kill(family_label(family), outcome);
        self.tell_action(process, outcome, reason, time);
    }
}

/// A denied process may have no family; as a label it must have one.
fn family_label(family: &'static str) -> &'static str {
    if family.is_empty() {
        "unknown-pow"
    } else {
        family
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds of the clock the probes stamp samples with.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
