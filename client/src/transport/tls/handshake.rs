//! The handshake, and what its failures mean.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{AlertDescription, CertificateError, ClientConfig, Error, PeerIncompatible};

use super::{CertificateProblem, Tls, TlsError};
use crate::guess::guess;
use crate::{Attempt, Io};

/// Everything that can be done before there is a connection.
pub(crate) struct Prepared {
    configuration: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the files and makes sense of them.
    pub(crate) async fn prepare(&self, attempt: &Attempt) -> Result<Prepared, TlsError> {
        let host = self.server_name.as_deref().unwrap_or(attempt.server().host_without_zone());
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Material {
            what: format!("the server name {host:?}"),
            problem: "it is neither a host name nor an address: set server_name".to_owned(),
        })?;
        let (tls, identity) = (self.clone(), attempt.identity().cloned());
        let read = tokio::task::spawn_blocking(move || tls.configuration(identity.as_ref()));
        let read: Result<Result<_, TlsError>, _> = read.await;
        let configuration = read.map_err(|error| TlsError::Io(Arc::new(io::Error::other(error))))??;
        Ok(Prepared { configuration, name })
    }
}

impl Prepared {
    pub(crate) async fn connect(self, io: Box<dyn Io>) -> Result<Box<dyn Io>, TlsError> {
        let first = First { io, bytes: [0; 8], count: 0 };
        let handshake = TlsConnector::from(self.configuration).connect(self.name, first);
        match handshake.into_fallible().await {
            Ok(stream) => Ok(Box::new(stream)),
            Err((error, first)) => Err(explain(&error, &first)),
        }
    }
}

fn explain(error: &io::Error, first: &First) -> TlsError {
    if first.count > 0
        && let Some(guess) = guess(first.bytes).filter(|_| first.bytes[0] != 0x15 && first.bytes[0] != 0x16)
    {
        return TlsError::NotTls { guess };
    }
    match TlsError::in_io(error) {
        // Neither a record of TLS nor something well known.
        Some(TlsError::Protocol(_)) if !matches!(first.bytes, [0x14..=0x17, 3, ..]) && first.count > 0 => {
            TlsError::NotTls { guess: "something else" }
        }
        Some(error) => error,
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsError::Closed,
        None if error.kind() == io::ErrorKind::ConnectionReset => TlsError::Closed,
        None => TlsError::Io(Arc::new(io::Error::new(error.kind(), error.to_string()))),
    }
}

impl TlsError {
    /// What rustls says through a read or a write. With TLS 1.3 a server looks at the client's certificate when the
    /// client is already done, so that its refusal comes with the first read.
    pub(crate) fn in_io(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(problem) => Self::Certificate(problem.into()),
            Error::InvalidCertRevocationList(problem) => {
                Self::Certificate(CertificateProblem::Unusable(format!("its revocation list: {problem:?}")))
            }
            Error::NoCertificatesPresented => {
                Self::Certificate(CertificateProblem::Unusable("it has none".into()))
            }
            Error::AlertReceived(AlertDescription::ProtocolVersion) => {
                Self::Incompatible("no version of TLS that is allowed here: set versions".into())
            }
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
                Self::Incompatible("not the protocol that was offered: check alpn".into())
            }
            Error::AlertReceived(alert) => Self::Rejected { alert: u8::from(*alert) },
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Incompatible("no version of TLS that is allowed here: set versions".into()),
            Error::PeerIncompatible(why) => Self::Incompatible(format!("nothing in common: {why:?}")),
            other => Self::Protocol(other.to_string()),
        })
    }
}

impl From<&CertificateError> for CertificateProblem {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired => Self::Expired { since: Duration::ZERO },
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { since: between(*not_after, *time) }
            }
            CertificateError::NotValidYet => Self::NotYetValid { starts_in: Duration::ZERO },
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid { starts_in: between(*time, *not_before) }
            }
            CertificateError::NotValidForName => {
                Self::WrongName { expected: "the server".into(), presented: Vec::new() }
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let presented = presented.iter().map(|name| plain(name).to_owned()).collect();
                Self::WrongName { expected: expected.to_str().into_owned(), presented }
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus => {
                Self::RevocationUnknown("no list covers its issuer, give one for each authority of the chain")
            }
            CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => {
                Self::RevocationUnknown("the list is out of date, fetch a new one")
            }
            CertificateError::BadSignature => Self::Unusable(
                "another authority of the same name has signed it: was the authority made anew?".into(),
            ),
            CertificateError::ApplicationVerificationFailure => Self::NotPinned,
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => Self::Unusable(
                "it is an authority's own certificate, not a server's: have the authority sign one for the server, \
                 or pin it"
                    .into(),
            ),
            other => Self::Unusable(other.to_string()),
        }
    }
}

/// rustls gives names with their kind: `DnsName("broker.example")`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn between(earlier: UnixTime, later: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()).max(1))
}

/// Remembers the first bytes, to guess what answers if it is not TLS.
struct First {
    io: Box<dyn Io>,
    bytes: [u8; 8],
    count: u8,
}

impl AsyncRead for First {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, into))?;
        for byte in &into.filled()[before..] {
            let Some(place) = this.bytes.get_mut(usize::from(this.count)) else { break };
            *place = *byte;
            this.count += 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for First {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
