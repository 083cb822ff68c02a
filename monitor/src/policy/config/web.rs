//! The policy on the endpoint and its metrics.

use std::{path::PathBuf, time::Duration};

use super::{
    ConfigError, accept,
    address::{Address, MAX_SOCKETS},
};
use crate::{commands::cli::WebArgs, detect::collector::GroupBy};

/// Paths that are something else.
const TAKEN: [&str; 6] = [
    "/",
    "/-/healthy",
    "/-/page.css",
    "/-/page.js",
    "/-/ready",
    "/api/v1/view",
];
/// Bytes of the path of metrics.
const MAX_PATH: usize = 128;

/// Where metrics are served, to whom, and how many, validated.
#[derive(Clone, Debug)]
pub struct Web {
    /// Where; `None` for the sockets that systemd hands over.
    pub listen: Option<Vec<Address>>,
    /// Under which path.
    pub telemetry_path: String,
    /// The file of `--web.config.file`.
    pub file: Option<PathBuf>,
    /// What CPU time is summed up by.
    pub group_by: GroupBy,
    /// How many groups have a series.
    pub groups: GroupLimits,
}

/// How many groups have a series, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Groups with a series of their own, beside `kernel` and `other`.
    pub max: usize,
    /// How long a group keeps its series without burning anything.
    pub timeout: Duration,
}

impl GroupLimits {
    /// Enough for what burns CPU on a host, and little beside what other
    /// exporters send; a series outlives a job that comes every half hour.
    pub const DEFAULT: Self = Self {
        max: 64,
        timeout: Duration::from_hours(1),
    };
}

impl Web {
    pub(super) fn from_cli(args: &WebArgs) -> Result<Self, ConfigError> {
        let WebArgs {
            listen,
            systemd_socket,
            telemetry_path,
            file,
            group_by,
            max_groups,
            group_timeout,
        } = args;
        let fits = |path: &String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
            path.starts_with('/')
                && path.len() <= MAX_PATH
                && path.chars().all(plain)
                && !TAKEN.contains(&path.as_str())
        };
        Ok(Self {
            listen: (!systemd_socket)
                .then(|| {
                    let shown = listen.len();
                    accept(
                        "--web.listen-address",
                        listen.clone(),
                        shown,
                        "is too often: at most 16 addresses are listened on",
                        |listen| listen.len() <= MAX_SOCKETS,
                    )
                })
                .transpose()?,
            telemetry_path: accept(
                "--web.telemetry-path",
                telemetry_path.clone(),
                telemetry_path,
                "must be a path of letters, digits and -._~ such as /metrics, and not that of \
                 another page",
                fits,
            )?,
            file: file.clone(),
            group_by: *group_by,
            groups: GroupLimits {
                max: accept(
                    "--metrics.max-groups",
                    *max_groups,
                    max_groups,
                    "must be from 1 to 10000",
                    |max| (1..=10_000).contains(max),
                )?,
                timeout: accept(
                    "--metrics.group-timeout",
                    *group_timeout,
                    humantime::format_duration(*group_timeout),
                    "must be from 1m to 30d",
                    |time| (Duration::from_mins(1)..=Duration::from_hours(720)).contains(time),
                )?,
            },
        })
    }
}
