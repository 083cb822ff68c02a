//! Fits the model: a logistic regression, and the mixes of known miners.
//!
//! *Is it hashing?* is fitted to miners against other work. What is labelled
//! hashing is left out of that: half of what a checksum tool or a backup does
//! is something else. What makes hashing mining is not fitted, but set, each weight
//! with its reason (`monitor/core/src/score/mining.rs`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use linfa::prelude::*;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use unjack_core::{
    isa::{Class, Mix},
    profile::Summary,
    score::{
        Family, Linear, Model, ModelData, PrototypeData, Witness,
        features::{self, Feature, Sign, View},
    },
};

use super::{Label, Program};

/// Strength of the pull of all weights towards 0, the same for every weight:
/// it keeps a program that is alone of its kind from having a weight made for
/// it.
const PULL: f64 = 0.5;
/// Windows of each program in a fit: all programs count alike.
const WINDOWS: usize = 6;
/// Mixing code below which a miner's mix says nothing about its algorithm.
const INTERPRETED: f64 = 0.01;
/// Distance at which two mixes of a family are one prototype.
const SAME: f64 = 0.06;
/// Distance up to which a family is named.
const NAMED: f64 = 0.1;
/// Algorithms that are meant to need a large scratchpad, by their authors.
const MEMORY_HARD: [Family; 8] = [
    Family::RandomX,
    Family::CryptoNight,
    Family::Argon2,
    Family::Scrypt,
    Family::Yescrypt,
    Family::WasmArgon2,
    Family::WasmScrypt,
    Family::WasmCryptoNight,
];

/// Algorithms that were made for mining, and that no other software has.
const MINING_ONLY: [Family; 3] = [
    Family::RandomX,
    Family::CryptoNight,
    Family::WasmCryptoNight,
];
/// What the rounding mode weighs. Set, not fitted: the corpus has one algorithm that
/// changes it, so that judging a program of that without it would leave the witness
/// without weight. It outweighs all that can be said against it: an interpreter of
/// `RandomX` looks like any interpreter.
const ROUNDING: f64 = 24.0;
/// What a loop of a cache line or two weighs against hashing. Set: the corpus has
/// few of them, and there is no end of such loops.
const TINY_LOOP: f64 = -16.0;
/// What code that does not mix weighs against hashing. Set: encoders come in more forms
/// than the corpus has.
const PLAIN: f64 = -4.0;
/// What the numbers of an algorithm that nothing mines with weigh. Set: the corpus has
/// few programs that do nothing else.
const OTHER_SIGNATURE: f64 = -4.0;
/// The features whose weights are set.
const SET: [(Witness, f64); 4] = [
    (Witness::RoundingMode, ROUNDING),
    (Witness::TinyLoop, TINY_LOOP),
    (Witness::Plain, PLAIN),
    (Witness::OtherSignature, OTHER_SIGNATURE),
];
/// What is added to the odds that it hashes: the fit asks which is likelier, and
/// whether it mines stands behind that.
const LEANING: f64 = 1.5;

/// Fits a model to these programs.
///
/// # Errors
/// The fit does not converge.
pub fn train(programs: &[Program]) -> Result<ModelData> {
    let mut data = ModelData {
        version: 3,
        provenance: format!(
            "Fitted by `cargo xtask train` to {} programs ({} miners) recorded in \
             tests/corpus/windows.jsonl; docs/DETECTION.md says how it does on programs it was \
             not fitted to.",
            programs.len(),
            programs.iter().filter(|p| p.label == Label::Miner).count()
        ),
        hashing: Linear::default(),
        family_distance: NAMED,
        memory_hard: MEMORY_HARD.into(),
        mining_only: MINING_ONLY.into(),
        prototypes: prototypes(programs),
    };
    data.hashing = hashing(programs, &data)?;
    data.hashing.bias = rounded(data.hashing.bias + LEANING);
    Ok(data)
}

/// What a feature weighs, if that is set.
fn set(feature: &str) -> Option<f64> {
    let known = SET
        .into_iter()
        .find(|(witness, _)| witness.name() == feature);
    known.map(|(_, weight)| weight)
}

/// One row of a fit: features by name, and whether the answer is yes.
type Row = (Vec<f64>, bool);

fn hashing(programs: &[Program], data: &ModelData) -> Result<Linear> {
    let names: Vec<(&str, Sign)> = Class::ALL
        .map(|class| (class.name(), Sign::Any))
        .into_iter()
        .chain(features::HASHING.map(|feature| (feature.witness.name(), feature.sign)))
        .collect();
    let mut rows = Vec::new();
    for program in programs.iter().filter(|p| p.label != Label::Hashing) {
        let model = without(data, program)?;
        rows.extend(balanced(program).map(|summary| {
            let view = model.view(summary);
            let classes = Class::ALL.map(|class| features::class(summary, class));
            let others = values(&features::HASHING, &view);
            let row: Vec<f64> = classes.into_iter().chain(others).collect();
            (row, program.label == Label::Miner)
        }));
    }
    fit(&names, &rows).context("cannot fit hashing")
}

