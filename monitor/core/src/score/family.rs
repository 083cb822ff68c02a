//! The families of hash algorithm, a closed set: what is decided by a family is asked of
//! [`Family`], and never of its name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A family of hash algorithm. Written as its [name](Self::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `RandomX` and its variants.
    RandomX,
    /// `CryptoNight` of any kind.
    CryptoNight,
    /// Argon2.
    Argon2,
    /// scrypt.
    Scrypt,
    /// yescrypt.
    Yescrypt,
    /// SHA-256, once or twice.
    Sha256d,
    /// SHA-512.
    Sha512,
    /// Keccak, SHA-3 with it.
    Keccak,
    /// BLAKE, BLAKE2 and BLAKE3.
    Blake,
    /// A chain of candidates of the SHA-3 competition.
    X11Like,
    /// [`Self::Sha256d`] that an engine compiled from `WebAssembly`.
    WasmSha256d,
    /// [`Self::Sha512`] that an engine compiled from `WebAssembly`.
    WasmSha512,
    /// [`Self::Keccak`] that an engine compiled from `WebAssembly`.
    WasmKeccak,
    /// [`Self::Blake`] that an engine compiled from `WebAssembly`.
    WasmBlake,
    /// [`Self::Argon2`] that an engine compiled from `WebAssembly`.
    WasmArgon2,
    /// [`Self::Scrypt`] that an engine compiled from `WebAssembly`.
    WasmScrypt,
    /// [`Self::CryptoNight`] that an engine compiled from `WebAssembly`.
    WasmCryptoNight,
    /// Any other hash that an engine compiled from `WebAssembly`.
    WasmPow,
    /// A hash of no family that is known.
    UnknownPow,
}

/// The text is the name of no family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("family {0:?} does not exist")]
pub struct NoFamily(pub String);

/// What the names of families of `WebAssembly` begin with.
const WASM: &str = "wasm-";

impl Family {
    /// Every family there is.
    pub const ALL: [Self; 19] = [
        Self::RandomX,
        Self::CryptoNight,
        Self::Argon2,
        Self::Scrypt,
        Self::Yescrypt,
        Self::Sha256d,
        Self::Sha512,
        Self::Keccak,
        Self::Blake,
        Self::X11Like,
        Self::WasmSha256d,
        Self::WasmSha512,
        Self::WasmKeccak,
        Self::WasmBlake,
        Self::WasmArgon2,
        Self::WasmScrypt,
        Self::WasmCryptoNight,
        Self::WasmPow,
        Self::UnknownPow,
    ];

