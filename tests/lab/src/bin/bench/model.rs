//! What judging costs, per process and window.

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use unjack_core::{
    event::{Process, Sample},
    isa::Arch,
    profile::{Place, Profile, Reading},
    score::Model,
    verdict::{Judgement, Thresholds},
};

use super::{ROUNDS, spread};

/// Samples in a window: one core for five seconds.
const SAMPLES: u64 = 495;
const SECOND_NS: u64 = 1_000_000_000;
/// Windows judged in a round.
const WINDOWS: u32 = 400;

/// Microseconds of every step from samples to a judgement, over real code: this
/// program's own.
pub(super) fn model() -> Result<()> {
    let arch = Arch::HOST.context("no decoder for this processor")?;
    let model = Model::shipped()?;
    let samples = samples()?;
    let profile = profile(arch, &samples);
    let summary = profile.summary(0);
    println!("\n{:<44} {:>8} (least to most) µs", "judging", "median");
    show("taking in a sample, decoded", SAMPLES, || {
        black_box(self::profile(arch, &samples));
    });
    show("a window of 5 s of one core, summarized", 1, || {
        black_box(profile.summary(0));
    });
    show("the same, assessed by the model", 1, || {
        black_box(model.assess(&summary));
    });
    show("summarized, assessed and judged", 1, || {
        let summary = profile.summary(0);
        let mut judgement = Judgement::default();
        let now_ns = 5 * SECOND_NS;
        black_box(judgement.judge(now_ns, &summary, &model, &Thresholds::DEFAULT, |_| false));
    });
    show("worded, when a verdict is reported", 1, || {
        black_box(model.evidence(&summary));
    });
    Ok(())
}

/// Prints what one of `parts` of `work` takes.
fn show(what: &str, parts: u64, mut work: impl FnMut()) {
    let mut round = || {
        let begun = Instant::now();
        for _ in 0..WINDOWS {
            work();
        }
        let each: Duration = begun.elapsed() / WINDOWS;
        each.as_secs_f64() * 1e6 / parts as f64
    };
    let (least, median, most) = spread((0..ROUNDS).map(|_| round()).collect());
    println!("{what:<44} {median:>8.2} ({least:.2} to {most:.2})");
}

/// Windows of this program's own code, as a sampler would find them.
fn samples() -> Result<Vec<Sample>> {
    let process = Process {
        tgid: 1,
        start_ns: 1,
    };
    let program = fs::read("/proc/self/exe")?;
    let text = &program[program.len() / 3..];
    let sample = |n: u64| {
        let place = usize::try_from(n * 97 % 64).unwrap_or(0) * 64;
        let time_ns = n * 5 * SECOND_NS / SAMPLES;
        let mut sample = Sample::user(
            process,
            1,
            time_ns,
            0x5555_0000_0000 + place as u64,
            &text[place..place + 64],
        );
        sample.registers =
            std::array::from_fn(|register| 0x7f00_0000_0000 + n * 64 * register as u64);
        sample
    };
    Ok((0..SAMPLES).map(sample).collect())
}

fn profile(arch: Arch, samples: &[Sample]) -> Profile {
    let mut profile = Profile::new(samples[0].process);
    for sample in samples {
        profile.add(arch, sample, Place::File);
    }
    for second in 0..=5 {
        profile.read(Reading {
            time_ns: second * SECOND_NS,
            cpu_ns: second * SECOND_NS,
            ..Reading::default()
        });
    }
    profile
}
