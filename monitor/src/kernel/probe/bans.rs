//! The programs that refuse banned images: loaded, attached, pinned, adopted.
//!
//! They are an object of their own. Loaded they cost nothing; attached they are
//! pinned with their maps, and hold until they are detached, whatever becomes of
//! this process. A process that loads them where they are pinned takes the maps
//! over and exchanges the programs, without a moment between the two.

use std::process::{Command, Stdio};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, include_bytes_aligned,
    programs::{BtfTracePoint, Lsm, ProgramError, links::FdLink},
};
use clap::ValueEnum;

use super::{
    Features, ProbeError, pins, program,
    tables::{MAPS, pin_failed},
};
pub use super::{
    pins::{PinDir, PinError},
    tables::{Records, Tables},
};
use crate::kernel::btf::{Ctime, Offsets, VMLINUX};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unjack-ban"));

const EXEC: &str = "ban_exec";
const CHECK: &str = "ban_check";
/// The programs, whose links are pinned under the same names.
const PROGRAMS: [&str; 2] = [EXEC, CHECK];

/// How an exec is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum With {
    /// By BPF LSM where it is active, else by a signal.
    Auto,
    /// The exec fails; needs BPF LSM.
    Lsm,
    /// The process is killed before it executes an instruction.
    Signal,
}

/// Whether the kernel may ask BPF programs about security: also where its list
/// cannot be read, as without `CAP_SYS_ADMIN`. Attaching then tries it out.
fn lsm_may_be_active() -> bool {
    pins::security_modules().map_or_else(
        |error| {
            tracing::debug!("securityfs cannot be read: {error}");
            true
        },
        |list| list.trim().split(',').any(|name| name == "bpf"),
    )
}

/// The loaded programs, and their maps.
pub struct Programs {
    ebpf: Ebpf,
    /// Their maps.
    pub tables: Tables,
    /// Whether execs fail, or else processes are killed.
    pub by_lsm: bool,
    with: With,
    dir: Option<PinDir>,
    links: Vec<FdLink>,
}

impl Programs {
    /// Loads them. Where some are pinned their maps are taken over; nothing is
    /// attached yet.
    ///
    /// # Errors
    /// The kernel lacks something or refuses.
    pub fn load(with: With, dir: Option<PinDir>) -> Result<Self, ProbeError> {
        let offsets = Offsets::read(VMLINUX.as_ref())?;
        let btf = Btf::from_sys_fs().map_err(EbpfError::from)?;
        let adopted = match &dir {
            Some(dir) => Tables::pinned(dir)?.map(|tables| (dir, tables)),
            None => None,
        };
        let mut ebpf = load(&offsets, adopted.as_ref().map(|(dir, _)| *dir))?;
        let by_lsm = match with {
            With::Signal => false,
            With::Lsm => {
                load_check(&mut ebpf, &btf)?;
                true
            }
            With::Auto => {
                lsm_may_be_active()
                    && load_check(&mut ebpf, &btf)
                        .inspect_err(|error| tracing::warn!("bans go by signal: {error}"))
                        .is_ok()
            }
        };
        let exec: &mut BtfTracePoint = program(&mut ebpf, EXEC)?;
        exec.load("sched_process_exec", &btf)
            .map_err(|source| ProbeError::Program { name: EXEC, source })?;
        let maps = MAPS.map(|name| Some((name, ebpf.take_map(name)?)));
        let mut tables = Tables::of(maps.into_iter().flatten());
        if adopted.is_none() {
            tables.set_state(1, false)?;
        }
        // Reading BTF took tens of megabytes for a moment; give them back.
        // SAFETY: malloc_trim has no preconditions.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0);
        }
        Ok(Self {
            ebpf,
            tables,
            by_lsm,
            with,
            dir,
            links: Vec::new(),
        })
    }

    /// Whether they are attached, by this process.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        !self.links.is_empty()
    }

    /// Attaches and pins them, in the place of those that were pinned before.
    ///
    /// # Errors
    /// The kernel refuses. What was attached stays so.
    pub fn attach(&mut self) -> Result<(), ProbeError> {
        if self.is_attached() {
            return Ok(());
        }
        let mut links: Vec<(&str, FdLink)> = Vec::new();
        if self.by_lsm {
            match attach_check(&mut self.ebpf).and_then(|link| self.called(link)) {
                Ok(link) => links.push((CHECK, link)),
                // Some processors load what they cannot attach, and a kernel
                // without BPF among its security modules never calls it.
                Err(error) if self.with == With::Auto => {
                    tracing::warn!("bans go by signal: {error}");
                    self.by_lsm = false;
                }
                Err(error) => return Err(error),
            }
        }
        let exec: &mut BtfTracePoint = program(&mut self.ebpf, EXEC)?;
        let link = exec.attach().and_then(|id| exec.take_link(id));
        let refused = |source| ProbeError::Program { name: EXEC, source };
        links.push((EXEC, link.map_err(refused)?.into()));
        let Some(dir) = &self.dir else {
            self.links = links.into_iter().map(|(_, link)| link).collect();
            return Ok(());
        };
        let pinned = dir.create().map_err(pin_refused).and_then(|()| {
            if Tables::pinned(dir)?.is_none() {
                // Of another layout, or half of them; or nothing at all.
                unpin(dir)?;
                dir.create().map_err(pin_refused)?;
            }
            self.tables.pin(dir)
        });
        if let Err(error) = pinned {
            tracing::warn!("bans will end with this process: {error}");
            self.links = links.into_iter().map(|(_, link)| link).collect();
            return Ok(());
        }
        for name in PROGRAMS {
            dir.remove(name).map_err(pin_refused)?;
        }
        for (name, link) in links {
            let pinned = link.pin(dir.pin(name)).map_err(pin_failed)?;
            self.links.push(pinned.into());
        }
        Ok(())
    }

    /// The link, if the security hook is called when this process has another
    /// executed: itself, to say its version.
    fn called(&self, link: FdLink) -> Result<FdLink, ProbeError> {
        let before = self.tables.stats()?.checked;
        let tried = Command::new("/proc/self/exe")
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        tried.map_err(|source| ProbeError::Io {
            what: "nothing to try the security hook with",
            source,
        })?;
        if self.tables.stats()?.checked > before {
            Ok(link)
        } else {
            Err(ProbeError::Io {
                what: "BPF LSM does not refuse execs (--ban-with signal does without)",
                source: std::io::Error::other("the kernel takes the program and never calls it"),
            })
        }
    }

    /// Detaches and unpins them: nothing is refused any more, unless another
    /// process pinned others meanwhile.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn detach(&mut self) -> Result<(), ProbeError> {
        self.links.clear();
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        match Tables::pinned(dir)? {
            Some(others) if !others.is_same(&self.tables) => Ok(()),
            _ => unpin(dir),
        }
    }
}

