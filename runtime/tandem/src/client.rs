//! A running server's address, for commands that ask one over HTTP, plain or by TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::{self, crypto::ring};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::error::{Error, io};

/// What to do where nobody vouches for a server.
pub const UNTRUSTED: &str = "name the certificate of the authority that signed the server's with --ca";

/// How long a server may take for an answer.
const ANSWER_SECONDS_MAX: u64 = 60;

/// A server, with the connections to it that are kept.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Client {
    /// `option` is that which has the `url`, such as `http://127.0.0.1:8080`. `token` is sent with each request. `authorities`, a file in PEM, vouch for a
    /// server of https; None: those that Mozilla trusts.
    ///
    /// # Errors
    ///
    /// No URL, or of another scheme than `http` and `https`, or a file of authorities that has none.
    pub fn new(option: &str, url: &str, token: Option<String>, authorities: Option<&Path>) -> Result<Client, Error> {
        let refuse = |reason: String| Error::Argument { what: format!("{option} {url}"), reason };
        let parsed: ureq::http::Uri =
            url.parse().map_err(|error| refuse(format!("{error}; write it as http://127.0.0.1:8080")))?;
        let is_encrypted = match parsed.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("write it as http://127.0.0.1:8080, or with https".to_owned())),
        };
        let roots = authorities.filter(|_| is_encrypted).map(roots).transpose()?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(roots.unwrap_or(RootCerts::WebPki))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))
            .tls_config(tls)
            .build();
        Ok(Client { agent: config.into(), url: url.trim_end_matches('/').to_owned(), token })
    }

    /// The URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends a body and waits for the head of the answer, of whatever status.
    ///
    /// # Errors
    ///
    /// Nobody listens there, speaks HTTP, or has a certificate that one trusts.
    pub fn post(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.post(url).header("content-type", content_type);
        let token = self.token.iter();
        let request = token.fold(request, |request, token| request.header("authorization", format!("Bearer {token}")));
        request.send(body)
    }
}

/// The certificates of a file.
fn roots(file: &Path) -> Result<RootCerts, Error> {
    let wrong = |reason: String| Error::Argument { what: format!("--ca {}", file.display()), reason };
    let pem = std::fs::read(file).map_err(io("read", file))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        match item.map_err(|error| wrong(format!("it is no PEM file of certificates: {}", plain(&error))))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => return Err(wrong("it holds something else than certificates, such as a key".to_owned())),
        }
    }
    match certificates.is_empty() {
        true => Err(wrong("it holds no certificate in PEM".to_owned())),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

/// An error of the client, without the name of its layer.
pub fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Whether nobody vouches for the server's certificate, so that asking again helps nothing.
pub fn is_untrusted(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(error) => matches!(error, rustls::Error::InvalidCertificate(_)),
        ureq::Error::Io(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
        }
        _ => false,
    }
}
