//! The energy counters of the processors' packages: Intel's RAPL, and AMD's, as
//! Linux shows them.
//!
//! `/sys/class/powercap/intel-rapl:N` (Documentation/power/powercap/powercap.rst in
//! Linux), of which those are read whose `name` says `package-…`: the others are
//! parts of these, or the whole board. Since Linux 5.10 they are root's to read.
//! Most virtual machines and containers have none.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Counter;

/// Where Linux shows them.
pub const POWERCAP: &str = "/sys/class/powercap";
/// Packages that are read: no machine has more.
const MAX_PACKAGES: usize = 64;

/// The packages of this host.
#[derive(Clone, Debug)]
pub struct Rapl {
    /// File of the counter, and its range.
    packages: Vec<(PathBuf, u64)>,
}

impl Rapl {
    /// Looks for packages below `powercap`, usually [`POWERCAP`]; `None` if there
    /// are none, or they cannot be read.
    #[must_use]
    pub fn find(powercap: &Path) -> Option<Self> {
        let mut zones: Vec<PathBuf> = fs::read_dir(powercap)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        zones.sort();
        let package = |zone: PathBuf| {
            let name = fs::read_to_string(zone.join("name")).ok()?;
            let range_uj = number(&zone.join("max_energy_range_uj"))?;
            let counter = zone.join("energy_uj");
            number(&counter)?;
            name.starts_with("package-").then_some((counter, range_uj))
        };
        let packages: Vec<_> = zones
            .into_iter()
            .filter_map(package)
            .take(MAX_PACKAGES)
            .collect();
        (!packages.is_empty()).then_some(Self { packages })
    }

    /// How many packages there are.
    #[must_use]
    pub fn packages(&self) -> usize {
        self.packages.len()
    }

    /// Reads all counters; `None` if one cannot be read.
    #[must_use]
    pub fn read(&self) -> Option<Vec<Counter>> {
        let read = |(file, range_uj): &(PathBuf, u64)| {
            Some(Counter {
                energy_uj: number(file)?,
                range_uj: *range_uj,
            })
        };
        self.packages.iter().map(read).collect()
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(root: &Path, folder: &str, name: &str, energy_uj: &str) {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            ("name", name),
            ("energy_uj", energy_uj),
            ("max_energy_range_uj", "262143328850"),
        ] {
            fs::write(folder.join(file), format!("{text}\n")).unwrap();
        }
    }

    /// As on a machine with two packages, its cores, its memory and its board.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("intel-rapl")).unwrap();
        zone(root.path(), "intel-rapl:0", "package-0", "11");
        zone(root.path(), "intel-rapl:0:0", "core", "7");
        zone(root.path(), "intel-rapl:0:1", "dram", "5");
        zone(root.path(), "intel-rapl:1", "package-1", "22");
        zone(root.path(), "intel-rapl:2", "psys", "99");
        root
    }

    #[test]
    fn packages_are_read_and_nothing_twice() {
        let root = machine();
        let rapl = Rapl::find(root.path()).unwrap();
        let read = rapl.read().unwrap();
        let range_uj = 262_143_328_850;
        assert_eq!(rapl.packages(), 2);
        assert_eq!(
            read,
            [11, 22].map(|energy_uj| Counter {
                energy_uj,
                range_uj
            })
        );
    }

    #[test]
    fn a_counter_that_goes_away_is_no_reading() {
        let root = machine();
        let rapl = Rapl::find(root.path()).unwrap();
        fs::write(root.path().join("intel-rapl:1/energy_uj"), "").unwrap();
        assert_eq!(rapl.read(), None);
    }

    #[test]
    fn a_host_without_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert!(Rapl::find(root.path()).is_none());
        assert!(Rapl::find(&root.path().join("absent")).is_none());
        zone(root.path(), "dtpm", "dtpm", "1");
        assert!(Rapl::find(root.path()).is_none());
    }
}
