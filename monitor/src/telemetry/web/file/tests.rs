//! The file: what is taken, and what each mistake is told.

use std::fs;

use super::*;

/// bcrypt of "secret", of the least cost.
pub(in crate::telemetry::web) fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[track_caller]
fn parse(text: &str) -> Secured {
    Secured::parse(text, Path::new("/nowhere")).unwrap()
}

#[track_caller]
fn check_error(text: &str, parts: &[&str]) {
    let message = Secured::parse(text, Path::new("/nowhere")).unwrap_err();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn an_empty_file_asks_for_nothing() {
    for text in ["", "# nothing\n", "basic_auth_users:\n", "{}"] {
        let secured = parse(text);
        assert!(secured.tls.is_none() && secured.users.is_empty() && secured.headers.is_empty());
    }
}

#[test]
fn users_and_headers() {
    let hash = hash("secret");
    let secured = parse(&format!(
        "basic_auth_users:\n  alice: {hash}\nhttp_server_config:\n  http2: false\n  headers:\n    \
         Strict-Transport-Security: max-age=1\n    Content-Security-Policy: ''\n"
    ));
    assert_eq!(secured.users["alice"], hash);
    let headers: Vec<_> = secured
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_ref().map(HeaderValue::as_bytes)))
        .collect();
    assert_eq!(
        headers,
        [
            ("content-security-policy", None),
            ("strict-transport-security", Some(&b"max-age=1"[..]))
        ]
    );
    assert_eq!(secured.scheme(), "http");
}

#[test]
fn what_is_not_known_or_not_there_is_refused_by_its_name() {
    for (text, parts) in [
        ("tls_sever_config: {}", &["tls_sever_config"][..]),
        ("http_server_config: {htpp2: false}", &["htpp2"]),
        (
            "http_server_config: {http2: true}",
            &["http2", "not supported", "http2: false"],
        ),
        (
            "rate_limit: {interval: 1s, burst: 20}",
            &["rate_limit", "not supported", "remove"],
        ),
        (
            "http_server_config: {headers: {X-Powered-By: me}}",
            &["X-Powered-By", "cannot be set"],
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: all}}",
            &["X-Frame-Options", "sameorigin"],
        ),
        (
            "http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}",
            &["X-XSS-Protection"],
        ),
        (
            "basic_auth_users: {a: plain}",
            &["a has no bcrypt hash", "htpasswd"],
        ),
        ("basic_auth_users: {\"\": x}", &["not a user name"]),
        ("basic_auth_users: {\"a:b\": x}", &["not a user name"]),
        ("basic_auth_users: [", &["exporter-toolkit"]),
        (
            "basic_auth_users: {a: x}\nbasic_auth_users: {b: x}\n",
            &["basic_auth_users"],
        ),
        (
            "tls_server_config: {}",
            &["tls_server_config.cert_file is missing"],
        ),
    ] {
        check_error(text, parts);
    }
}

#[test]
fn a_hash_that_is_too_dear_is_told_its_price() {
    let dear = hash("secret").replace("$04$", "$20$");
    check_error(
        &format!("basic_auth_users: {{a: {dear}}}"),
        &["cost 20", "64 s", "15"],
    );
}

#[test]
fn too_many_users() {
    let users: Vec<_> = (0..=MAX_USERS).map(|n| format!("  u{n}: x\n")).collect();
    let text = format!("basic_auth_users:\n{}", users.concat());
    check_error(&text, &["more than 64"]);
}

#[test]
fn no_secret_is_in_an_error() {
    let text = "basic_auth_users:\n  a: SECRET\n  b: [SECRET]\ntls_server_config:\n  key: SECRET\n";
    let message = Secured::parse(text, Path::new("/")).unwrap_err();
    assert!(!message.contains("SECRET"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let home = tempfile::tempdir().unwrap();
    for (path, part) in [("missing", "No such file"), (".", "no regular file")] {
        let error = Secured::read(Some(&home.path().join(path))).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let large = home.path().join("large");
    fs::write(&large, vec![b'#'; 1 << 20 | 1]).unwrap();
    let error = Secured::read(Some(&large)).unwrap_err().to_string();
    assert!(error.contains("larger than 1 MiB"), "{error}");
    assert!(Secured::read(None).unwrap().tls.is_none());
}
