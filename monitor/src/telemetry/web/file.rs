//! The file of `--web.config.file`, in the format of Prometheus'
//! exporter-toolkit: TLS, passwords, headers.
//!
//! A text flows in, and the files it names; out comes [`Secured`], or a
//! [`FileError`] with the reason, and then nothing changes. What the format has
//! and unjack has not is refused by its name: a setting that is left out in
//! silence would be thought to protect. Bounds: a mebibyte of each file,
//! [`MAX_USERS`], and a cost of 15 of a password's hash.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, de::IgnoredAny};
use tokio_rustls::rustls::ServerConfig;

use super::tls::{self, unsupported};
use unjack_core::text::clean;

/// Bytes of the file, and of each that it names.
const MAX_BYTES: u64 = 1 << 20;
/// Users: a few scrapers and people. All of their logins are remembered.
pub const MAX_USERS: usize = 64;
/// bcrypt's cost of a password: at this one a login takes some two seconds of a
/// core, and the life of a connection is five.
const MAX_COST: u32 = 15;
/// Bytes of a bcrypt hash in text.
const HASH_BYTES: usize = 60;

/// The file, or one it names, is not as it should be.
#[derive(Debug, thiserror::Error)]
pub struct FileError {
    file: PathBuf,
    problem: String,
}

impl FileError {
    /// The file of `--web.config.file`.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problem } = self;
        let file = clean(file.as_os_str().as_encoded_bytes(), 4096);
        write!(f, "{file}: {problem}")
    }
}

/// What stands between the network and the pages. By default nothing does.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    /// TLS, and then nothing but TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Names and bcrypt hashes; no password is needed if it is empty.
    pub(super) users: BTreeMap<String, String>,
    /// Headers of every answer; one that is `None` is left out.
    pub(super) headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

impl Secured {
    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Reads the file, if there is one, and what it names.
    ///
    /// # Errors
    /// The first thing wrong with it, and what would be right.
    pub fn read(file: Option<&Path>) -> Result<Self, FileError> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        read_text(file)
            .and_then(|text| Self::parse(&text, file.parent().unwrap_or(Path::new("/"))))
            .map_err(|problem| FileError {
                file: file.to_owned(),
                problem,
            })
    }

    /// Reads a text; paths in it are relative to `folder`.
    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let Sections {
            tls_server_config,
            http_server_config,
            basic_auth_users,
            rate_limit,
        } = from_yaml::<Option<Sections>>(text)?.unwrap_or_default();
        unsupported(
            rate_limit.is_some(),
            "rate_limit",
            "unjack's limits for clients are fixed: remove it",
        )?;
        let HttpSection { http2, headers } = http_server_config.unwrap_or_default();
        unsupported(
            http2 == Some(true),
            "http_server_config.http2",
            "only HTTP/1.1 is supported: write http2: false, or remove it",
        )?;
        let read = |path: &Path| {
            read_text(&folder.join(path)).map_err(|problem| {
                format!(
                    "{}: {problem}",
                    clean(path.as_os_str().as_encoded_bytes(), 4096)
                )
            })
        };
        Ok(Self {
            tls: tls_server_config
                .map(|section| tls::server(&section, read))
                .transpose()
                .map_err(|problem| format!("tls_server_config.{problem}"))?
                .map(Arc::new),
            users: users(basic_auth_users.unwrap_or_default())?,
            headers: header_list(headers.unwrap_or_default())?,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    tls_server_config: Option<tls::Section>,
    http_server_config: Option<HttpSection>,
    basic_auth_users: Option<BTreeMap<String, String>>,
    rate_limit: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpSection {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

fn from_yaml<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    // A piece of the text in the error would be a piece of a key or a hash in
    // the log.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = clean(error.to_string().as_bytes(), 512);
        format!("{error}; the format is that of Prometheus' exporter-toolkit")
    })
}

fn read_text(file: &Path) -> Result<String, String> {
    let read = || {
        // Opening a pipe would wait for a process that writes to it.
        if !std::fs::metadata(file)?.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let mut text = String::new();
        File::open(file)?
            .take(MAX_BYTES + 1)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
    }
    Ok(text)
}

fn users(users: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    const MAKE: &str = "make one with `htpasswd -nBC 10 NAME`";
    if users.len() > MAX_USERS {
        return Err(format!("basic_auth_users has more than {MAX_USERS} users"));
    }
    for (name, hash) in &users {
        let shown = clean(name.as_bytes(), 64);
        if name.is_empty() || name.contains(':') {
            return Err(format!(
                "basic_auth_users: {shown:?} is not a user name: it must not be empty or contain \
                 a colon"
            ));
        }
        match well_formed(hash).then(|| cost(hash)).flatten() {
            Some(cost) if cost <= MAX_COST => {}
            Some(cost) => {
                return Err(format!(
                    "basic_auth_users: the hash of {shown} has cost {cost}, each login would take \
                     {} s of a core or more: {MAKE}; {MAX_COST} is the most",
                    1_u64 << cost.saturating_sub(14).min(32)
                ));
            }
            None => {
                return Err(format!(
                    "basic_auth_users: {shown} has no bcrypt hash: {MAKE}"
                ));
            }
        }
    }
    Ok(users)
}

/// The cost a bcrypt hash was made with, if it has that form.
pub(super) fn cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .find_map(|kind| hash.strip_prefix(kind))?;
    rest.split_once('$')
        .and_then(|(cost, _)| cost.parse().ok())
        .filter(|cost| (4..=31).contains(cost))
}

/// Whether it can be checked at all: tried at the least cost.
fn well_formed(hash: &str) -> bool {
    hash.len() == HASH_BYTES
        && hash.is_ascii()
        && bcrypt::verify("", &format!("{}04{}", &hash[..4], &hash[6..])).is_ok()
}

/// The headers that the format knows, as it knows them.
fn header_list(
    headers: BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, Option<HeaderValue>)>, String> {
    let known: [(HeaderName, &[&str]); 5] = [
        (header::CONTENT_SECURITY_POLICY, &[]),
        (header::X_FRAME_OPTIONS, &["deny", "sameorigin"]),
        (header::X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
        (header::X_XSS_PROTECTION, &[]),
        (header::STRICT_TRANSPORT_SECURITY, &[]),
    ];
    let header = |(name, value): (String, String)| {
        let at = format!("http_server_config.headers: {}", clean(name.as_bytes(), 64));
        let (name, allowed) = known
            .iter()
            .find(|(known, _)| known.as_str().eq_ignore_ascii_case(&name))
            .ok_or_else(|| {
                let known = known.each_ref().map(|(name, _)| name.as_str()).join(", ");
                format!("{at} cannot be set; those that can are {known}")
            })?;
        if value.is_empty() {
            return Ok((name.clone(), None));
        }
        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            return Err(format!("{at} must be one of: {}", allowed.join(", ")));
        }
        let value = HeaderValue::from_str(&value)
            .map_err(|_| format!("{at} has characters that no header may have"))?;
        Ok((name.clone(), Some(value)))
    };
    headers.into_iter().map(header).collect()
}

#[cfg(test)]
pub(super) mod tests;