/// The model as far as it is fitted, without the program's own mixes: a miner
/// that it knows by heart is at no distance.
fn without(data: &ModelData, program: &Program) -> Result<Model> {
    let mut data = data.clone();
    data.prototypes
        .retain(|prototype| prototype.variant != program.name);
    Ok(Model::new(data)?)
}

fn values<const N: usize>(features: &[Feature; N], view: &View<'_>) -> impl Iterator<Item = f64> {
    features.map(|feature| (feature.value)(view)).into_iter()
}

/// So many windows of every program, over and over where it has fewer.
fn balanced(program: &Program) -> impl Iterator<Item = &Summary> {
    let all: Vec<&Summary> = program.windows().collect();
    let step = all.len().div_ceil(WINDOWS).max(1);
    let some: Vec<&Summary> = all.into_iter().step_by(step).collect();
    let count = if some.is_empty() { 0 } else { WINDOWS };
    (0..count).map(move |n| some[n % some.len()])
}

/// As many rows with one answer as with the other, over and over where there
/// are fewer: how common miners are in the corpus says nothing about a host.
fn even(rows: &[Row]) -> Vec<&Row> {
    let (yes, no): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|(_, answer)| *answer);
    let count = yes.len().max(no.len());
    let yes = yes.into_iter().cycle().take(count);
    let no = no.into_iter().cycle().take(count);
    yes.chain(no).collect()
}

/// Fits log-odds. A feature that comes out speaking the wrong way is left out,
/// and the rest fitted anew. What is set is added to the result.
fn fit(names: &[(&str, Sign)], rows: &[Row]) -> Result<Linear> {
    let rows = even(rows);
    let fitted = |feature: &usize| set(names[*feature].0).is_none();
    let mut used: Vec<usize> = (0..names.len()).filter(fitted).collect();
    loop {
        let values = rows
            .iter()
            .flat_map(|(row, _)| used.iter().map(|feature| row[*feature]))
            .collect();
        let records = Array2::from_shape_vec((rows.len(), used.len()), values)?;
        let answers: Array1<bool> = rows.iter().map(|(_, answer)| *answer).collect();
        let fitted = LogisticRegression::default()
            .alpha(PULL)
            .max_iterations(2000)
            .fit(&Dataset::new(records, answers))?;
        // Which of the two answers the sum speaks for is up to the crate.
        let towards = if fitted.labels().pos.class { 1.0 } else { -1.0 };
        let weights: Vec<f64> = fitted.params().iter().map(|w| towards * w).collect();
        let wrong = |(feature, weight): (&usize, &f64)| {
            let wrong = match names[*feature].1 {
                Sign::For => *weight < 0.0,
                Sign::Against => *weight > 0.0,
                Sign::Any => false,
            };
            wrong.then_some((*feature, weight.abs()))
        };
        let worst = used
            .iter()
            .zip(&weights)
            .filter_map(wrong)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((feature, _)) = worst {
            used.retain(|used| *used != feature);
            continue;
        }
        let by_fit = used.iter().zip(weights);
        let by_fit = by_fit.map(|(feature, weight)| (names[*feature].0, rounded(weight)));
        let by_hand = names
            .iter()
            .filter_map(|(name, _)| Some((*name, set(name)?)));
        return Ok(Linear {
            bias: rounded(towards * fitted.intercept()),
            weights: by_fit
                .chain(by_hand)
                .map(|(name, weight)| (name.to_owned(), weight))
                .collect(),
        });
    }
}

/// Three decimals: what a person reads, and far below what matters.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The mixes of the miners, each program's variants together, without those
/// that are as good as the same.
fn prototypes(programs: &[Program]) -> Vec<PrototypeData> {
    let mut found: Vec<(PrototypeData, Mix)> = Vec::new();
    for program in programs.iter().filter(|p| p.label == Label::Miner) {
        let mut mix = Mix::default();
        let mut mixing = 0.0;
        for summary in program.windows() {
            mix.merge(summary.essence());
            mixing += summary.code.mixing_share / program.windows().count() as f64;
        }
        // An interpreter's mix is that of any interpreter.
        if mixing < INTERPRETED {
            continue;
        }
        let family = Family::of_algorithm(&program.family);
        let same =
            |(known, of): &(PrototypeData, Mix)| known.family == family && of.distance(&mix) < SAME;
        if mix.total() == 0 || found.iter().any(same) {
            continue;
        }
        let shares: BTreeMap<String, f64> = mix
            .shares()
            .filter(|(_, share)| *share >= 0.0005)
            .map(|(class, share)| (class.name().to_owned(), rounded(share)))
            .collect();
        let data = PrototypeData {
            family,
            variant: program.name.clone(),
            mix: shares,
        };
        found.push((data, mix));
    }
    found.into_iter().map(|(data, _)| data).collect()
}
