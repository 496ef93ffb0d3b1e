//! The certificates a broker shows. Looked at on a connection of its own, on which nothing is said and nothing is believed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use packetboat::Options;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::plain::plain;

/// Soon.
const DAYS: i64 = 30;

/// What the broker showed.
#[derive(Debug, Default)]
pub(super) struct Chain {
    protocol: String,
    certificates: Vec<Certificate>,
}

#[derive(Debug)]
struct Certificate {
    subject: String,
    issuer: String,
    names: Vec<String>,
    from: String,
    until: String,
    days_left: i64,
}

/// `None` where there is no TLS.
pub(super) async fn look(options: &Options, patience: Duration) -> Option<Result<Chain, String>> {
    let attempt = options.attempt().ok()?;
    if !attempt.server().scheme().is_secure() {
        return None;
    }
    let looking = async {
        let io = attempt.tunnel().await.map_err(|error| error.to_string())?;
        let name =
            ServerName::try_from(attempt.server().host().to_owned()).map_err(|error| error.to_string())?;
        let looker =
            Arc::new(Looker { provider: Arc::new(ring::default_provider()), seen: Mutex::default() });
        let config = ClientConfig::builder_with_provider(looker.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(looker.clone())
            .with_no_client_auth();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, io).await;
        let mut chain = Chain::default();
        match handshake {
            Ok(stream) => {
                let (_, session) = stream.get_ref();
                let version = session.protocol_version().map(|version| format!("{version:?}"));
                let suite = session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
                chain.protocol = [version, suite].into_iter().flatten().collect::<Vec<_>>().join(", ");
            }
            // One that wants a certificate of ours has shown its own before.
            Err(error) if looker.seen().is_empty() => return Err(error.to_string()),
            Err(error) => chain.protocol = format!("broken off: {error}"),
        }
        chain.certificates = looker.seen().iter().filter_map(|bytes| Certificate::read(bytes)).collect();
        Ok(chain)
    };
    Some(timeout(patience, looking).await.unwrap_or_else(|_| Err("no answer".into())))
}

impl Chain {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.protocol.clone()];
        for certificate in &self.certificates {
            let Certificate { subject, issuer, from, until, days_left, names } = certificate;
            let names = if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) };
            let left = match *days_left {
                ..0 => "EXPIRED".to_owned(),
                0..DAYS => format!("only {days_left} days left"),
                _ => format!("{days_left} days left"),
            };
            lines.push(format!("{subject}{names}, by {issuer}, from {from} until {until}, {left}"));
        }
        lines
    }

    pub(super) fn json(&self) -> Value {
        let certificates = self.certificates.iter().map(|certificate| {
            json!({
                "subject": certificate.subject,
                "issuer": certificate.issuer,
                "names": certificate.names,
                "not_before": certificate.from,
                "not_after": certificate.until,
                "days_left": certificate.days_left,
            })
        });
        json!({ "protocol": self.protocol, "certificates": certificates.collect::<Vec<_>>() })
    }
}

impl Certificate {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(bytes).ok()?;
        let validity = certificate.validity();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let left = validity.not_after.timestamp() - i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        Some(Self {
            subject: plain(&certificate.subject().to_string()),
            issuer: plain(&certificate.issuer().to_string()),
            names: names.map(|name| plain(&name.to_string())).collect(),
            from: date(validity.not_before.timestamp()),
            until: date(validity.not_after.timestamp()),
            days_left: left.div_euclid(24 * 60 * 60),
        })
    }
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".into(), |time| time.to_string())
}

/// Takes everything, and remembers it.
#[derive(Debug)]
struct Looker {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<Vec<u8>>>,
}

impl Looker {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen() = [certificate].into_iter().chain(intermediates).map(|bytes| bytes.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
