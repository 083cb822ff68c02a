//! The model: numbers in `monitor/model/`, read once at start.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::isa::{CLASSES, Class, Mix};

/// The families of hash algorithm that are told apart.
pub const FAMILIES: [&str; 5] = ["randomx", "sha256d", "scrypt", "argon2", "unknown-pow"];

/// The model this program was built with.
static SHIPPED: &str = include_str!("../../model/first.json");

/// The model's data does not make a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It does not parse.
    #[error("the model does not parse: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A class the decoder does not know.
    #[error("the model speaks of instruction class {0:?}, which does not exist")]
    Class(String),
    /// A family the metrics do not know.
    #[error("the model speaks of family {0:?}, which does not exist")]
    Family(String),
}

/// The mix of a known program of a family.
#[derive(Clone, Debug)]
pub(super) struct Prototype {
    /// One of [`FAMILIES`].
    pub(super) family: &'static str,
    /// Which implementation.
    pub(super) variant: String,
    shares: [f64; CLASSES],
}

/// What the score is computed with.
#[derive(Clone, Debug)]
pub struct Model {
    weights: [f64; CLASSES],
    /// Weighted sum from which it is more likely hashing than not.
    pub(super) threshold: f64,
    /// How fast certainty grows beyond it.
    pub(super) slope: f64,
    /// Cache lines below which a loop is too small to be a hash.
    pub(super) loop_lines: f64,
    /// What the smallest loop takes from the sum.
    pub(super) loop_penalty: f64,
    /// I/O at which half of the work counts as serving something.
    pub(super) io_bytes_per_cpu_second: f64,
    /// The same for code of the host's own libraries.
    pub(super) library_share: f64,
    /// The same for waiting.
    pub(super) voluntary_per_cpu_second: f64,
    /// Distance up to which a family is named, 0 to 1.
    pub(super) family_distance: f64,
    prototypes: Vec<Prototype>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u32,
    #[serde(rename = "provenance")]
    _provenance: String,
    weights: BTreeMap<String, f64>,
    threshold: f64,
    slope: f64,
    loop_lines: f64,
    loop_penalty: f64,
    io_bytes_per_cpu_second: f64,
    library_share: f64,
    voluntary_per_cpu_second: f64,
    family_distance: f64,
    prototypes: Vec<FilePrototype>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePrototype {
    family: String,
    variant: String,
    mix: BTreeMap<String, f64>,
}

impl Model {
    /// The model this program was built with.
    ///
    /// # Errors
    /// It is broken; a test sees to it that a released one is not.
    pub fn shipped() -> Result<Self, ModelError> {
        Self::parse(SHIPPED)
    }

    fn parse(json: &str) -> Result<Self, ModelError> {
        let File {
            _version,
            _provenance,
            weights,
            threshold,
            slope,
            loop_lines,
            loop_penalty,
            io_bytes_per_cpu_second,
            library_share,
            voluntary_per_cpu_second,
            family_distance,
            prototypes,
        } = serde_json::from_str(json)?;
        Ok(Self {
            weights: by_class(&weights)?,
            threshold,
            slope,
            loop_lines,
            loop_penalty,
            io_bytes_per_cpu_second,
            library_share,
            voluntary_per_cpu_second,
            family_distance,
            prototypes: prototypes
                .into_iter()
                .map(Prototype::parse)
                .collect::<Result<_, _>>()?,
        })
    }

    /// What one class weighs.
    pub(super) fn weight(&self, class: Class) -> f64 {
        self.weights[class as usize]
    }

    /// The prototype a mix is most like, and its distance: the part of the
    /// instructions that would have to be of another class, 0 to 1.
    pub(super) fn closest(&self, mix: &Mix) -> Option<(&Prototype, f64)> {
        let distance = |prototype: &Prototype| {
            let apart = mix
                .shares()
                .zip(prototype.shares)
                .map(|((_, a), b)| (a - b).abs());
            apart.sum::<f64>() / 2.0
        };
        self.prototypes
            .iter()
            .map(|prototype| (prototype, distance(prototype)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Prototype {
    fn parse(file: FilePrototype) -> Result<Self, ModelError> {
        let FilePrototype {
            family,
            variant,
            mix,
        } = file;
        let known = FAMILIES.into_iter().find(|known| *known == family);
        Ok(Self {
            family: known.ok_or(ModelError::Family(family))?,
            variant,
            shares: by_class(&mix)?,
        })
    }
}

fn by_class(named: &BTreeMap<String, f64>) -> Result<[f64; CLASSES], ModelError> {
    let mut values = [0.0; CLASSES];
    for (name, value) in named {
        let class = Class::ALL.into_iter().find(|class| class.name() == name);
        values[class.ok_or_else(|| ModelError::Class(name.clone()))? as usize] = *value;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_model_parses_and_its_mixes_are_whole() {
        let model = Model::shipped().unwrap();
        for Prototype {
            family,
            variant,
            shares,
        } in &model.prototypes
        {
            let sum: f64 = shares.iter().sum();
            assert!((sum - 1.0).abs() < 0.02, "{family} {variant} sums to {sum}");
        }
    }

    #[test]
    fn every_family_has_a_prototype() {
        let model = Model::shipped().unwrap();
        for family in FAMILIES {
            assert!(
                model.prototypes.iter().any(|p| p.family == family),
                "{family}"
            );
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        let json = SHIPPED.replace("\"rotate\"", "\"twist\"");
        assert!(matches!(Model::parse(&json), Err(ModelError::Class(name)) if name == "twist"));
        let json = SHIPPED.replace("\"scrypt\"", "\"script\"");
        assert!(matches!(Model::parse(&json), Err(ModelError::Family(name)) if name == "script"));
    }
}
