//! A running server's address, for commands that ask one over HTTP, plain or by TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::{self, CertificateError, crypto::ring};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::error::{Error, io};

/// What to do where nobody vouches for a server, and no authority was named.
const UNTRUSTED: &str = "name the certificate of the authority that signed the server's with --ca";

/// The same where one was named.
const NOT_VOUCHED: &str = "those of --ca do not vouch for it: name the authority that signed the server's certificate, and ask the server under a name that the certificate has";

/// What to do about a certificate that signed itself, as `openssl req -x509` makes one.
const SELF_SIGNED: &str = "the server's certificate is that of an authority: have the authority sign another one for the server, or make one that signs itself with `basicConstraints=CA:FALSE`, and name it with --ca";

/// What to do where a server of https is none.
const NO_TLS: &str = "no TLS is spoken there: a server without `[server.tls]` is asked with http://";

/// What to do where a server of http is none.
const NO_HTTP: &str = "no HTTP is spoken there: a server with `[server.tls]` is asked with https://; `tandem serve` says where it listens";

/// What to do where a server wants a token and none was given.
const NO_TOKEN: &str =
    "give a token with --token, or better in TANDEM_TOKEN; `tandem token new` makes one where the server is";

/// How long a server may take for an answer.
const ANSWER_SECONDS_MAX: u64 = 60;

/// A server, with the connections to it that are kept.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
    is_encrypted: bool,
    has_authorities: bool,
}

impl Client {
    /// `option` is that which has the `url`, such as `http://127.0.0.1:8080`. `token` is sent with each request. `authorities`, a file in PEM, vouch for a
    /// server of https; None: those that Mozilla trusts.
    ///
    /// # Errors
    ///
    /// No URL, or of another scheme than `http` and `https`; a token that no header can have; or a file of authorities that has none.
    pub fn new(option: &str, url: &str, token: Option<String>, authorities: Option<&Path>) -> Result<Client, Error> {
        let refuse = |reason: String| Error::Argument { what: format!("{option} {url}"), reason };
        let parsed: ureq::http::Uri =
            url.parse().map_err(|error| refuse(format!("{error}; write it as http://127.0.0.1:8080")))?;
        let is_encrypted = match parsed.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("write it as http://127.0.0.1:8080, or with https".to_owned())),
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
            let reason =
                "a token has letters, digits and signs of ASCII alone; `tandem token new` prints one".to_owned();
            return Err(Error::Argument { what: "--token".to_owned(), reason });
        }
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
        let url = url.trim_end_matches('/').to_owned();
        Ok(Client { agent: config.into(), url, token, is_encrypted, has_authorities: authorities.is_some() })
    }

    /// The URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What to do about an error that stays however often the server is asked again: of its certificate, or of the URL's scheme. None for any other.
    pub fn lasting(&self, error: &ureq::Error) -> Option<&'static str> {
        match (of_tls(error), error) {
            (Some(rustls::Error::InvalidCertificate(reason)), _) if is_of_authority(reason) => Some(SELF_SIGNED),
            (Some(rustls::Error::InvalidCertificate(_)), _) if self.has_authorities => Some(NOT_VOUCHED),
            (Some(rustls::Error::InvalidCertificate(_)), _) => Some(UNTRUSTED),
            (Some(rustls::Error::InvalidMessage(_)), _) => Some(NO_TLS),
            (None, ureq::Error::Protocol(_)) if !self.is_encrypted => Some(NO_HTTP),
            _ => None,
        }
    }

    /// What to do about an answer of this status, where the caller knows it better than the server.
    pub fn refused(&self, status: u16) -> Option<&'static str> {
        (status == 401 && self.token.is_none()).then_some(NO_TOKEN)
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

/// The same, where it is one of TLS.
fn of_tls(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    }
}

/// Whether a certificate is refused since it is an authority's. The reason is of a type of the verifier's, which rustls keeps to itself.
fn is_of_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(reason) if reason.to_string().contains("CaUsedAsEndEntity"))
}
