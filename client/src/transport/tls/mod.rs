//! TLS: what is asked for. How it is done is behind the feature `tls`, on rustls.
#![cfg_attr(
    not(feature = "tls"),
    allow(dead_code, reason = "what is asked for has the same shape in every build")
)]

#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod configuration;
mod error;
#[cfg(feature = "tls")]
mod handshake;
#[cfg(feature = "tls")]
mod key;
#[cfg(feature = "tls")]
mod verifier;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

#[cfg(feature = "tls")]
pub(super) use configuration::Cache;
pub use error::{CertificateProblem, TlsError};
#[cfg(feature = "tls")]
pub use key::PrivateKey;

use crate::settings::OptionsError;

/// Certificates, a key or a revocation list: PEM or DER, in a file that is read again on every attempt, or in memory.
///
/// ```
/// use packetboat::{Options, Pem, Tls};
///
/// let tls = Tls::new()
///     .authority(Pem::file("ca.pem"))
///     .client_certificate(Pem::file("boat.pem"), Pem::file("boat.key"));
/// let options = Options::new("mqtts://broker.example").tls(tls);
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Pem(Source);

#[derive(Clone, Eq, PartialEq)]
pub(super) enum Source {
    File(PathBuf),
    Memory(Arc<Zeroizing<Vec<u8>>>),
}

impl Pem {
    /// What is in this file at the time of the attempt.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// These bytes. They are wiped when the last clone is dropped.
    #[must_use]
    pub fn memory(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Source::Memory(Arc::new(Zeroizing::new(bytes.into()))))
    }
}

/// Without the bytes.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Memory(bytes) => write!(f, "{} bytes in memory", bytes.len()),
        }
    }
}

