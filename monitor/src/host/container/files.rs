//! The files in which runtimes keep what they know of a container.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Lookup, MAX_FILE_BYTES};
use crate::host::cgroup::identity::Runtime;

/// Docker's `data-root` as it is by default, and in Ubuntu's snap.
const DOCKER: [&str; 2] = ["/var/lib/docker", "/var/snap/docker/common/var-lib-docker"];
/// `graphroot` of containers-storage.conf(5), for root.
const STORAGE: [&str; 1] = ["/var/lib/containers/storage"];
/// Drivers of containers/storage, by which it names its folders.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];
/// `state` of containerd as it is by default, in k3s and RKE2, and in `MicroK8s`.
const CONTAINERD: [&str; 3] = [
    "/run/containerd",
    "/run/k3s/containerd",
    "/var/snap/microk8s/common/run/containerd",
];
/// The annotation by which containerd's CRI plugin names a pod's namespace.
const CONTAINERD_NAMESPACE: &str = "io.kubernetes.cri.sandbox-namespace";
/// The plugin that runs containers: containerd's docs/ops.md, "State".
const TASKS: &str = "io.containerd.runtime.v2.task";
/// Namespaces of containerd's that are looked into: there are two or three.
const MAX_NAMESPACES: usize = 32;

/// What a runtime says of a container, as it says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) runtime: Option<Runtime>,
    pub(super) name: Option<String>,
    pub(super) image: Option<String>,
    pub(super) pod_namespace: Option<String>,
    pub(super) pod_name: Option<String>,
}

impl Told {
    /// Nothing, if it has no name of any kind.
    fn some(self) -> Option<Self> {
        let any = self.name.is_some() || self.image.is_some() || self.pod_name.is_some();
        any.then_some(self)
    }
}

/// `config.v2.json`: moby's `container.Container` as it is kept.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerFile {
    name: Option<String>,
    config: Option<DockerConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerConfig {
    image: Option<String>,
    labels: Option<HashMap<String, String>>,
}

/// `config.json` of a bundle: the OCI runtime specification.
#[derive(Deserialize)]
struct Bundle {
    annotations: Option<HashMap<String, String>>,
}

/// An entry of `containers.json`: `Container` of containers/storage.
#[derive(Deserialize)]
struct Stored {
    id: String,
    names: Option<Vec<String>>,
    /// JSON in JSON.
    metadata: Option<String>,
}

/// `RuntimeContainerMetadata` of Podman's and CRI-O's `storage` packages.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Metadata {
    image_name: String,
}

/// The host's root directory.
pub(super) struct Root {
    fd: OwnedFd,
    pub(super) owner: u32,
}

impl Root {
    pub(super) fn open(path: &Path) -> Option<Self> {
        let folder = File::open(path).ok()?;
        let owner = folder.metadata().ok()?.uid();
        let fd = folder.into();
        Some(Self { fd, owner })
    }

    pub(super) fn docker(&self, id: &str, places: &[PathBuf]) -> Result<Option<Told>, Lookup> {
        for place in all(&DOCKER, places) {
            let path = place.join("containers").join(id).join("config.v2.json");
            let Some(DockerFile { name, config }) = self.json(&path)? else {
                continue;
            };
            let (image, labels) = config.map_or_else(Default::default, |config| {
                (config.image, config.labels.unwrap_or_default())
            });
            // Names begin with a slash: "/web". A kubelet's are in labels.
            let name = name.map(|name| name.trim_start_matches('/').to_owned());
            let told = Told {
                runtime: Some(Runtime::Docker),
                name: one(&labels, &["io.kubernetes.container.name"]).or(name),
                image,
                pod_namespace: one(&labels, &["io.kubernetes.pod.namespace"]),
                pod_name: one(&labels, &["io.kubernetes.pod.name"]),
            };
            return Ok(told.some());
        }
        Ok(None)
    }

    pub(super) fn storage(&self, id: &str, places: &[PathBuf]) -> Result<Option<Told>, Lookup> {
        for place in all(&STORAGE, places) {
            for driver in DRIVERS {
                let folder = place.join(format!("{driver}-containers"));
                let path = folder.join(id).join("userdata/config.json");
                let Some(Bundle { annotations }) = self.json(&path)? else {
                    continue;
                };
                let told = bundle(&annotations.unwrap_or_default());
                // CRI-O's has all of it, Podman's no name.
                if told.name.is_some() || told.pod_name.is_some() {
                    return Ok(Some(told));
                }
                let list = folder.join("containers.json");
                let stored: Vec<Stored> = self.json(&list)?.unwrap_or_default();
                let Some(stored) = stored.into_iter().find(|stored| stored.id == id) else {
                    return Ok(told.some());
                };
                let metadata: Metadata = stored
                    .metadata
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or_default();
                let told = Told {
                    name: stored.names.and_then(|names| names.into_iter().next()),
                    image: told.image.or(some(metadata.image_name)),
                    ..told
                };
                return Ok(told.some());
            }
        }
        Ok(None)
    }

