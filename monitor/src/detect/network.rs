//! What is known of processes by their connections, and so besides their samples: of this
//! host's, or of one process alone.

use super::{
    collector::{Collector, Subject},
    contacts::Contacts,
    detector::{Heard, Witnesses},
    stratum::Stratum,
};
use crate::{host::connections::Connections, kernel::probe::Probes};
use unjack_core::{
    event::{Contact, Payload, Process},
    shape::Observer,
    verdict::{Detection, Suspicion},
};

/// The connections of this host's processes.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) contacts: Contacts,
    pub(crate) stratum: Stratum,
}

impl Network {
    pub(crate) fn new(stratum: Stratum) -> Self {
        Self {
            contacts: Contacts::default(),
            stratum,
        }
    }

    /// What is known of a process.
    pub(crate) fn of(&self, process: Process) -> Heard {
        Heard {
            pool: self.contacts.get(process).is_some(),
            stratum: self.stratum.was_heard(process),
            shape: self.stratum.shape(process),
        }
    }

    /// Says in a detection what was heard, and which pool was connected to; `pool` names
    /// one by its address.
    pub(crate) fn explain<'a>(
        &self,
        process: Process,
        detection: &mut Detection,
        pool: impl FnOnce(std::net::SocketAddr) -> Option<&'a str>,
    ) {
        let to = self.contacts.get(process).map(|contact| contact.to);
        let name = to.and_then(pool);
        self.contacts.explain(process, name, detection);
        self.stratum.explain(process, detection);
    }

    /// Looks at the connections of all that are suspected now.
    pub(crate) fn listen(&mut self, now_ns: u64, probes: &mut Probes, collector: &Collector) {
        self.stratum.listen(now_ns, probes, collector);
    }
}

impl Witnesses for Network {
    fn heard(&self, subject: &Subject) -> Heard {
        self.of(subject.profile.process)
    }

    fn suspects(&mut self, process: Process, cores: f64, suspicion: Suspicion, now_ns: u64) {
        self.stratum.suspect(process, cores, suspicion, now_ns);
    }

    fn executes(&mut self, process: Process) {
        self.stratum.executes(process);
    }

    fn hears(&mut self, payload: &Payload) {
        self.stratum.hear(payload);
    }

    fn connects(&mut self, process: Process, contact: Contact) -> bool {
        self.contacts.add(process, contact)
    }
}

/// The connections of the one process that is looked at, suspected or not.
#[derive(Debug, Default)]
pub(crate) struct OwnConnections(Observer);

impl OwnConnections {
    /// Its connections were looked at when it had used this much CPU time.
    pub(crate) fn look(&mut self, cpu_ns: u64, found: &Connections) {
        self.0
            .look(found.time_ns, cpu_ns, &found.kept, found.listens);
    }

    /// When they were looked at last, nanoseconds; 0 if they were not.
    pub(crate) fn looked_ns(&self) -> u64 {
        self.0.looked_ns()
    }
}

impl Witnesses for OwnConnections {
    fn heard(&self, _: &Subject) -> Heard {
        Heard {
            shape: self.0.shape(),
            ..Heard::default()
        }
    }
}

/// What a recording says of a process's connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedNetwork;

impl Witnesses for RecordedNetwork {
    fn heard(&self, subject: &Subject) -> Heard {
        let recorded = subject.recorded_facts();
        recorded.map_or(Heard::default(), |recorded| Heard {
            pool: recorded.pool,
            stratum: recorded.stratum,
            shape: recorded.shape,
        })
    }
}
