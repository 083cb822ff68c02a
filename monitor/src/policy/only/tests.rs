use super::*;
use crate::host::container::{Container, Pod};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const POD: &str = "12345678-9abc-def0-1234-56789abcdef0";

/// A runner of a CI in a pod.
const RUNNER: Subject<'static> = Subject {
    exe: Some("/opt/runner/job"),
    uid: Some(1001),
    cgroup: "/kubepods.slice/a.scope",
    family: None,
    sha256: Some(DIGEST),
    unit: Some("runner.service"),
    container: Some(ID),
    pod: Some(POD),
    owner: None,
    namespace: None,
    image: None,
};

fn home() -> Home {
    Home {
        unit: None,
        container: Some(Container {
            id: ID.to_owned(),
            runtime: None,
            name: None,
            image: Some("registry.example/ci/runner:3".to_owned()),
        }),
        pod: Some(Pod {
            uid: Some(POD.to_owned()),
            namespace: Some("ci".to_owned()),
            name: None,
        }),
    }
}

fn only(rules: &[&str]) -> Only {
    let rules = rules
        .iter()
        .map(|text| Rule::parse(text, &[("ci", 1001)]).unwrap());
    Only::new(rules.collect()).of(Some(Family::RandomX), Place::of(home()))
}

#[track_caller]
fn check(rule: &str, subject: &Subject<'_>, expected: bool) {
    assert_eq!(only(&[rule]).includes(subject), expected, "{rule}");
}

/// Each key: a rule that is about the process, and one that is not.
#[test]
fn each_key_includes_what_matches_and_nothing_else() {
    for (inside, outside) in [
        ("exe=/opt/runner/**", "exe=/usr/bin/*"),
        ("user=ci", "user=1002"),
        ("cgroup=/kubepods.slice/**", "cgroup=/system.slice/**"),
        ("family=randomx", "family=scrypt"),
        (
            &format!("sha256={DIGEST}"),
            &format!("sha256={}", DIGEST.replace('e', "f")),
        ),
        ("unit=runner*", "unit=postgresql*"),
        ("container=0123456789ab", "container=1123456789ab"),
        ("namespace=ci", "namespace=prod"),
        ("image=registry.example/ci/*", "image=registry.example/db/*"),
    ] {
        check(inside, &RUNNER, true);
        check(outside, &RUNNER, false);
    }
}

#[test]
fn without_a_rule_everything_is_inside_and_of_several_one_is_enough() {
    assert!(only(&[]).includes(&RUNNER));
    assert!(only(&[]).includes(&Subject::default()));
    assert!(only(&["user=1002", "namespace=ci"]).includes(&RUNNER));
    assert!(!only(&["user=1002", "namespace=prod"]).includes(&RUNNER));
}

/// What could not be established matches no rule.
#[test]
fn what_is_unknown_is_outside() {
    for rule in [
        "exe=/**",
        "user=ci",
        "unit=*",
        "container=*",
        "namespace=*",
        "image=**",
    ] {
        check(rule, &Subject::default(), false);
    }
}

/// A user namespace gives a process another user id, not another user.
#[test]
fn a_process_in_a_user_namespace_belongs_to_the_user_that_made_it() {
    let shifted = Subject {
        uid: Some(100_000),
        owner: Some(1001),
        ..RUNNER
    };
    check("user=ci", &shifted, true);
    check("user=100000", &shifted, true);
    check("user=1002", &shifted, false);
}

/// A process of the scope that is in another container has that one's namespace.
#[test]
fn the_judged_process_tells_nothing_about_other_containers() {
    let other = Subject {
        container: Some(&ID[1..]),
        ..RUNNER
    };
    check("namespace=ci", &other, false);
    check("image=registry.example/ci/*", &other, false);
}

/// A label of an image that is run outside of a pod.
#[test]
fn a_namespace_without_a_pods_cgroup_does_not_count() {
    let mut forged = home();
    forged.pod.as_mut().unwrap().uid = None;
    let rule = Rule::parse("namespace=ci", &[]).unwrap();
    let only = Only::new([rule].into()).of(Some(Family::RandomX), Place::of(forged));
    assert!(!only.includes(&RUNNER));
}
