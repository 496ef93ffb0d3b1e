#![doc = include_str!("../README.md")]

mod error;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslConnector, SslConnectorBuilder, SslMethod, SslRef, SslVersion};
use openssl::x509::X509;
use packetboat::{Attempt, ConnectStage, DialError, Dialing, Io, Transport};
use tokio_openssl::SslStream;
use zeroize::Zeroizing;

pub use error::OpenSslError;

/// TLS by OpenSSL. Certificates of the server are verified, by the system's roots unless others are named, and so is
/// the name in them. Files are read again on each attempt.
///
/// ```no_run
/// use packetboat::{Client, Options};
/// use packetboat_openssl::OpenSsl;
///
/// # async fn example() -> Result<(), packetboat::ConnectError> {
/// let options = Options::new("mqtts://broker.example").transport(OpenSsl::new().psk("boat", [0x00, 0xff, 0x17]));
/// let client = Client::connect(options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OpenSsl {
    psk: Option<Psk>,
    ciphers: Option<String>,
    cipher_suites: Option<String>,
    ca_file: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    server_name: Option<String>,
}

impl OpenSsl {
    /// The defaults of OpenSSL, with verification.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Authenticate each other by a key both sides know, under the name the server knows it by. The ciphers are those
    /// for pre-shared keys, and no certificate is accepted in their place. Default: certificates.
    #[must_use]
    pub fn psk(mut self, identity: impl Into<String>, key: impl Into<Vec<u8>>) -> Self {
        self.psk = Some(Psk { identity: identity.into(), key: Arc::new(Zeroizing::new(key.into())) });
        self
    }

    /// Ciphers for TLS 1.2 and older, as a cipher string of OpenSSL: see `openssl ciphers`. It has no say in TLS 1.3,
    /// which is spoken then only if its [`cipher_suites`](Self::cipher_suites) are named, too. Default: OpenSSL's, or
    /// `PSK`.
    #[must_use]
    pub fn ciphers(mut self, ciphers: impl Into<String>) -> Self {
        self.ciphers = Some(ciphers.into());
        self
    }

