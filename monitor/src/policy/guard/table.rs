//! What a host cannot lose, as data: which programs, where they lie, as whom they
//! run, and why each is on the list.
//!
//! A path alone protects nothing. The guard asks besides whose the process is,
//! where it was started, and where the code lies that it executes. A program that
//! any user may start for itself (podman, a session's D-Bus) is on the list for
//! when the host runs it.

/// A folder in which a system keeps programs of its own.
#[derive(Clone, Copy, Debug)]
pub struct Folder {
    /// Its path. `*` stands for any text within one name.
    pub path: &'static str,
    /// How a file of root's gets there.
    pub filled: Filled,
    /// Which system or distribution has it, and where that is written.
    pub source: &'static str,
}

/// How a file that root owns gets into a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// By root, or by root's package manager.
    ByRoot,
    /// By a build daemon, for any user who asks: that root owns the file says nothing
    /// about what it is, so it counts only for root's own processes.
    ForAnyUser,
    /// By snapd. A snap's service may have a root directory of its own.
    BySnapd,
}

/// A program, or several of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// File names. `*` stands for any text.
    pub names: &'static [&'static str],
    /// Units in which it runs as a system user of its own. Without any it is
    /// protected only as root's.
    pub units: &'static [&'static str],
    /// What the host loses with it.
    pub reason: &'static str,
}

/// The largest user id of a system account: `SYS_UID_MAX` of `login.defs(5)`.
const SYSTEM_UID_MAX: u32 = 999;
/// User ids that systemd gives to units with `DynamicUser=`
/// (<https://systemd.io/UIDS-GIDS>).
const DYNAMIC_UIDS: std::ops::RangeInclusive<u32> = 61184..=65519;

/// Whether a user id other than root's is one that services have, and people not.
#[must_use]
pub fn is_service_uid(uid: u32) -> bool {
    (1..=SYSTEM_UID_MAX).contains(&uid) || DYNAMIC_UIDS.contains(&uid)
}

const FHS: &str = "Filesystem Hierarchy Standard 3.0";
const SYSTEMD: &str = "systemd: file-hierarchy(7), rootlibexecdir";
const OPENSSH: &str = "OpenSSH's libexec: Debian /usr/lib/openssh, Fedora /usr/libexec/openssh, Arch and SUSE /usr/lib/ssh";
const PODMAN: &str = "Podman: containers.conf(5), helper_binaries_dir and conmon_path";
const BOTTLEROCKET: &str =
    "Bottlerocket: paths of its units, as systemctl shows them (bottlerocket-os/bottlerocket)";
const NIX: &str =
    "NixOS: services.openssh starts ${package}/bin/sshd from the store (NixOS/nixpkgs)";
const GUIX: &str = "Guix: gnu/services/ssh.scm starts #$openssh/sbin/sshd from the store";
const SNAP: &str = "snapd mounts NAME's revision at /snap/NAME/REVISION; /var/lib/snapd/snap where /snap does not exist (Fedora)";

const fn by_root(path: &'static str, source: &'static str) -> Folder {
    Folder {
        path,
        filled: Filled::ByRoot,
        source,
    }
}

const fn store(path: &'static str, source: &'static str) -> Folder {
    Folder {
        path,
        filled: Filled::ForAnyUser,
        source,
    }
}

const fn snap(path: &'static str) -> Folder {
    Folder {
        path,
        filled: Filled::BySnapd,
        source: SNAP,
    }
}

