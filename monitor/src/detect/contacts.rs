//! Who connected to a listed pool.
//!
//! A miner connects first and burns then, so this is remembered of processes
//! that are not sampled yet, and whatever they execute later: it keeps the
//! connection. The kernel tells of one process once a second at the most;
//! [`MAX_CONTACTS`] are remembered, of which the oldest makes room.

use std::collections::{HashMap, VecDeque};

use unjack_core::{
    event::{Contact, Process},
    score::{Evidence, EvidenceKind},
    verdict::Detection,
};

/// Processes that are remembered.
const MAX_CONTACTS: usize = 4096;

/// The newest contacts.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    latest: HashMap<Process, Contact>,
    order: VecDeque<Process>,
}

impl Contacts {
    /// Remembers one; whether another had to be forgotten.
    pub(crate) fn add(&mut self, process: Process, contact: Contact) -> bool {
        if self.latest.insert(process, contact).is_some() {
            return false;
        }
        self.order.push_back(process);
        if self.order.len() <= MAX_CONTACTS {
            return false;
        }
        if let Some(oldest) = self.order.pop_front() {
            self.latest.remove(&oldest);
        }
        true
    }

    /// The last contact of a process.
    pub(crate) fn get(&self, process: Process) -> Option<&Contact> {
        self.latest.get(&process)
    }

    /// Says in a detection which pool it was, where it would say that there was
    /// one. `name` is that of the list.
    pub(crate) fn explain(&self, process: Process, name: Option<&str>, detection: &mut Detection) {
        let Some(Contact { to, refused }) = self.get(process) else {
            return;
        };
        let name = match name {
            Some("") => String::new(),
            Some(name) => format!(" ({name})"),
            None => " (no longer on it)".to_owned(),
        };
        let what = if *refused {
            "was refused a connection to a pool on the list"
        } else {
            "connected to a pool on the list"
        };
        let text = format!("{what}: {to}{name}");
        Evidence::detail(&mut detection.evidence, EvidenceKind::Pool, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unjack_core::profile::Summary;

    /// A detection with what the model says of a listed pool.
    fn detection() -> Detection {
        let mut detection = Detection::decreed(&Summary::default());
        detection.evidence = vec![
            Evidence::new(EvidenceKind::Mix, "xor 45 %".to_owned(), 4.0),
            Evidence::new(EvidenceKind::Pool, "a listed pool".to_owned(), 3.0),
        ];
        detection
    }

    #[test]
    fn which_pool_it_was_takes_the_place_of_that_it_was_one_and_weighs_the_same() {
        let mut contacts = Contacts::default();
        let process = Process {
            tgid: 7,
            start_ns: 1,
        };
        let mut unknown = detection();
        contacts.explain(process, Some("xmr pool"), &mut unknown);
        assert_eq!(unknown, detection());

        let to = "192.0.2.7:3333".parse().unwrap();
        contacts.add(process, Contact { to, refused: false });
        let mut known = detection();
        contacts.explain(process, Some("xmr pool"), &mut known);
        let text = "connected to a pool on the list: 192.0.2.7:3333 (xmr pool)";
        let expected = Evidence::new(EvidenceKind::Pool, text.to_owned(), 3.0);
        assert_eq!(known.evidence, [detection().evidence[0].clone(), expected]);

        // What the model did not weigh is told.
        let mut bare = Detection::decreed(&Summary::default());
        contacts.explain(process, None, &mut bare);
        let text = "connected to a pool on the list: 192.0.2.7:3333 (no longer on it)";
        let expected = Evidence::new(EvidenceKind::Pool, text.to_owned(), 0.0);
        assert_eq!(bare.evidence, [expected]);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut contacts = Contacts::default();
        let process = |tgid| Process { tgid, start_ns: 1 };
        let contact = Contact {
            to: "192.0.2.7:3333".parse().unwrap(),
            refused: false,
        };
        let most = u32::try_from(MAX_CONTACTS).unwrap();
        for tgid in 0..most {
            assert!(!contacts.add(process(tgid), contact));
            assert!(!contacts.add(process(tgid), contact));
        }
        assert!(contacts.add(process(most), contact));
        assert_eq!(contacts.get(process(0)), None);
        assert_eq!(contacts.get(process(1)), Some(&contact));
        assert_eq!(contacts.latest.len(), MAX_CONTACTS);
    }
}
