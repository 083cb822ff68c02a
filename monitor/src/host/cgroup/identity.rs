//! What a cgroup's path means: a unit of systemd's, a container, a pod.
//!
//! Two questions, with opposite errors. What a *rule* may spare a process for
//! is believed only as far as no user but root on the host can have made it: the
//! outermost name counts. What the scope `cgroup` may *end* is the smallest
//! thing round the process: the innermost name counts, and what is shared by
//! others is never it.

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of a container's id.
const ID_CHARS: usize = 64;

/// What made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd, for a kubelet or for nerdctl.
    Containerd,
    /// CRI-O.
    #[serde(rename = "cri-o")]
    Crio,
    /// Podman.
    Podman,
    /// LXC, LXD or Incus.
    Lxc,
}

impl Runtime {
    /// Its name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
        }
    }
}

/// What a process belongs to, for rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// The system's unit, such as `backup.service`. Not one of a user's own
    /// manager, and none inside a container.
    pub unit: Option<String>,
    /// The container's id, or an LXC container's name. Not one below a user's
    /// own manager or session, where the user may give a cgroup any name.
    pub container: Option<String>,
    /// What made the container, where its cgroup's name says so.
    pub runtime: Option<Runtime>,
    /// The uid of the Kubernetes pod, with dashes; of a static pod, which the
    /// node's kubelet has from a file, 32 digits without.
    pub pod: Option<String>,
    /// It is in a user's session or below a user's own manager. Root's are not told
    /// apart.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_user: bool,
}

impl Identity {
    /// Of a process with these paths: from each, what those before did not tell.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        for path in paths {
            let Self {
                unit,
                container,
                runtime,
                pod,
                of_user,
            } = Self::of_path(path);
            all.of_user |= of_user;
            all.unit = all.unit.or(unit);
            if all.container.is_none() {
                (all.container, all.runtime) = (container, runtime);
            }
            all.pod = all.pod.or(pod);
        }
        all
    }

    fn of_path(path: &str) -> Self {
        let mut found = Self::default();
        let mut slices_only = true;
        let mut before = "";
        for part in path.split('/').filter(|part| !part.is_empty()) {
            // Outside of our namespace, or a user's own: what follows may be any
            // user's choice.
            let users = is_users(before, part);
            if part == ".." || users {
                found.of_user = users;
                if slices_only && part != ".." && is_unit(part) {
                    found.unit = Some(part.to_owned());
                }
                break;
            }
            if slices_only && is_unit(part) {
                found.unit = Some(part.to_owned());
            }
            found.pod = found.pod.or_else(|| pod(part));
            if let Some((runtime, id)) = container(before, part) {
                found.container = Some(id.to_owned());
                found.runtime = runtime;
                break;
            }
            slices_only &= is_slice(part);
            before = part;
        }
        found
    }
}

/// Whether this part of a path is a user's: that user's manager, a session in
/// systemd's tree (`user-1000.slice/session-3.scope`), or what `pam_cgfs` makes for
/// the user in those of version 1 (`/user/NAME/0`). Root's are not told apart.
fn is_users(before: &str, part: &str) -> bool {
    part.starts_with("user@") || is_users_slice(before) || before.is_empty() && part == "user"
}

/// In whose hands a cgroup is, with all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// One user: the slice of that user's sessions and manager. Any user id in there
    /// is that user's, as `/etc/subuid` gives some of them a range.
    User,
    /// A container or pod, whose root can become any user id.
    Container,
    /// The host: a unit, or what is in none. Processes of several users may share it.
    Host,
}

/// The outermost cgroup in a path that no user but root on the host can have made or
/// named, and in whose hands it is. However many cgroups are made below it, it is the
/// same one. Empty for the root.
#[must_use]
pub fn domain(path: &str) -> (Holder, &str) {
    let mut start = 0;
    let mut before = "";
    let mut host = None;
    for part in path.split('/') {
        let upto = &path[..start + part.len()];
        start += part.len() + 1;
        // A part above our own namespace is not shown; what follows it is.
        if part.is_empty() || part == ".." {
            continue;
        }
        let below_user = before == "user" && upto.matches('/').count() == 2;
        if is_users_slice(part) || part.starts_with("user@") || below_user {
            return (Holder::User, upto);
        }
        if pod(part).is_some() || container(before, part).is_some() {
            return (Holder::Container, upto);
        }
        if is_unit(part) {
            return (Holder::Host, host.unwrap_or(upto));
        }
        if !is_slice(part) {
            host = host.or(Some(upto));
        }
        before = part;
    }
    (
        Holder::Host,
        host.unwrap_or_else(|| path.trim_end_matches('/')),
    )
}

