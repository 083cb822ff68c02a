//! Which process a rule is about, and which rules are refused.

use super::*;

const SUBJECT: Subject<'static> = Subject {
    exe: Some("/opt/tools/bin/hash"),
    uid: Some(1001),
    cgroup: "/system.slice/backup.service",
    family: Some(Family::Sha256d),
    sha256: Some(DIGEST),
    unit: Some("backup.service"),
    container: Some("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    pod: Some("12345678-9abc-def0-1234-56789abcdef0"),
    owner: Some(0),
    namespace: Some("ci"),
    image: Some("registry.example/ci/runner:3"),
};
const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[track_caller]
fn check(text: &str, expected: bool) {
    assert_eq!(rule(text).matches(&SUBJECT), expected, "{text}");
}

#[test]
fn digests() {
    check(&format!("sha256={DIGEST}"), true);
    check(&format!("sha256={}", DIGEST.to_uppercase()), true);
    check(&format!("sha256={}", DIGEST.replace('e', "f")), false);
    refused(&["--allow", "sha256=e3b0"], "64 hexadecimal");
    let unread = Subject {
        sha256: None,
        ..SUBJECT
    };
    assert!(!rule(&format!("sha256={DIGEST}")).matches(&unread));
}

#[test]
fn units() {
    check("unit=backup.service", true);
    check("unit=backup*", true);
    check("unit=*.service", true);
    check("unit=other.service", false);
    refused(&["--allow", "unit=backup"], "with its kind");
    let none = Subject {
        unit: None,
        ..SUBJECT
    };
    assert!(!rule("unit=*").matches(&none));
}

#[test]
fn containers_and_pods() {
    check("container=0123456789ab", true);
    check("container=0123456789ac", false);
    check("container=0123456789a", false);
    check("container=0123*", true);
    check("container=12345678-9abc-def0-1234-56789abcdef0", true);
    check("container=12345678-9abc-def0-1234-56789abcdef1", false);
    let none = Subject {
        container: None,
        pod: None,
        ..SUBJECT
    };
    assert!(!rule("container=*").matches(&none));
}

#[test]
fn namespaces_and_images() {
    check("namespace=ci", true);
    check("namespace=c*", true);
    check("namespace=prod", false);
    check("image=registry.example/**", true);
    check("image=registry.example/*", false);
    let unknown = Subject {
        namespace: None,
        image: None,
        ..SUBJECT
    };
    assert!(!rule("namespace=*").matches(&unknown));
    assert!(!rule("image=**").matches(&unknown));
}

/// What a runtime's file says may limit an action; it may neither exempt nor condemn.
#[test]
fn only_takes_every_key_and_others_not_all() {
    let all = [
        "exe=/a",
        "user=miner",
        "cgroup=/a",
        "family=randomx",
        &format!("sha256={DIGEST}"),
        "unit=a.service",
        "container=0123456789ab",
        "namespace=ci",
        "image=a/b:1",
    ];
    let config = config(&["--only", &all.join(",")]).unwrap();
    let keys: Vec<_> = config.policy.only.iter().map(|rule| rule.key).collect();
    assert_eq!(keys.len(), RuleKey::ALL.len());
    for (key, text) in keys.iter().zip(all) {
        assert!(text.starts_with(&format!("{}=", key.name())), "{text}");
    }
    for flag in ["--allow", "--deny"] {
        refused(
            &[flag, "namespace=ci"],
            "use container= with the uid of a pod",
        );
        refused(
            &[flag, "image=a/b:1"],
            "a user that starts a container chooses its image",
        );
    }
    refused(&["--only", "comm=nginx"], "chooses its own name");
}

#[test]
fn comm_is_refused_and_told_why() {
    refused(&["--allow", "comm=nginx"], "chooses its own name");
    refused(&["--deny", "comm="], "chooses its own name");
}

#[test]
fn malformed_rules_say_what_is_accepted() {
    refused(&["--allow", "nginx"], "not KEY=VALUE");
    refused(
        &["--allow", "name=nginx"],
        "unknown key; accepted are exe=GLOB",
    );
    refused(&["--deny", "exe="], "nothing after '='");
    refused(&["--deny", "exe=bin/x"], "absolute path");
    refused(&["--deny", "cgroup=docker"], "absolute path");
    refused(&["--deny", "exe=/bin/[a"], "not a glob");
    refused(&["--deny", "user=nobody-here"], "/etc/passwd");
    refused(&["--deny", "user=4294967296"], "/etc/passwd");
    refused(
        &["--deny", "family=bitcoin"],
        "known are randomx, cryptonight",
    );
}

#[test]
fn lists_are_split_at_commas_but_not_inside_a_glob() {
    let config = config(&[
        "--allow",
        "user=root,exe=/bin/{a,b},,exe=/x/[,]y,exe=/c\\,d",
    ])
    .unwrap();
    let texts: Vec<_> = config
        .policy
        .allow
        .iter()
        .map(|rule| rule.text.as_str())
        .collect();
    assert_eq!(
        texts,
        ["user=root", "exe=/bin/{a,b}", "exe=/x/[,]y", "exe=/c\\,d"]
    );
}

#[test]
fn exe_globs() {
    check("exe=/opt/tools/bin/hash", true);
    check("exe=/opt/tools/bin/*", true);
    check("exe=/opt/**", true);
    check("exe=/**/{hash,other}", true);
    check("exe=/opt/*", false);
    check("exe=/opt/tools/bin/has", false);
    check("exe=/system.slice/*", false);
}

#[test]
fn an_unverified_image_matches_no_exe_rule() {
    let subject = Subject {
        exe: None,
        ..SUBJECT
    };
    assert!(!rule("exe=/**").matches(&subject));
}

#[test]
fn cgroup_globs() {
    check("cgroup=/system.slice/*.service", true);
    check("cgroup=/**", true);
    check("cgroup=/*", false);
    check("cgroup=/opt/**", false);
}

#[test]
fn users_by_name_and_by_number() {
    check("user=miner", true);
    check("user=1001", true);
    check("user=root", false);
    let subject = Subject {
        uid: None,
        ..SUBJECT
    };
    assert!(!rule("user=miner").matches(&subject));
}

#[test]
fn families() {
    check("family=sha256d", true);
    check("family=randomx", false);
}

#[test]
fn passwd_skips_what_is_not_an_entry() {
    assert_eq!(parse_passwd(PASSWD), [("root", 0), ("miner", 1001)]);
    assert_eq!(parse_passwd(""), []);
}
