//! Judges what was read from the host. Pure: text in, a [`Check`] out.

use super::{BTF, Check, PMU_DEVICES};

/// `BTF_MAGIC`, of `include/uapi/linux/btf.h`.
const BTF_MAGIC: u16 = 0xeb9f;

/// Inode numbers of the initial namespaces, `PROC_PID_INIT_INO` and its like of
/// `include/linux/proc_ns.h`.
pub(super) const PID_NAMESPACE: Namespace = Namespace {
    name: "pid namespace",
    kind: "pid",
    initial: 0xEFFF_FFFC,
    remedy: "run on the host, or in a container with the host's pid namespace (podman or docker: \
             --pid=host; Kubernetes: hostPID: true): the probes see the host's pids",
};
pub(super) const USER_NAMESPACE: Namespace = Namespace {
    name: "user namespace",
    kind: "user",
    initial: 0xEFFF_FFFD,
    remedy: "run as root of the host, not in a rootless container or with user namespaces: \
             capabilities count for BPF only in the initial one",
};

pub(super) const CGROUP_NAMESPACE: Namespace = Namespace {
    name: "cgroup namespace",
    kind: "cgroup",
    initial: 0xEFFF_FFFB,
    remedy: "run on the host, or in a container with the host's cgroup namespace (podman or docker: \
             --cgroupns=host; Kubernetes: a privileged pod has it): units and containers are \
             recognized by the host's paths, and rules about them would match nothing",
};

/// A namespace, and what to do outside the initial one.
pub(super) struct Namespace {
    name: &'static str,
    kind: &'static str,
    initial: u32,
    remedy: &'static str,
}

/// Effective capabilities, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caps(pub(super) u64);

impl Caps {
    const DAC_OVERRIDE: u32 = 1;
    const DAC_READ_SEARCH: u32 = 2;
    const KILL: u32 = 5;
    const NET_ADMIN: u32 = 12;
    const SYS_PTRACE: u32 = 19;
    const SYS_ADMIN: u32 = 21;
    const PERFMON: u32 = 38;
    const BPF: u32 = 39;

    /// Reads `CapEff` of `/proc/self/status`; none if it is not there.
    pub(super) fn parse(status: &str) -> Self {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self(
            line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
                .unwrap_or(0),
        )
    }

    fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }

    fn has_any(self, bits: &[u32]) -> bool {
        bits.iter().any(|bit| self.has(*bit))
    }
}

const SETCAP: &str = "run as root, or `setcap \
    cap_bpf,cap_perfmon,cap_kill,cap_sys_ptrace,cap_dac_read_search,cap_net_admin+ep $(command -v unjack)`; \
    in a container add them with --cap-add";

pub(super) fn arch(arch: &str) -> Check {
    const NAME: &str = "instruction decoder";
    match arch {
        "x86_64" | "aarch64" => Check::ok(NAME, format!("for {arch}")),
        _ => Check::fail(
            NAME,
            format!("none for {arch}"),
            "run unjack on x86_64 or aarch64",
        ),
    }
}

pub(super) fn btf(magic: &Result<[u8; 2], String>) -> Check {
    const NAME: &str = "BTF";
    const REMEDY: &str = "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' kernels are; \
                          in a container, mount the host's /sys";
    match magic {
        Ok(bytes) if u16::from_ne_bytes(*bytes) == BTF_MAGIC => Check::ok(NAME, BTF),
        Ok(_) => Check::fail(NAME, format!("{BTF} holds something else"), REMEDY),
        Err(error) => Check::fail(NAME, format!("not found at {BTF}: {error}"), REMEDY),
    }
}

pub(super) fn load_caps(caps: Caps) -> Check {
    const NAME: &str = "capabilities to load";
    let wanted = [("CAP_BPF", Caps::BPF), ("CAP_PERFMON", Caps::PERFMON)];
    let missing = wanted
        .iter()
        .filter(|(_, bit)| !caps.has_any(&[*bit, Caps::SYS_ADMIN]));
    let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
    if missing.is_empty() {
        Check::ok(NAME, "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN")
    } else {
        Check::fail(NAME, format!("no {}", missing.join(", no ")), SETCAP)
    }
}

