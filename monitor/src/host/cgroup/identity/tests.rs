//! Whole `/proc/PID/cgroup` texts, as each runtime with each driver leaves them.

use super::*;
use crate::host::cgroup::Membership;

const ID: &str = "598a584c321ed436975bf70ae4e3cea775cfd60df1fa0cd455549a5e9ac96bcf";
const INNER: &str = "02e215deb7956db2eb61fb8d76987215e9b015b3477f347b0b412406f3d20e7d";
const UID: &str = "0b7632a2-a56e-4278-987a-22de18008dbe";
const SLICE_UID: &str = "0b7632a2_a56e_4278_987a_22de18008dbe";
/// Of a static pod: a hash of its manifest.
const STATIC_UID: &str = "3d6beaa3004913efb68ce073d73494b0";

fn of(text: &str) -> Identity {
    let text = text
        .replace("INNER", INNER)
        .replace("SLICE_UID", SLICE_UID)
        .replace("STATIC_UID", STATIC_UID)
        .replace("UID", UID)
        .replace("ID", ID);
    let membership = Membership::parse(text.as_bytes());
    let paths = membership.paths();
    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    Identity::of(paths.iter().map(AsRef::as_ref))
}

#[track_caller]
fn check(text: &str, runtime: Option<Runtime>, pod: Option<&str>) {
    let found = of(text);
    assert_eq!(found.container.as_deref(), Some(ID), "{text}");
    assert_eq!(found.runtime, runtime, "{text}");
    assert_eq!(found.pod.as_deref(), pod, "{text}");
}

#[track_caller]
fn check_none(text: &str) {
    let found = of(text);
    assert_eq!((found.container, found.runtime), (None, None), "{text}");
}

#[test]
fn docker() {
    let docker = Some(Runtime::Docker);
    check("0::/system.slice/docker-ID.scope\n", docker, None);
    check("0::/docker/ID\n", docker, None);
    check("0::/docker/ID/init.scope\n", docker, None);
    check(
        "12:cpuset:/docker/ID\n4:cpu,cpuacct:/docker/ID\n1:name=systemd:/docker/ID\n0::/system.slice/containerd.service\n",
        docker,
        None,
    );
    // --cgroup-parent with the systemd driver.
    check("0::/build.slice/docker-ID.scope\n", docker, None);
}

/// The texts of the first and the second are this podman's own, version 4.3.
#[test]
fn podman() {
    let podman = Some(Runtime::Podman);
    check(
        "9:name=systemd:/libpod_parent/libpod-ID\n8:pids:/libpod_parent/libpod-ID\n0::/\n",
        podman,
        None,
    );
    check("0::/libpod_parent/libpod-ID\n", podman, None);
    check("0::/machine.slice/libpod-ID.scope\n", podman, None);
    check(
        "0::/machine.slice/libpod-ID.scope/container\n",
        podman,
        None,
    );
    // In a pod of its own, by either driver; the pod's id is no container's.
    check("0::/libpod_parent/INNER/libpod-ID\n", podman, None);
    check(
        "0::/machine.slice/machine-libpod_pod_INNER.slice/libpod-ID.scope\n",
        podman,
        None,
    );
    // In a unit, as quadlets are (--cgroups=split).
    let text = "0::/system.slice/web.service/libpod-payload-ID\n";
    check(text, podman, None);
    assert_eq!(of(text).unit.as_deref(), Some("web.service"));
}

#[test]
fn kubernetes_with_containerd() {
    let containerd = Some(Runtime::Containerd);
    for class in ["burstable", "besteffort"] {
        check(
            &format!(
                "0::/kubepods.slice/kubepods-{class}.slice/kubepods-{class}-podSLICE_UID.slice/cri-containerd-ID.scope\n"
            ),
            containerd,
            Some(UID),
        );
        // cgroupfs: the name of the runtime is nowhere.
        check(
            &format!("0::/kubepods/{class}/podUID/ID\n"),
            None,
            Some(UID),
        );
    }
    // Guaranteed.
    check(
        "0::/kubepods.slice/kubepods-podSLICE_UID.slice/cri-containerd-ID.scope\n",
        containerd,
        Some(UID),
    );
    check("4:cpu,cpuacct:/kubepods/podUID/ID\n0::/\n", None, Some(UID));
    // The kubelet says systemd, containerd says cgroupfs.
    check(
        "0::/system.slice/containerd.service/kubepods-burstable-podSLICE_UID.slice:cri-containerd:ID\n",
        containerd,
        Some(UID),
    );
    check(
        "0::/kubepods-besteffort-podSLICE_UID.slice:cri-containerd:ID\n",
        containerd,
        Some(UID),
    );
    check("0::/system.slice/nerdctl-ID.scope\n", containerd, None);
}

#[test]
fn kubernetes_with_cri_o_and_docker() {
    let crio = Some(Runtime::Crio);
    let slices = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE_UID.slice";
    check(&format!("0::{slices}/crio-ID.scope\n"), crio, Some(UID));
    check(
        &format!("0::{slices}/crio-ID.scope/container\n"),
        crio,
        Some(UID),
    );
    check("0::/kubepods/besteffort/podUID/crio-ID\n", crio, Some(UID));
    check_none(&format!("0::{slices}/crio-conmon-ID.scope\n"));
    let docker = Some(Runtime::Docker);
    check(&format!("0::{slices}/docker-ID.scope\n"), docker, Some(UID));
}

