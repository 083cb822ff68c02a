//! What a process belongs to, as people call it: the names and images of
//! containers and pods, from the files their runtimes keep on this host.
//!
//! In: an [`Identity`], which the cgroup tells. Out: a [`Home`], to be shown.
//! No socket is spoken to and nothing is started. What is found neither exempts nor
//! condemns a process: any user who may start a container chooses its name and its image.
//! Rules of `--only` use the image and the namespace of a pod, to limit what is acted on.
//! It is looked up when a verdict is told, when such a rule asks, or when a view is asked
//! for.
//!
//! | runtime | file |
//! |---|---|
//! | Docker | `/var/lib/docker/containers/ID/config.v2.json` |
//! | Podman, CRI-O | `/var/lib/containers/storage/DRIVER-containers/ID/userdata/config.json` and `…/containers.json` |
//! | containerd | `/run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json` |
//!
//! LXC's containers are known by their names. `--container-dir` adds other places.
//!
//! The host's files are reached through the root of its first process, which an
//! agent in a container sees as well, with the host's processes; or, where that
//! is denied, through our own. A file counts
//! if it belongs to the owner of that root (that is, to root), no other user may
//! write to it, and it is no larger than [`MAX_FILE_BYTES`]: what a user keeps of
//! the user's own containers is refused. Texts are cleaned. Up to [`MAX_KNOWN`]
//! containers are remembered for [`FRESH`], those that nothing is known of, too.

mod files;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::Serialize;

use self::files::{Root, Told};
use super::root;
use crate::host::cgroup::identity::{Identity, Runtime, is_id};
use unjack_core::text::Quoted;
use unjack_core::text::clean;

/// Bytes of a file that are read. Those of one container have some 10 KB; the
/// list of all of Podman's a kilobyte for each.
pub const MAX_FILE_BYTES: u64 = 4 << 20;
/// Containers that are remembered; then all are looked up anew.
pub const MAX_KNOWN: usize = 256;
/// How long what is remembered is good: a container may be renamed.
pub const FRESH: Duration = Duration::from_mins(1);
/// Characters of a name or an image that are shown.
const TEXT_CHARS: usize = 256;
/// Digits of a container's id that are shown to people.
const SHORT_ID: usize = 12;

/// What came of looking a container up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its name or image is known.
    Named,
    /// No runtime has anything of it in the places that are known.
    Unknown,
    /// A file is not root's alone.
    Foreign,
    /// A file is larger than [`MAX_FILE_BYTES`].
    TooLarge,
    /// A file is not what the runtime would write.
    Malformed,
}

impl Lookup {
    /// Every one there is.
    pub const ALL: [Self; 5] = [
        Self::Named,
        Self::Unknown,
        Self::Foreign,
        Self::TooLarge,
        Self::Malformed,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Unknown => "unknown",
            Self::Foreign => "foreign",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
        }
    }
}

/// What a process belongs to. Texts are cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Home {
    /// The system's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The Kubernetes pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its id, or an LXC container's name.
    pub id: String,
    /// What made it, where that is known.
    pub runtime: Option<Runtime>,
    /// Its name, where that is known.
    pub name: Option<String>,
    /// The image it was made from, where that is known.
    pub image: Option<String>,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its uid, where the cgroup tells it.
    pub uid: Option<String>,
    /// Its namespace, where that is known.
    pub namespace: Option<String>,
    /// Its name, where that is known.
    pub name: Option<String>,
}

impl Home {
    /// Without any container's file.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        Self::with(identity, Told::default())
    }

    fn with(identity: &Identity, told: Told) -> Self {
        let Identity {
            unit,
            container,
            runtime,
            pod,
            of_user: _,
        } = identity;
        let shown = |text: &String| clean(text.as_bytes(), TEXT_CHARS);
        let Told {
            runtime: told_by,
            name,
            image,
            pod_namespace,
            pod_name,
        } = told;
        let runtime = runtime.or(told_by);
        let is_pod = pod.is_some() || pod_name.is_some();
        Self {
            unit: unit.as_ref().map(shown),
            container: container.as_ref().map(|id| Container {
                id: shown(id),
                name: match runtime {
                    Some(Runtime::Lxc) => Some(shown(id)),
                    _ => name.as_ref().map(shown),
                },
                runtime,
                image: image.as_ref().map(shown),
            }),
            pod: is_pod.then(|| Pod {
                uid: pod.clone(),
                namespace: pod_namespace.as_ref().map(shown),
                name: pod_name.as_ref().map(shown),
            }),
        }
    }

    /// Whether there is anything to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// For people: `container "web" (podman 598a584c321e) of image "example.org/web:1"`.
impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            unit,
            container,
            pod,
        } = self;
        if let Some(container) = container {
            let Container {
                id,
                runtime,
                name,
                image,
            } = container;
            let id: String = id.chars().take(SHORT_ID).collect();
            write!(f, "container ")?;
            match (name, runtime) {
                (Some(name), Some(Runtime::Lxc)) => write!(f, "{} (lxc)", Quoted(name))?,
                (Some(name), Some(runtime)) => {
                    write!(f, "{} ({} {id})", Quoted(name), runtime.name())?;
                }
                (Some(name), None) => write!(f, "{} ({id})", Quoted(name))?,
                (None, Some(runtime)) => write!(f, "{id} ({})", runtime.name())?,
                (None, None) => write!(f, "{id}")?,
            }
            if let Some(image) = image {
                write!(f, " of image {}", Quoted(image))?;
            }
        } else if let Some(unit) = unit {
            write!(f, "unit {}", Quoted(unit))?;
        }
        let Some(Pod {
            uid,
            namespace,
            name,
        }) = pod
        else {
            return Ok(());
        };
        let before = if container.is_some() || unit.is_some() {
            ", "
        } else {
            ""
        };
        match (namespace, name, uid) {
            (Some(namespace), Some(name), _) => {
                write!(f, "{before}pod {}", Quoted(&format!("{namespace}/{name}")))
            }
            (None, Some(name), _) => write!(f, "{before}pod {}", Quoted(name)),
            (_, None, Some(uid)) => write!(f, "{before}pod {uid}"),
            (_, None, None) => Ok(()),
        }
    }
}

/// Looks containers up, and remembers them.
#[derive(Debug)]
pub struct Containers {
    root: PathBuf,
    /// Places of runtimes, beside the usual.
    places: Vec<PathBuf>,
    known: HashMap<String, (Instant, Told)>,
}

impl Containers {
    /// Of the host this process sees: of its first process's root directory, or of
    /// our own where that may not be looked at.
    #[must_use]
    pub fn of_host(places: Vec<PathBuf>) -> Self {
        let first = root::folder(1).join("root");
        let root = match Root::open(&first) {
            Some(_) => first,
            None => PathBuf::from("/"),
        };
        Self::new(root, places)
    }

    /// Of the host whose root directory is at `root`; `places` are paths there.
    #[must_use]
    pub fn new(root: PathBuf, places: Vec<PathBuf>) -> Self {
        Self {
            root,
            places,
            known: HashMap::new(),
        }
    }

    /// What a process belongs to; and what came of it if files were read.
    pub fn home(&mut self, identity: &Identity, now: Instant) -> (Home, Option<Lookup>) {
        let id = match &identity.container {
            Some(id) if is_id(id) => id,
            _ => return (Home::of(identity), None),
        };
        match self.known.get(id) {
            Some((since, told)) if now.saturating_duration_since(*since) < FRESH => {
                return (Home::with(identity, told.clone()), None);
            }
            _ => {}
        }
        let (told, lookup) = match self.look(id, identity.runtime) {
            Ok(Some(told)) => (told, Lookup::Named),
            Ok(None) => (Told::default(), Lookup::Unknown),
            Err(lookup) => (Told::default(), lookup),
        };
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(id.clone(), (now, told.clone()));
        (Home::with(identity, told), Some(lookup))
    }

    /// Whether any runtime keeps files in a place that is known.
    #[must_use]
    pub fn any_runtime(&self) -> bool {
        Root::open(&self.root).is_some_and(|root| root.has_any(&self.places))
    }

    fn look(&self, id: &str, runtime: Option<Runtime>) -> Result<Option<Told>, Lookup> {
        let Some(root) = Root::open(&self.root) else {
            return Ok(None);
        };
        let is = |candidates: &[Runtime]| runtime.is_none_or(|it| candidates.contains(&it));
        let mut first = Ok(None);
        let mut keep = |found: Result<Option<Told>, Lookup>| {
            if !matches!(first, Ok(Some(_))) && !matches!(found, Ok(None)) {
                first = found;
            }
        };
        if is(&[Runtime::Docker]) {
            keep(root.docker(id, &self.places));
        }
        if is(&[Runtime::Podman, Runtime::Crio]) {
            keep(root.storage(id, &self.places));
        }
        if is(&[Runtime::Containerd]) {
            keep(root.containerd(id, &self.places));
        }
        first
    }
}

#[cfg(test)]
mod tests;