pub(super) fn act_caps(caps: Caps) -> Check {
    const NAME: &str = "capabilities to act";
    let wanted: [(&[u32], &str); 4] = [
        (
            &[Caps::KILL],
            "CAP_KILL: others' processes cannot be killed",
        ),
        (
            &[Caps::SYS_PTRACE],
            "CAP_SYS_PTRACE: others' images cannot be verified, so killing them is refused",
        ),
        (
            &[Caps::DAC_READ_SEARCH, Caps::DAC_OVERRIDE],
            "CAP_DAC_READ_SEARCH: images in private folders cannot be verified",
        ),
        (
            &[Caps::NET_ADMIN],
            "CAP_NET_ADMIN: Stratum cannot be recognized",
        ),
    ];
    let missing = wanted.iter().filter(|(bits, _)| !caps.has_any(bits));
    let missing: Vec<_> = missing.map(|(_, loss)| *loss).collect();
    if missing.is_empty() {
        Check::ok(
            NAME,
            "CAP_KILL, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_NET_ADMIN",
        )
    } else {
        Check::warn(NAME, format!("no {}", missing.join("; no ")), SETCAP)
    }
}

/// `link` is the target of `/proc/self/ns/KIND`.
pub(super) fn namespace(wanted: &Namespace, link: Option<&str>) -> Check {
    let Namespace {
        name,
        kind,
        initial,
        remedy,
    } = *wanted;
    match link {
        Some(link) if link == format!("{kind}:[{initial}]") => Check::ok(name, "the host's"),
        Some(link) => Check::fail(name, format!("{link}, not the host's"), remedy),
        None => Check::warn(
            name,
            format!("unknown: /proc/self/ns/{kind} cannot be read"),
            remedy,
        ),
    }
}

pub(super) fn lockdown(content: Option<&str>) -> Check {
    const NAME: &str = "kernel lockdown";
    match content {
        Some(modes) if modes.contains("[confidentiality]") => Check::fail(
            NAME,
            "confidentiality: BPF programs may not read kernel memory",
            "boot with lockdown=integrity, or without lockdown",
        ),
        Some(modes) if modes.contains("[integrity]") => {
            Check::ok(NAME, "integrity, which permits the probes")
        }
        Some(_) => Check::ok(NAME, "none"),
        None => Check::warn(
            NAME,
            "unknown: /sys/kernel/security is not mounted",
            "to find out: mount -t securityfs securityfs /sys/kernel/security",
        ),
    }
}

pub(super) fn jit(content: Option<&str>) -> Check {
    const NAME: &str = "BPF JIT";
    const REMEDY: &str = "sysctl -w net.core.bpf_jit_enable=1";
    match content {
        Some("0") => Check::warn(
            NAME,
            "off: every context switch costs several times more",
            REMEDY,
        ),
        Some(_) => Check::ok(NAME, "on"),
        None => Check::warn(
            NAME,
            "unknown: net.core.bpf_jit_enable cannot be read",
            REMEDY,
        ),
    }
}

pub(super) fn perf_paranoid(content: Option<&str>, caps: Caps) -> Check {
    const NAME: &str = "perf_event_paranoid";
    const REMEDY: &str =
        "give unjack CAP_PERFMON rather than lowering kernel.perf_event_paranoid for all";
    let level = content.and_then(|text| text.parse::<i32>().ok());
    match (level, content) {
        (_, Some(text)) if caps.has_any(&[Caps::PERFMON, Caps::SYS_ADMIN]) => Check::ok(
            NAME,
            format!("{text}, which does not concern unjack with its capabilities"),
        ),
        // -1 permits everyone everything.
        (Some(level), _) if level < 0 => Check::ok(NAME, level.to_string()),
        (Some(level), _) => Check::warn(
            NAME,
            format!("{level}: sampling is refused without CAP_PERFMON"),
            REMEDY,
        ),
        (None, _) => Check::warn(
            NAME,
            "unknown: this kernel may lack perf events",
            "boot a kernel built with CONFIG_PERF_EVENTS=y, as distributions' kernels are",
        ),
    }
}

fn is_pmu(name: &str) -> bool {
    matches!(name, "cpu" | "cpu_core") || name.starts_with("armv8")
}

/// Whether a processor's cycles drive the sampler, rather than a clock.
pub(super) fn counts_cycles(devices: &Result<Vec<String>, &'static str>) -> bool {
    devices
        .as_ref()
        .is_ok_and(|names| names.iter().any(|name| is_pmu(name)))
}