    /// Cipher suites for TLS 1.3, separated by colons. Default: OpenSSL's.
    #[must_use]
    pub fn cipher_suites(mut self, suites: impl Into<String>) -> Self {
        self.cipher_suites = Some(suites.into());
        self
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

    fn prepare(&self, host: &str) -> Result<Ssl, OpenSslError> {
        let of = |what: &'static str| move |error| OpenSslError::Setting { what, error };
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(of("OpenSSL"))?;
        if let Some(path) = &self.ca_file {
            let mut store = openssl::x509::store::X509StoreBuilder::new().map_err(of("OpenSSL"))?;
            for authority in certificates(path, "the file of certificate authorities")? {
                store.add_cert(authority).map_err(of("a certificate authority"))?;
            }
            builder.set_cert_store(store.build());
        }
        if let Some((certificate, key)) = &self.certificate {
            let mut chain = certificates(certificate, "the client certificate")?.into_iter();
            let first = chain.next().map_or(Ok(()), |first| builder.set_certificate(&first));
            first
                .and_then(|()| chain.try_for_each(|issuer| builder.add_extra_chain_cert(issuer)))
                .map_err(of("the client certificate"))?;
            // OpenSSL's own way to a file leaves what it read in memory, and asks the terminal for passwords.
            let pem = Zeroizing::new(read(key)?);
            let key = PKey::private_key_from_pem_callback(&pem, |_| Err(ErrorStack::get()))
                .map_err(of("the client key"))?;
            builder.set_private_key(&key).map_err(of("the client key"))?;
            builder.check_private_key().map_err(of("the client key, which is not the certificate's"))?;
        }
        if let Some(psk) = &self.psk {
            psk.install(&mut builder)?;
        }
        let default = self.psk.as_ref().map(|_| "PSK");
        if let Some(ciphers) = self.ciphers.as_deref().or(default) {
            builder.set_cipher_list(ciphers).map_err(of("the cipher string"))?;
        }
        if self.ciphers.is_some() && self.cipher_suites.is_none() {
            builder.set_max_proto_version(Some(SslVersion::TLS1_2)).map_err(of("a version of TLS"))?;
        }
        if let Some(suites) = &self.cipher_suites {
            builder.set_ciphersuites(suites).map_err(of("the cipher suites"))?;
        }
        let name = self.server_name.as_deref().unwrap_or(host);
        builder.build().configure().and_then(|ready| ready.into_ssl(name)).map_err(of("the server's name"))
    }

    async fn open(&self, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        // Wrong settings are told before anything is sent.
        let ssl = self.prepare(attempt.server().host_without_zone())?;
        let io = attempt.tunnel().await?;
        attempt.enter(ConnectStage::Tls);
        let mut stream =
            SslStream::new(ssl, io).map_err(|error| OpenSslError::Setting { what: "OpenSSL", error })?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            return Err(
                OpenSslError::of_handshake(&error, stream.ssl().verify_result(), self.psk.is_some()).into()
            );
        }
        attempt.frame(Box::new(stream)).await
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OpenSslError> {
    std::fs::read(path).map_err(|error| OpenSslError::File { path: path.into(), error: error.into() })
}

/// At least one. OpenSSL decodes whatever stands beside them, a key too, and leaves that in memory: it is not shown to it.
fn certificates(path: &Path, what: &'static str) -> Result<Vec<X509>, OpenSslError> {
    let file = Zeroizing::new(read(path)?);
    let (mut rest, mut found) = (file.as_slice(), Vec::new());
    while let Some(at) = place(rest, b"-----BEGIN CERTIFICATE-----") {
        rest = &rest[at..];
        // One without an end is OpenSSL's to complain of.
        let end = place(rest, END).map_or(rest.len(), |end| end + END.len());
        found.push(X509::from_pem(&rest[..end]));
        rest = &rest[end..];
    }
    if found.is_empty() {
        found.push(X509::from_pem(b""));
    }
    found.into_iter().collect::<Result<_, _>>().map_err(|error| OpenSslError::Setting { what, error })
}

const END: &[u8] = b"-----END CERTIFICATE-----";

fn place(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

impl Transport for OpenSsl {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let (this, attempt) = (self.clone(), attempt.clone());
        Box::pin(async move { this.open(&attempt).await })
    }

    fn says_as(&self, other: &dyn Transport) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }
}

#[derive(Clone, Eq, PartialEq)]
struct Psk {
    identity: String,
    key: Arc<Zeroizing<Vec<u8>>>,
}

impl Psk {
    /// OpenSSL asks for it in the middle of the handshake; nothing can be explained there.
    fn install(&self, builder: &mut SslConnectorBuilder) -> Result<(), OpenSslError> {
        // As much as all versions of OpenSSL have room for.
        if self.identity.len() > 127 || self.identity.contains('\0') {
            return Err(OpenSslError::PskIdentity);
        }
        if self.key.is_empty() || self.key.len() > 256 {
            return Err(OpenSslError::PskKey);
        }
        let psk = self.clone();
        builder.set_psk_client_callback(move |_: &mut SslRef, _, identity, key| {
            let name = psk.identity.as_bytes();
            // OpenSSL hands out a cleared buffer of at least these sizes; were it smaller, the handshake fails.
            let (Some(to_name), Some(to_key)) =
                (identity.get_mut(..=name.len()), key.get_mut(..psk.key.len()))
            else {
                return Err(ErrorStack::get());
            };
            to_name[..name.len()].copy_from_slice(name);
            to_name[name.len()] = 0;
            to_key.copy_from_slice(&psk.key);
            Ok(psk.key.len())
        });
        Ok(())
    }
}

/// Without the key.
impl std::fmt::Debug for Psk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Psk").field("identity", &self.identity).finish_non_exhaustive()
    }
}
