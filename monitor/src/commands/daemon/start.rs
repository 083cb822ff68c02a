//! How the daemon starts: what can fail without the kernel first, then the probes, then
//! what serves and writes.

use std::{io, path::Path, sync::Arc};

use super::{
    Daemon, DaemonError, energy::Energy, event_writer::EventWriter, incidents::Incidents,
    nanoseconds, orders::Orders, reputation::Reputation, show::Show,
};
use crate::{
    commands::record::{self, writer::Writer},
    detect::{
        cadence::Cadence, collector::Collector, detector::Detector, network::Network,
        pipeline::Pipeline, reputation::Lists, stratum::Stratum,
    },
    host::{clock::monotonic_ns, container::Containers},
    kernel::probe::{Probes, Settings},
    policy::{config::Config, only::Only},
    respond::{
        action::{Recorded, ban::Bans, breaker::Breaker, hold_manager::HoldManager, store::Store},
        hook::Hooks,
    },
    telemetry::{
        journal::{self, Format},
        metrics::Metrics,
        view::{Recent, SnapshotCell},
        web::{
            Health, Server, Web,
            file::Secured,
            listen::{self, Socket},
        },
    },
};
use unjack_core::{isa::Arch, score::Model};

impl Daemon {
    /// Attaches the probes and begins to serve.
    pub(super) fn start(config: Config, lists: Lists, format: Format) -> Result<Self, DaemonError> {
        let arch = Arch::HOST.ok_or(DaemonError::Arch)?;
        let model = Model::shipped()?;
        // A port in use is told before the kernel is touched.
        let secured = Secured::read(config.web.file.as_deref())?;
        let sockets = sockets(&config, &secured)?;
        let energy = Energy::find();
        let metrics = Arc::new(metrics(&config, &energy)?);
        metrics.set_only(config.action, &config.policy.only);
        let response = &metrics.response;
        let incidents = Incidents::new(&config.extras, response.clone())?;
        let reputation = Reputation::new(
            config.extras.lists.clone(),
            lists,
            (
                &config.policy.allow,
                &config.policy.deny,
                &config.policy.only,
            ),
            response.clone(),
        );
        let hook = config.extras.hook.clone();
        let hooks = hook.map(|policy| Hooks::new(policy, response.clone(), journal::verdict_json));
        let mut probes = Probes::attach(Settings {
            pools: config.extras.lists.pools.is_some(),
            block_pools: config.extras.block_pools,
            ..Settings::new(None, config.sample_hz, config.policy.window)
        })?;
        probes.list_pools(reputation.pools().compiled())?;
        let bans = Bans::start(config.ban.clone(), metrics.clone(), reputation.allow_list())?;

        let health = Arc::new(Health::default());
        let snapshot = Arc::new(SnapshotCell::default());
        let state = Web {
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
            snapshot: Arc::clone(&snapshot),
            telemetry_path: config.web.telemetry_path.clone(),
        };
        let server = Server::start(sockets, state, secured, config.web.file.clone())?;
        let event_writer = EventWriter::new(io::stdout(), format, metrics.journal_errors.clone())?;
        let recording = match &config.record {
            Some((path, max_size)) => Some(recording(path, *max_size, &config)?),
            None => None,
        };
        Ok(Self {
            collector: Collector::new(arch, nanoseconds(config.policy.patience))
                .with_groups(config.web.group_by)
                .with_remains(),
            pipeline: pipeline(&config, model, &metrics),
            containers: Containers::of_host(config.extras.container_dirs.clone()),
            orders: orders(&config, &probes),
            breaker: Breaker::new(config.response.breaker),
            bans,
            allow: config.policy.allow.clone().into(),
            only: Only::new(config.policy.only.clone().into()),
            show: Show::new(snapshot, &config),
            recent: Recent::default(),
            config,
            probes,
            reputation,
            event_writer,
            metrics,
            incidents,
            hooks,
            health,
            server,
            recording,
            energy,
            small_exit_ns: 0,
        })
    }
}

/// Where metrics are served: the addresses of the configuration, or what the service
/// manager opened.
fn sockets(config: &Config, secured: &Secured) -> Result<Vec<Socket>, DaemonError> {
    let web = &config.web;
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
    Ok(sockets)
}

/// All metrics that this host and configuration have.
fn metrics(config: &Config, energy: &Energy) -> Result<Metrics, DaemonError> {
    let mut metrics = Metrics::new(env!("CARGO_PKG_VERSION"))?.with_groups(config.web.groups);
    if let Some(rate) = config.policy.core_hour_cost {
        metrics = metrics.with_cost(rate)?;
    }
    if energy.is_known() {
        metrics = metrics.with_energy()?;
    }
    Ok(metrics)
}

fn pipeline(config: &Config, model: Model, metrics: &Metrics) -> Pipeline<Network> {
    let detector = Detector::new(model, config.policy.thresholds(), config.sample_hz);
    let stratum = Stratum::new(config.extras.network, metrics.traffic.clone());
    Pipeline::new(detector, Network::new(stratum), Cadence::default())
}

fn orders(config: &Config, probes: &Probes) -> Orders {
    let store = Store::new(config.response.state_dir.clone());
    Orders::new(
        HoldManager::new(store, config.response.keep).killing_escaped(config.response.kill_escaped),
        Arc::new(Recorded::new(probes.forks())),
    )
}

/// Begins the recording of `--record`.
fn recording(path: &Path, max_size: u64, config: &Config) -> Result<Writer, DaemonError> {
    let thresholds = config.policy.thresholds();
    let header = record::header(config.sample_hz, &thresholds, monotonic_ns());
    Writer::create(path, &header, max_size).map_err(|source| DaemonError::Record {
        path: path.to_owned(),
        source,
    })
}