    pub(super) fn containerd(&self, id: &str, places: &[PathBuf]) -> Result<Option<Told>, Lookup> {
        for place in all(&CONTAINERD, places) {
            let tasks = place.join(TASKS);
            for namespace in self.folders(&tasks) {
                let path = tasks.join(namespace).join(id).join("config.json");
                if let Some(Bundle { annotations }) = self.json(&path)? {
                    let annotations = annotations.unwrap_or_default();
                    let mut told = bundle(&annotations);
                    told.runtime = Some(Runtime::Containerd);
                    // Its own word: `pod_annotations` in its configuration can let the
                    // author of a pod write the other key.
                    told.pod_namespace = one(&annotations, &[CONTAINERD_NAMESPACE]);
                    return Ok(told.some());
                }
            }
        }
        Ok(None)
    }

    /// Whether any of the places is there.
    pub(super) fn has_any(&self, places: &[PathBuf]) -> bool {
        let usual = DOCKER
            .iter()
            .chain(&STORAGE)
            .chain(&CONTAINERD)
            .map(Path::new);
        let mut all = places.iter().map(PathBuf::as_path).chain(usual);
        all.any(|place| self.at(place, OFlags::RDONLY | OFlags::DIRECTORY).is_ok())
    }

    /// A file's content; none if there is no such file.
    fn json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Lookup> {
        const WRITABLE_BY_OTHERS: u32 = 0o022;
        // A pipe must not keep us.
        let Ok(fd) = self.at(path, OFlags::RDONLY | OFlags::NONBLOCK) else {
            return Ok(None);
        };
        let file = File::from(fd);
        let meta = file.metadata().map_err(|_| Lookup::Unknown)?;
        let alone = meta.uid() == self.owner && meta.mode() & WRITABLE_BY_OTHERS == 0;
        if !meta.is_file() || !alone {
            return Err(Lookup::Foreign);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| Lookup::Unknown)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(Lookup::TooLarge);
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| Lookup::Malformed)
    }

    fn folders(&self, path: &Path) -> Vec<PathBuf> {
        let open = self.at(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let Ok(entries) = open.and_then(Dir::new) else {
            return Vec::new();
        };
        entries
            .flatten()
            .map(|entry| entry.file_name().to_bytes().to_owned())
            .filter(|name| name != b"." && name != b"..")
            .take(MAX_NAMESPACES)
            .map(|name| PathBuf::from(OsStr::from_bytes(&name)))
            .collect()
    }

    /// Links are followed as if this were our root, and never out of it.
    fn at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        openat2(self.fd.as_fd(), path, flags, Mode::empty(), resolve)
    }
}

/// From the annotations of a bundle: CRI-O's `pkg/annotations`, which also has
/// the kubelet's labels; containerd's `internal/cri/annotations`; nerdctl's
/// `pkg/labels`.
fn bundle(annotations: &HashMap<String, String>) -> Told {
    let runtime = match annotations.get("io.container.manager").map(String::as_str) {
        Some("libpod") => Some(Runtime::Podman),
        Some("cri-o") => Some(Runtime::Crio),
        _ => None,
    };
    Told {
        runtime,
        name: one(
            annotations,
            &[
                "io.kubernetes.container.name",
                "io.kubernetes.cri.container-name",
                "nerdctl/name",
            ],
        ),
        image: one(
            annotations,
            &[
                "io.kubernetes.cri-o.ImageName",
                "io.kubernetes.cri-o.Image",
                "io.kubernetes.cri.image-name",
            ],
        ),
        pod_namespace: one(
            annotations,
            &["io.kubernetes.pod.namespace", CONTAINERD_NAMESPACE],
        ),
        pod_name: one(
            annotations,
            &["io.kubernetes.pod.name", "io.kubernetes.cri.sandbox-name"],
        ),
    }
}

/// The first of these keys that is there and not empty.
fn one(map: &HashMap<String, String>, keys: &[&str]) -> Option<String> {
    let mut values = keys.iter().filter_map(|key| map.get(*key));
    values.find(|value| !value.is_empty()).cloned()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The operator's places before the usual ones.
fn all<'a>(usual: &'a [&str], places: &'a [PathBuf]) -> impl Iterator<Item = &'a Path> {
    let usual = usual.iter().map(Path::new);
    places.iter().map(PathBuf::as_path).chain(usual)
}
