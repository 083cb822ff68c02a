//! The events about images that are refused.

use std::fmt::Write as _;

use serde::Serialize;

use crate::respond::action::ban::{
    Listed,
    origin::{Origin, Starter},
};
use unjack_core::text::{Plain, Quoted};

/// An image is refused from now on, or is not although it was condemned.
#[derive(Clone, Debug, Serialize)]
pub struct BanEvent {
    /// The process whose image it is, if it was spared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// `banned` or `spared`.
    pub outcome: &'static str,
    /// Why it was spared.
    pub spared: &'static str,
    /// The ban.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ban: Option<Listed>,
}

/// A banned image was to be executed again, or a copy of it was.
#[derive(Clone, Debug, Serialize)]
pub struct RespawnEvent {
    /// Who executes it, or tried to.
    pub pid: u32,
    /// `refused`: the exec failed. `killed`: it was killed before it ran.
    /// `recognised`: it runs a copy, and is acted on.
    pub outcome: &'static str,
    /// The ban, with how often it was hit so far.
    pub ban: Listed,
    /// Who started it.
    #[serde(flatten)]
    pub origin: Origin,
}

pub(super) fn ban_text(ts: &str, event: &BanEvent) -> String {
    let BanEvent {
        pid,
        outcome,
        spared,
        ban,
    } = event;
    let mut text = format!("{ts} {outcome}");
    // Writing to a String cannot fail.
    if let Some(pid) = pid {
        let _ = write!(text, " pid {pid}: its image is not banned ({spared})");
    }
    if let Some(Listed {
        id,
        exe,
        why,
        seconds_left,
        ..
    }) = ban
    {
        let left = humantime::format_duration(std::time::Duration::from_secs(*seconds_left));
        let _ = write!(
            text,
            " {}: ban {} for {left} ({})",
            Quoted(exe),
            Plain(id),
            Plain(why)
        );
    }
    text
}

pub(super) fn respawn_text(ts: &str, event: &RespawnEvent) -> String {
    let RespawnEvent {
        pid,
        outcome,
        ban,
        origin:
            Origin {
                started_by,
                cgroup,
                unit,
                container,
                cron,
            },
    } = event;
    let Listed {
        id, exe, refused, ..
    } = ban;
    let mut text = format!(
        "{ts} {outcome} pid {pid} {}: ban {}, refused {refused} times so far",
        Quoted(exe),
        Plain(id)
    );
    // Writing to a String cannot fail.
    for Starter { pid, comm, exe } in started_by {
        let exe = exe.as_deref().unwrap_or("gone by now");
        let _ = write!(
            text,
            "\n    started by: pid {pid} {} (calls itself {})",
            Quoted(exe),
            Quoted(comm)
        );
    }
    for (what, value) in [
        ("cron", cron),
        ("unit", unit),
        ("container", container),
        ("cgroup", cgroup),
    ] {
        if let Some(value) = value {
            let _ = write!(text, "\n    {what}: {}", Plain(value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_forge_no_line() {
        let ban = Listed {
            id: "abc".to_owned(),
            exe: "/tmp/a\n\"b".to_owned(),
            sha256: None,
            reason: "verdict",
            why: "verdict miner, randomx".to_owned(),
            refused: 3,
            seconds_left: 60,
            file: "1:2".to_owned(),
        };
        let origin = Origin {
            started_by: vec![Starter {
                pid: 8,
                comm: "c\nd".to_owned(),
                exe: None,
            }],
            cgroup: Some("/e\nf".to_owned()),
            ..Origin::default()
        };
        let banned = BanEvent {
            pid: None,
            outcome: "banned",
            spared: "",
            ban: Some(ban.clone()),
        };
        assert_eq!(
            ban_text("T", &banned),
            "T banned \"/tmp/a\u{fffd}\\\"b\": ban abc for 1m (verdict miner, randomx)"
        );
        let respawn = RespawnEvent {
            pid: 7,
            outcome: "refused",
            ban,
            origin,
        };
        assert_eq!(
            respawn_text("T", &respawn),
            "T refused pid 7 \"/tmp/a\u{fffd}\\\"b\": ban abc, refused 3 times so far\n    \
             started by: pid 8 \"gone by now\" (calls itself \"c\u{fffd}d\")\n    \
             cgroup: /e\u{fffd}f"
        );
    }
}
