//! TLS on both sides, with rustls and one certificate, which the sink makes when it starts.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::job::Error;

/// Tells workers what to trust.
pub const CERTIFICATE: &str = "PACKETBOAT_BENCH_CERTIFICATE";

/// The name the certificate is made out to.
pub const NAME: &str = "localhost";

/// What every TLS connection begins with.
pub const HANDSHAKE: u8 = 0x16;

/// A server's configuration, and its certificate in hexadecimal digits.
pub fn server() -> Result<(Arc<ServerConfig>, String), Error> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let certificate = made.cert.der().clone();
    let hexadecimal = certificate.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok((Arc::new(builder.with_single_cert(vec![certificate], key)?), hexadecimal))
}

/// The sink's certificate, in DER.
pub fn certificate() -> Result<Vec<u8>, Error> {
    let text = std::env::var(CERTIFICATE)?;
    let byte = |at| Ok(u8::from_str_radix(text.get(at..at + 2).ok_or("an odd number of digits")?, 16)?);
    (0..text.len()).step_by(2).map(byte).collect()
}

pub fn client() -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate()?))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    Ok(Arc::new(builder.with_no_client_auth()))
}

/// The limit's side of a connection.
pub fn connect(
    config: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    stream.set_nodelay(true)?;
    Ok(StreamOwned::new(ClientConnection::new(config, ServerName::try_from(NAME)?)?, stream))
}

/// The sink's side.
pub fn accept(
    config: Arc<ServerConfig>,
    stream: TcpStream,
) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    stream.set_nodelay(true)?;
    Ok(StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, stream))
}
