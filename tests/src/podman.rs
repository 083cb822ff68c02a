//! Real containers: Debian's podman and runc, on files of the host's own, so
//! that no image is fetched from anywhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::host::{self, eventually};

/// How long a container may take to start.
const STARTED: Duration = Duration::from_secs(20);

/// Containers of the test's own, ended when dropped.
pub struct Podman {
    dir: tempfile::TempDir,
}

impl Podman {
    /// Makes what a container needs: its root directory.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes directories")]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("rootfs");
        for name in ["usr", "proc", "sys", "dev", "tmp", "etc", "run"] {
            fs::create_dir_all(root.join(name)).expect("a directory");
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), root.join(name)).expect("a link");
        }
        fs::copy(host::workload(), dir.path().join("miner")).expect("a copy");
        Self { dir }
    }

    /// The workload program: at this path in every container, and on the host.
    #[must_use]
    pub fn workload(&self) -> PathBuf {
        self.dir.path().join("miner")
    }

    fn podman(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command
            .args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"])
            .args(["--storage-driver", "vfs", "--events-backend", "none"])
            .arg("--root")
            .arg(self.storage())
            .arg("--runroot")
            .arg(self.dir.path().join("run"))
            .args(args);
        command
    }

    fn ask(&self, args: &[&str]) -> String {
        let output = host::output(&mut self.podman(args));
        assert!(
            output.status.success(),
            "podman {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Where podman keeps what it knows of containers.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage")
    }

    /// Makes an image of the files that every container has, under this name.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn import(&self, image: &str) {
        let archive = self.dir.path().join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(self.dir.path().join("rootfs"));
        tar.arg("-cf").arg(&archive).arg(".");
        assert!(host::output(&mut tar).status.success(), "tar");
        let _id = self.ask(&["import", "-q", archive.to_str().expect("plain"), image]);
    }

    /// Starts a container and waits until it runs: its first process.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(&self, name: &str, flags: &[&str], program: &[&str]) -> u32 {
        let root = self.dir.path().join("rootfs");
        let root = root.to_str().expect("plain");
        self.start_from(&["--rootfs", root], name, flags, program)
    }

    /// The same of an image, or of a root directory.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_from(&self, from: &[&str], name: &str, flags: &[&str], program: &[&str]) -> u32 {
        let mut args = vec!["run", "-d", "--name", name];
        let shared = self.shared();
        args.extend(shared.iter().map(String::as_str));
        args.extend(flags);
        args.extend(from);
        args.extend(program);
        let _id = self.ask(&args);
        eventually("the container runs", STARTED, || {
            let said = self.ask(&["inspect", "-f", "{{.State.Pid}}", name]);
            match said.parse() {
                Ok(0) | Err(_) => Err(format!("{said}; {}", self.logs(name))),
                Ok(pid) => Ok(pid),
            }
        })
    }

    /// A command that runs a program in a container of its own, to its end: what it
    /// prints is the command's output, and how it exits is how the command does.
    #[must_use]
    pub fn command(&self, name: &str, flags: &[String], program: &[&str]) -> Command {
        let mut command = self.podman(&["run", "--rm", "--name", name]);
        command
            .args(self.shared())
            .args(flags)
            .arg("--rootfs")
            .arg(self.dir.path().join("rootfs"))
            .args(program);
        command
    }

    /// Ends a container, if there is one of this name.
    pub fn remove(&self, name: &str) {
        let _ = self.podman(&["rm", "-f", "-t", "0", name]).output();
    }

    /// What every container is given: the programs of the host, and the workload.
    fn shared(&self) -> Vec<String> {
        let workload = format!("{0}:{0}:ro", self.workload().display());
        // Limits that hosts with low ones of their own grant as well.
        [
            ["--security-opt", "seccomp=unconfined"],
            ["--ulimit", "nofile=1024:1024"],
            ["--ulimit", "nproc=1024:1024"],
            ["-v", "/usr:/usr:ro"],
            ["-v", &workload],
        ]
        .as_flattened()
        .iter()
        .map(|&word| word.to_owned())
        .collect()
    }

    /// Starts another process in a container.
    pub fn exec(&self, name: &str, program: &[&str]) {
        let _id = self.ask(&[&["exec", "-d", name], program].concat());
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.ask(&["inspect", "-f", "{{.State.Running}}", name]) == "true"
    }

    /// What its first process wrote.
    #[must_use]
    pub fn logs(&self, name: &str) -> String {
        let output = host::output(&mut self.podman(&["logs", name]));
        let mut said = output.stdout;
        said.extend(output.stderr);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The process of the miner in the container whose first process is `init`.
    ///
    /// # Panics
    ///
    /// When there is none in time.
    #[must_use]
    pub fn miner(&self, init: u32) -> u32 {
        let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let here = space(&init.to_string());
        let workload = self.workload();
        eventually("the miner runs", STARTED, || {
            let entries = fs::read_dir("/proc").expect("a /proc").flatten();
            entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
                .filter(|pid| here.is_some() && space(pid) == here)
                .find(|pid| {
                    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == workload)
                })
                .and_then(|pid| pid.parse().ok())
                .ok_or_else(|| "not yet".to_owned())
        })
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.podman(&["rm", "-f", "-t", "0", "--all"]).output();
    }
}
