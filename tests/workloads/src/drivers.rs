//! The miners that `mine NAME` knows: one line each, and what mines so.

use anyhow::{Context, Result};
use groestl::Groestl512;
use sha2::{Sha256, Sha512, Sha512_256};
use sha3::{Keccak512, Sha3_256};
use skein::Skein512_512;
use whirlpool::Whirlpool;

#[cfg(target_arch = "x86_64")]
use crate::cryptonight;
use crate::{Make, Task, chains, digests, lanes, memory};

/// Every driver by its name. The coin in a comment is one that is or was mined
/// with that hash.
const DRIVERS: &[(&str, Make)] = &[
    // Plain digests.
    ("sha512-256d", digests::twice::<Sha512_256>), // Radiant
    ("sha3d", digests::twice::<Sha3_256>),         // BSHA3
    ("keccak512", digests::once::<Keccak512>),     // the first step of Ethash
    ("blake2b", digests::blake2b),                 // Siacoin
    ("blake2s", digests::blake2s),                 // Kadena
    ("blake256", digests::blake256),               // Decred
    ("blake512", digests::blake512),               // the first of X11
    ("groestl", digests::twice::<Groestl512>),     // Groestlcoin
    ("skein2", digests::twice::<Skein512_512>),    // Woodcoin
    ("jh", digests::twice::<jh::Jh512>),           // the fourth of X11
    ("whirlpool", digests::twice::<Whirlpool>),    // Whirlcoin
    ("cubehash", digests::cubehash),               // the eighth of X11
    ("eaglesong", digests::eaglesong),             // Nervos CKB
    // Several digests in a row.
    ("skein", digests::after::<Skein512_512, Sha256>), // Skeincoin
    ("myriad-groestl", digests::after::<Groestl512, Sha256>), // Myriadcoin
    (
        "gost",
        digests::after::<streebog::Streebog512, streebog::Streebog256>,
    ), // GOSTcoin
    ("sha512-sha256", digests::after::<Sha512, Sha256>), // no coin's: another mix of both
    ("lbry", chains::lbry),                            // LBRY Credits
    ("nist5", chains::nist5),                          // TalkCoin
    ("x11-like", chains::x11_like),
    ("jackpot", chains::jackpot), // JackpotCoin
    // Several messages at once.
    ("blake2b-many", lanes::blake2b),
    ("blake2s-many", lanes::blake2s),
    // Much memory.
    ("scrypt-2048", memory::scrypt::<11, 1>), // Vertcoin of 2014
    ("scrypt-16384-r8", memory::scrypt::<14, 8>), // a login's parameters
    ("scrypt-1048576", memory::scrypt::<20, 1>), // Verium
    ("argon2id-chukwa2", memory::argon2id::<1024, 4, 1>), // TurtleCoin since 2021
    ("argon2id-wrkz", memory::argon2id::<256, 4, 1>), // WrkzCoin
    ("argon2id-aqua", memory::argon2id::<8, 1, 1>), // Aquachain's 1 KiB: the least here is 8
    ("argon2id-64m", memory::argon2id::<65_536, 3, 1>), // a login's parameters
    ("argon2d-dynamic", memory::argon2d::<500, 2, 8>), // Dynamic
    ("argon2d-16000", memory::argon2d::<16_000, 1, 1>), // Argentum, UraniumX
    ("yescrypt", memory::yescrypt::<2048, 8>), // GlobalBoost-Y
    ("yescrypt-r16", memory::yescrypt::<4096, 16>), // Yenten
    ("yescrypt-r32", memory::yescrypt::<4096, 32>), // WAVI
    ("lyra2re", memory::lyra2re),             // Vertcoin of 2015
    ("lyra2rev2", memory::lyra2rev2),         // Monacoin
    ("lyra2rev3", memory::lyra2rev3),         // Vertcoin of 2019
    ("lyra2z", memory::lyra2z),               // Zcoin
    ("equihash", memory::equihash),           // Zcash
    #[cfg(target_arch = "x86_64")]
    ("cryptonight", cryptonight::miner), // Monero until 2018
];

/// Those for every processor, and those for this kind.
fn all() -> impl Iterator<Item = &'static (&'static str, Make)> {
    DRIVERS.iter().chain(&lanes::DRIVERS)
}

/// All names, for the command line.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _)| *name)
}

/// The task of that name.
pub(super) fn task(name: &str) -> Result<Task> {
    let (name, make) = all()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("no miner is called {name:?}"))?;
    Ok(Task::new(name, make))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_hashes() {
        for (name, make) in all() {
            // Only these may be refused, where the processor is too old.
            match make(1) {
                Ok(mut step) => assert!(step() > 0, "{name}"),
                Err(error) => {
                    let able = ["sha256d-", "cryptonight"];
                    let known = able.iter().any(|start| name.starts_with(start));
                    assert!(known, "{name}: {error:#}");
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let unique: std::collections::BTreeSet<_> = names().collect();
        assert_eq!(unique.len(), all().count());
    }
}
