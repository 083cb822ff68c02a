//! On trees of files as the runtimes' documentation and sources describe them;
//! Podman's is one that Podman 4.3 left.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;

const ID: &str = "598a584c321ed436975bf70ae4e3cea775cfd60df1fa0cd455549a5e9ac96bcf";
const UID: &str = "0b7632a2-a56e-4278-987a-22de18008dbe";

/// A host's root directory.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("ID", ID)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn containers(&self) -> Containers {
        Containers::new(self.0.path().to_owned(), Vec::new())
    }

    fn look(&self, runtime: Option<Runtime>) -> (Home, Option<Lookup>) {
        self.containers().home(&identity(runtime), Instant::now())
    }

    #[track_caller]
    fn check(&self, runtime: Option<Runtime>, line: &str) {
        let (home, lookup) = self.look(runtime);
        assert_eq!(home.to_string(), line);
        assert_eq!(lookup, Some(Lookup::Named));
    }

    #[track_caller]
    fn refuses(&self, lookup: Lookup) {
        let (home, came) = self.look(Some(Runtime::Docker));
        assert_eq!(home.to_string(), "container 598a584c321e (docker)");
        assert_eq!(came, Some(lookup));
    }
}

fn identity(runtime: Option<Runtime>) -> Identity {
    Identity {
        container: Some(ID.to_owned()),
        runtime,
        ..Identity::default()
    }
}

const DOCKER: &str = "var/lib/docker/containers/ID/config.v2.json";
const WEB: &str = r#"{"StreamConfig":{},"State":{"Running":true,"Pid":4242},"ID":"ID","Created":"2026-11-25T04:21:15Z",
    "Config":{"Hostname":"598a584c321e","Image":"example.org/web:1","Labels":{}},"Name":"/web","RestartCount":0}"#;

fn docker() -> Host {
    Host::new().write(DOCKER, WEB)
}

#[test]
fn docker_by_name_and_image() {
    let line = r#"container "web" (docker 598a584c321e) of image "example.org/web:1""#;
    docker().check(Some(Runtime::Docker), line);
    // A bare id in the cgroup's path: whose it is, its file tells.
    docker().check(None, line);
}

#[test]
fn docker_of_a_kubelet() {
    let host = Host::new().write(
        DOCKER,
        r#"{"Name":"/k8s_miner_web-0_shop_x_0","Config":{"Image":"sha256:12","Labels":{
            "io.kubernetes.container.name":"miner","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}}}"#,
    );
    let line = r#"container "miner" (docker 598a584c321e) of image "sha256:12", pod "shop/web-0""#;
    host.check(Some(Runtime::Docker), line);
}

#[test]
fn podman_by_name_and_image() {
    let folder = "var/lib/containers/storage/overlay-containers";
    let bundle = r#"{"ociVersion":"1.0.2-dev","annotations":{"io.container.manager":"libpod","org.opencontainers.image.stopSignal":"15"}}"#;
    let list = r#"[{"id":"other","names":["db"]},{"id":"ID","names":["web"],"image":"0182","layer":"01a1",
        "metadata":"{\"image-name\":\"localhost/unjack-test/web:1\",\"image-id\":\"0182\",\"name\":\"web\",\"created-at\":1795580475}"}]"#;
    let host = Host::new()
        .write(&format!("{folder}/ID/userdata/config.json"), bundle)
        .write(&format!("{folder}/containers.json"), list);
    let line = r#"container "web" (podman 598a584c321e) of image "localhost/unjack-test/web:1""#;
    host.check(Some(Runtime::Podman), line);
    host.check(None, line);
}

#[test]
fn cri_o_by_the_names_of_kubernetes() {
    let host = Host::new().write(
        "var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
        r#"{"annotations":{"io.container.manager":"cri-o","io.kubernetes.container.name":"miner",
            "io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop",
            "io.kubernetes.cri-o.ImageName":"quay.io/shop/web:2","io.kubernetes.cri-o.Image":"0182"}}"#,
    );
    let line =
        r#"container "miner" (cri-o 598a584c321e) of image "quay.io/shop/web:2", pod "shop/web-0""#;
    host.check(Some(Runtime::Crio), line);
    host.check(None, line);
}

