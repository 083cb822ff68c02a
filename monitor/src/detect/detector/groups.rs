//! Processes that are alike, judged together.
//!
//! A miner that takes a new pid every second, or splits into many processes of
//! a few percent each, gives no single process to judge. What such processes
//! have in common is their image, or at least their cgroup. Only those that
//! hash are put together: what else runs under the same image or in the same
//! cgroup does not thin the evidence, and is never condemned with the rest.
//!
//! Bounds: [`MAX_GROUPS`], each with [`MAX_LOOKS`] samples of at most as many
//! processes that left; the group whose samples are oldest goes first.

use std::collections::{BTreeMap, VecDeque};

use crate::detect::collector::{Collector, ExitedSamples, Subject};
use unjack_core::{
    event::{ImageKey, Process},
    profile::{Burn, DecodedSample, Network, Summary, seconds},
    score::{Assessment, Model},
    shape::Shape,
    verdict::{Detection, Judgement, MIN_SAMPLES, Thresholds, Verdict},
};

/// Groups kept.
const MAX_GROUPS: usize = 256;
/// Samples kept of a group's processes that left.
const MAX_LOOKS: usize = 1000;
/// Samples without which nothing is said of a process by itself.
const OWN_SAMPLES: u32 = 20;
/// The root of the unified hierarchy: all processes are in it where cgroups are not
/// used.
const ROOT_CGROUP: u64 = 1;

/// What makes processes alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Image(ImageKey),
    Cgroup(u64),
}

/// A live process that hashes and is not condemned yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    process: Process,
    image: ImageKey,
    cgroup: u64,
    since_ns: u64,
    /// How its connections behave, …
    shape: Shape,
    /// … whether it speaks Stratum, and connected to a listed pool.
    stratum: bool,
    pool: bool,
    /// By itself it would be a miner.
    score: f64,
}

impl Member {
    /// The process, if it is one to be put together with others.
    pub(super) fn of(
        subject: &Subject,
        summary: &Summary,
        assessment: Assessment,
        since_ns: u64,
    ) -> Option<Self> {
        let hashes = summary.samples >= OWN_SAMPLES && assessment.hashes();
        hashes.then(|| Self {
            process: subject.profile.process,
            image: subject.image_key(),
            cgroup: subject.cgroup,
            since_ns,
            shape: summary.network.shape,
            stratum: summary.network.stratum,
            pool: summary.network.pool,
            score: assessment.score,
        })
    }

    /// The detection on its group, with its own evidence: what is said of a process is
    /// what that process does.
    fn detection(
        &self,
        of_group: &Detection,
        why: &str,
        collector: &mut Collector,
        model: &Model,
    ) -> Option<Detection> {
        let subject = collector.subject(self.process)?;
        let summary = Summary {
            network: Network {
                shape: self.shape,
                stratum: self.stratum,
                pool: self.pool,
            },
            ..subject.summary(self.since_ns)
        };
        let (assessment, evidence) = model.explain(&summary);
        let own = Detection {
            assessment,
            evidence,
            summary,
            ..of_group.clone()
        };
        Some(own.because(why.to_owned()))
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        keys(self.image, self.cgroup)
    }
}

fn keys(image: ImageKey, cgroup: u64) -> impl Iterator<Item = Key> {
    let image = (image.inode != 0).then_some(Key::Image(image));
    let cgroup = (cgroup > ROOT_CGROUP).then_some(Key::Cgroup(cgroup));
    image.into_iter().chain(cgroup)
}

#[derive(Debug, Default)]
struct Group {
    /// Of processes that left, in order, each within its page.
    looks: VecDeque<DecodedSample>,
    /// When those processes left.
    left_ns: VecDeque<u64>,
    /// When there was last anything to judge.
    seen_ns: u64,
    judgement: Judgement,
}

/// All groups of processes that hash.
#[derive(Debug)]
pub(super) struct Groups {
    groups: BTreeMap<Key, Group>,
    sample_hz: u32,
}

impl Groups {
    pub(super) fn new(sample_hz: u32) -> Self {
        Self {
            groups: BTreeMap::new(),
            sample_hz,
        }
    }

    /// Keeps the samples of a process that left. One that was seen to do
    /// something else than hash is left out; one that was seen too little is
    /// kept with its image only.
    pub(super) fn retire(&mut self, exited: &ExitedSamples, model: &Model) {
        let ExitedSamples {
            image,
            cgroup,
            looks,
        } = exited;
        let Some(last) = looks.last() else { return };
        let summary = Summary::of(looks.iter(), 0, &Burn::default());
        let known = summary.samples >= OWN_SAMPLES;
        if known && !model.assess(&summary).hashes() {
            return;
        }
        for key in keys(*image, *cgroup) {
            if !known && matches!(key, Key::Cgroup(_)) {
                continue;
            }
            self.make_room(key);
            let group = self.groups.entry(key).or_default();
            let looks = looks.iter().copied().map(DecodedSample::within_page);
            group.looks.extend(looks);
            let excess = group.looks.len().saturating_sub(MAX_LOOKS);
            group.looks.drain(..excess);
            group.left_ns.push_back(last.time_ns());
            let excess = group.left_ns.len().saturating_sub(MAX_LOOKS);
            group.left_ns.drain(..excess);
            group.seen_ns = last.time_ns();
        }
    }

