//! A few percent of a core and no more, by the kernel's own bandwidth control:
//! `cpu.max` where the cpu controller is in the unified tree, `cpu.cfs_quota_us`
//! where it still is in one of its own (Linux, admin-guide/cgroup-v2 and
//! scheduler/sched-bwc).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Microseconds over which the quota is counted; the kernel's default.
const PERIOD: u32 = 100_000;
/// Where the unified tree is when it is the only one.
const UNIFIED: &str = "/sys/fs/cgroup";

/// A cgroup of its own with a quota, removed when dropped. Whatever runs in it
/// must be dropped before.
pub struct Quota(PathBuf);

impl Quota {
    /// Makes a cgroup that gets this many percent of one core.
    ///
    /// # Panics
    ///
    /// When there is no cpu controller, or it cannot be told.
    #[must_use]
    pub fn percent(percent: u32) -> Self {
        let unified = Path::new(UNIFIED).join("cgroup.controllers").exists();
        let tree = if unified {
            write(&Path::new(UNIFIED).join("cgroup.subtree_control"), "+cpu");
            PathBuf::from(UNIFIED)
        } else {
            controller().expect("a cgroup tree with the cpu controller is mounted")
        };
        let group = tree.join(format!("unjack-test-{}", std::process::id()));
        fs::create_dir(&group)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", group.display()));
        // Made first: a panic below must remove it too.
        let quota = Self(group);
        let micros = PERIOD / 100 * percent;
        if unified {
            write(&quota.0.join("cpu.max"), &format!("{micros} {PERIOD}"));
        } else {
            write(&quota.0.join("cpu.cfs_period_us"), &PERIOD.to_string());
            write(&quota.0.join("cpu.cfs_quota_us"), &micros.to_string());
        }
        quota
    }

    /// Starts the program within, under the pid that the command gets.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"echo $$ >"$0" && exec "$@""#])
            .arg(self.0.join("cgroup.procs"))
            .arg(program);
        command
    }

    /// Periods in which something had to wait because the quota was used up.
    ///
    /// # Panics
    ///
    /// When the kernel does not tell.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        let path = self.0.join("cpu.stat");
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        text.lines()
            .find_map(|line| line.strip_prefix("nr_throttled ")?.parse().ok())
            .unwrap_or_else(|| panic!("no nr_throttled in {text:?}"))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        super::remove_cgroup(&self.0);
    }
}

/// Where the cpu controller's own tree is mounted.
fn controller() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (target, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let found = kind == "cgroup" && options.split(',').any(|option| option == "cpu");
        found.then(|| target.into())
    })
}

fn write(path: &Path, text: &str) {
    fs::write(path, text)
        .unwrap_or_else(|error| panic!("cannot write {text:?} to {}: {error}", path.display()));
}
