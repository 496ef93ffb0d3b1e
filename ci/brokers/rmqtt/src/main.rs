//! rmqtt as its own program would run it, on `127.0.0.1:<port>`, TCP and QUIC, with an authority for the latter written to
//! `<folder>/authority.pem`: `rmqtt-broker <port> <folder>`.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use rmqtt::context::ServerContext;
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("arguments: port, and a folder for certificates".into());
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    let (certificate, key) = certify(Path::new(&folder))?;
    let context = ServerContext::new().build().await;
    // Without these it keeps no retained messages and shares no subscriptions.
    rmqtt_retainer::register(&context, true, false).await?;
    rmqtt_shared_subscription::register(&context, true, false).await?;
    let listener = |name: &str| Builder::new().name(name).laddr(address).allow_anonymous(true);
    let quic = listener("quic").tls_cert(Some(certificate)).tls_key(Some(key)).bind_quic()?;
    let tcp = listener("tcp").bind()?.tcp()?;
    // Numbers of our own for them: it takes the port otherwise, and they have the same.
    MqttServer::new(context).listener_by_id(tcp, 1).listener_by_id(quic, 2).build().run().await?;
    Ok(())
}

/// Files of a certificate for `127.0.0.1`, and of its key.
fn certify(folder: &Path) -> Result<(String, String), Box<dyn Error>> {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate()?;
    std::fs::write(folder.join("authority.pem"), authority.self_signed(&authority_key)?.pem())?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let files = [("certificate.pem", certificate.pem()), ("key.pem", key.serialize_pem())];
    let [certificate, key] = files.map(|(name, pem)| {
        let path = folder.join(name);
        std::fs::write(&path, pem).map(|()| path.to_string_lossy().into_owned())
    });
    Ok((certificate?, key?))
}
