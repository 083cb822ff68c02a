//! What some sets of values must render to, beyond what a schema can say: probes that get
//! an answer, and a `DaemonSet` for each pool.

use serde_yaml_ng::Value;

use super::cases;

/// How a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// Opens a connection.
    Tcp,
    /// Asks over the scheme, with a password or without.
    Get {
        scheme: &'static str,
        password: bool,
    },
}

const PLAIN: Probe = Probe::Get {
    scheme: "HTTP",
    password: false,
};

/// The probes by the name of the values.
const PROBES: [(&str, Probe); 7] = [
    ("default", PLAIN),
    ("pools", PLAIN),
    // It is not known what the web configuration asks for.
    ("secret", Probe::Tcp),
    ("client-certificates", Probe::Tcp),
    (
        "tls-without-password",
        Probe::Get {
            scheme: "HTTPS",
            password: false,
        },
    ),
    (
        "passwords-without-tls",
        Probe::Get {
            scheme: "HTTP",
            password: true,
        },
    ),
    (
        "tls-password",
        Probe::Get {
            scheme: "HTTPS",
            password: true,
        },
    ),
];

/// The `DaemonSet`s of `pools-values.yaml`, and what each does with a miner.
const POOLS: [(&str, &str); 3] = [
    ("unjack-build", "kill"),
    ("unjack-gpu", "observe"),
    ("unjack-other", "observe"),
];

/// What is wrong with a rendering of the values called `case`.
pub(super) fn mistakes(case: &str, objects: &[Value]) -> Vec<String> {
    let daemon_sets: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "DaemonSet")
        .collect();
    let found: Vec<(&str, &str)> = daemon_sets
        .iter()
        .map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            (name, action(object).unwrap_or_default())
        })
        .collect();
    let mut mistakes = Vec::new();
    let as_expected = match case {
        "pools" => found == POOLS,
        // Examples with pools and without.
        _ if case.starts_with(cases::DOCUMENTED) => !found.is_empty(),
        _ => matches!(found.as_slice(), [("unjack", _)]),
    };
    if !as_expected {
        mistakes.push(format!("{case}: these are the DaemonSets: {found:?}"));
    }
    for (_, expected) in PROBES.iter().filter(|(name, _)| *name == case) {
        for object in &daemon_sets {
            for (kind, path) in [
                ("livenessProbe", "/-/healthy"),
                ("readinessProbe", "/-/ready"),
            ] {
                let probe = &container(object)[kind];
                if !asks(probe, path, *expected) {
                    mistakes.push(format!("{case}: {kind} is not {expected:?}: {probe:?}"));
                }
            }
        }
    }
    mistakes
}

fn container(daemon_set: &Value) -> &Value {
    &daemon_set["spec"]["template"]["spec"]["containers"][0]
}

fn action(daemon_set: &Value) -> Option<&str> {
    let env = container(daemon_set)["env"].as_sequence()?;
    let variable = env.iter().find(|it| it["name"] == "UNJACK_ACTION")?;
    variable["value"].as_str()
}

fn asks(probe: &Value, path: &str, expected: Probe) -> bool {
    match expected {
        Probe::Tcp => probe["tcpSocket"]["port"] == "metrics" && probe["httpGet"].is_null(),
        Probe::Get { scheme, password } => {
            let get = &probe["httpGet"];
            let header = &get["httpHeaders"][0];
            let authorized = header["name"] == "Authorization"
                && header["value"]
                    .as_str()
                    .is_some_and(|it| it.starts_with("Basic "));
            get["path"] == path
                && get["port"] == "metrics"
                && get["scheme"].as_str().unwrap_or("HTTP") == scheme
                && authorized == password
                && probe["tcpSocket"].is_null()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &str, expected: Probe) -> bool {
        asks(&serde_yaml_ng::from_str(text).unwrap(), path, expected)
    }

    #[test]
    fn a_probe_is_told_from_another() {
        let plain = "httpGet: {path: /x, port: metrics}";
        let tcp = "tcpSocket: {port: metrics}";
        let https = "httpGet: {path: /x, port: metrics, scheme: HTTPS}";
        assert!(check(plain, "/x", PLAIN));
        assert!(!check(plain, "/y", PLAIN));
        assert!(!check(https, "/x", PLAIN));
        assert!(!check(tcp, "/x", PLAIN));
        assert!(check(tcp, "/x", Probe::Tcp));
        assert!(!check(plain, "/x", Probe::Tcp));
        let password = Probe::Get {
            scheme: "HTTPS",
            password: true,
        };
        assert!(!check(https, "/x", password));
    }

    #[test]
    fn a_chart_without_its_daemon_set_is_a_mistake() {
        assert_eq!(mistakes("default", &[]).len(), 1);
        assert_eq!(mistakes("pools", &[]).len(), 1);
        assert_eq!(mistakes("documented-1", &[]).len(), 1);
    }
}
