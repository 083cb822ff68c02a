//! The recording of `--record`: what processes were judged by, written after all
//! were judged.

use super::Daemon;
use crate::{commands::record::encoder::Known, policy::config::RuleKey};
use unjack_core::{event::Process, verdict::Verdict};

impl Daemon {
    /// Records this tick.
    pub(super) fn record(&mut self, now_ns: u64) {
        let Self {
            config,
            collector,
            reputation,
            pipeline,
            recording,
            metrics,
            probes,
            ..
        } = self;
        let Some(writer) = recording else { return };
        let policy = &config.policy;
        let by_path =
            (policy.allow.iter().chain(&policy.deny)).any(|rule| rule.key == RuleKey::Exe);
        let everybody = |_: Process| true;
        writer
            .encoder
            .loses(crate::commands::record::lost(probes, collector));
        writer
            .encoder
            .tick(now_ns, collector.subjects(), everybody, |subject| {
                let (process, image) = (subject.profile.process, subject.image());
                Known {
                    heard: pipeline.witnesses.of(process),
                    sha256: reputation.digest(process, image),
                    // Of others that was not looked at for the verdict, either.
                    look: by_path || subject.case.judgement.verdict() != Verdict::None,
                }
            });
        if let Some(ended) = writer.write() {
            tracing::warn!(
                "the recording ended: {}; all of it can be replayed",
                ended.name()
            );
            metrics.count_recording(ended);
            *recording = None;
        }
    }
}
