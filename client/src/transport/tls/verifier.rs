//! Is it the server we want? rustls answers; pins and the two dangerous options stand around it.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// SHA-256 of a certificate or of a public key.
    pins: Vec<[u8; 32]>,
    /// Without it any certificate will do.
    web_pki: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
}

impl Verifier {
    pub(super) fn new(algorithms: WebPkiSupportedAlgorithms, pins: Vec<[u8; 32]>) -> Self {
        Self { algorithms, pins, web_pki: None, any_name: false }
    }

    pub(super) fn trusting(self, web_pki: Arc<WebPkiServerVerifier>, any_name: bool) -> Self {
        Self { web_pki: Some(web_pki), any_name, ..self }
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        let fits = |bytes: &[u8]| {
            let digest = digest(&SHA256, bytes);
            self.pins.iter().any(|pin| pin == digest.as_ref())
        };
        fits(certificate)
            || ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| fits(&parsed.subject_public_key_info()))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pins.is_empty() && !self.is_pinned(certificate) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        let Some(web_pki) = &self.web_pki else { return Ok(ServerCertVerified::assertion()) };
        match web_pki.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last: everything else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    /// Whoever shows a certificate must have its key, in any case.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
