//! `tls_server_config`, made into what rustls takes.
//!
//! Only what rustls holds to be safe can be had: TLS 1.2 and 1.3, ephemeral
//! keys, authenticated ciphers. The names in the file are those of Go's
//! crypto/tls.

use std::{path::Path, path::PathBuf, sync::Arc};

use serde::{Deserialize, de::IgnoredAny};
use tokio_rustls::rustls::{
    self, NamedGroup, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

/// The section of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Section {
    cert: Option<String>,
    key: Option<Secret>,
    client_ca: Option<String>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    client_ca_file: Option<PathBuf>,
    client_auth_type: Option<String>,
    client_allowed_sans: Option<IgnoredAny>,
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Option<Vec<String>>,
    prefer_server_cipher_suites: Option<bool>,
    curve_preferences: Option<Vec<String>>,
}

/// A text that is in no log.
#[derive(Deserialize)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

/// Builds the server's side. `read` gets the text of a file that is named.
///
/// # Errors
/// The key of the section that is wrong, and what would be right.
pub(super) fn server(
    section: &Section,
    read: impl Fn(&Path) -> Result<String, String>,
) -> Result<ServerConfig, String> {
    unsupported(
        section.client_allowed_sans.is_some(),
        "client_allowed_sans",
        "names in client certificates are not checked: give client_ca_file an authority that \
         signs only for those who may scrape, and remove it",
    )?;
    let text = |key, inline: Option<&String>, file: Option<&PathBuf>| match (inline, file) {
        (Some(_), Some(_)) => Err(format!("{key} and {key}_file are both given: keep one")),
        (Some(text), None) => Ok(Some(text.clone())),
        (None, Some(file)) => read(file)
            .map(Some)
            .map_err(|problem| format!("{key}_file: {problem}")),
        (None, None) => Ok(None),
    };
    let cert = text("cert", section.cert.as_ref(), section.cert_file.as_ref())?
        .ok_or("cert_file is missing")?;
    let key = section.key.as_ref().map(|key| &key.0);
    let key = text("key", key, section.key_file.as_ref())?.ok_or("key_file is missing")?;
    let ca = text(
        "client_ca",
        section.client_ca.as_ref(),
        section.client_ca_file.as_ref(),
    )?;

    let chain = certificates("cert", &cert)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| format!("key is no private key in PEM form: {}", reason(&error)))?;
    let provider = Arc::new(provider(section)?);
    let verifier = verifier(section.client_auth_type.as_deref(), ca, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(section)?)
        .map_err(|error| format!("cipher_suites: {error}"))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("cert and key do not match: {error}"))?;
    config.ignore_client_order = section.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(key: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{key} is no certificate in PEM form: {}", reason(&error)))?;
    if chain.is_empty() {
        return Err(format!("{key} has no certificate in PEM form"));
    }
    Ok(chain)
}

/// What is wrong, without what is there.
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it has no end",
        pem::Error::Base64Decode(_) => "it is not base64",
        pem::Error::NoItemsFound => "there is none",
        _ => "it cannot be read",
    }
}

fn verifier(
    kind: Option<&str>,
    ca: Option<String>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let required = match kind {
        None | Some("" | "NoClientCert") => {
            return match ca {
                None => Ok(None),
                Some(_) => Err("client_ca_file has no effect without client_auth_type: \
                     RequireAndVerifyClientCert"
                    .to_owned()),
            };
        }
        Some("VerifyClientCertIfGiven") => false,
        Some("RequireAndVerifyClientCert") => true,
        Some(kind @ ("RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert")) => {
            return Err(format!(
                "client_auth_type: {kind} is not supported: it lets any client in; write \
                 RequireAndVerifyClientCert, or NoClientCert"
            ));
        }
        Some(_) => {
            return Err(
                "client_auth_type must be NoClientCert, VerifyClientCertIfGiven or \
                        RequireAndVerifyClientCert"
                    .to_owned(),
            );
        }
    };
    let ca = ca.ok_or(
        "client_ca_file is missing: name the authority that signs the clients' certificates",
    )?;
    let mut roots = RootCertStore::empty();
    for root in certificates("client_ca", &ca)? {
        roots
            .add(root)
            .map_err(|error| format!("client_ca is not taken: {error}"))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let verifier = builder
        .build()
        .map_err(|error| format!("client_ca is not taken: {error}"))?;
    Ok(Some(verifier))
}

fn versions(section: &Section) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let version = |key: &str, name: Option<&str>, default| match name {
        None => Ok(default),
        Some("TLS12") => Ok(12),
        Some("TLS13") => Ok(13),
        Some(old @ ("TLS10" | "TLS11")) => Err(format!(
            "{key}: {old} is not supported: it is broken; write TLS12 or TLS13"
        )),
        Some(_) => Err(format!("{key} must be TLS12 or TLS13")),
    };
    let least = version("min_version", section.min_version.as_deref(), 12)?;
    let most = version("max_version", section.max_version.as_deref(), 13)?;
    if least > most {
        return Err("min_version is above max_version".to_owned());
    }
    let all = [(13, &TLS13), (12, &TLS12)];
    Ok(all
        .into_iter()
        .filter(|(number, _)| (least..=most).contains(number))
        .map(|(_, version)| version)
        .collect())
}

/// The ciphers and curves that are asked for, in that order.
fn provider(section: &Section) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if let Some(names) = section
        .cipher_suites
        .as_ref()
        .filter(|names| !names.is_empty())
    {
        let (newer, older): (Vec<_>, Vec<_>) = provider
            .cipher_suites
            .into_iter()
            .partition(|suite| suite.tls13().is_some());
        // As in Go, TLS 1.3 has its own, which cannot be chosen.
        provider.cipher_suites = newer;
        for name in names {
            let named = |suite: &&rustls::SupportedCipherSuite| {
                suite.suite().as_str() == Some(name.as_str())
            };
            let suite = older.iter().find(named).ok_or_else(|| {
                not_known(
                    "cipher_suites",
                    older.iter().map(rustls::SupportedCipherSuite::suite),
                )
            })?;
            provider.cipher_suites.push(*suite);
        }
    }
    if let Some(names) = section
        .curve_preferences
        .as_ref()
        .filter(|names| !names.is_empty())
    {
        let all = provider.kx_groups;
        let group = |name: &String| {
            let wanted = match name.as_str() {
                "X25519" => NamedGroup::X25519,
                "CurveP256" => NamedGroup::secp256r1,
                "CurveP384" => NamedGroup::secp384r1,
                _ => {
                    return Err(
                        "curve_preferences may have X25519, CurveP256 and CurveP384; \
                                others are not supported: remove them"
                            .to_owned(),
                    );
                }
            };
            let found = all.iter().find(|group| group.name() == wanted);
            found
                .copied()
                .ok_or_else(|| format!("curve_preferences: {name} is not available"))
        };
        provider.kx_groups = names.iter().map(group).collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

fn not_known(key: &str, known: impl Iterator<Item = rustls::CipherSuite>) -> String {
    let known: Vec<_> = known.filter_map(|suite| suite.as_str()).collect();
    format!(
        "{key} has one that is not supported; those that are: {}",
        known.join(", ")
    )
}

pub(super) fn unsupported(given: bool, key: &str, remedy: &str) -> Result<(), String> {
    if given {
        return Err(format!("{key} is not supported: {remedy}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