    /// Its name in rules, metrics, events and the model's data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RandomX => "randomx",
            Self::CryptoNight => "cryptonight",
            Self::Argon2 => "argon2",
            Self::Scrypt => "scrypt",
            Self::Yescrypt => "yescrypt",
            Self::Sha256d => "sha256d",
            Self::Sha512 => "sha512",
            Self::Keccak => "keccak",
            Self::Blake => "blake",
            Self::X11Like => "x11-like",
            Self::WasmSha256d => "wasm-sha256d",
            Self::WasmSha512 => "wasm-sha512",
            Self::WasmKeccak => "wasm-keccak",
            Self::WasmBlake => "wasm-blake",
            Self::WasmArgon2 => "wasm-argon2",
            Self::WasmScrypt => "wasm-scrypt",
            Self::WasmCryptoNight => "wasm-cryptonight",
            Self::WasmPow => "wasm-pow",
            Self::UnknownPow => "unknown-pow",
        }
    }

    /// The name of a family, or nothing where there is none.
    #[must_use]
    pub const fn name_or_empty(family: Option<Self>) -> &'static str {
        match family {
            Some(family) => family.name(),
            None => "",
        }
    }

    /// Whether an engine, a browser's or a script's, compiled it from `WebAssembly`.
    #[must_use]
    pub const fn is_wasm(self) -> bool {
        match self {
            Self::WasmSha256d
            | Self::WasmSha512
            | Self::WasmKeccak
            | Self::WasmBlake
            | Self::WasmArgon2
            | Self::WasmScrypt
            | Self::WasmCryptoNight
            | Self::WasmPow => true,
            Self::RandomX
            | Self::CryptoNight
            | Self::Argon2
            | Self::Scrypt
            | Self::Yescrypt
            | Self::Sha256d
            | Self::Sha512
            | Self::Keccak
            | Self::Blake
            | Self::X11Like
            | Self::UnknownPow => false,
        }
    }

    /// Whether the algorithm generates code as it goes: each of its programs is other
    /// code, in memory without a file.
    #[must_use]
    pub const fn generates_code(self) -> bool {
        matches!(self, Self::RandomX)
    }

    /// Whether it says more than that this is a hash.
    #[must_use]
    pub const fn is_known(self) -> bool {
        !matches!(self, Self::WasmPow | Self::UnknownPow)
    }

    /// The same algorithm, compiled from `WebAssembly`.
    #[must_use]
    pub const fn in_wasm(self) -> Self {
        match self {
            Self::Sha256d => Self::WasmSha256d,
            Self::Sha512 => Self::WasmSha512,
            Self::Keccak => Self::WasmKeccak,
            Self::Blake => Self::WasmBlake,
            Self::Argon2 => Self::WasmArgon2,
            Self::Scrypt => Self::WasmScrypt,
            wasm if wasm.is_wasm() => wasm,
            _ => Self::WasmPow,
        }
    }

    /// The family of an algorithm that may have none of its own: `wasm-` and anything
    /// else is [`Self::WasmPow`], the rest [`Self::UnknownPow`].
    #[must_use]
    pub fn of_algorithm(name: &str) -> Self {
        name.parse().unwrap_or(if name.starts_with(WASM) {
            Self::WasmPow
        } else {
            Self::UnknownPow
        })
    }
}

/// The names of all families, in the order of [`Family::ALL`].
pub const FAMILIES: [&str; Family::ALL.len()] = {
    let mut names = [""; Family::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Family::ALL[i].name();
        i += 1;
    }
    names
};

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Family {
    type Err = NoFamily;

    fn from_str(text: &str) -> Result<Self, NoFamily> {
        let known = Self::ALL.into_iter().find(|family| family.name() == text);
        known.ok_or_else(|| NoFamily(text.to_owned()))
    }
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_read_as_it_is_written() {
        for (family, name) in Family::ALL.into_iter().zip(FAMILIES) {
            assert_eq!((family.name(), name.parse()), (name, Ok(family)));
            let json = serde_json::to_string(&family).unwrap();
            assert_eq!(json, format!("{name:?}"));
            assert_eq!(serde_json::from_str::<Family>(&json).unwrap(), family);
        }
        for name in ["", "RandomX", "wasm-", "md5"] {
            assert_eq!(name.parse::<Family>(), Err(NoFamily(name.to_owned())));
        }
    }

    /// Rules are written by name, so that a name tells which families it is about.
    #[test]
    fn what_is_of_web_assembly_is_called_so() {
        for family in Family::ALL {
            assert_eq!(
                family.is_wasm(),
                family.name().starts_with(WASM),
                "{family}"
            );
            assert!(family.in_wasm().is_wasm(), "{family}");
            let own = format!("{WASM}{family}").parse::<Family>();
            if let Ok(own) = own
                && family != Family::CryptoNight
            {
                assert_eq!(family.in_wasm(), own);
            }
        }
        assert_eq!(Family::RandomX.in_wasm(), Family::WasmPow);
        assert_eq!(Family::WasmCryptoNight.in_wasm(), Family::WasmCryptoNight);
    }

    #[test]
    fn an_algorithm_without_a_family_is_of_the_unknown() {
        for (name, family) in [
            ("randomx", Family::RandomX),
            ("wasm-argon2", Family::WasmArgon2),
            ("wasm-kheavyhash", Family::WasmPow),
            ("kheavyhash", Family::UnknownPow),
            ("", Family::UnknownPow),
        ] {
            assert_eq!(Family::of_algorithm(name), family, "{name}");
        }
    }
}
