//! A real Prometheus scrapes the daemon, by TLS and with a password.

use std::fs;
use std::time::Duration;

use tests::host::{eventually, share_turn};
use tests::https::Authority;
use tests::prometheus::Prometheus;

use super::{home, secured, start};

/// For Prometheus to scrape.
const SCRAPED: Duration = Duration::from_mins(1);

#[test]
fn prometheus_scrapes_by_tls_with_a_password_and_a_certificate() {
    let _turn = share_turn();
    let home = home();
    let (authority, clients) = (Authority::new(), Authority::new());
    let place = |name: &str, text: &str| {
        fs::write(home.path().join(name), text).expect("it is ours");
    };
    let client = clients.sign();
    place("ca.crt", &clients.pem());
    place("root.crt", &authority.pem());
    place("client.crt", &client.cert);
    place("client.key", &client.key);
    let lines = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    let daemon = start(&secured(home.path(), &authority.sign(), lines), &[]);
    place(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs:\n\
             - job_name: unjack\n  scheme: https\n\
             \x20 basic_auth: {{username: prometheus, password: secret}}\n\
             \x20 tls_config: {{ca_file: root.crt, cert_file: client.crt, key_file: client.key}}\n\
             \x20 static_configs: [{{targets: ['{}']}}]\n",
            daemon.address
        ),
    );
    let config = home.path().join("prometheus.yml");
    let prometheus = Prometheus::start(&config, &home.path().join("data"));
    eventually(
        "Prometheus scrapes the daemon",
        SCRAPED,
        || match prometheus.value("up")? {
            up if up > 0.5 => Ok(()),
            up => Err(format!("up is {up}")),
        },
    );
    for (series, least) in [
        ("unjack_build_info", 1.0),
        ("sum(unjack_cpu_seconds_total)", 0.01),
        ("count(unjack_verdict_delay_seconds_bucket)", 5.0),
        ("count(unjack_actions_refused_total)", 3.0),
        ("process_resident_memory_bytes", 1e6),
        ("sum(scrape_samples_scraped)", 50.0),
    ] {
        let value = prometheus
            .value(series)
            .unwrap_or_else(|error| panic!("{series}: {error}"));
        assert!(value >= least, "{series} is {value}");
    }
    // Prometheus 3 writes bounds as OpenMetrics does, `2.0`.
    let bounds = prometheus.value("count(unjack_verdict_delay_seconds_bucket{le=~\"2|2.0\"})");
    assert_eq!(bounds, Ok(1.0), "the histogram has no such bucket");
}
