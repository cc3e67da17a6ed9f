//! Encrypted connections: TLS 1.2 and 1.3 by rustls. Certificate and key may be replaced while the server runs: connections that are open go on with
//! those that they began with, new ones get the new.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tandem_core::definition::TlsSettings;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::error::Error;
use crate::watched::Watched;

/// Certificate and key. They may be read again at any time.
pub struct Tls {
    settings: TlsSettings,
    config: RwLock<Arc<ServerConfig>>,
    files: Watched,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// One cannot be read, is no PEM of its kind, or they do not go together.
    pub fn open(settings: &TlsSettings) -> Result<Tls, Error> {
        let files = Watched::new([settings.certificate.clone(), settings.key.clone()]);
        let config = RwLock::new(Arc::new(config(settings)?));
        Ok(Tls { settings: settings.clone(), config, files })
    }

    /// Reads the files again if one of them changed. What cannot be used changes nothing, and is told in the log.
    pub fn follow(&self) {
        if self.files.changed() {
            self.reload();
        }
    }

    /// Reads the files again.
    pub fn reload(&self) {
        match config(&self.settings) {
            Ok(config) => {
                tracing::info!("the certificate was read again");
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            }
            // Whoever writes certificate and key has one of them first; the other follows.
            Err(error) => tracing::error!(%error, "the certificate cannot be read again; that of before stays"),
        }
    }

    /// The connection, encrypted; None if the client does not come to that in time.
    pub(super) async fn accept(&self, stream: TcpStream, max: Duration) -> Option<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        match timeout(max, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection could not be encrypted");
                None
            }
            Err(_) => None,
        }
    }
}

fn config(settings: &TlsSettings) -> Result<ServerConfig, Error> {
    let TlsSettings { certificate, key } = settings;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, "certificate", error))?;
    if certificates.is_empty() {
        return Err(unreadable(certificate, "certificate", PemError::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "private key", error))?;
    let refuse = |error: tokio_rustls::rustls::Error| Error::Tls {
        path: certificate.clone(),
        reason: format!("it cannot be used with the key {}: {error}", key.display()),
    };
    // Named, so that it does not depend on what else is compiled in.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refuse)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(refuse)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn unreadable(path: &Path, what: &'static str, error: PemError) -> Error {
    match error {
        PemError::Io(error) => {
            Error::Tls { path: path.to_owned(), reason: format!("the {what} cannot be read: {error}") }
        }
        PemError::NoItemsFound => Error::Tls { path: path.to_owned(), reason: format!("it holds no {what} in PEM") },
        error => Error::Tls { path: path.to_owned(), reason: format!("it is no PEM file of a {what}: {error}") },
    }
}
