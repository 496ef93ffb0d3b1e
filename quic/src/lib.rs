#![doc = include_str!("../README.md")]

mod error;
mod stream;

use std::any::Any;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use packetboat::{Attempt, ConnectStage, DialError, Dialing, Io, Pem, PrivateKey, Transport};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, TransportConfig};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

pub use error::QuicError;
use stream::Stream;

/// MQTT in one stream of a QUIC connection. The server's certificate is verified, by the system's roots unless others
/// are named, and so is the name in it. Files are read again on each attempt.
///
/// ```no_run
/// use packetboat::{Client, Options};
/// use packetboat_quic::Quic;
///
/// # async fn example() -> Result<(), packetboat::ConnectError> {
/// let options = Options::new("mqtts://broker.example:14567").transport(Quic::new());
/// let client = Client::connect(options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quic {
    ca_file: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    server_name: Option<String>,
    alpn: Vec<u8>,
    probe_every: Duration,
}

impl Default for Quic {
    fn default() -> Self {
        Self::new()
    }
}

impl Quic {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ca_file: None,
            certificate: None,
            server_name: None,
            alpn: b"mqtt".to_vec(),
            probe_every: Duration::from_secs(10),
        }
    }

    /// Trust the certificate authorities in this PEM file, and no others. Default: the system's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The client's certificate (with its chain) and its key, PEM files. Default: none.
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// The name to ask for and to find in the server's certificate. Default: the server's host.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The protocol to ask for. Default: `mqtt`.
    #[must_use]
    pub fn alpn(mut self, protocol: impl Into<Vec<u8>>) -> Self {
        self.alpn = protocol.into();
        self
    }

    /// How often a silent path is probed, which keeps it open. Default: 10 s. Servers give up on silent connections
    /// after 30 s or so.
    #[must_use]
    pub fn probe_every(mut self, interval: Duration) -> Self {
        self.probe_every = interval;
        self
    }

    fn configuration(&self) -> Result<ClientConfig, QuicError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(QuicError::Tls)?
            .with_root_certificates(self.roots()?);
        let mut tls = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain)?;
                let key = Pem::file(key).private_key(None).map_err(|error| QuicError::file(key, &error))?;
                builder.with_client_cert_resolver(Arc::new(certified(chain, &key).map_err(QuicError::Tls)?))
            }
        };
        tls.alpn_protocols = vec![self.alpn.clone()];
        let tls = QuicClientConfig::try_from(tls).map_err(|_| QuicError::NoCipher)?;
        let mut configuration = ClientConfig::new(Arc::new(tls));
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(Some(self.probe_every));
        configuration.transport_config(Arc::new(transport));
        Ok(configuration)
    }

    fn roots(&self) -> Result<RootCertStore, QuicError> {
        let mut roots = RootCertStore::empty();
        let authorities = match &self.ca_file {
            Some(path) => certificates(path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        // The system's store may hold what rustls does not take; a file that has nothing else is of no use.
        let (taken, _) = roots.add_parsable_certificates(authorities);
        if taken == 0 { Err(QuicError::NoAuthorities) } else { Ok(roots) }
    }

    async fn open(&self, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        // Wrong settings are told before anything is sent.
        let configuration = self.configuration()?;
        let name = self.server_name.as_deref().unwrap_or(attempt.server().host_without_zone());
        let stream = attempt.reach(|address| connect(attempt, configuration.clone(), address, name)).await;
        match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(DialError::Connect(error)) => {
                Err(QuicError::unpack(&error).map_or(DialError::Connect(error), DialError::from))
            }
            Err(other) => Err(other),
        }
    }
}

/// rustls' own way to it takes the key away, and leaves it in memory.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKey,
) -> Result<SingleCertAndKey, rustls::Error> {
    let der = PrivateKeyDer::Pkcs8(key.pkcs8_der().into());
    let certified = CertifiedKey::new(chain, rustls::crypto::ring::sign::any_supported_type(&der)?);
    certified.keys_match()?;
    Ok(certified.into())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, QuicError> {
    let read = Pem::file(path).certificates().map_err(|error| QuicError::file(path, &error))?;
    Ok(read.into_iter().map(CertificateDer::from).collect())
}

async fn connect(
    attempt: &Attempt,
    configuration: ClientConfig,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<Stream> {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(local)?;
    attempt.enter(ConnectStage::Tls);
    let connecting = endpoint.connect_with(configuration, address, name).map_err(QuicError::Connect)?;
    let connection = connecting.await.map_err(QuicError::Connection)?;
    let (send, receive) = connection.open_bi().await.map_err(QuicError::Connection)?;
    Ok(Stream::new(connection, send, receive))
}

impl Transport for Quic {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let (this, attempt) = (self.clone(), attempt.clone());
        Box::pin(async move { this.open(&attempt).await })
    }

    fn says_as(&self, other: &dyn Transport) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }
}