    fn make_room(&mut self, key: Key) {
        if self.groups.len() < MAX_GROUPS || self.groups.contains_key(&key) {
            return;
        }
        let oldest = self.groups.iter().min_by_key(|(_, group)| group.seen_ns);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.groups.remove(&key);
        }
    }

    /// Judges every group of at least two. Returns the live members of those
    /// that mine, as far as each by itself looks the part.
    pub(super) fn judge(
        &mut self,
        now_ns: u64,
        members: Vec<Member>,
        collector: &mut Collector,
        model: &Model,
        thresholds: &Thresholds,
    ) -> Vec<(Process, Detection)> {
        self.forget(now_ns.saturating_sub(thresholds.patience_ns));
        let mut together: BTreeMap<Key, Vec<Member>> = BTreeMap::new();
        for member in members {
            for key in member.keys() {
                together.entry(key).or_default().push(member);
            }
        }
        for key in together.keys() {
            self.make_room(*key);
            self.groups.entry(*key).or_default().seen_ns = now_ns;
        }
        let mut condemned = Vec::new();
        for (key, group) in &mut self.groups {
            let live = together.remove(key).unwrap_or_default();
            let count = live.len() + group.left_ns.len();
            // Without a live process there is none to condemn.
            if live.is_empty() || count < 2 {
                continue;
            }
            let summary = group.summary(now_ns, &live, collector, thresholds, self.sample_hz);
            let detection = group
                .judgement
                .judge(now_ns, &summary, model, thresholds, |_| false);
            let detection = detection.or_else(|| {
                (group.judgement.verdict() == Verdict::Miner)
                    .then(|| Detection::again(&summary, model))
            });
            let Some(detection) = detection.filter(|detection| detection.verdict == Verdict::Miner)
            else {
                continue;
            };
            let what = match key {
                Key::Image(_) => "of one image",
                Key::Cgroup(_) => "in one cgroup",
            };
            let alike = format!(
                "{count} processes {what} hash in the same way, at once or one after another"
            );
            let guilty = live
                .iter()
                .filter(|member| member.score >= thresholds.min_score);
            for member in guilty {
                if let Some(own) = member.detection(&detection, &alike, collector, model) {
                    condemned.push((member.process, own));
                }
            }
        }
        condemned
    }

    fn forget(&mut self, since_ns: u64) {
        self.groups.retain(|_, group| {
            let old = group
                .looks
                .partition_point(|look| look.time_ns() < since_ns);
            group.looks.drain(..old);
            let old = group.left_ns.partition_point(|left| *left < since_ns);
            group.left_ns.drain(..old);
            group.seen_ns >= since_ns
        });
    }
}

impl Group {
    /// Sums up the members' samples. How much they burn is reckoned from the
    /// number of samples: a process that left has no counters to read.
    fn summary(
        &self,
        now_ns: u64,
        live: &[Member],
        collector: &mut Collector,
        thresholds: &Thresholds,
        sample_hz: u32,
    ) -> Summary {
        let mut live_looks: Vec<DecodedSample> = Vec::new();
        for member in live {
            if let Some(subject) = collector.subject(member.process) {
                let looks = subject.profile.looks(member.since_ns);
                live_looks.extend(looks.copied().map(DecodedSample::within_page));
            }
        }
        let window_ns = now_ns.saturating_sub(thresholds.window_ns);
        let all = || self.looks.iter().chain(&live_looks);
        let recent = all().filter(|look| look.time_ns() >= window_ns).count();
        let since_ns = if recent >= MIN_SAMPLES as usize {
            window_ns
        } else {
            now_ns.saturating_sub(thresholds.patience_ns)
        };
        let in_window = || all().filter(|look| look.time_ns() >= since_ns);
        let first_ns = in_window()
            .map(DecodedSample::time_ns)
            .min()
            .unwrap_or(now_ns);
        let span_ns = now_ns.saturating_sub(first_ns);
        let burned = in_window().count() as f64 / f64::from(sample_hz);
        let burn = Burn {
            cores: burned / seconds(span_ns).max(1.0),
            span_ns,
            until_ns: now_ns,
            ..Burn::default()
        };
        let shapes = live.iter().map(|member| member.shape);
        let shape = shapes.max_by_key(|shape| (shape.pushes, shape.submissions));
        Summary {
            network: Network {
                shape: shape.unwrap_or_default(),
                stratum: live.iter().any(|member| member.stratum),
                pool: live.iter().any(|member| member.pool),
            },
            ..Summary::of(in_window(), since_ns, &burn)
        }
    }
}

#[cfg(test)]
mod tests;
