//! The policy on the endpoint and its metrics.

use std::{path::PathBuf, time::Duration};

use super::address::Address;
use crate::detect::collector::GroupBy;

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