/// Where systems keep the programs below.
pub const FOLDERS: &[Folder] = &[
    // Talos too: its machined is /sbin/init, and containerd, runc and udevd lie beside it.
    by_root("/bin", FHS),
    by_root("/sbin", FHS),
    by_root("/usr/bin", FHS),
    by_root("/usr/sbin", FHS),
    by_root(
        "/usr/local/bin",
        "FHS; installers of Kubernetes, k3s, RKE2 and k0s",
    ),
    by_root("/usr/local/sbin", "FHS; runc's own installation guide"),
    by_root("/usr/libexec", FHS),
    by_root("/lib/systemd", SYSTEMD),
    by_root("/usr/lib/systemd", SYSTEMD),
    by_root("/lib/elogind", "elogind: its libexecdir on Gentoo and Void"),
    by_root("/usr/libexec/elogind", "elogind: its libexecdir on Alpine"),
    by_root("/usr/lib/openssh", OPENSSH),
    by_root("/usr/libexec/openssh", OPENSSH),
    by_root("/usr/lib/ssh", OPENSSH),
    by_root("/usr/lib/podman", PODMAN),
    by_root("/usr/libexec/podman", PODMAN),
    by_root(
        "/usr/libexec/crio",
        "CRI-O: its package's conmon and runtimes",
    ),
    by_root(
        "/opt/bin",
        "Flatcar, and k3s' install.sh where /usr/local is read-only",
    ),
    by_root(
        "/opt/rke2/bin",
        "RKE2: install.sh, where /usr/local is read-only",
    ),
    by_root(
        "/var/lib/rancher/k3s/data/*/bin",
        "k3s unpacks containerd, its shims, runc and itself here (container-selinux#162)",
    ),
    by_root(
        "/var/lib/rancher/rke2/data/*/bin",
        "RKE2 unpacks containerd, its shims, runc and kubelet here (docs.rke2.io)",
    ),
    by_root(
        "/var/lib/k0s/bin",
        "k0s: embedded binaries, extracted on first start (docs.k0sproject.io, directories)",
    ),
    by_root(
        "/x86_64-bottlerocket-linux-gnu/sys-root/usr/bin",
        BOTTLEROCKET,
    ),
    by_root(
        "/x86_64-bottlerocket-linux-gnu/sys-root/usr/sbin",
        BOTTLEROCKET,
    ),
    by_root(
        "/x86_64-bottlerocket-linux-gnu/sys-root/usr/libexec",
        BOTTLEROCKET,
    ),
    by_root(
        "/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/systemd",
        BOTTLEROCKET,
    ),
    by_root(
        "/aarch64-bottlerocket-linux-gnu/sys-root/usr/bin",
        BOTTLEROCKET,
    ),
    by_root(
        "/aarch64-bottlerocket-linux-gnu/sys-root/usr/sbin",
        BOTTLEROCKET,
    ),
    by_root(
        "/aarch64-bottlerocket-linux-gnu/sys-root/usr/libexec",
        BOTTLEROCKET,
    ),
    by_root(
        "/aarch64-bottlerocket-linux-gnu/sys-root/usr/lib/systemd",
        BOTTLEROCKET,
    ),
    snap("/snap/microk8s/*"),
    snap("/snap/microk8s/*/bin"),
    snap("/snap/microk8s/*/usr/bin"),
    snap("/snap/k8s/*/bin"),
    snap("/snap/docker/*/bin"),
    snap("/snap/docker/*/usr/bin"),
    snap("/snap/lxd/*/bin"),
    snap("/snap/lxd/*/sbin"),
    snap("/snap/kubelet/*"),
    snap("/snap/kube-proxy/*"),
    snap("/snap/kube-apiserver/*"),
    snap("/snap/etcd/*"),
    snap("/snap/etcd/*/bin"),
    snap("/var/lib/snapd/snap/microk8s/*"),
    snap("/var/lib/snapd/snap/microk8s/*/bin"),
    snap("/var/lib/snapd/snap/docker/*/bin"),
    snap("/var/lib/snapd/snap/lxd/*/bin"),
    store("/nix/store/*/bin", NIX),
    store("/nix/store/*/sbin", NIX),
    store("/nix/store/*/libexec", NIX),
    store("/nix/store/*/lib/systemd", NIX),
    store("/gnu/store/*/bin", GUIX),
    store("/gnu/store/*/sbin", GUIX),
    store("/gnu/store/*/libexec", GUIX),
    store("/gnu/store/*/libexec/elogind", GUIX),
];

const fn roots(names: &'static [&'static str], reason: &'static str) -> Program {
    Program {
        names,
        units: &[],
        reason,
    }
}

const fn service(
    names: &'static [&'static str],
    units: &'static [&'static str],
    reason: &'static str,
) -> Program {
    Program {
        names,
        units,
        reason,
    }
}