/// Whether this is the slice of a user other than root: `user-1000.slice`.
fn is_users_slice(part: &str) -> bool {
    let uid = part
        .strip_prefix("user-")
        .and_then(|rest| rest.strip_suffix(".slice"));
    uid.is_some_and(|uid| uid != "0")
}

/// The smallest cgroup round a process that is one container, service or scope
/// and may be acted on as a whole: the path up to it. None for the root, for a
/// slice, for systemd's own and for a user's manager, which others share.
#[must_use]
pub fn boundary(path: &str) -> Option<&str> {
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let mut end = path.len();
    while end > 0 {
        let whole = &path[..end];
        let start = whole.rfind('/')?;
        let part = &whole[start + 1..];
        let before = path[..start].rsplit('/').next().unwrap_or("");
        let own = part == "init.scope" || part.starts_with("user@") || part.contains("conmon");
        if !own && (is_unit(part) || container(before, part).is_some()) {
            return Some(whole);
        }
        end = start;
    }
    None
}

fn is_slice(part: &str) -> bool {
    part.strip_suffix(".slice").is_some()
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope"]
        .iter()
        .any(|kind| part.len() > kind.len() && part.ends_with(kind))
}

/// What made it, and the id, in a container's part of a path:
///
/// | part | of |
/// |---|---|
/// | `docker-ID.scope`; ID below `docker` | Docker with systemd's driver; with cgroupfs |
/// | `libpod-ID.scope`, `libpod-payload-ID`; `libpod-ID` | Podman with systemd, and in a unit of its own; with cgroupfs |
/// | `crio-ID.scope`; `crio-ID` | CRI-O with systemd; with cgroupfs |
/// | `cri-containerd-ID.scope`, `nerdctl-ID.scope` | containerd with systemd |
/// | `SLICE:cri-containerd:ID` | … where kubelet and it disagree about the driver |
/// | ID | any of Kubernetes' with cgroupfs, and others |
/// | `lxc.payload.NAME`; NAME below `lxc.payload` or `lxc` | LXC 4 and LXD; 3.1; before |
///
/// A bare id below `libpod_parent` is a pod of Podman's, with its containers in it.
fn container<'a>(before: &str, part: &'a str) -> Option<(Option<Runtime>, &'a str)> {
    let lxc = match part.strip_prefix("lxc.payload.") {
        None if matches!(before, "lxc" | "lxc.payload") => Some(part),
        name => name,
    };
    if let Some(name) = lxc.filter(|name| !name.is_empty()) {
        return Some((Some(Runtime::Lxc), name));
    }
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let at = part.len().checked_sub(ID_CHARS)?;
    let (prefix, id) = part.split_at_checked(at)?;
    if !is_id(id) {
        return None;
    }
    if prefix.is_empty() {
        let runtime = (before == "docker").then_some(Runtime::Docker);
        return (before != "libpod_parent").then_some((runtime, id));
    }
    let engine = prefix.strip_suffix(['-', ':'])?;
    // The monitor of a container is outside of it.
    (!engine.contains("conmon")).then(|| {
        let runtime = match engine.rsplit(':').next() {
            Some("docker") => Some(Runtime::Docker),
            Some("libpod" | "libpod-payload") => Some(Runtime::Podman),
            Some("crio") => Some(Runtime::Crio),
            Some("cri-containerd" | "nerdctl") => Some(Runtime::Containerd),
            _ => None,
        };
        (runtime, id)
    })
}

/// The uid in `podUID` of the cgroupfs driver, and in
/// `kubepods-burstable-podUID.slice` of the systemd driver, whose dashes are
/// underscores; also with a container's `:cri-containerd:ID` behind it.
fn pod(part: &str) -> Option<String> {
    let name = part.split(':').next()?;
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let uid = match name.strip_prefix("pod") {
        Some(uid) => uid,
        None => name.rsplit_once("-pod")?.1,
    };
    let uid = uid.replace('_', "-");
    let of_manifest = uid.len() == 32 && is_hex(&uid);
    let fits = uid.len() == 36
        && uid.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    (fits || of_manifest).then_some(uid)
}

/// Whether a text is a container's id in full, and so nothing else, such as a
/// path, to code that makes a path of it.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == ID_CHARS && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
