//! A real miner, from the daemon that observes it to the message of an alert,
//! and what every rule and every panel says meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::daemon::free_address;
use tests::host::{eventually, observe_turn, schedstat_seconds};
use tests::https::{Authority, secured};
use tests::prometheus::Prometheus;
use tests::webhook::Webhook;
use tests::{Daemon, Workload};

use super::{Content, dashboard};

/// For what follows within seconds on a machine that has time.
const SOON: Duration = Duration::from_mins(2);
const RULES: usize = 36;
/// Labels of hosts in the example of a static target.
const WHERE: [(&str, &str); 3] = [
    ("region", "eu-1"),
    ("team", "research"),
    ("image", "debian-13"),
];

/// The examples, changed to be about loopback and seconds. No expression is.
struct Scene {
    content: Content,
    daemon: Daemon,
    prometheus: Prometheus,
    webhook: Webhook,
    _alertmanager: Workload,
}

impl Scene {
    fn set() -> Self {
        let content = Content::copy();
        let authority = Authority::new();
        let web = secured(&content.path(""), &authority.sign(), "");
        let web = web.to_str().expect("is UTF-8");
        let daemon = Daemon::start(&["--web.config.file", web]);

        let webhook = Webhook::listen();
        let hook = |path: &str| format!("http://{}/{path}", webhook.address);
        content.replace(
            "alertmanager/alertmanager.yml",
            &[
                ("https://security.example.org/alerts", &hook("security")),
                ("https://operations.example.org/alerts", &hook("operations")),
                ("group_wait: 30s", "group_wait: 1s"),
                ("group_wait: 10s", "group_wait: 1s"),
            ],
        );
        let (alertmanager, address) = alertmanager(&content);

        content.write("prometheus/unjack-ca.crt", &authority.pem());
        content.write("prometheus/unjack.password", "secret");
        fs::remove_file(content.path("prometheus/targets/example.yml")).expect("it is ours");
        content.replace(
            "prometheus/prometheus.yml",
            &[
                ("_interval: 30s", "_interval: 1s"),
                ("127.0.0.1:9093", &address),
                ("host-1.example.org:10066", &daemon.address.to_string()),
            ],
        );
        let config = content.path("prometheus/prometheus.yml");
        let prometheus = Prometheus::start(&config, &content.path("data"));
        Self {
            content,
            daemon,
            prometheus,
            webhook,
            _alertmanager: alertmanager,
        }
    }

    /// Waits until a query gives this.
    fn wait_value(&self, query: &str, expected: f64) {
        eventually(query, SOON, || match self.prometheus.value(query)? {
            value if (value - expected).abs() < 1e-6 => Ok(()),
            value => Err(format!("{value} and not {expected}")),
        });
    }

    /// The alert of a message, of the first that has it.
    fn wait_alert(&self, receiver: &str, name: &str) -> Value {
        let message = self.webhook.wait(name, SOON, |path, message| {
            path == format!("/{receiver}")
                && message["status"] == "firing"
                && message["groupLabels"]["alertname"] == name
        });
        message["alerts"][0].clone()
    }
}

/// Debian's Alertmanager does not start without its package's templates for
/// mails, which a webhook has no use for. It is unpacked, not installed: so it
/// sees empty ones, where no other process does.
const WITH_TEMPLATES: &str = "folder=/usr/share/prometheus/alertmanager && \
    mount -t tmpfs tmpfs /usr/share && mkdir -p $folder && \
    touch $folder/default.tmpl $folder/email.tmpl && exec prometheus-alertmanager \"$@\"";

fn alertmanager(content: &Content) -> (Workload, String) {
    let address = free_address().to_string();
    let mut command = Command::new("unshare");
    let config = content.path("alertmanager/alertmanager.yml");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .args([WITH_TEMPLATES, "alertmanager"])
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.path={}",
            content.path("alerts").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .args(["--cluster.listen-address=", "--log.level=warn"]);
    let process = Workload::spawn(&mut command);
    let at = address.parse().expect("is an address");
    eventually("Alertmanager starts", SOON, || {
        tests::metrics::get(at, "/-/ready")
    });
    (process, address)
}

