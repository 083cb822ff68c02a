//! What a cgroup's path means: a unit of systemd's, a container, a pod.
//!
//! Two questions, with opposite errors. What a *rule* may spare a process for
//! is only believed as far as nobody but root on the host can have made it: the
//! outermost name counts. What the scope `cgroup` may *end* is the smallest
//! thing round the process: the innermost name counts, and what is shared by
//! others is never it.

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of a container's id.
const ID_CHARS: usize = 64;

/// What a process belongs to, for rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// The system's unit, such as `backup.service`. Not one of a user's own
    /// manager, and none inside a container.
    pub unit: Option<String>,
    /// The container's id, or an LXC container's name. Not one below a user's
    /// own manager, where the user may call a scope what he likes.
    pub container: Option<String>,
    /// The uid of the Kubernetes pod, with dashes.
    pub pod: Option<String>,
}

impl Identity {
    /// Of a process with these paths: from each, what those before did not tell.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        for path in paths {
            let Self {
                unit,
                container,
                pod,
            } = Self::of_path(path);
            all.unit = all.unit.or(unit);
            all.container = all.container.or(container);
            all.pod = all.pod.or(pod);
        }
        all
    }

    fn of_path(path: &str) -> Self {
        let mut found = Self::default();
        let mut slices_only = true;
        let mut before = "";
        for part in path.split('/').filter(|part| !part.is_empty()) {
            // Outside of our namespace, or a user's own: what follows is
            // anybody's word.
            if part == ".." || part.starts_with("user@") {
                if slices_only && part != ".." && is_unit(part) {
                    found.unit = Some(part.to_owned());
                }
                break;
            }
            if slices_only && is_unit(part) {
                found.unit = Some(part.to_owned());
            }
            found.pod = found.pod.or_else(|| pod(part));
            if let Some(id) = container(before, part) {
                found.container = Some(id.to_owned());
                break;
            }
            slices_only &= is_slice(part);
            before = part;
        }
        found
    }
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

/// The id in a container's part of a path: `docker-ID.scope`, `libpod-ID`,
/// `cri-containerd-ID.scope`, `crio-ID`, `SLICE:cri-containerd:ID`, a bare ID,
/// `lxc.payload.NAME`, and NAME below `lxc`.
fn container<'a>(before: &str, part: &'a str) -> Option<&'a str> {
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(name);
    }
    if before == "lxc" && !part.is_empty() {
        return Some(part);
    }
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let at = part.len().checked_sub(ID_CHARS)?;
    let (prefix, id) = part.split_at_checked(at)?;
    // The monitor of a container is outside of it.
    let engine = prefix.is_empty() || prefix.ends_with(['-', ':']) && !prefix.contains("conmon");
    (engine && is_hex(id)).then_some(id)
}

/// `podUID` of the cgroupfs driver, `kubepods-burstable-podUID.slice` of the
/// systemd driver, whose dashes are underscores.
fn pod(part: &str) -> Option<String> {
    const UID_CHARS: usize = 36;
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let at = name.len().checked_sub(UID_CHARS)?;
    let (prefix, uid) = name.split_at_checked(at)?;
    let uid = uid.replace('_', "-");
    let fits = uid.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    });
    (fits && (prefix == "pod" || prefix.ends_with("-pod"))).then_some(uid)
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
