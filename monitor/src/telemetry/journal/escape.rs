//! Processes that escape their throttle or freeze.

use serde::Serialize;

use crate::policy::config::Action;

/// A throttled or frozen process kept escaping.
#[derive(Clone, Debug, Serialize)]
pub struct EscapeEvent {
    /// The process that was judged.
    pub pid: u32,
    /// What was done to it.
    pub action: Action,
    /// How often it escaped since the last such event.
    pub escapes: u32,
    /// What is done in addition: `cgroup`, `signal` or `kill`; `escaped` if no more may
    /// be done.
    pub now: &'static str,
    /// That failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

pub(super) fn text(ts: &str, event: &EscapeEvent) -> String {
    let EscapeEvent {
        pid,
        action,
        escapes,
        now,
        failed,
    } = event;
    let now = match *now {
        "cgroup" => "the action now covers its whole cgroup",
        "signal" => "it is now stopped with SIGSTOP",
        "kill" => "it is killed",
        _ => "nothing further is allowed (--kill-escaped would kill it)",
    };
    let failed = if *failed { ", which failed" } else { "" };
    format!("{ts} {action} pid {pid}: escaped {escapes} times, {now}{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rung_is_told() {
        let event = |now, failed| EscapeEvent {
            pid: 7,
            action: Action::Freeze,
            escapes: 6,
            now,
            failed,
        };
        let text = |now, failed| text("T", &event(now, failed));
        assert_eq!(
            text("signal", false),
            "T freeze pid 7: escaped 6 times, it is now stopped with SIGSTOP"
        );
        assert_eq!(
            text("kill", true),
            "T freeze pid 7: escaped 6 times, it is killed, which failed"
        );
        assert!(text("escaped", false).contains("--kill-escaped"));
        let json = serde_json::to_string(&event("cgroup", false)).unwrap();
        assert_eq!(
            json,
            r#"{"pid":7,"action":"freeze","escapes":6,"now":"cgroup"}"#
        );
    }
}
