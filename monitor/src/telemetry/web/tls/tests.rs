//! The section, with certificates made for it.

use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};

use super::*;

fn pem() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The section, with these lines and a certificate of its own in files.
fn build(lines: &str) -> Result<ServerConfig, String> {
    let section = format!("cert_file: cert\nkey_file: key\n{lines}");
    build_of(&section)
}

fn build_of(section: &str) -> Result<ServerConfig, String> {
    let section: Section = serde_saphyr::from_str(section).map_err(|error| error.to_string())?;
    let (cert, key) = pem();
    let other = pem().0;
    server(&section, |path| match path.to_str() {
        Some("cert") => Ok(cert.clone()),
        Some("key") => Ok(key.clone()),
        Some("other") => Ok(other.clone()),
        Some("text") => Ok("no PEM".to_owned()),
        _ => Err("cannot be read".to_owned()),
    })
}

#[test]
fn the_default_is_tls_1_2_and_1_3_without_client_certificates() {
    let config = build("").unwrap();
    assert!(config.ignore_client_order);
    assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    assert!(config.crypto_provider().cipher_suites.len() > 5);
}

#[test]
fn ciphers_and_curves_are_those_asked_for() {
    let config = build(
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n\
         curve_preferences: [CurveP384, X25519]\nprefer_server_cipher_suites: false\n",
    )
    .unwrap();
    assert!(!config.ignore_client_order);
    let provider = config.crypto_provider();
    let older = provider
        .cipher_suites
        .iter()
        .filter(|suite| suite.tls13().is_none());
    let older: Vec<_> = older.map(|suite| suite.suite().as_str().unwrap()).collect();
    assert_eq!(older, ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]);
    let groups: Vec<_> = provider
        .kx_groups
        .iter()
        .map(|group| group.name())
        .collect();
    assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::X25519]);
}

#[test]
fn versions_from_least_to_most() {
    let of = |lines: &str| {
        let section: Section = serde_saphyr::from_str(lines).unwrap();
        versions(&section).map(|versions| versions.iter().map(|v| v.version).collect::<Vec<_>>())
    };
    assert_eq!(of("min_version: TLS12"), Ok(vec![TLSv1_3, TLSv1_2]));
    assert_eq!(of("min_version: TLS13"), Ok(vec![TLSv1_3]));
    assert_eq!(of("max_version: TLS12"), Ok(vec![TLSv1_2]));
}

#[test]
fn client_certificates_are_verified_or_not_asked_for() {
    for lines in [
        "client_auth_type: NoClientCert",
        "client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: other",
        "client_auth_type: VerifyClientCertIfGiven\nclient_ca_file: other",
    ] {
        build(lines).unwrap();
    }
}

#[test]
fn every_mistake_is_told_by_its_key() {
    for (lines, parts) in [
        (
            "client_ca_file: other",
            &["client_ca_file", "client_auth_type"][..],
        ),
        (
            "client_auth_type: RequireAndVerifyClientCert",
            &["client_ca_file is missing"],
        ),
        (
            "client_auth_type: RequireAnyClientCert",
            &["RequireAnyClientCert", "lets any client in"],
        ),
        (
            "client_auth_type: RequestClientCert",
            &["RequestClientCert", "not supported"],
        ),
        ("client_auth_type: Always", &["client_auth_type must be"]),
        (
            "client_allowed_sans: [a]",
            &["client_allowed_sans", "not supported", "remove it"],
        ),
        (
            "min_version: TLS10",
            &["min_version", "TLS10", "write TLS12"],
        ),
        ("max_version: TLS1.3", &["max_version must be"]),
        ("min_version: TLS13\nmax_version: TLS12", &["above"]),
        (
            "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            &["cipher_suites", "TLS_ECDHE"],
        ),
        (
            "curve_preferences: [CurveP521]",
            &["curve_preferences", "CurveP256"],
        ),
        ("cert: x", &["cert and cert_file"]),
        (
            "client_auth_type: VerifyClientCertIfGiven\nclient_ca_file: text",
            &["client_ca has no"],
        ),
    ] {
        let message = build(lines).unwrap_err();
        for part in parts {
            assert!(message.contains(part), "{lines}: no {part:?} in {message}");
        }
    }
    for (section, part) in [
        ("key_file: key", "cert_file is missing"),
        ("cert_file: cert", "key_file is missing"),
        ("cert_file: other\nkey_file: key", "do not match"),
        ("cert_file: text\nkey_file: key", "cert has no certificate"),
        ("cert_file: cert\nkey_file: text", "key is no private key"),
        (
            "cert_file: gone\nkey_file: key",
            "cert_file: cannot be read",
        ),
        ("cert_fiel: cert", "cert_fiel"),
    ] {
        let message = build_of(section).unwrap_err();
        assert!(
            message.contains(part),
            "{section}: no {part:?} in {message}"
        );
    }
}
