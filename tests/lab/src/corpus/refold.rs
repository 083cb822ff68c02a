//! From a file of samples to the windows that `unjack record` would write now.
//!
//! A recording's windows were summed up by the unjack that recorded; when what a
//! summary says has changed since, they are summed up anew from the samples.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, Result};
use monitor::commands::record::samples::{self, Frame};
use serde_json::Value;
use unjack_core::event::{self, Event, ImageKey, Process};
use unjack_core::isa::Arch;
use unjack_core::profile::{Place, Profile, seconds};
use unjack_core::shape::Shape;
use unjack_core::verdict::{MIN_SAMPLES, Thresholds};

use super::recording::{self, Window};
use crate::code::{Code, Kept, Seen};

/// A process whose samples are being taken in.
struct Fold {
    profile: Profile,
    image: ImageKey,
    /// When each of its user samples was taken, of which code, and where that lay.
    codes: VecDeque<(u64, u32, u8)>,
}

impl Fold {
    /// How often each code was seen since then.
    fn seen(&self, since_ns: u64) -> Vec<Seen> {
        let mut counts: BTreeMap<(u32, u8), u32> = BTreeMap::new();
        for (_, code, place) in self.codes.iter().filter(|(at, ..)| *at >= since_ns) {
            *counts.entry((*code, *place)).or_default() += 1;
        }
        let seen = counts.into_iter();
        seen.map(|((code, place), count)| Seen(code, place, count))
            .collect()
    }
}

/// The windows of each process, in time.
///
/// # Errors
///
/// When the file cannot be read, or is damaged.
pub(super) fn windows(
    file: &Path,
    kept: &mut Kept,
) -> Result<BTreeMap<recording::Process, Vec<Window>>> {
    let at = || file.display().to_string();
    fold(file, kept).with_context(at)
}

fn fold(file: &Path, kept: &mut Kept) -> Result<BTreeMap<recording::Process, Vec<Window>>> {
    // Recorded on this machine's kind of processor: code of another would not
    // be decoded as what it is.
    let arch = Arch::HOST.context("no decoder for this processor")?;
    let mut from = BufReader::with_capacity(1 << 20, File::open(file)?);
    samples::open(&mut from)?;
    let mut folds: BTreeMap<Process, Fold> = BTreeMap::new();
    let mut windows: BTreeMap<recording::Process, Vec<Window>> = BTreeMap::new();
    let mut heard: BTreeSet<Process> = BTreeSet::new();
    let mut shapes: BTreeMap<Process, Shape> = BTreeMap::new();
    let mut begun_ns = None;
    while let Some(frame) = samples::next(&mut from)? {
        match frame {
            Frame::Heard(process) => {
                heard.insert(process);
            }
            Frame::Shape(process, shape) => {
                shapes.insert(process, shape);
            }
            Frame::Sample(record, place) => {
                let Event::Sample(sample) = event::decode(&record)? else {
                    continue;
                };
                begun_ns.get_or_insert(sample.time_ns);
                let fold = folds.entry(sample.process).or_insert_with(|| Fold {
                    profile: Profile::new(sample.process),
                    image: sample.image,
                    codes: VecDeque::new(),
                });
                if fold.image != sample.image {
                    fold.profile.reset();
                    fold.codes.clear();
                    fold.image = sample.image;
                }
                if !sample.kernel {
                    let known = Place::ALL.iter().position(|known| *known == place);
                    let place = known.and_then(|number| u8::try_from(number).ok());
                    let code = kept.number(Code::of(&sample));
                    fold.codes
                        .push_back((sample.time_ns, code, place.unwrap_or(u8::MAX)));
                }
                fold.profile.add(arch, &sample, place);
            }
            Frame::Reading(process, image, reading) => {
                let Some(fold) = folds.get_mut(&process) else {
                    continue;
                };
                fold.profile.read(reading);
                let Thresholds {
                    window_ns,
                    patience_ns,
                    ..
                } = Thresholds::DEFAULT;
                let now_ns = reading.time_ns;
                let oldest_ns = now_ns.saturating_sub(patience_ns);
                fold.profile.forget_before(oldest_ns);
                while (fold.codes.front()).is_some_and(|(at, ..)| *at < oldest_ns) {
                    fold.codes.pop_front();
                }
                let since_ns = fold
                    .profile
                    .since(now_ns, window_ns, patience_ns, MIN_SAMPLES);
                let mut summary = fold.profile.summary(since_ns);
                summary.network.stratum = heard.contains(&process);
                summary.network.shape = shapes.get(&process).copied().unwrap_or_default();
                if summary.samples == 0 {
                    continue;
                }
                let Value::Object(members) = serde_json::to_value(&summary)? else {
                    continue;
                };
                let begun_ns = begun_ns.unwrap_or(now_ns);
                windows
                    .entry(recording::Process::new(process, image))
                    .or_default()
                    .push(Window {
                        t: seconds(now_ns.saturating_sub(begun_ns)),
                        samples: f64::from(summary.samples),
                        summary: members,
                        seen: fold.seen(since_ns),
                    });
            }
        }
    }
    Ok(windows)
}
