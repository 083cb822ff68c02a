//! What stands there is valid, to the programs that read it, and the rules say
//! of made-up hosts what they should.

use std::process::Command;

use tests::host::{output, require_root};

use super::Content;

/// What a checker says, which must be content.
fn check(program: &str, words: &[&str], content: &Content, file: &str) -> String {
    let mut command = Command::new(program);
    let answer = output(command.args(words).arg(content.path(file)));
    let said = [answer.stdout, answer.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        answer.status.success(),
        "{program} {words:?} {file}: {said}"
    );
    assert!(
        !said.contains("FAILED"),
        "{program} {words:?} {file}: {said}"
    );
    said
}

#[test]
fn the_rules_say_of_made_up_hosts_what_they_should() {
    require_root();
    let content = Content::copy();
    let file = "prometheus/unjack.tests.yml";
    check("promtool", &["test", "rules"], &content, file);
}

/// That the tests of rules can fail.
#[test]
fn a_rule_that_is_wrong_fails_its_test() {
    require_root();
    let content = Content::copy();
    let limit = (
        "cores:rate5m > 0.1\n        for: 10m",
        "cores:rate5m > 9\n        for: 10m",
    );
    content.replace("prometheus/unjack.alerts.yml", &[limit]);
    let mut promtool = Command::new("promtool");
    let file = content.path("prometheus/unjack.tests.yml");
    let answer = output(promtool.args(["test", "rules"]).arg(file));
    let said = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(
        !answer.status.success() && said.contains("UnjackMinerKeepsRunning"),
        "{said}"
    );
}

#[test]
fn every_example_is_valid() {
    require_root();
    let content = Content::copy();
    // Debian's Prometheus is built without the discovery of Kubernetes: the rest
    // of that file is checked.
    let kubernetes = content.read("prometheus/kubernetes.yml");
    let (before, rest) = kubernetes
        .split_once("    kubernetes_sd_configs:\n")
        .expect("it discovers pods");
    let (_, after) = rest.split_once("{node: true}\n").expect("and their nodes");
    let plain = format!("{before}    static_configs: []\n{after}");
    content.write("prometheus/kubernetes.yml", &plain);
    for file in [
        "prometheus/prometheus.yml",
        "prometheus/kubernetes.yml",
        "fleet/regional.yml",
        "fleet/global.yml",
    ] {
        check("promtool", &["check", "config"], &content, file);
    }
    let example = "alertmanager/alertmanager.yml";
    check("amtool", &["check-config"], &content, example);
    for (labels, receiver) in [
        ("alertname=UnjackMinerFound component=miner", "security"),
        ("alertname=UnjackDown component=agent", "operations"),
        ("alertname=SomebodyElses", "operations"),
    ] {
        let mut amtool = Command::new("amtool");
        let file = format!("--config.file={}", content.path(example).display());
        amtool.args(["config", "routes", "test", &file]);
        let answer = output(amtool.args(labels.split(' ')));
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert_eq!(said.trim(), receiver, "{labels}");
    }
}