#[test]
fn containerd_in_any_namespace_and_place() {
    let bundle = r#"{"annotations":{"io.kubernetes.cri.container-name":"miner","io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.image-name":"quay.io/shop/web:2","io.kubernetes.cri.sandbox-name":"web-0",
        "io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
    let line = r#"container "miner" (containerd 598a584c321e) of image "quay.io/shop/web:2", pod "shop/web-0""#;
    for state in ["run/containerd", "run/k3s/containerd"] {
        let task = format!("{state}/io.containerd.runtime.v2.task/k8s.io");
        let host = Host::new()
            .write(&format!("{task}/other/config.json"), "{}")
            .write(&format!("{task}/ID/config.json"), bundle);
        host.check(Some(Runtime::Containerd), line);
        host.check(None, line);
    }
}

/// The container that keeps a pod's namespaces has no name.
#[test]
fn a_pods_own_container_is_known_by_the_pod() {
    let host = Host::new().write(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        r#"{"annotations":{"io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"}}"#,
    );
    let line = r#"container 598a584c321e (containerd), pod "shop/web-0""#;
    host.check(Some(Runtime::Containerd), line);
}

#[test]
fn without_any_file_the_cgroup_is_told() {
    let (home, lookup) = Host::new().look(Some(Runtime::Docker));
    assert_eq!(home.to_string(), "container 598a584c321e (docker)");
    assert_eq!(lookup, Some(Lookup::Unknown));
    let nowhere =
        Containers::new("/does/not/exist".into(), Vec::new()).home(&identity(None), Instant::now());
    assert_eq!(nowhere.0.to_string(), "container 598a584c321e");
    let lxc = Identity {
        container: Some("web".to_owned()),
        runtime: Some(Runtime::Lxc),
        ..Identity::default()
    };
    assert_eq!(Home::of(&lxc).to_string(), r#"container "web" (lxc)"#);
    let unit = Identity {
        unit: Some("backup.service".to_owned()),
        ..Identity::default()
    };
    assert_eq!(Home::of(&unit).to_string(), r#"unit "backup.service""#);
    let pod = Identity {
        pod: Some(UID.to_owned()),
        ..identity(None)
    };
    let line = format!("container 598a584c321e, pod {UID}");
    assert_eq!(Home::of(&pod).to_string(), line);
    assert!(Home::default().is_empty());
}

#[test]
fn what_others_may_write_to_is_refused() {
    for mode in [0o620, 0o602, 0o666] {
        let host = docker();
        let path = host.0.path().join(DOCKER.replace("ID", ID));
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        host.refuses(Lookup::Foreign);
    }
}

/// As a user's own storage is, wherever a link or the operator leads to it.
#[test]
fn what_another_than_the_roots_owner_owns_is_refused() {
    let host = docker();
    let mut root = Root::open(host.0.path()).unwrap();
    assert!(root.docker(ID, &[]).unwrap().is_some());
    root.owner += 1;
    assert_eq!(root.docker(ID, &[]), Err(Lookup::Foreign));
}

#[test]
fn a_file_that_is_none_is_refused_without_waiting() {
    let host = Host::new().write("var/lib/docker/containers/ID/x", "");
    let path = host.0.path().join(DOCKER.replace("ID", ID));
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
    host.refuses(Lookup::Foreign);
}

#[test]
fn a_file_without_end_is_too_large() {
    let host = docker();
    let path = host.0.path().join(DOCKER.replace("ID", ID));
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(MAX_FILE_BYTES + 1).unwrap();
    host.refuses(Lookup::TooLarge);
}

#[test]
fn what_no_runtime_writes_is_malformed() {
    for text in ["", "{", "[]", r#"{"Name":7}"#, &"[".repeat(100_000)] {
        Host::new().write(DOCKER, text).refuses(Lookup::Malformed);
    }
}

/// A link is followed inside of the host's root, and never out of it.
#[test]
fn links_lead_nowhere_but_in_the_hosts_root() {
    let link = |target: &Path| {
        let host = Host::new().write(
            "srv/docker/containers/ID/config.v2.json",
            r#"{"Name":"/inside"}"#,
        );
        fs::create_dir_all(host.0.path().join("var/lib")).unwrap();
        std::os::unix::fs::symlink(target, host.0.path().join("var/lib/docker")).unwrap();
        host
    };
    let inside = r#"container "inside" (docker 598a584c321e)"#;
    link(Path::new("/srv/docker")).check(Some(Runtime::Docker), inside);
    link(Path::new("../../../../../srv/docker")).check(Some(Runtime::Docker), inside);
    let outside = docker();
    link(&outside.0.path().join("var/lib/docker")).refuses(Lookup::Unknown);
}

#[test]
fn an_id_that_is_none_never_becomes_a_path() {
    let host = Host::new().write("var/lib/docker/x/config.v2.json", WEB);
    for id in ["../x", "..", "", &ID[..12], &ID.to_uppercase()] {
        let identity = Identity {
            container: Some(id.to_owned()),
            ..identity(Some(Runtime::Docker))
        };
        let (home, lookup) = host.containers().home(&identity, Instant::now());
        assert_eq!(lookup, None, "{id}");
        assert_eq!(home.container.unwrap().name, None, "{id}");
    }
}

#[test]
fn names_are_cleaned() {
    let host = Host::new().write(
        DOCKER,
        r#"{"Name":"/we\u001b[2Jb\n\"","Config":{"Image":"a\u202eb"}}"#,
    );
    let (home, _) = host.look(Some(Runtime::Docker));
    let container = home.container.unwrap();
    assert_eq!(container.name.as_deref(), Some(r#"we\x1b[2Jb\x0a""#));
    assert_eq!(container.image.as_deref(), Some(r"a\u{202e}b"));
}

#[test]
fn the_operator_may_name_other_places() {
    let host = Host::new().write("srv/containers/ID/config.v2.json", WEB);
    let mut containers = Containers::new(host.0.path().to_owned(), vec!["/srv".into()]);
    let (home, _) = containers.home(&identity(None), Instant::now());
    assert_eq!(home.container.unwrap().name.as_deref(), Some("web"));
}

#[test]
fn what_is_known_is_not_looked_up_again_until_it_is_old() {
    let host = docker();
    let mut containers = host.containers();
    let begun = Instant::now();
    let identity = identity(Some(Runtime::Docker));
    assert_eq!(containers.home(&identity, begun).1, Some(Lookup::Named));
    let host = host.write(DOCKER, &WEB.replace("/web", "/renamed"));
    let (home, lookup) = containers.home(&identity, begun + FRESH / 2);
    assert_eq!(
        (home.container.unwrap().name.as_deref(), lookup),
        (Some("web"), None)
    );
    let (home, lookup) = containers.home(&identity, begun + FRESH);
    assert_eq!(
        (home.container.unwrap().name.as_deref(), lookup),
        (Some("renamed"), Some(Lookup::Named))
    );
    drop(host);
}

#[test]
fn no_more_than_so_many_are_remembered() {
    let mut containers = Host::new().containers();
    for number in 0..=MAX_KNOWN {
        let identity = Identity {
            container: Some(format!("{number:064x}")),
            ..Identity::default()
        };
        containers.home(&identity, Instant::now());
        assert!(containers.known.len() <= MAX_KNOWN);
    }
}

/// containerd can be set to hand on what the author of a pod writes: its own word counts.
#[test]
fn a_pods_author_does_not_choose_its_namespace() {
    let host = Host::new().write(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        r#"{"annotations":{"io.kubernetes.pod.namespace":"kube-system","io.kubernetes.cri.sandbox-name":"web-0",
            "io.kubernetes.cri.sandbox-namespace":"shop"}}"#,
    );
    let (home, _) = host.look(Some(Runtime::Containerd));
    assert_eq!(
        home.pod.and_then(|pod| pod.namespace).as_deref(),
        Some("shop")
    );
    assert!(host.containers().any_runtime());
    assert!(!Host::new().containers().any_runtime());
}
