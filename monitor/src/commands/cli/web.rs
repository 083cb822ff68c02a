//! Flags of `unjack run` on the endpoint and its metrics.

use std::{path::PathBuf, time::Duration};

use clap::{Args, builder::FalseyValueParser};

use super::accept;
use crate::{
    detect::collector::GroupBy,
    policy::config::{Address, ConfigError, GroupLimits, MAX_SOCKETS, Web},
};

const LISTEN_HELP: &str = "\
Where metrics are served: an address and port, or a socket's path (repeatable)

127.0.0.1:10066, [::1]:10066, :10066 for every address, unix:/run/u.sock for a \
socket that its owner and group may connect to (mode 0660; one that a dead \
daemon left is replaced). Port 0 picks a free port. Several may be joined by \
commas. Without --web.config.file there is no password.";

const FILE_HELP: &str = "\
File that says who may scrape, and how: TLS, passwords, headers

In the format of Prometheus' exporter-toolkit: tls_server_config, \
http_server_config.headers and basic_auth_users. Settings that unjack does not \
support are errors. SIGHUP reads it again, with the certificates; if the file \
is bad, that is reported and the old configuration stays in force.";

const GROUP_HELP: &str = "\
How unjack_cpu_seconds_total groups CPU time

image is the path of the program (comm:NAME if the process ended before it was \
looked up), unit its systemd unit or none, container the first 12 digits of \
its container's id, an LXC container's name, or host.";

/// Where metrics are served, to whom, and how many.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metrics endpoint")]
pub struct WebArgs {
    /// Where metrics are served: an address and port, or a socket's path (repeatable)
    #[arg(
        id = "web.listen-address",
        long = "web.listen-address",
        env = "UNJACK_WEB_LISTEN_ADDRESS",
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "127.0.0.1:10066",
        long_help = LISTEN_HELP
    )]
    pub listen: Vec<Address>,

    /// Listen only on the sockets that systemd passes
    ///
    /// For a .socket unit; not together with --web.listen-address.
    #[arg(
        long = "web.systemd-socket",
        env = "UNJACK_WEB_SYSTEMD_SOCKET",
        value_parser = FalseyValueParser::new(),
        conflicts_with = "web.listen-address"
    )]
    pub systemd_socket: bool,

    /// Path under which metrics are served
    #[arg(
        long = "web.telemetry-path",
        env = "UNJACK_WEB_TELEMETRY_PATH",
        value_name = "PATH",
        default_value = "/metrics"
    )]
    pub telemetry_path: String,

    /// File that says who may scrape, and how: TLS, passwords, headers
    #[arg(
        long = "web.config.file",
        env = "UNJACK_WEB_CONFIG_FILE",
        value_name = "FILE",
        long_help = FILE_HELP
    )]
    pub file: Option<PathBuf>,

    /// What CPU time is summed up by
    #[arg(
        long = "metrics.group-by",
        env = "UNJACK_METRICS_GROUP_BY",
        value_enum,
        default_value_t = GroupBy::Image,
        long_help = GROUP_HELP
    )]
    pub group_by: GroupBy,

    /// Groups with a series of their own, 1 to 10000; the rest is other
    #[arg(
        long = "metrics.max-groups",
        env = "UNJACK_METRICS_MAX_GROUPS",
        value_name = "N",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    pub max_groups: usize,

    /// How long a group keeps its series without using any CPU, 1m to 30d
    #[arg(long = "metrics.group-timeout", env = "UNJACK_METRICS_GROUP_TIMEOUT", value_name = "DUR", default_value = "1h", value_parser = humantime::parse_duration)]
    pub group_timeout: Duration,
}

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

impl Web {
    pub(crate) fn from_cli(args: &WebArgs) -> Result<Self, ConfigError> {
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