#[test]
fn static_pods_have_a_uid_without_dashes() {
    check(
        "3:cpu:/kubepods/besteffort/podSTATIC_UID/ID\n",
        None,
        Some(STATIC_UID),
    );
    check(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSTATIC_UID.slice/cri-containerd-ID.scope\n",
        Some(Runtime::Containerd),
        Some(STATIC_UID),
    );
}

/// A node of kind's or minikube's is itself a container: that is what the host
/// knows; the node's root may give any name to what is inside.
#[test]
fn nodes_in_containers_are_the_container_that_the_host_knows() {
    let docker = Some(Runtime::Docker);
    let inside = "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podSLICE_UID.slice/cri-containerd-INNER.scope";
    check(&format!("0::/docker/ID/{inside}\n"), docker, None);
    check(
        &format!("0::/system.slice/docker-ID.scope/{inside}\n"),
        docker,
        None,
    );
    check(
        "4:cpu:/docker/ID/kubepods/besteffort/podUID/INNER\n",
        docker,
        None,
    );
    // Seen by an agent that runs in the node, in the node's own namespace.
    check(
        "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podSLICE_UID.slice/cri-containerd-ID.scope\n",
        Some(Runtime::Containerd),
        Some(UID),
    );
}

#[test]
fn lxc_by_name() {
    for text in [
        "0::/lxc.payload.web\n",
        "0::/lxc.payload.web/system.slice/nginx.service\n",
        "0::/lxc.payload/web/init.scope\n",
        "5:cpu,cpuacct:/lxc/web\n",
    ] {
        let found = of(text);
        assert_eq!(found.container.as_deref(), Some("web"), "{text}");
        assert_eq!(found.runtime, Some(Runtime::Lxc), "{text}");
        assert_eq!(found.unit, None, "{text}");
    }
    for text in [
        "0::/lxc.monitor.web\n",
        "0::/lxc.monitor/web\n",
        "0::/lxc.payload.\n",
        "0::/lxc\n",
    ] {
        check_none(text);
    }
}

/// Below the user's own manager or session, or what `pam_cgfs` makes for the user,
/// a user makes cgroups of any name.
#[test]
fn what_a_user_may_have_made_is_no_container() {
    for text in [
        "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container\n",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker-ID.scope\n",
        "0::/user.slice/user-1000.slice/session-3.scope/libpod-payload-ID\n",
        "0::/user.slice/user-1000.slice/session-3.scope/lxc.payload.web\n",
        "0::/user.slice/user-1000.slice/lxc.payload.web\n",
        "4:cpu:/user/eve/0/lxc/web\n",
        "0::/../../docker/ID\n",
    ] {
        check_none(text);
    }
    let session = of("0::/user.slice/user-1000.slice/session-3.scope/docker/ID\n");
    assert_eq!(session.unit.as_deref(), Some("session-3.scope"));
    check(
        "0::/user.slice/user-0.slice/session-1.scope/libpod-payload-ID\n",
        Some(Runtime::Podman),
        None,
    );
}

/// The trees may differ: what one does not tell another may, but what made a
/// container is only told by the one that names it.
#[test]
fn hybrid_trees_are_one_answer() {
    let found = of("4:cpu:/docker/ID\n1:name=systemd:/system.slice/docker.service\n0::/\n");
    assert_eq!(found.unit.as_deref(), Some("docker.service"));
    assert_eq!(found.container.as_deref(), Some(ID));
    assert_eq!(found.runtime, Some(Runtime::Docker));
    let found = of("4:cpu:/docker/INNER\n0::/ecs/task/ID\n");
    assert_eq!(found.container.as_deref(), Some(ID));
    assert_eq!(found.runtime, None);
}

#[test]
fn only_a_whole_id_is_one() {
    assert!(is_id(ID));
    for text in ["", &ID[1..], &ID.to_uppercase(), &format!("{}/", &ID[1..])] {
        assert!(!is_id(text), "{text}");
    }
    assert!(!is_id(&format!("../../{}", &ID[6..])));
}

#[test]
fn a_domain_is_what_only_root_can_name() {
    use Holder::{Container, Host, User};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let check = |path: &str, holder: Holder, expected: &str| {
        assert_eq!(domain(path), (holder, expected), "{path}");
    };
    let user = "/user.slice/user-1000.slice";
    check(&format!("{user}/session-3.scope"), User, user);
    check(&format!("{user}/session-4.scope/a.scope"), User, user);
    let own = format!("{user}/user@1000.service/app.slice/docker-{ID}.scope");
    check(&own, User, user);
    check("/user/anna/0/x", User, "/user/anna");
    check("/a/user/anna/0", Host, "/a");
    let root = "/user.slice/user-0.slice/session-1.scope";
    check(root, Host, root);
    let unit = "/system.slice/ssh.service";
    check(unit, Host, unit);
    check(&format!("{unit}/docker-{ID}.scope"), Host, unit);
    let pod = "/kubepods.slice/kubepods-pod12345678_9abc_def0_1234_56789abcdef0.slice";
    check(&format!("{pod}/cri-containerd-{ID}.scope"), Container, pod);
    let podman = format!("/machine.slice/libpod-{ID}.scope");
    check(&format!("{podman}/init"), Container, &podman);
    let docker = format!("/docker/{ID}");
    check(&format!("{docker}/x"), Container, &docker);
    check("/jobs/1/2", Host, "/jobs");
    check("/jobs/x.service", Host, "/jobs");
    check("/a.slice/b.slice", Host, "/a.slice/b.slice");
    check("/", Host, "");
    check("", Host, "");
    check("/../x.service/y", Host, "/../x.service");
    check(&format!("/..{user}/a.scope"), User, &format!("/..{user}"));
}
