//! Who is never acted on, whatever the verdict and whatever the scope.
//!
//! In: what was established about a process. Out: nothing, or why not. Pure:
//! the looking is done by [`crate::respond::action`]. A process of which something
//! cannot be established is looked at again, and is not acted on.

use std::sync::Arc;

use crate::{
    detect::reputation::Hashes,
    host::digest::Digest,
    policy::{
        config::{Rule, Subject},
        only::Only,
        refusal::Refusal,
    },
};

/// Where a system keeps its own programs. `/usr/local/bin` is where Kubernetes'
/// installers put theirs.
const FOLDERS: [&str; 14] = [
    "/bin",
    "/sbin",
    "/lib/systemd",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib/systemd",
    "/usr/lib/openssh",
    "/usr/libexec/openssh",
    "/usr/lib/ssh",
    "/usr/lib/podman",
    "/usr/libexec/podman",
    "/usr/libexec/cni",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// What takes a host down, or locks all users out, when it is ended.
const PROGRAMS: [&str; 42] = [
    // What starts everything else.
    "init",
    "systemd",
    "openrc-init",
    "runit",
    "s6-svscan",
    "dbus-daemon",
    "dbus-broker",
    "dbus-broker-launch",
    // What people come in by.
    "sshd",
    "sshd-session",
    "sshd-auth",
    "login",
    "agetty",
    "getty",
    "dropbear",
    // What starts jobs.
    "cron",
    "crond",
    "atd",
    // What runs containers, and what runs that.
    "dockerd",
    "docker-proxy",
    "docker-init",
    "containerd",
    "containerd-shim",
    "containerd-shim-runc-v1",
    "containerd-shim-runc-v2",
    "runc",
    "crun",
    "conmon",
    "conmonrs",
    "podman",
    "crio",
    "netavark",
    "aardvark-dns",
    "lxc-start",
    "lxcfs",
    "lxd",
    "incusd",
    "kubelet",
    "kube-proxy",
    "kube-apiserver",
    "k3s",
    "etcd",
];

/// Units of the same. A process in one is spared only if its image is also the
/// host's own: whatever else is in there was started by it, or moved there.
///
/// Not those that start what any user tells them to (ssh, cron, at, a getty):
/// without `pam_systemd` that stays in their units, and the host's own loader or
/// Python is the miner. Their daemons are among [`PROGRAMS`].
const UNITS: [&str; 16] = [
    "init.scope",
    "dbus.service",
    "dbus-broker.service",
    "docker.service",
    "containerd.service",
    "podman.service",
    "crio.service",
    "cri-docker.service",
    "lxc.service",
    "lxcfs.service",
    "lxd.service",
    "incus.service",
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
    "etcd.service",
];

/// A process that may be acted on, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub pid: u32,
    /// A kernel thread.
    pub kernel_thread: bool,
    /// Its image is a program of the host's own: owned by root, where the system
    /// keeps programs, and writable by no other user.
    pub system: bool,
    /// The SHA-256 of its image is wanted and not known yet.
    pub undecided: bool,
    /// What rules look at.
    pub subject: Subject<'a>,
}

/// Everything that protects.
#[derive(Clone, Debug)]
pub struct Guard {
    /// This process and all it descends from, itself first.
    pub lineage: Vec<u32>,
    /// The rules of `--allow`.
    pub allow: Arc<[Rule]>,
    /// The images of `--allow-file`.
    pub listed: Arc<Hashes>,
    /// Whether the built-in list counts.
    pub builtin: bool,
    /// Where the action is for.
    pub only: Only,
}

impl Guard {
    /// The same without the rules of `--allow` and `--only`, and the list of
    /// `--allow-file`.
    #[must_use]
    pub fn without_rules(&self) -> Self {
        Self {
            allow: Arc::default(),
            listed: Arc::default(),
            only: Only::default(),
            ..self.clone()
        }
    }

    /// Whether this process may be acted on.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refusal> {
        never_act_on(candidate.pid, candidate.kernel_thread, &self.lineage)?;
        if self.builtin && is_builtin(candidate) {
            return Err(Refusal::Guarded);
        }
        let allowed = |rule: &Rule| rule.matches(&candidate.subject);
        let digest = candidate.subject.sha256.and_then(Digest::parse);
        if self.allow.iter().any(allowed)
            || digest.is_some_and(|digest| self.listed.get(&digest).is_some())
        {
            return Err(Refusal::Allowed);
        }
        // It may be one that is allowed. The caller that wants digests sets the
        // time limit.
        if candidate.undecided {
            return Err(Refusal::Undecided);
        }
        if !self.only.includes(&candidate.subject) {
            return Err(Refusal::NotOnly);
        }
        Ok(())
    }
}

/// Whom no flag can have acted on. `lineage` is this process and all it
/// descends from, itself first.
///
/// # Errors
/// The reason.
pub fn never_act_on(pid: u32, kernel_thread: bool, lineage: &[u32]) -> Result<(), Refusal> {
    match pid {
        1 => Err(Refusal::Init),
        // The idle task and the parent of all kernel threads.
        0 | 2 => Err(Refusal::KernelThread),
        // By the kernel's own flag (PF_KTHREAD): who only poses as one is acted on.
        _ if kernel_thread => Err(Refusal::KernelThread),
        pid if lineage.first() == Some(&pid) => Err(Refusal::Myself),
        pid if lineage.contains(&pid) => Err(Refusal::Ancestor),
        _ => Ok(()),
    }
}

/// By its image, or by its unit. The image counts only by a path that on the
/// host leads to the very file, and only as the system's own file.
fn is_builtin(candidate: &Candidate<'_>) -> bool {
    candidate.system
        && (candidate.subject.exe.is_some_and(is_listed)
            || candidate.subject.unit.is_some_and(is_listed_unit))
}

/// Whether a path is one of the built-in list's.
#[must_use]
pub fn is_listed(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, program)| {
        FOLDERS.contains(&folder)
            && (PROGRAMS.contains(&program) || program.starts_with("systemd-"))
    })
}

fn is_listed_unit(unit: &str) -> bool {
    UNITS.contains(&unit) || unit.starts_with("systemd-")
}

#[cfg(test)]
mod tests;
