//! The policy in force, as a person reads it: a line a flag.

use std::{fmt::Display, path::PathBuf, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{
    BanPolicy, BreakerLimits, Config, EvidenceLimits, Extras, GroupLimits, HookPolicy, Policy,
    Response, Rule, Web,
};
use crate::detect::reputation::Files;
use unjack_core::text::clean;

/// Characters of a value: a long list of rules is cut short.
const VALUE_CHARS: usize = 1024;

/// A flag and its value in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The flag, dashes included.
    pub name: String,
    /// Its value; empty if there is none.
    pub value: String,
}

impl Config {
    /// Every flag of the policy with its value in force, defaults included. What
    /// may hold a secret, the arguments of `--on-verdict`, is only counted.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let Self {
            action,
            response,
            policy:
                Policy {
                    min_cpu,
                    min_score,
                    window,
                    patience,
                    act_on,
                    unexplained_after,
                    allow,
                    deny,
                    only,
                    core_hour_cost,
                },
            grace,
            ban,
            extras,
            record,
            sample_hz,
            web,
        } = self;
        let mut list = List::default();
        list.add("--action", action);
        list.response(response);
        list.add("--act-on", name(act_on));
        list.add("--unexplained-after", time(*unexplained_after));
        list.add("--grace", time(*grace));
        list.add("--min-cpu", percent(*min_cpu));
        list.add("--min-score", min_score);
        list.add("--window", time(*window));
        list.add("--patience", time(*patience));
        list.add("--allow", rules(allow));
        list.add("--deny", rules(deny));
        list.add("--only", rules(only));
        let BanPolicy {
            ttl,
            with,
            dir,
            enforce: _,
            allow: _,
            only: _,
        } = ban;
        list.add("--ban", time(*ttl));
        list.add("--ban-with", name(with));
        list.add("--pin-dir", dir.display());
        list.extras(extras);
        let cost = core_hour_cost.map(|cost| cost.to_string());
        list.add("--core-hour-cost", cost.unwrap_or_default());
        list.add("--record", path(record.as_ref().map(|(path, _)| path)));
        if let Some((_, size)) = record {
            list.add("--record-max-size", format!("{} MiB", size >> 20));
        }
        list.add("--sample-hz", sample_hz);
        list.web(web);
        list.0
    }
}

#[derive(Default)]
struct List(Vec<Setting>);

impl List {
    fn add(&mut self, name: &str, value: impl Display) {
        self.0.push(Setting {
            name: name.to_owned(),
            value: clean(value.to_string().as_bytes(), VALUE_CHARS),
        });
    }

    fn response(&mut self, response: &Response) {
        let Response {
            scope,
            throttle_to,
            keep,
            kill_escaped,
            state_dir,
            breaker: BreakerLimits { host, user, image },
            no_builtin_protection,
        } = response;
        self.add("--scope", name(scope));
        self.add("--throttle-to", percent(*throttle_to));
        self.add("--keep", yes(*keep));
        self.add("--kill-escaped", yes(*kill_escaped));
        self.add("--state-dir", state_dir.display());
        self.add("--max-kills", host);
        self.add("--max-kills-per-user", user);
        self.add("--max-kills-per-image", image);
        self.add("--no-builtin-protection", yes(*no_builtin_protection));
    }

    fn extras(&mut self, extras: &Extras) {
        let Extras {
            evidence,
            lists:
                Files {
                    deny,
                    allow,
                    pools,
                    resolve,
                },
            block_pools,
            network,
            container_dirs,
            hook,
        } = extras;
        let directory = evidence.as_ref().map(|(directory, _)| directory);
        self.add("--evidence-dir", path(directory));
        if let Some((_, EvidenceLimits { size, count })) = evidence {
            self.add("--evidence-max-size", format!("{} MiB", size >> 20));
            self.add("--evidence-max-count", count);
        }
        self.add("--deny-file", paths(deny));
        self.add("--allow-file", paths(allow));
        self.add("--pools", path(pools.as_ref()));
        self.add("--pools-resolve", yes(*resolve));
        self.add("--block-pools", yes(*block_pools));
        self.add("--no-network-evidence", yes(!network));
        self.add("--container-dir", paths(container_dirs));
        let program = hook.as_ref().map(|hook| &hook.program);
        self.add("--on-verdict", path(program));
        if let Some(HookPolicy {
            program: _,
            arguments,
            limit,
        }) = hook
        {
            self.add("--on-verdict-arg", format!("{} given", arguments.len()));
            self.add("--on-verdict-timeout", time(*limit));
        }
    }

