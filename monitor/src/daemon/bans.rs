//! Bans, as far as they are about processes: who is condemned with its image, and
//! what is done about a process that executes a copy of one.

use super::{Daemon, monotonic_ns, rules::matches};
use crate::{
    action::ban::{Bans, Condemned, Report},
    collector::Subject,
    config::Rule,
    host::Image,
    journal::{BanEvent, Event, RespawnEvent},
    verdict::Verdict,
};

/// Has the image of a process that is about to be ended banned, if it was found
/// to mine. What was only recognised is banned already.
pub(super) fn condemn(bans: &Bans, subject: &mut Subject, image: Image, deny: &[Rule]) {
    if subject.case.judgement.verdict() != Verdict::Miner || subject.case.banned {
        return;
    }
    let family = subject.case.family;
    bans.condemn(Condemned {
        process: subject.profile.process,
        image,
        key: subject.image_key(),
        homes: subject.homes(),
        family,
        denied: matches(deny, subject, family),
    });
}

impl Daemon {
    /// Tells what became of bans, and acts on who executes a copy.
    pub(super) fn take_ban_report(&mut self, report: Report) {
        match report {
            Report::Banned(ban) => self.teller.tell(Event::Ban(BanEvent {
                pid: None,
                outcome: "banned",
                spared: "",
                ban: Some(ban),
            })),
            Report::Spared { process, reason } => self.teller.tell(Event::Ban(BanEvent {
                pid: Some(process.tgid),
                outcome: "spared",
                spared: reason.name(),
                ban: None,
            })),
            Report::Refused {
                pid,
                killed,
                ban,
                origin,
            } => self.teller.tell(Event::Respawn(RespawnEvent {
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
                self.teller.tell(Event::Respawn(RespawnEvent {
                    pid: process.tgid,
                    outcome: "recognised",
                    ban,
                    origin,
                }));
                let subject = self.collector.summon(process);
                // It may execute something else by now.
                if subject.image() != Some(image) {
                    return;
                }
                let family = subject.case.family;
                subject.case.allowed = matches(&self.config.allow, subject, family);
                subject.case.banned = true;
                self.act(process, monotonic_ns());
            }
        }
    }
}
