//! TLS for the suites: an authority, what it signs, and clients that trust only it,
//! or any server.

mod unverified;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

pub use self::unverified::unverified;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM form.
pub struct Identity {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: String,
}

impl Identity {
    /// A server that shows it, to any client.
    ///
    /// # Errors
    ///
    /// Key and certificate do not fit.
    pub fn server(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let (cert, key) = self.parsed();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)?;
        Ok(Arc::new(config))
    }

    fn parsed(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let cert = CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM");
        (cert, key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, that no other client or server trusts.
    ///
    /// # Panics
    ///
    /// When there is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate of loopback, for servers and for clients.
    ///
    /// # Panics
    ///
    /// When there is no randomness.
    #[must_use]
    pub fn sign(&self) -> Identity {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names.to_vec()).expect("they are names");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.0).expect("it signs");
        Identity {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts it, and shows this identity.
    ///
    /// # Panics
    ///
    /// When the identity is none.
    #[must_use]
    pub fn client(&self, identity: Option<&Identity>) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("it is an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("it has versions")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (cert, key) = identity.parsed();
                let config = builder.with_client_auth_cert(vec![cert], key);
                config.expect("key and certificate fit")
            }
        };
        Client(Arc::new(config))
    }
}

/// A client of TLS. Clones share their sessions.
#[derive(Clone)]
pub struct Client(Arc<ClientConfig>);

impl Client {
    /// What the server answers to `GET path` with these headers (each with its
    /// end of line), the head included.
    ///
    /// # Errors
    ///
    /// When there is no TLS, or no answer within 30 s.
    pub fn get(&self, address: SocketAddr, path: &str, headers: &str) -> Result<String, String> {
        let exchange = || -> std::io::Result<String> {
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            let name = address.ip().into();
            let connection =
                ClientConnection::new(Arc::clone(&self.0), name).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n");
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        exchange().map_err(|error| format!("no answer from {address}: {error}"))
    }
}

/// Writes a file of `--web.config.file` into `home`, and gives its path: this
/// certificate, the user `prometheus` with the password `secret`, and these
/// lines of `tls_server_config`.
///
/// # Panics
///
/// When `home` cannot be written to.
#[must_use]
pub fn secured(home: &Path, identity: &Identity, lines: &str) -> PathBuf {
    write_identity(home, identity);
    // What htpasswd makes of `secret` takes as long.
    let hash = bcrypt::hash("secret", 10).expect("it can be hashed");
    let file = home.join("web.yml");
    let text = format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{lines}\
         basic_auth_users:\n  prometheus: {hash}\n"
    );
    fs::write(&file, text).expect("it is ours");
    file
}

/// Writes the certificate and the key that [`secured`] names.
///
/// # Panics
///
/// When `home` cannot be written to.
pub fn write_identity(home: &Path, identity: &Identity) {
    fs::write(home.join("server.crt"), &identity.cert).expect("it is ours");
    fs::write(home.join("server.key"), &identity.key).expect("it is ours");
}