/// Removes everything that is pinned: with no collector running, all of it is
/// unloaded.
///
/// # Errors
/// A pin cannot be removed.
pub fn unpin(dir: &PinDir) -> Result<(), ProbeError> {
    for name in PROGRAMS.iter().chain(&MAPS) {
        dir.remove(name).map_err(pin_refused)?;
    }
    dir.remove_dir();
    Ok(())
}

fn pin_refused(error: PinError) -> ProbeError {
    ProbeError::Io {
        what: "pinning bans",
        source: std::io::Error::other(error),
    }
}

fn load_check(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    let check: &mut Lsm = program(ebpf, CHECK)?;
    check
        .load("bprm_check_security", btf)
        .map_err(|source: ProgramError| ProbeError::Program {
            name: CHECK,
            source,
        })
}

fn attach_check(ebpf: &mut Ebpf) -> Result<FdLink, ProbeError> {
    let check: &mut Lsm = program(ebpf, CHECK)?;
    let link = check.attach().and_then(|id| check.take_link(id));
    link.map(FdLink::from)
        .map_err(|source| ProbeError::Program {
            name: CHECK,
            source,
        })
}

fn load(offsets: &Offsets, adopt: Option<&PinDir>) -> Result<Ebpf, ProbeError> {
    let Ctime {
        seconds,
        nanoseconds,
    } = &offsets.inode_ctime;
    Features::detect().make_room();
    let mut loader = EbpfLoader::new();
    for name in MAPS {
        if let Some(dir) = adopt {
            loader.map_pin_path(name, dir.pin(name));
        }
    }
    Ok(loader
        .override_global("BPRM_FILE", &offsets.bprm_file, true)
        .override_global("FILE_INODE", &offsets.file_inode, true)
        .override_global("INODE_NUMBER", &offsets.inode_number, true)
        .override_global("INODE_SUPER", &offsets.inode_super, true)
        .override_global("INODE_CTIME_SEC", seconds, true)
        .override_global("INODE_CTIME_NSEC", nanoseconds, true)
        .override_global("SUPER_DEVICE", &offsets.super_device, true)
        .override_global("TASK_TGID", &offsets.task_tgid, true)
        .override_global("TASK_LEADER", &offsets.task_leader, true)
        .override_global("TASK_START", &offsets.task_start, true)
        .override_global("TASK_PARENT", &offsets.task_parent, true)
        .override_global("TASK_COMM", &offsets.task_comm, true)
        .load(OBJECT)?)
}
