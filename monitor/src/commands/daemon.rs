//! `unjack run`: one loop that drains the probes, judges, acts and tells.
//!
//! The kernel is drained four times a second rather than for every record: a
//! wake-up per exec would cost a busy host more than the answer is worth.
//! Everything is judged once a second. Blocking work (waiting for a process to
//! go) happens on threads of its own, at most [`MAX_ORDERS`] at a time.

mod bans;
mod energy;
mod event_writer;
mod incidents;
mod judge;
mod orders;
mod recording;
mod reputation;
mod respond;
mod show;
mod tell;

use std::{
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};

use self::{
    energy::Energy, event_writer::EventWriter, incidents::Incidents, judge::count_stolen,
    orders::Orders, reputation::Reputation, show::Show,
};
use crate::{
    commands::record::{self, writer::Writer},
    detect::{
        collector::Collector, contacts::Contacts, detector::Detector, reputation::Lists,
        stratum::Stratum,
    },
    host::{clock::monotonic_ns, container::Containers},
    kernel::probe::{ProbeError, Probes, Settings},
    policy::config::{Config, Rule},
    respond::{
        action::{Recorded, ban::Bans, breaker::Breaker, hold_manager::HoldManager, store::Store},
        hook::Hooks,
    },
    telemetry::{
        journal::{self, Format},
        metrics::Metrics,
        notify,
        view::{Recent, SnapshotCell},
        web::{
            Health, Server, Web,
            file::{FileError, Secured},
            listen::{self, BindError},
        },
    },
};
use unjack_core::{
    event::{self, Event},
    isa::Arch,
    score::{Model, ModelError},
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
    /// The file of `--web.config.file`.
    #[error(transparent)]
    WebFile(#[from] FileError),
    /// The shipped model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The metrics' own registry.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No decoder for this processor.
    #[error("unjack cannot read this processor's instructions; it knows x86_64 and aarch64")]
    Arch,
    /// The directory of evidence.
    #[error(
        "evidence cannot be kept in {}: {source}; name another --evidence-dir, or none",
        directory.display()
    )]
    Evidence {
        /// Which.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of `--record`.
    #[error("cannot record in {}: {source}; name another --record, or none", path.display())]
    Record {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The runtime.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

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
    let arch = Arch::HOST.ok_or(DaemonError::Arch)?;
    let model = Model::shipped()?;
    // A port in use is told before the kernel is touched.
    let web = config.web.clone();
    let secured = Secured::read(web.file.as_deref())?;
    let sockets = match &web.listen {
        Some(addresses) => listen::bind(addresses)?,
        None => listen::inherited()?,
    };
    for socket in &sockets {
        let (scheme, address, path) = (secured.scheme(), socket.address(), &web.telemetry_path);
        if address.starts_with("unix:") {
            tracing::info!("metrics are served on {address} by {scheme} under {path}");
        } else {
            tracing::info!("metrics are served on {scheme}://{address}{path}");
        }
    }
    let mut metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?.with_groups(config.web.groups);
    if let Some(rate) = config.policy.core_hour_cost {
        metrics = metrics.with_cost(rate)?;
    }
    let energy = Energy::find();
    if energy.is_known() {
        metrics = metrics.with_energy()?;
    }
    let metrics = Arc::new(metrics);
    let response = &metrics.response;
    let incidents = Incidents::new(&config.extras, response.clone())?;
    let reputation = Reputation::new(
        config.extras.lists.clone(),
        lists,
        (&config.policy.allow, &config.policy.deny),
        response.clone(),
    );
    let hook = config.extras.hook.clone();
    let hooks = hook.map(|policy| Hooks::new(policy, response.clone(), journal::verdict_json));
    let health = Arc::new(Health::default());
    let mut probes = Probes::attach(Settings {
        pools: config.extras.lists.pools.is_some(),
        block_pools: config.extras.block_pools,
        ..Settings::new(None, config.sample_hz, config.policy.window)
    })?;
    probes.list_pools(reputation.pools().compiled())?;
    let bans = Bans::start(config.ban.clone(), metrics.clone(), reputation.allow_list())?;

    let snapshot = Arc::new(SnapshotCell::default());
    let state = Web {
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
        snapshot: Arc::clone(&snapshot),
        telemetry_path: web.telemetry_path,
    };
    let server = Server::start(sockets, state, secured, web.file)?;

    let event_writer = EventWriter::new(io::stdout(), format, metrics.journal_errors.clone())?;
    let recording = match &config.record {
        Some((path, max_size)) => Some(recording(path, *max_size, &config)?),
        None => None,
    };
    let extras = (incidents, reputation, hooks, bans, recording, energy);
    let shown = (
        metrics,
        Arc::clone(&health),
        Show::new(snapshot, &config),
        server,
    );
    let mut daemon = Daemon::new(config, arch, model, event_writer, shown, probes, extras);
    daemon.orders.hold_manager.begin(&daemon.orders.host());
    daemon.bans.wait_ready();
    // Every metric series exists before the service manager is told that the daemon
    // is ready.
    daemon.tick();
    daemon.announce();
    health.attach(true);
    notify::tell(notify::State::Ready);
    daemon.watch(&mut hangup, shutdown).await;
    notify::tell(notify::State::Stopping);
    daemon.orders.cancel();
    daemon.orders.hold_manager.end(&daemon.orders.host());
    daemon.incidents.finish();
    daemon.tell_evidence();
    health.attach(false);
    let Daemon {
        server,
        probes,
        collector,
        recording,
        ..
    } = daemon;
    if let Some(recording) = recording {
        recording.finish(crate::commands::record::lost(&probes, &collector));
    }
    drop(probes);
    server.stop();
    Ok(())
}

/// What goes with verdicts.
type Extras = (
    Incidents,
    Reputation,
    Option<Hooks>,
    Bans,
    Option<Writer>,
    Energy,
);

/// Begins the recording of `--record`.
fn recording(path: &Path, max_size: u64, config: &Config) -> Result<Writer, DaemonError> {
    let thresholds = config.policy.thresholds();
    let header = record::header(config.sample_hz, &thresholds, monotonic_ns());
    Writer::create(path, &header, max_size).map_err(|source| DaemonError::Record {
        path: path.to_owned(),
        source,
    })
}

struct Daemon {
    config: Config,
    detector: Detector,
    event_writer: EventWriter,
    metrics: Arc<Metrics>,
    probes: Probes,
    collector: Collector,
    orders: Orders,
    incidents: Incidents,
    reputation: Reputation,
    contacts: Contacts,
    stratum: Stratum,
    hooks: Option<Hooks>,
    containers: Containers,
    breaker: Breaker,
    health: Arc<Health>,
    recent: Recent,
    show: Show,
    server: Server,
    /// The rules of `--allow`, for the code that carries out an order.
    allow: Arc<[Rule]>,
    bans: Bans,
    /// What is judged, for `unjack replay`.
    recording: Option<Writer>,
    energy: Energy,
    /// Of the probes' counters, as of the last tick.
    small_exit_ns: u64,
}

impl Daemon {
    fn new(
        config: Config,
        arch: Arch,
        model: Model,
        event_writer: EventWriter,
        (metrics, health, show, server): (Arc<Metrics>, Arc<Health>, Show, Server),
        probes: Probes,
        (incidents, reputation, hooks, bans, recording, energy): Extras,
    ) -> Self {
        Self {
            collector: Collector::new(arch, nanoseconds(config.policy.patience))
                .with_groups(config.web.group_by)
                .with_remains(),
            detector: Detector::new(model, config.policy.thresholds(), config.sample_hz),
            orders: Orders::new(
                HoldManager::new(
                    Store::new(config.response.state_dir.clone()),
                    config.response.keep,
                )
                .killing_escaped(config.response.kill_escaped),
                Arc::new(Recorded::new(probes.forks())),
            ),
            breaker: Breaker::new(
                config.response.max_kills,
                config.response.max_kills_per_image,
            ),
            allow: config.policy.allow.clone().into(),
            incidents,
            reputation,
            contacts: Contacts::default(),
            stratum: Stratum::new(config.extras.network, metrics.traffic.clone()),
            health,
            recent: Recent::default(),
            show,
            server,
            hooks,
            bans,
            recording,
            energy,
            containers: Containers::of_host(config.extras.container_dirs.clone()),
            config,
            event_writer,
            metrics,
            probes,
            small_exit_ns: 0,
        }
    }

    async fn watch(&mut self, hangup: &mut Signal, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut timer = interval(DRAIN);
        // After a stall one drain makes up for all: no burst of ticks.
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drains = 0;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                report = self.orders.next() => self.conclude(report),
                Some(()) = hangup.recv() => self.reload(),
                report = self.bans.next() => self.take_ban_report(report),
                _ = timer.tick() => {
                    self.drain();
                    drains = (drains + 1) % DRAINS_A_TICK;
                    if drains == 0 {
                        self.tick();
                        notify::tell(notify::State::Alive);
                    }
                    self.show();
                }
            }
        }
    }

    fn drain(&mut self) {
        let (collector, metrics) = (&mut self.collector, &self.metrics);
        let (contacts, stratum) = (&mut self.contacts, &mut self.stratum);
        let (reputation, recording) = (&mut self.reputation, &mut self.recording);
        self.probes
            .drain(DRAIN_LIMIT, |record| match event::decode(record) {
                Ok(Event::Connect(process, contact)) => {
                    let forgotten = contacts.add(process, contact);
                    metrics.response.contacts_forgotten.inc_by(forgotten.into());
                }
                Ok(Event::Payload(payload)) => stratum.hear(&payload),
                Ok(event) => {
                    if let Event::Exec { process, .. } = event {
                        reputation.executes(process);
                        stratum.executes(process);
                    }
                    let left = match recording {
                        Some(recording) => recording.encoder.take_in(collector, &event),
                        None => collector.take(&event),
                    };
                    if let Some((mut subject, cpu_ns)) = left {
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
        let collector = &mut self.collector;
        self.incidents
            .retain(|process| collector.subject(process).is_some());
        self.reputation
            .collect(|process| collector.subject(process).is_some());
        self.judge(now_ns);
        self.stratum
            .listen(now_ns, &mut self.probes, &self.collector);
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
            tracing::error!("the list of pools is not whole in the kernel: {error}");
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