/// What a client shows of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) certificate: Pem,
    pub(crate) key: Pem,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TlsVersion {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

/// How TLS connections are made: whom to trust, and what to show. TLS 1.2 and 1.3.
///
/// Setting it ([`Options::tls`](crate::Options::tls)) switches TLS on for `mqtt://` and `ws://` addresses as well.
///
/// ```
/// use packetboat::{Options, Pem, Tls};
///
/// let tls = Tls::new()
///     .authority(Pem::file("/etc/boat/ca.crt"))
///     .client_certificate(Pem::file("/etc/boat/client.crt"), Pem::file("/etc/boat/client.key"));
/// let options = Options::new("mqtts://broker.example").tls(tls);
/// ```
///
/// Clones share their sessions: a reconnect resumes, and takes no second look at certificates that have not changed.
#[derive(Clone)]
pub struct Tls {
    authorities: Vec<Pem>,
    folders: Vec<PathBuf>,
    system_authorities: Option<bool>,
    identity: Option<Identity>,
    key_password: Option<Zeroizing<String>>,
    revocations: Vec<Pem>,
    pins: Vec<[u8; 32]>,
    server_name: Option<Box<str>>,
    protocols: Vec<Vec<u8>>,
    versions: (TlsVersion, TlsVersion),
    resumption: bool,
    any_certificate: bool,
    any_name: bool,
    password_to_anyone: bool,
    #[cfg(feature = "tls")]
    cache: Cache,
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl Tls {
    /// Does it say the same? Sessions that are kept do not count.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        self.authorities == other.authorities
            && self.folders == other.folders
            && self.system_authorities == other.system_authorities
            && self.identity == other.identity
            && self.key_password == other.key_password
            && self.revocations == other.revocations
            && self.pins == other.pins
            && self.server_name == other.server_name
            && self.protocols == other.protocols
            && self.versions == other.versions
            && self.resumption == other.resumption
            && self.any_certificate == other.any_certificate
            && self.any_name == other.any_name
            && self.password_to_anyone == other.password_to_anyone
    }

    /// The system's authorities, no client certificate, TLS 1.2 or 1.3.
    #[must_use]
    pub fn new() -> Self {
        Self {
            authorities: Vec::new(),
            folders: Vec::new(),
            system_authorities: None,
            identity: None,
            key_password: None,
            revocations: Vec::new(),
            pins: Vec::new(),
            server_name: None,
            protocols: Vec::new(),
            versions: (TlsVersion::Tls12, TlsVersion::Tls13),
            resumption: true,
            any_certificate: false,
            any_name: false,
            password_to_anyone: false,
            #[cfg(feature = "tls")]
            cache: Cache::default(),
        }
    }

    /// Trust certificates signed by these authorities; all that are given are used. The system's are not, then,
    /// unless [`system_authorities`](Self::system_authorities) says so.
    #[must_use]
    pub fn authority(mut self, certificates: Pem) -> Self {
        self.authorities.push(certificates);
        self.changed()
    }

    /// As [`authority`](Self::authority), with all certificates in the files of a folder.
    #[must_use]
    pub fn authority_folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folders.push(path.into());
        self.changed()
    }

    /// Trust the system's authorities, or do not. Default: unless others are given. `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// replace them where they are set.
    #[must_use]
    pub fn system_authorities(mut self, trust: bool) -> Self {
        self.system_authorities = Some(trust);
        self.changed()
    }

    /// The certificate to show to the server, with those of its issuers behind it, and its private key: PKCS #8,
    /// PKCS #1 or SEC 1.
    #[must_use]
    pub fn client_certificate(mut self, certificate: Pem, key: Pem) -> Self {
        self.identity = Some(Identity { certificate, key });
        self.changed()
    }

    /// The password of a private key that is encrypted (PKCS #8 with PBES2, as OpenSSL writes it).
    #[must_use]
    pub fn key_password(mut self, password: impl Into<String>) -> Self {
        self.key_password = Some(Zeroizing::new(password.into()));
        self.changed()
    }

    /// Refuse certificates that these lists revoke. Then every certificate of the server's chain must be covered by a
    /// list that is in date.
    #[must_use]
    pub fn revocation_list(mut self, lists: Pem) -> Self {
        self.revocations.push(lists);
        self.changed()
    }

    /// Accept only a server whose certificate, or whose public key (`SubjectPublicKeyInfo`), has this SHA-256; with
    /// several, one of these. Everything else is checked as well.
    #[must_use]
    pub fn pin(mut self, sha256: [u8; 32]) -> Self {
        self.pins.push(sha256);
        self.changed()
    }

    /// The name to ask for and to find in the certificate. Default: the host of the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<Box<str>>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Offers this protocol in the handshake (ALPN), after those offered before. AWS wants `x-amzn-mqtt-ca` on port
    /// 443. Default: none.
    #[must_use]
    pub fn alpn(mut self, protocol: impl Into<Vec<u8>>) -> Self {
        self.protocols.push(protocol.into());
        self.changed()
    }

    /// The oldest and the newest version to speak. Default: 1.2 and 1.3.
    #[must_use]
    pub fn versions(mut self, oldest: TlsVersion, newest: TlsVersion) -> Self {
        self.versions = (oldest, newest);
        self.changed()
    }

    /// Resume the session of an earlier connection where the server takes it: a shorter handshake. Default: true.
    #[must_use]
    pub fn resumption(mut self, resume: bool) -> Self {
        self.resumption = resume;
        self.changed()
    }

    /// **Dangerous.** Talk to whoever answers, whatever certificate he shows. What is left is a connection that others
    /// cannot read in passing; anybody who can redirect it reads and changes everything.
    ///
    /// It contradicts [`authority`](Self::authority) and [`revocation_list`](Self::revocation_list) and is refused with
    /// them. With a [`pin`](Self::pin) it is safe: the pin alone decides, which is the way for self-signed certificates.
    /// Without one, no password goes that way unless
    /// [`danger_send_password_to_anyone`](Self::danger_send_password_to_anyone) is set.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.any_certificate = true;
        self.changed()
    }

    /// **Dangerous.** Accept a certificate made out to another name, if a trusted authority signed it: with the system's
    /// authorities, that of anybody on the Internet. Better give the right name as [`server_name`](Self::server_name).
    #[must_use]
    pub fn danger_accept_any_name(mut self) -> Self {
        self.any_name = true;
        self.changed()
    }

    /// **Dangerous.** Send password or token even where any certificate is accepted.
    #[must_use]
    pub fn danger_send_password_to_anyone(mut self) -> Self {
        self.password_to_anyone = true;
        self
    }

    /// What does not go together. `secret`: there is a password, or somebody who may give one.
    pub(crate) fn check(&self, secret: bool) -> Result<(), OptionsError> {
        let trusts = !self.authorities.is_empty() || !self.folders.is_empty();
        let contradiction = if self.any_certificate && (trusts || self.system_authorities == Some(true)) {
            "danger_accept_any_certificate and authorities to trust contradict each other: drop one of them"
        } else if self.any_certificate && !self.revocations.is_empty() {
            "danger_accept_any_certificate and a revocation list contradict each other: drop one of them"
        } else if self.any_certificate && self.any_name && self.pins.is_empty() {
            "danger_accept_any_certificate looks at no name: drop danger_accept_any_name"
        } else if self.any_certificate && self.pins.is_empty() && secret && !self.password_to_anyone {
            "a password would go to whoever answers: pin the server's certificate, or set \
             danger_send_password_to_anyone"
        } else if self.key_password.is_some() && self.identity.is_none() {
            "there is a password for a private key, and no key: set client_certificate"
        } else if self.versions.0 > self.versions.1 {
            "the oldest version of TLS is newer than the newest"
        } else if self.protocols.iter().any(|protocol| protocol.is_empty() || protocol.len() > 255) {
            "the name of a protocol (ALPN) has 1 to 255 bytes"
        } else {
            return Ok(());
        };
        Err(OptionsError::Tls(contradiction))
    }

    /// What was made of the options so far is another's.
    fn changed(self) -> Self {
        #[cfg(feature = "tls")]
        let this = Self { cache: Cache::default(), ..self };
        #[cfg(not(feature = "tls"))]
        let this = self;
        this
    }
}

#[cfg(not(feature = "tls"))]
impl TlsError {
    /// Nobody says so.
    pub(crate) fn in_io(_: &std::io::Error) -> Option<Self> {
        None
    }
}

/// Without secrets.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities)
            .field("folders", &self.folders)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .field("versions", &self.versions)
            .field("any_certificate", &self.any_certificate)
            .field("any_name", &self.any_name)
            .finish_non_exhaustive()
    }
}