/// `devices` are the names in `/sys/bus/event_source/devices`.
pub(super) fn pmu(devices: &Result<Vec<String>, &'static str>) -> Check {
    const NAME: &str = "hardware PMU";
    const REMEDY: &str = "none needed to find miners; on a virtual machine, have the hypervisor offer a \
                          virtual PMU to let idle processors sleep";
    match devices {
        Ok(names) => match names.iter().find(|name| is_pmu(name)) {
            Some(name) => Check::ok(NAME, format!("{name}: samples by cycles")),
            None => Check::warn(NAME, "none: samples by cpu-clock", REMEDY),
        },
        Err(problem) => Check::warn(NAME, format!("unknown: {PMU_DEVICES} {problem}"), REMEDY),
    }
}

pub(super) fn bpf_lsm(content: Option<&str>) -> Check {
    const NAME: &str = "BPF LSM";
    match content {
        Some(list) if list.split(',').any(|lsm| lsm == "bpf") => Check::ok(NAME, "active"),
        Some(list) => Check::warn(
            NAME,
            format!("not active ({list}): banned images are killed at exec, scripts are not seen"),
            format!("for execs to fail instead, boot with lsm={list},bpf"),
        ),
        None => Check::warn(
            NAME,
            "unknown: /sys/kernel/security is not mounted",
            "unjack run finds out by itself; to see it here: mount -t securityfs securityfs /sys/kernel/security",
        ),
    }
}

/// A mount of `/proc/self/mountinfo`: mount point, type, super block options.
pub(super) fn mounts(mountinfo: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    mountinfo.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut filesystem = filesystem.split(' ');
        Some((
            mount.split(' ').nth(4)?,
            filesystem.next()?,
            filesystem.nth(1)?,
        ))
    })
}

pub(super) fn cgroups(mountinfo: &str) -> Check {
    const NAME: &str = "cgroups";
    let has = |wanted| mounts(mountinfo).any(|(_, kind, _)| kind == wanted);
    match (has("cgroup"), has("cgroup2")) {
        (false, true) => Check::ok(NAME, "v2"),
        (true, true) => Check::ok(NAME, "hybrid: v1 controllers beside v2"),
        (true, false) => Check::warn(
            NAME,
            "v1 only: a group cannot be frozen or killed as a whole, and Stratum cannot be \
             recognized",
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified; or, with systemd, boot with \
             systemd.unified_cgroup_hierarchy=1",
        ),
        (false, false) => Check::warn(
            NAME,
            "not mounted: containers and services cannot be told apart",
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup; in a container, mount the host's /sys/fs/cgroup",
        ),
    }
}

pub(super) fn hidepid(mountinfo: &str, caps: Caps) -> Check {
    const NAME: &str = "/proc";
    // The last mount covers those before it.
    let options = mounts(mountinfo)
        .filter(|(point, kind, _)| *point == "/proc" && *kind == "proc")
        .last();
    let Some((_, _, options)) = options else {
        return Check::warn(
            NAME,
            "not found among the mounts: processes may not be visible",
            "mount -t proc proc /proc",
        );
    };
    let hidepid = options
        .split(',')
        .find_map(|option| option.strip_prefix("hidepid="));
    match hidepid {
        None | Some("0" | "off") => Check::ok(NAME, "shows all processes"),
        Some(mode) if caps.has(Caps::SYS_PTRACE) => Check::ok(
            NAME,
            format!("hidepid={mode}, which CAP_SYS_PTRACE overrides"),
        ),
        Some(mode) => Check::warn(
            NAME,
            format!(
                "hidepid={mode}: others' processes cannot be examined, so killing them is refused"
            ),
            "give unjack CAP_SYS_PTRACE",
        ),
    }
}

/// Whether `/usr` is the one that process 1 sees; `None` if that cannot be told.
pub(super) fn programs(same: Option<bool>, caps: Caps) -> Check {
    const NAME: &str = "host's programs";
    match same {
        Some(true) => Check::ok(NAME, "/usr is the host's"),
        None if caps.has(Caps::SYS_PTRACE) => Check::warn(
            NAME,
            "whether /usr is the host's cannot be told: /usr or /proc/1/root/usr cannot be read, \
             though unjack has CAP_SYS_PTRACE",
            "mount the host's /usr at /usr if there is none; if there is, let AppArmor or SELinux \
             permit unjack to read the root directory of process 1",
        ),
        None => Check::warn(
            NAME,
            "whether /usr is the host's cannot be told",
            "give unjack CAP_SYS_PTRACE",
        ),
        Some(false) => Check::warn(
            NAME,
            "/usr is not the host's: the host's own programs, such as sshd and the kubelet, are \
             not recognized and not protected",
            "in a container, mount the host's /usr at /usr, read-only; see docs/kubernetes.md",
        ),
    }
}