#[test]
fn a_real_miner_becomes_an_alert_and_every_query_says_what_it_should() {
    let _turn = observe_turn();
    let scene = Scene::set();
    scene.wait_value("up{job=\"unjack\"}", 1.0);

    let miner = Workload::start(&["--threads", "2", "randomx"]);
    let verdict = scene.daemon.event_about("verdict", miner.pid(), SOON);
    assert_eq!(verdict["verdict"], "miner", "{verdict}");
    let family = verdict["family"].as_str().expect("it has one");

    let alert = scene.wait_alert("security", "UnjackMinerFound");
    for (label, expected) in WHERE.into_iter().chain([
        ("instance", "127.0.0.1"),
        ("cluster", "example"),
        ("severity", "warning"),
        ("family", family),
    ]) {
        assert_eq!(alert["labels"][label], expected, "{label} of {alert}");
    }
    let summary = alert["annotations"]["summary"].as_str();
    let expected = format!("A {family} miner on 127.0.0.1");
    assert_eq!(summary, Some(expected.as_str()));

    eventually("the miner's CPU time is counted", SOON, || {
        let counted = scene
            .prometheus
            .value("sum(unjack_stolen_cpu_seconds_total)")?;
        let burned = schedstat_seconds(miner.pid()).unwrap_or_default();
        let close = (burned - counted).abs() < 5.0 && counted > 5.0;
        let wrong = || format!("{counted} s of {burned} s");
        close.then_some(()).ok_or_else(wrong)
    });
    // A tenth of a core for five minutes is half a minute of a core.
    scene.wait_value(
        "count(ALERTS{alertname=\"UnjackMinerKeepsRunning\",alertstate=\"pending\"})",
        1.0,
    );
    check_rules(&scene);
    check_records(&scene.prometheus);
    check_dashboard(&scene);
    check_federation(&scene);
    drop(miner);

    // A fault in a file that is read again reaches those who run the hosts.
    scene.content.write("web.yml", "tls_server_confg: {}\n");
    let daemon = Pid::from_raw(scene.daemon.pid().try_into().expect("is a pid"));
    kill_process(daemon.expect("is a pid"), Signal::HUP).expect("it lives");
    scene.wait_alert("operations", "UnjackReloadFailed");

    let Scene {
        mut daemon,
        prometheus,
        ..
    } = scene;
    daemon.stop(Signal::TERM);
    let down = "ALERTS{alertname=\"UnjackDown\",alertstate=\"pending\"}";
    eventually("an agent that is gone is noticed", SOON, || {
        prometheus.value(down)
    });
}

/// Every rule is evaluated without an error, and no alert is raised but those
/// about this miner.
fn check_rules(scene: &Scene) {
    let rules = eventually("all rules are evaluated", SOON, || {
        let rules = scene.prometheus.api("rules", &[])?;
        let groups = rules["groups"].as_array().into_iter().flatten();
        let rules: Vec<Value> = groups
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect();
        match rules.iter().find(|rule| rule["health"] != "ok") {
            Some(rule) => Err(rule.to_string()),
            None => Ok(rules),
        }
    });
    assert_eq!(rules.len(), RULES);
    let mut states: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in &rules {
        assert!(rule["lastError"].is_null(), "{rule}");
        if let (Some(state), Some(name)) = (rule["state"].as_str(), rule["name"].as_str()) {
            states.entry(state).or_default().insert(name);
        }
    }
    let named = |state: &str| states.get(state).cloned().unwrap_or_default();
    assert_eq!(named("firing"), BTreeSet::from(["UnjackMinerFound"]));
    let pending = named("pending");
    assert!(pending.contains("UnjackMinerKeepsRunning"), "{states:?}");
    // This machine may be so busy that one of these is near; they are of agents.
    for name in pending {
        let rule = rules.iter().find(|rule| rule["name"] == name);
        let component = rule.map(|rule| rule["labels"]["component"].clone());
        assert!(
            name == "UnjackMinerKeepsRunning" || component == Some("agent".into()),
            "{name} is pending"
        );
    }
}

/// Everything that is recorded has a value, and the right labels.
fn check_records(prometheus: &Prometheus) {
    for (record, least, most, dropped) in [
        ("instance:unjack_stolen_cores:rate5m", 0.1, 2.0, "family"),
        ("instance:unjack_seen_cores:rate5m", 0.1, 64.0, "group"),
        ("instance:unjack_agent_cores:rate5m", 0.0, 1.0, "family"),
        (
            "instance_family:unjack_stolen_cpu_seconds:increase15m",
            5.0,
            300.0,
            "outcome",
        ),
        ("family:unjack_stolen_cores:rate5m", 0.1, 2.0, "instance"),
        (
            "family_verdict:unjack_verdicts:increase5m",
            0.9,
            9.0,
            "instance",
        ),
        (
            "action_outcome:unjack_actions:increase5m",
            0.9,
            9.0,
            "family",
        ),
        ("job:unjack_agent_cores:rate5m", 0.0, 1.0, "instance"),
        ("job:unjack_agents:count", 1.0, 1.0, "instance"),
        ("job:unjack_agents_up:avg", 1.0, 1.0, "instance"),
    ] {
        let samples = eventually(record, SOON, || {
            let samples = prometheus.query(record)?;
            let best = samples.iter().map(|sample| sample.value).reduce(f64::max);
            let fits = best.is_some_and(|best| (least..=most).contains(&best));
            fits.then(|| samples.clone())
                .ok_or(format!("{record}: {samples:?}"))
        });
        for sample in samples {
            for (label, value) in WHERE {
                assert_eq!(sample.label(label), value, "{sample:?}");
            }
            assert_eq!(sample.label(dropped), "", "{sample:?}");
        }
    }
}

