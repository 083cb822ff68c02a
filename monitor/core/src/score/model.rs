//! The model: numbers in `model/`, read once at start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    family::Family,
    features::{self, Feature, View},
};
use crate::{
    isa::{CLASSES, Class, Mix},
    profile::{Place, Summary},
};

/// The model this program was built with.
static SHIPPED: &str = include_str!("../../model/model.json");

/// Certainty of `RandomX` by its rounding modes from which it is that whatever the mix:
/// its interpreter's is that of any interpreter.
const ROUNDED_FROM: f64 = 0.99;

/// Distance up to which a mix is that of an algorithm that only mines: closer
/// than for a name, as it makes a miner of what has no connection.
const MINING_ONLY_DISTANCE: f64 = 0.08;
/// Samples from which code alone says that an algorithm only mines: a few of any program
/// may look like it.
const MINING_ONLY_SAMPLES: u32 = 40;
/// The known mixes are of this kind of processor. Elsewhere the same algorithm has another
/// mix, and another algorithm may have that one: yescrypt, with which logins hash
/// passwords, has `CryptoNight`'s on aarch64.
const SAME_PROCESSOR: bool = cfg!(target_arch = "x86_64");
/// Cache lines of hot code (2 KiB) up to which a mix is `CryptoNight`'s: it is one loop,
/// also without the processor's own AES. Hashes that look up the same tables, such as
/// Grøstl, unroll their rounds over much more. `RandomX` does, too: each of its programs
/// is other code.
const CRYPTONIGHT_LINES: f64 = 32.0;

/// Distance up to which generated code is taken for `WebAssembly`'s: what Java
/// makes of SHA-3 is 0.10 to 0.12 from it. (Of SHA-256 without the processor's own
/// instructions it makes the same, 0.02: only the data tell that.)
const WASM_DISTANCE: f64 = 0.08;
/// The same of what is memory-hard, which differs more from engine to engine. What
/// honest programs generate that is nearer to this than to other `WebAssembly` is
/// 0.28 from it or more.
const WASM_HARD_DISTANCE: f64 = 0.12;

/// Mixes so close to each other are not told apart.
const AS_GOOD: f64 = 0.05;
/// The same of generated code, of which more is known: what its offsets point to.
const AS_GOOD_GENERATED: f64 = 0.02;

/// Share of the code that lies in memory without a file from which it may be
/// `WebAssembly`: engines compile it there.
const GENERATED: f64 = 0.3;

/// The model's data does not make a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It does not parse, or speaks of a family that does not exist.
    #[error("the model does not parse: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A class or feature that does not exist.
    #[error("the model speaks of {0:?}, which is no instruction class and no feature")]
    Feature(String),
}

/// The model as data: what is trained, stored and read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelData {
    /// Version of the form.
    pub version: u32,
    /// Where the numbers come from.
    pub provenance: String,
    /// Is it hashing?
    pub hashing: Linear,
    /// Distance up to which a family is named, 0 to 1.
    pub family_distance: f64,
    /// Families whose algorithm works on a scratchpad larger than a cache.
    pub memory_hard: Vec<Family>,
    /// Families whose algorithm serves nothing but mining.
    pub mining_only: Vec<Family>,
    /// Mixes of known miners.
    pub prototypes: Vec<PrototypeData>,
}

/// A weighted sum, to be read as log-odds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// The sum with all features 0.
    pub bias: f64,
    /// Weights by feature; one that is not there is 0.
    pub weights: BTreeMap<String, f64>,
}

/// The mix of a known miner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrototypeData {
    /// Of which family.
    pub family: Family,
    /// Which implementation.
    pub variant: String,
    /// Shares by class, 0 to 1, of the code that mixes.
    pub mix: BTreeMap<String, f64>,
}

/// The mix of a known miner.
#[derive(Clone, Debug)]
pub(super) struct Prototype {
    /// Of which family.
    pub(super) family: Family,
    /// Which implementation.
    pub(super) variant: String,
    pub(super) memory_hard: bool,
    pub(super) mining_only: bool,
    shares: [f64; CLASSES],
}

/// What the score is computed with.
#[derive(Clone, Debug)]
pub struct Model {
    hashing_bias: f64,
    classes: [f64; CLASSES],
    hashing: Vec<(Feature, f64)>,
    /// Distance up to which a family is named, 0 to 1.
    pub(super) family_distance: f64,
    prototypes: Vec<Prototype>,
}

