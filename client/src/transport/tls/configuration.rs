//! From what is asked for to rustls' configuration, made again only when a file has changed.

use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{Context, Digest, SHA256};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring as provider};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::certificates::{Text, read_folder};
use super::key::PrivateKey;
use super::verifier::Verifier;
use super::{Identity, Tls, TlsError, TlsVersion};

/// Sessions remembered, rustls' own unit: eight make a server.
const SESSIONS: usize = 32;

/// The last configuration, and the digest of all that went into it. Resuming a session needs the very same one.
#[derive(Clone, Default)]
pub(crate) struct Cache(Arc<Mutex<Option<Made>>>);

struct Made {
    of: Vec<u8>,
    configuration: Arc<ClientConfig>,
}

/// All that is read for an attempt.
struct Material {
    authorities: Vec<Text>,
    system: Vec<CertificateDer<'static>>,
    identity: Option<(Text, Text)>,
    revocations: Vec<Text>,
}

impl Tls {
    /// Reads files: not for a thread that others wait for. `identity` goes before the one of the options.
    pub(super) fn configuration(&self, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
        let material = self.read(identity.or(self.identity.as_ref()))?;
        let digest = material.digest();
        let mut cache = self.cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*cache
            && made.of == digest.as_ref()
        {
            return Ok(made.configuration.clone());
        }
        let configuration = Arc::new(self.make(&material)?);
        *cache = Some(Made { of: digest.as_ref().to_vec(), configuration: configuration.clone() });
        Ok(configuration)
    }

    fn read(&self, identity: Option<&Identity>) -> Result<Material, TlsError> {
        let read = |what, pem| Text::read(what, pem);
        let mut authorities =
            self.authorities.iter().map(|pem| read("the authority", pem)).collect::<Result<Vec<_>, _>>()?;
        for folder in &self.folders {
            authorities.extend(read_folder(folder)?);
        }
        let trust_system = self.system_authorities.unwrap_or(authorities.is_empty());
        let system = if trust_system && !self.any_certificate {
            rustls_native_certs::load_native_certs().certs
        } else {
            Vec::new()
        };
        let identity = match identity {
            None => None,
            Some(Identity { certificate, key }) => {
                Some((read("the client's certificate", certificate)?, read("the client's key", key)?))
            }
        };
        let revocations = self.revocations.iter().map(|pem| read("the revocation list", pem));
        Ok(Material { authorities, system, identity, revocations: revocations.collect::<Result<_, _>>()? })
    }

    fn make(&self, material: &Material) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let verifier = self.verifier(material, &provider)?;
        let versions: Vec<&SupportedProtocolVersion> =
            [(TlsVersion::Tls12, &TLS12), (TlsVersion::Tls13, &TLS13)]
                .into_iter()
                .filter(|(version, _)| (self.versions.0..=self.versions.1).contains(version))
                .map(|(_, version)| version)
                .collect();
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&versions).map_err(unusable("the versions of TLS"))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut configuration = match &material.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let password = self.key_password.as_ref().map(|password| password.as_str());
                let key = key.private_key(password)?;
                builder.with_client_cert_resolver(Arc::new(certified(certificate, &key)?))
            }
        };
        configuration.alpn_protocols.clone_from(&self.protocols);
        configuration.resumption =
            if self.resumption { Resumption::in_memory_sessions(SESSIONS) } else { Resumption::disabled() };
        Ok(configuration)
    }

    fn verifier(&self, material: &Material, provider: &Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier::new(algorithms, self.pins.clone());
        if self.any_certificate {
            return Ok(verifier);
        }
        let mut roots = RootCertStore::empty();
        // A system has authorities that nobody understands any more; of ours each one counts.
        roots.add_parsable_certificates(material.system.iter().cloned());
        for text in &material.authorities {
            for certificate in text.certificates()? {
                roots.add(certificate).map_err(unusable("an authority's certificate"))?;
            }
        }
        if roots.is_empty() {
            let what = "there is no authority to trust".to_owned();
            let problem = "install the system's (package ca-certificates), or give one".to_owned();
            return Err(TlsError::Material { what, problem });
        }
        let mut lists = Vec::new();
        for text in &material.revocations {
            lists.extend(text.revocation_lists()?);
        }
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let web_pki = builder.with_crls(lists).enforce_revocation_expiration().build();
        let web_pki = web_pki.map_err(unusable("the revocation lists"))?;
        Ok(verifier.trusting(web_pki, self.any_name))
    }
}

impl Material {
    fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        let mut add = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_le_bytes());
            context.update(bytes);
        };
        self.authorities.iter().for_each(|text| add(&text.bytes));
        add(b"");
        self.system.iter().for_each(|certificate| add(certificate));
        add(b"");
        self.revocations.iter().for_each(|text| add(&text.bytes));
        add(b"");
        if let Some((certificate, key)) = &self.identity {
            add(&certificate.bytes);
            add(&key.bytes);
        }
        context.finish()
    }
}

/// rustls' own way to it takes the key away, and leaves it in memory.
fn certified(certificate: &Text, key: &PrivateKey) -> Result<SingleCertAndKey, TlsError> {
    let der = PrivateKeyDer::Pkcs8(key.pkcs8_der().into());
    let signs = provider::sign::any_supported_type(&der).map_err(unusable("the client's key"))?;
    let certified = CertifiedKey::new(certificate.certificates()?, signs);
    certified.keys_match().map_err(unusable("certificate and key of the client do not go together"))?;
    Ok(certified.into())
}

fn unusable<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> TlsError + '_ {
    move |error| TlsError::Material { what: what.to_owned(), problem: error.to_string() }
}
