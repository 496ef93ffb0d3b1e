//! Certificates of all kinds, made when they are needed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    RevokedCertParams, SerialNumber, SignatureAlgorithm,
};

/// An authority that signs what it is asked to.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate, with its issuers behind it, and its key; PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
}

/// A point on P-256, uncompressed.
pub(crate) struct PublicKey(pub(crate) &'static [u8]);

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::named(&format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// An authority below this one; its `pem` is its certificate, for the chain.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For `localhost` and its addresses.
    pub(crate) fn server(&self) -> Pair {
        self.sign(&params(&["localhost", "127.0.0.1", "::1"]))
    }

    pub(crate) fn client(&self, name: &str) -> Pair {
        self.sign(&params(&[name]))
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Pair {
        self.sign_key(params, &KeyPair::generate().unwrap())
    }

    pub(crate) fn sign_key(&self, params: &CertificateParams, key: &KeyPair) -> Pair {
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Pair {
            certificate: certificate.pem(),
            der: certificate.der().to_vec(),
            public_key: key.subject_public_key_info(),
            key: key.serialize_pem(),
        }
    }

    /// For a key whose private half this process does not have.
    pub(crate) fn sign_public(&self, params: &CertificateParams, key: &PublicKey) -> String {
        params.signed_by(key, &self.issuer).unwrap().pem()
    }

    /// The list of what this authority has revoked, good for another hour.
    pub(crate) fn revocation_list(&self, serials: &[u64], until: i64) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(-3600),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(-7200),
            next_update: at(until),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Valid from yesterday to tomorrow, for servers and clients.
pub(crate) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    if let Some(name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    }
    valid(params, -86_400, 86_400)
}

/// Valid between these seconds from now.
pub(crate) fn valid(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    (params.not_before, params.not_after) = (at(from), at(until));
    params
}

fn at<T: From<SystemTime>>(seconds: i64) -> T {
    let (now, distance) = (SystemTime::now(), Duration::from_secs(seconds.unsigned_abs()));
    T::from(if seconds < 0 { now - distance } else { now + distance })
}