/// Every query of the dashboard is answered, and every panel has something to
/// show, some of it known.
fn check_dashboard(scene: &Scene) {
    let prometheus = &scene.prometheus;
    let mut shown: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for query in dashboard::queries(&scene.content) {
        let dashboard::Query {
            title,
            expr,
            instant,
        } = query;
        let answer = if instant {
            prometheus.query(&expr)
        } else {
            prometheus.query_range(&expr, Duration::from_secs(20))
        };
        let samples = answer.unwrap_or_else(|error| panic!("{title}: {expr}: {error}"));
        let values = samples.iter().map(|sample| sample.value);
        shown.entry(title).or_default().extend(values);
    }
    assert!(shown.len() >= 35, "only {} panels", shown.len());
    for (title, values) in &shown {
        assert!(!values.is_empty(), "{title:?} has nothing to show");
    }
    // The price is 3600 for an hour, so the cost is the CPU seconds. What a miner
    // burned before its verdict is counted with that, within a second.
    for (title, least, most) in [
        ("Stolen now", 0.3, 16.0),
        ("Stolen in this range", 5.0, 300.0),
        ("Cost of that", 5.0, 300.0),
        ("Miners found in this range", 0.9, 3.0),
        ("Agents that answer", 1.0, 1.0),
        ("Half of the verdicts within", 0.5, 60.0),
        ("Nine of ten within", 0.5, 60.0),
        ("Suspects now", 1.0, 200.0),
        ("Throttled or frozen now", 0.0, 0.0),
        ("Bans in force", 0.0, 0.0),
        ("Bans not enforced in this range", 0.0, 0.0),
        ("Versions", 1.0, 1.0),
        ("State of the agents", 2.0, 2.0),
        ("Alerts", 1.0, 1.0),
    ] {
        let values = &shown[title];
        let fit = values.iter().all(|value| (least..=most).contains(value));
        assert!(fit, "{title}: {values:?}");
    }

    let (variables, annotations) = dashboard::others(&scene.content);
    assert_eq!((variables.len(), annotations.len()), (2, 1));
    for (label, selector) in variables {
        let path = format!("label/{label}/values");
        let values = prometheus.api(&path, &[("match[]", &selector)]);
        let expected = if label == "job" {
            "unjack"
        } else {
            "127.0.0.1"
        };
        assert_eq!(values, Ok(serde_json::json!([expected])), "{selector}");
    }
    for query in annotations {
        let marks = prometheus.query_range(&query, Duration::from_mins(5));
        assert!(marks.is_ok_and(|marks| !marks.is_empty()), "{query}");
    }
}

/// The Prometheus above the regions has what is recorded, with the region, and
/// nothing that is of no use there.
fn check_federation(scene: &Scene) {
    let content = &scene.content;
    let region = scene.prometheus.address.to_string();
    content.replace(
        "fleet/global.yml",
        &[
            ("scrape_interval: 60s", "scrape_interval: 1s"),
            (
                "\"prometheus.eu-1.example.org:9090\", \"prometheus.us-2.example.org:9090\"",
                &format!("\"{region}\""),
            ),
        ],
    );
    let global = Prometheus::start(&content.path("fleet/global.yml"), &content.path("global"));
    eventually("what is stolen by region", SOON, || {
        let query = "sum by (region, team, cluster) (family:unjack_stolen_cores:rate5m) > 0.1";
        let samples = global.query(query)?;
        let found = samples.iter().any(|sample| {
            let labels = ["region", "team", "cluster"].map(|label| sample.label(label));
            labels == ["eu-1", "research", "example"]
        });
        found.then_some(()).ok_or(format!("{samples:?}"))
    });
    let firing = "ALERTS{alertname=\"UnjackMinerFound\",instance=\"127.0.0.1\"}";
    assert_eq!(global.value(firing), Ok(1.0));
    let all = global.query("count by (__name__) ({job=\"unjack\"})");
    for sample in all.expect("it answers") {
        let name = sample.label("__name__");
        assert!(name.contains(":unjack_") || name == "ALERTS", "{name}");
    }
}