impl Model {
    /// The model this program was built with.
    ///
    /// # Errors
    /// It is broken; a test sees to it that a released one is not.
    pub fn shipped() -> Result<Self, ModelError> {
        Self::new(serde_json::from_str(SHIPPED)?)
    }

    /// A model of these numbers.
    ///
    /// # Errors
    /// They speak of something that does not exist.
    pub fn new(data: ModelData) -> Result<Self, ModelError> {
        let ModelData {
            version: _,
            provenance: _,
            mut hashing,
            family_distance,
            memory_hard,
            mining_only,
            prototypes,
        } = data;
        let classes = Class::ALL.map(|class| hashing.weights.remove(class.name()).unwrap_or(0.0));
        let prototypes = prototypes
            .into_iter()
            .map(|data| Prototype::new(data, &memory_hard, &mining_only));
        Ok(Self {
            classes,
            hashing: features(&features::HASHING, &mut hashing)?,
            hashing_bias: hashing.bias,
            family_distance,
            prototypes: prototypes.collect::<Result<_, _>>()?,
        })
    }

    /// Log-odds that this hashes.
    pub(super) fn hashing(&self, view: &View<'_>) -> f64 {
        let weigh = |(feature, weight): &(Feature, f64)| weight * (feature.value)(view);
        let features: f64 = self.hashing.iter().map(weigh).sum();
        self.mix(view) + features
    }

    /// What the mix says of that, other features aside.
    pub(super) fn mix(&self, view: &View<'_>) -> f64 {
        let class = |class| self.classes[class as usize] * features::class(view.summary, class);
        let classes: f64 = Class::ALL.into_iter().map(class).sum();
        self.hashing_bias + classes
    }

    /// The features besides the classes, with their weights.
    pub(super) fn hashing_features(&self) -> &[(Feature, f64)] {
        &self.hashing
    }

    /// Whether a memory-hard miner is as good as the closest, at `distance`.
    fn memory_hard(&self, summary: &Summary, distance: f64) -> bool {
        let shares = shares(summary.essence());
        let as_good = if summary.essence_place(Place::Anonymous) < GENERATED {
            AS_GOOD
        } else {
            AS_GOOD_GENERATED
        };
        let up_to = distance.min(self.family_distance) + as_good;
        self.prototypes
            .iter()
            .any(|prototype| prototype.memory_hard && prototype.distance(&shares) <= up_to)
    }

    /// The prototype a mix is most like, and its distance.
    pub(super) fn closest(&self, summary: &Summary) -> Option<(&Prototype, f64)> {
        let mix = summary.essence();
        if mix.total() == 0 {
            return None;
        }
        let shares = shares(mix);
        let distance = |prototype: &Prototype| prototype.distance(&shares);
        let closest = |wasm: bool| {
            let prototypes = self
                .prototypes
                .iter()
                .filter(|p| p.family.is_wasm() == wasm);
            prototypes
                .map(|prototype| (prototype, distance(prototype)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let native = closest(false);
        if summary.essence_place(Place::Anonymous) < GENERATED {
            return native;
        }
        // The same algorithm is much the same in both: generated code is rather
        // WebAssembly's, unless it is an algorithm that generates code itself.
        let up_to = |prototype: &Prototype| {
            if prototype.memory_hard {
                WASM_HARD_DISTANCE
            } else {
                WASM_DISTANCE
            }
        };
        let wasm = closest(true).filter(|(prototype, distance)| *distance <= up_to(prototype));
        match (native, wasm) {
            (Some((native, distance)), _) if native.is_mining_only(distance, summary) => {
                Some((native, distance))
            }
            (native, wasm) => wasm.or(native),
        }
    }

    /// The profile, seen beside the known miner it is most like.
    #[must_use]
    pub fn view<'a>(&self, summary: &'a Summary) -> View<'a> {
        self.compare(summary).0
    }

    /// The same, and that miner.
    pub(super) fn compare<'a>(&self, summary: &'a Summary) -> (View<'a>, Option<&Prototype>) {
        let closest = self.closest(summary);
        let enough = summary.samples >= MINING_ONLY_SAMPLES;
        let only = enough
            && closest
                .is_some_and(|(prototype, distance)| prototype.is_mining_only(distance, summary));
        let rounds = features::rounding(summary) >= ROUNDED_FROM;
        let view = View {
            distance: closest.map_or(1.0, |(_, distance)| distance),
            memory_hard: closest.is_some_and(|(_, distance)| self.memory_hard(summary, distance)),
            wasm: closest.is_some_and(|(prototype, _)| prototype.family.is_wasm()),
            mining_only: only || rounds || enough && features::is_cryptonight(summary),
            randomx: rounds
                || only
                    && closest.is_some_and(|(prototype, _)| prototype.family == Family::RandomX),
            ..View::alone(summary)
        };
        (view, closest.map(|(prototype, _)| prototype))
    }
}