/// What a host cannot lose.
pub const PROGRAMS: &[Program] = &[
    roots(
        &[
            "init",
            "systemd",
            "openrc-init",
            "runit",
            "s6-svscan",
            "dinit",
        ],
        "starts and restarts everything else; the machine stops without it",
    ),
    roots(
        &["supervise-daemon", "runsvdir", "runsv", "s6-supervise"],
        "restarts a service; that one is lost for good when it fails next",
    ),
    roots(
        &["systemd-journald"],
        "takes the output of all services, which block or end without it",
    ),
    roots(
        &["systemd-logind", "elogind", "elogind-daemon"],
        "lets people log in, and keeps the processes of each session apart",
    ),
    roots(
        &["systemd-machined", "systemd-nspawn"],
        "runs containers and virtual machines; they end with it",
    ),
    roots(
        &["systemd-homed", "systemd-userdbd", "systemd-userwork"],
        "knows the users; no login works without it",
    ),
    service(
        &["systemd-networkd"],
        &["systemd-networkd.service"],
        "configures the network; the host is cut off when a lease ends",
    ),
    service(
        &["systemd-resolved"],
        &["systemd-resolved.service"],
        "resolves names for all programs",
    ),
    service(
        &["systemd-timesyncd"],
        &["systemd-timesyncd.service"],
        "sets the clock, by which certificates and tickets are valid",
    ),
    service(
        &["systemd-oomd"],
        &["systemd-oomd.service"],
        "keeps the host alive when memory runs out",
    ),
    roots(
        &["sshd", "sshd-session", "sshd-auth", "dropbear"],
        "the way in: all users are locked out, or one session ends",
    ),
    roots(
        &["login", "agetty", "getty", "mingetty"],
        "the way in by a console, when the network is gone",
    ),
    roots(
        &["cron", "crond", "atd"],
        "starts backups, renewals and updates; it is in the cgroup of each job that it started",
    ),
    service(
        &["dbus-daemon", "dbus-broker", "dbus-broker-launch"],
        &["dbus.service", "dbus-broker.service", "messagebus.service"],
        "the system bus: logins, units and the network are controlled through it, and it cannot be \
         restarted on a running host",
    ),
    roots(
        &["systemd-udevd", "udevadm", "udevd"],
        "names devices and loads drivers; systemd's udevd is udevadm by another name",
    ),
    roots(
        &["dockerd", "docker-proxy", "cri-dockerd"],
        "runs containers, and forwards their ports",
    ),
    roots(
        &[
            "containerd",
            "containerd-shim",
            "containerd-shim-*",
            "host-ctr",
        ],
        "runs containers; a shim holds one container's terminal and exit status",
    ),
    roots(
        &["runc", "crun", "youki"],
        "starts and stops a container; ended midway it leaves half of one",
    ),
    roots(
        &[
            "crio",
            "conmon",
            "conmonrs",
            "podman",
            "netavark",
            "aardvark-dns",
        ],
        "runs containers; conmon holds one container's terminal and exit status",
    ),
    roots(
        &["lxc-start", "lxc-monitord", "lxcfs", "lxd", "incusd"],
        "runs containers and virtual machines, and serves their /proc",
    ),
    roots(
        &["kubelet", "kube-proxy", "kubelite", "k3s", "rke2", "k0s"],
        "makes the host a node: without it all pods are moved away",
    ),
    roots(
        &[
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "k8s-dqlite",
        ],
        "controls the cluster",
    ),
    service(
        &["etcd"],
        &[
            "etcd.service",
            "etcd-member.service",
            "snap.etcd.etcd.service",
        ],
        "holds the cluster's state",
    ),
    roots(
        &[
            "multipathd",
            "iscsid",
            "iscsiuio",
            "dmeventd",
            "lvmetad",
            "lvmpolld",
            "mdadm",
            "mdmon",
            "zed",
        ],
        "holds disks together; file systems stop or lose writes without it",
    ),
    roots(
        &[
            "rpc.mountd",
            "rpc.gssd",
            "rpc.idmapd",
            "nfsdcld",
            "glusterd",
            "glusterfsd",
            "glusterfs",
        ],
        "serves or mounts network file systems",
    ),
    service(
        &["rpcbind", "rpc.statd"],
        &["rpcbind.service", "rpc-statd.service", "nfs-common.service"],
        "finds and locks network file systems",
    ),
    service(
        &["ceph-osd", "ceph-mon", "ceph-mds"],
        &[
            "ceph-osd@*.service",
            "ceph-mon@*.service",
            "ceph-mds@*.service",
        ],
        "holds other hosts' disks; their writes stop without it",
    ),
    roots(
        &[
            "NetworkManager",
            "wpa_supplicant",
            "iwd",
            "dhclient",
            "wickedd",
            "connmand",
            "pppd",
        ],
        "holds the host's network and its leases",
    ),
    service(
        &["dhcpcd"],
        &["dhcpcd.service", "dhcpcd@*.service"],
        "holds the host's leases",
    ),
    service(
        &["ovs-vswitchd", "ovsdb-server"],
        &["ovs-vswitchd.service", "ovsdb-server.service"],
        "switches the traffic of virtual machines and pods",
    ),
];

/// The program and the folder of a path, if both are on the lists.
#[must_use]
pub fn find(path: &str) -> Option<(&'static Program, &'static Folder)> {
    let (folder, name) = path.rsplit_once('/')?;
    let program = PROGRAMS
        .iter()
        .find(|program| program.names.iter().any(|known| fits(known, name)))?;
    let folder = FOLDERS.iter().find(|known| is_folder(known.path, folder))?;
    Some((program, folder))
}

/// Whether a folder has this path, of which each name may have a `*`.
fn is_folder(known: &str, folder: &str) -> bool {
    let (mut known, mut names) = (known.split('/'), folder.split('/'));
    loop {
        match (known.next(), names.next()) {
            (None, None) => return true,
            (Some(known), Some(name)) if fits(known, name) => {}
            _ => return false,
        }
    }
}

/// Whether a name fits one with at most one `*`, which stands for any text but none,
/// and never for a step upwards.
pub(super) fn fits(known: &str, name: &str) -> bool {
    match known.split_once('*') {
        None => known == name,
        Some((before, after)) => {
            name != ".."
                && name.len() > before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
        }
    }
}
