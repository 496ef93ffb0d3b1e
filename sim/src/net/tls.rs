//! The server's side of TLS.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::door::Stream;

/// What the server shows, and whom it lets in; PEM.
#[derive(Clone)]
pub(super) struct ServerTls {
    certificate: String,
    key: String,
    client_authority: Option<String>,
    /// Made when the broker starts.
    acceptor: Option<TlsAcceptor>,
}

impl ServerTls {
    pub(super) fn new(certificate: &str, key: &str) -> Self {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Self { certificate, key, client_authority: None, acceptor: None }
    }

    pub(super) fn client_authority(mut self, authority: &str) -> Self {
        self.client_authority = Some(authority.to_owned());
        self
    }

    /// Make sense of the texts.
    pub(super) fn ready(mut self) -> io::Result<Self> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let builder = match &self.client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(authority)? {
                    roots.add(certificate).map_err(io::Error::other)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(io::Error::other)?;
        let config = builder.with_single_cert(certificates(&self.certificate)?, key);
        self.acceptor = Some(TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?)));
        Ok(self)
    }

    pub(super) async fn accept(self, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let acceptor = self.acceptor.ok_or_else(|| io::Error::other("the door was not made ready"))?;
        Ok(Box::new(acceptor.accept(stream).await?))
    }
}

fn certificates(pem: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(io::Error::other)
}