    fn web(&mut self, web: &Web) {
        let Web {
            listen,
            telemetry_path,
            file,
            group_by,
            groups: GroupLimits { max, timeout },
        } = web;
        match listen {
            Some(listen) => self.add("--web.listen-address", joined(listen)),
            None => self.add("--web.systemd-socket", "yes"),
        }
        self.add("--web.telemetry-path", telemetry_path);
        self.add("--web.config.file", path(file.as_ref()));
        self.add("--metrics.group-by", name(group_by));
        self.add("--metrics.max-groups", max);
        self.add("--metrics.group-timeout", time(*timeout));
    }
}

/// What the flag takes for it.
fn name(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn percent(cores: f64) -> String {
    // Ten digits are more precise than any setting, and hide that it was divided.
    let percent = (100.0 * cores * 1e6).round() / 1e6;
    format!("{percent} %")
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn path(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

fn paths(paths: &[PathBuf]) -> String {
    joined(paths.iter().map(|path| path.display()))
}

fn rules(rules: &[Rule]) -> String {
    joined(rules.iter().map(|rule| &rule.text))
}

fn joined(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::commands::cli::{Cli, Command, RunArgs};

    fn args(flags: &[&str]) -> RunArgs {
        let line = [&["unjack", "run"], flags].concat();
        match Cli::try_parse_from(line).unwrap().command {
            Command::Run(args) => args,
            _ => unreachable!(),
        }
    }

    fn settings(flags: &[&str]) -> Vec<Setting> {
        Config::from_cli(&args(flags), "").unwrap().settings()
    }

    #[track_caller]
    fn check(flags: &[&str], name: &str, expected: &str) {
        let settings = settings(flags);
        let found = settings.iter().find(|setting| setting.name == name);
        assert_eq!(found.map(|setting| &*setting.value), Some(expected));
    }

    #[test]
    fn values_are_told_as_the_flags_take_them() {
        check(&[], "--action", "observe");
        check(&[], "--min-cpu", "2 %");
        check(&["--min-cpu", "0.7"], "--min-cpu", "0.7 %");
        check(&[], "--patience", "2m");
        check(&[], "--unexplained-after", "10m");
        check(&["--unexplained-after", "0"], "--unexplained-after", "0s");
        check(&["--allow", "exe=/a,user=0"], "--allow", "exe=/a, user=0");
        check(&[], "--evidence-dir", "");
        check(&["--act-on", "hashing"], "--act-on", "hashing");
    }

    #[test]
    fn arguments_of_the_hook_are_not_told() {
        let flags = ["--on-verdict", "/h", "--on-verdict-arg", "s3cret"];
        check(&flags, "--on-verdict-arg", "1 given");
        let all = format!("{:?}", settings(&flags));
        assert!(!all.contains("s3cret"), "{all}");
    }

    /// Every flag of `unjack run` is there, once what it depends on is given.
    #[test]
    fn no_flag_is_missing() {
        let flags = [
            "--on-verdict",
            "/h",
            "--evidence-dir",
            "/e",
            "--record",
            "/r",
        ];
        let told = settings(&flags);
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for flag in run.get_arguments().filter_map(|flag| flag.get_long()) {
            let apart = ["log.format", "log.level", "web.systemd-socket", "help"];
            let name = format!("--{flag}");
            let is_told = told.iter().any(|setting| setting.name == name);
            assert!(is_told || apart.contains(&flag), "{name} is not told");
        }
    }
}
