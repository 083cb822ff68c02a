//! Bans, as far as they are about processes: who is condemned with its image, and
//! what is done about a process that executes a copy of one.

use super::Daemon;
use crate::host::clock::monotonic_ns;
use crate::{
    detect::collector::Subject,
    host::{self, Image, digest::Digest},
    policy::judged::matches,
    respond::action::ban::{Condemned, Report},
    telemetry::journal::{BanEvent, Event, RespawnEvent},
};
use unjack_core::{event::Process, verdict::Verdict};

/// A process that is to be ended, for its image to be banned, if it was found to
/// mine. What was only recognised is banned already. `denied` and `listed` say
/// whether a rule or a list condemned it.
pub(super) fn condemned(
    subject: &mut Subject,
    image: Image,
    denied: bool,
    listed: bool,
) -> Option<Condemned> {
    if subject.case.judgement.verdict() != Verdict::Miner || subject.case.banned {
        return None;
    }
    Some(Condemned {
        process: subject.profile.process,
        image,
        key: subject.image_key(),
        code_origins: subject.code_origins(),
        family: subject.case.family,
        denied,
        listed,
    })
}

impl Daemon {
    /// Tells what became of bans, and acts on who executes a copy.
    pub(super) fn take_ban_report(&mut self, report: Report) {
        match report {
            Report::Banned(ban) => self.tell(Event::Ban(BanEvent {
                pid: None,
                outcome: "banned",
                spared: "",
                ban: Some(ban),
            })),
            Report::Spared { process, reason } => self.tell(Event::Ban(BanEvent {
                pid: Some(process.tgid),
                outcome: "spared",
                spared: reason.name(),
                ban: None,
            })),
            Report::Lifted(ban) => self.tell(Event::Ban(BanEvent {
                pid: None,
                outcome: "lifted",
                spared: "allowed",
                ban: Some(ban),
            })),
            Report::Refused {
                pid,
                killed,
                ban,
                origin,
            } => self.tell(Event::Respawn(RespawnEvent {
                pid,
                outcome: if killed { "killed" } else { "refused" },
                ban,
                origin,
            })),
            Report::Recognised {
                process,
                image,
                ban,
                origin,
            } => {
                let digest = ban.sha256.as_deref().and_then(Digest::parse);
                self.tell(Event::Respawn(RespawnEvent {
                    pid: process.tgid,
                    outcome: "recognised",
                    ban,
                    origin,
                }));
                // It may execute something else by now; and what is known here may
                // be of the image before, of which the record still waits.
                self.drain();
                if !host::executes(process, image) {
                    return;
                }
                let process = self.exact(process);
                let subject = self.collector.get_or_insert(process);
                if subject.image() != Some(image) {
                    return;
                }
                let family = subject.case.family;
                let listed = self.reputation.allow_list();
                subject.case.allowed = matches(&self.config.policy.allow, subject, family, digest)
                    || digest.is_some_and(|digest| listed.get(&digest).is_some());
                subject.case.banned = true;
                self.act(process, monotonic_ns());
            }
        }
    }

    /// The same process, by its start as the probes know it. Who was found in
    /// `/proc` has one cut to clock ticks, by which no later sample finds it.
    fn exact(&self, process: Process) -> Process {
        let mut exact = process;
        if process.start_ns.is_multiple_of(host::tick_ns()) {
            self.probes.tasks(|_, slot| {
                let is_leader = slot.tid == process.tgid && slot.tgid == process.tgid;
                if is_leader && host::ticks(slot.start_ns) == host::ticks(process.start_ns) {
                    exact.start_ns = slot.start_ns;
                }
            });
        }
        exact
    }
}
