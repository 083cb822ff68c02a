//! Each entry of the list, by itself; and the paths that distributions really have.

use std::collections::BTreeSet;

use super::*;
use crate::policy::guard::table::{FOLDERS, PROGRAMS};

/// A path of this program, in the folder that every system has.
fn path(name: &str) -> String {
    format!("/usr/bin/{}", name.replace('*', "x"))
}

#[test]
fn each_program_is_guarded_as_roots_and_as_no_users() {
    for program in PROGRAMS {
        for name in program.names {
            let path = path(name);
            check(&path, &of(0, None), GUARDED);
            check(&path, &of(USER, Some("session-3.scope")), Ok(()));
            let mut contained = of(0, None);
            contained.identity.as_mut().unwrap().container = Some("c".to_owned());
            check(&path, &contained, Ok(()));
            let root = of(0, None);
            let injected = Candidate {
                code: BurningCode::Foreign,
                ..candidate(&path, &root)
            };
            assert_eq!(guard(true).check(&injected), Ok(()), "{path}");
        }
    }
}

#[test]
fn each_service_is_guarded_as_its_user_in_its_units_and_nowhere_else() {
    for program in PROGRAMS {
        for name in program.names {
            let path = path(name);
            for unit in program.units {
                let unit = unit.replace('*', "0");
                check(&path, &of(SERVICE, Some(&unit)), GUARDED);
                check(&path, &of(USER, Some(&unit)), Ok(()));
            }
            for unit in [None, Some("web.service"), Some("user@1000.service")] {
                check(&path, &of(SERVICE, unit), Ok(()));
            }
        }
    }
}

#[test]
fn each_folder_holds_programs_and_none_below_or_above_it() {
    for folder in FOLDERS {
        let path = folder.path.replace('*', "x1-2.3");
        let sshd = |folder: &str| is_listed(&format!("{folder}/sshd"));
        assert!(sshd(&path), "{path}");
        assert!(!sshd(&format!("/tmp{path}")), "{path}");
        assert!(!sshd(&format!("{path}/a/b/c")), "{path}");
        let upwards = folder.path.replace('*', "..");
        assert!(!sshd(&upwards) || upwards == folder.path, "{upwards}");
    }
}

#[test]
fn each_entry_says_why_and_is_there_once() {
    let mut names = BTreeSet::new();
    for program in PROGRAMS {
        assert!(program.reason.len() > 10, "{:?}", program.names);
        for name in program.names {
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.matches('*').count() <= 1, "{name}");
        }
        for unit in program.units {
            let name = unit.strip_suffix(".service");
            assert!(name.is_some_and(|name| !name.is_empty()), "{unit}");
        }
    }
    let mut paths = BTreeSet::new();
    for folder in FOLDERS {
        assert!(!folder.source.is_empty(), "{}", folder.path);
        assert!(paths.insert(folder.path), "{} is there twice", folder.path);
    }
}

/// As `/proc/PID/exe` reads there.
#[test]
fn the_layouts_of_distributions_are_known() {
    const K3S: &str = "/var/lib/rancher/k3s/data/4df430e1473d0225734948e562863c82f20d658ed9c420c77e168aec42eccdb5/bin";
    let k3s = |name| format!("{K3S}/{name}");
    for path in [
        k3s("containerd"),
        k3s("containerd-shim-runc-v2"),
        k3s("runc"),
        k3s("k3s"),
        "/usr/local/bin/k3s".to_owned(),
        "/opt/bin/k3s".to_owned(),
        "/var/lib/rancher/rke2/data/v1.28.8-rke2r1-c4073db9beee/bin/containerd-shim-runc-v2"
            .to_owned(),
        "/var/lib/rancher/rke2/data/v1.28.8-rke2r1-c4073db9beee/bin/kubelet".to_owned(),
        "/opt/rke2/bin/rke2".to_owned(),
        "/var/lib/k0s/bin/containerd-shim-runc-v2".to_owned(),
        "/snap/microk8s/7589/kubelite".to_owned(),
        "/snap/microk8s/7589/bin/runc".to_owned(),
        "/snap/microk8s/7589/bin/k8s-dqlite".to_owned(),
        "/snap/docker/2963/bin/dockerd".to_owned(),
        "/snap/lxd/29619/bin/lxcfs".to_owned(),
        "/x86_64-bottlerocket-linux-gnu/sys-root/usr/bin/runc".to_owned(),
        "/aarch64-bottlerocket-linux-gnu/sys-root/usr/bin/kubelet".to_owned(),
        "/nix/store/8bq7i9qq5q6gkvg2q2ccqclqjsk8y2mm-openssh-9.7p1/bin/sshd".to_owned(),
        "/nix/store/8bq7i9qq5q6gkvg2q2ccqclqjsk8y2mm-systemd-255.4/lib/systemd/systemd-logind"
            .to_owned(),
        "/gnu/store/8bq7i9qq5q6gkvg2q2ccqclqjsk8y2mm-openssh-9.7p1/sbin/sshd".to_owned(),
        // Talos.
        "/sbin/init".to_owned(),
        "/bin/containerd".to_owned(),
    ] {
        check(&path, &of(0, None), GUARDED);
        check(&path, &of(USER, None), Ok(()));
    }
    for path in [
        // The engine's store of images, which hold what their makers like.
        "/var/lib/docker/overlay2/abc/merged/usr/bin/dockerd",
        "/var/lib/rancher/k3s/agent/containerd/x/bin/containerd",
        "/var/lib/rancher/k3s/data/../bin/containerd",
        "/var/lib/rancher/k3s/data/bin/containerd",
        "/home/a/.nix-profile/bin/sshd",
        "/snap/other/1/bin/containerd",
    ] {
        check(path, &of(0, None), Ok(()));
    }
}