/// Takes the features' weights. Those that are 0 are left out.
fn features(known: &[Feature], linear: &mut Linear) -> Result<Vec<(Feature, f64)>, ModelError> {
    let weighed = known.iter().filter_map(|feature| {
        let weight = linear.weights.remove(feature.witness.name())?;
        Some((*feature, weight))
    });
    let weighed = weighed.collect();
    match linear.weights.pop_first() {
        Some((unknown, _)) => Err(ModelError::Feature(unknown)),
        None => Ok(weighed),
    }
}

/// The share of each class.
fn shares(mix: &Mix) -> [f64; CLASSES] {
    Class::ALL.map(|class| mix.share(class))
}

impl Prototype {
    /// Whether code with a mix at this distance is an algorithm that only mines.
    fn is_mining_only(&self, distance: f64, summary: &Summary) -> bool {
        SAME_PROCESSOR
            && self.mining_only
            && distance <= MINING_ONLY_DISTANCE
            && (self.family.generates_code() || summary.code.hot_lines <= CRYPTONIGHT_LINES)
    }

    /// Which miner it is, for a person.
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.family, self.variant)
    }

    /// Part of the instructions that are of another class.
    fn distance(&self, shares: &[f64; CLASSES]) -> f64 {
        let apart = shares.iter().zip(self.shares).map(|(a, b)| (a - b).abs());
        apart.sum::<f64>() / 2.0
    }

    fn new(
        data: PrototypeData,
        memory_hard: &[Family],
        mining_only: &[Family],
    ) -> Result<Self, ModelError> {
        let PrototypeData {
            family,
            variant,
            mix,
        } = data;
        let mut shares = [0.0; CLASSES];
        for (name, share) in mix {
            let class = Class::ALL.into_iter().find(|class| class.name() == name);
            shares[class.ok_or(ModelError::Feature(name))? as usize] = share;
        }
        Ok(Self {
            memory_hard: memory_hard.contains(&family),
            mining_only: mining_only.contains(&family),
            family,
            variant,
            shares,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> ModelData {
        serde_json::from_str(SHIPPED).unwrap()
    }

    #[test]
    fn the_shipped_model_parses_and_its_mixes_are_whole() {
        let model = Model::shipped().unwrap();
        for Prototype {
            family,
            variant,
            shares,
            ..
        } in &model.prototypes
        {
            let sum: f64 = shares.iter().sum();
            assert!((sum - 1.0).abs() < 0.02, "{family} {variant} sums to {sum}");
        }
    }

    #[test]
    fn every_family_has_a_prototype() {
        let model = Model::shipped().unwrap();
        for family in Family::ALL {
            assert!(
                model.prototypes.iter().any(|p| p.family == family),
                "{family}"
            );
        }
    }

    /// A feature that has a class's name would lose its weight to the class.
    #[test]
    fn no_feature_is_called_like_a_class() {
        for feature in &features::HASHING {
            let class = Class::ALL
                .iter()
                .find(|class| class.name() == feature.witness.name());
            assert_eq!(class, None);
        }
    }

    /// A fit may not use a witness the wrong way round.
    #[test]
    fn every_witness_speaks_the_way_it_may() {
        let model = Model::shipped().unwrap();
        for (feature, weight) in &model.hashing {
            let fits = match feature.sign {
                features::Sign::For => *weight >= 0.0,
                features::Sign::Against => *weight <= 0.0,
                features::Sign::Any => true,
            };
            assert!(fits, "{} weighs {weight}", feature.witness);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        let mut data = shipped();
        data.hashing.weights.insert("twist".to_owned(), 1.0);
        assert!(matches!(Model::new(data), Err(ModelError::Feature(name)) if name == "twist"));
        let script = SHIPPED.replacen("\"x11-like\"", "\"script\"", 1);
        let error = serde_json::from_str::<ModelData>(&script).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("family \"script\" does not exist"),
            "{error}"
        );
    }
}
