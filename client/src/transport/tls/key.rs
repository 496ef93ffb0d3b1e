//! A private key, of whichever form in one form, and no copy of it left behind.

use pkcs8::der::asn1::{ObjectIdentifier, OctetStringRef};
use pkcs8::der::{self, AnyRef, Decode, Reader, SliceReader};
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo, SecretDocument};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use zeroize::{Zeroize, Zeroizing};

use super::certificates::{Text, contains};
use super::{Pem, TlsError};

/// A private key, wiped from memory when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// In the form of PKCS #8, DER.
    #[must_use]
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.0
    }
}

/// Without the key.
impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

impl Pem {
    /// The private key that it is, with its password if it is encrypted: PKCS #8, PKCS #1 or SEC 1. For transports that
    /// bring a TLS of their own. A file is read now.
    pub fn private_key(&self, password: Option<&str>) -> Result<PrivateKey, TlsError> {
        Text::read("the key", self)?.private_key(password)
    }

    /// The certificates that it is, each in DER; a key beside them is left alone. For transports that bring a TLS of their
    /// own. A file is read now.
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, TlsError> {
        Text::read("the certificate", self)?.certificates()
    }
}

/// What a key may be written as.
#[derive(Clone, Copy)]
enum Form {
    Pkcs8,
    Encrypted,
    Pkcs1,
    Sec1,
}

impl Text {
    pub(super) fn private_key(&self, password: Option<&str>) -> Result<PrivateKey, TlsError> {
        if contains(&self.bytes, "Proc-Type: 4,ENCRYPTED") {
            return Err(self.problem(
                "it is encrypted in OpenSSL's old way, which is not safe: convert it with `openssl pkcs8 -topk8`",
            ));
        }
        let (form, der) = if self.is_pem() { self.key_in_pem()? } else { self.key_in_der(password)? };
        let wrapped = match form {
            Form::Pkcs8 => return Ok(PrivateKey(der)),
            Form::Encrypted => return self.decrypt(&der, password),
            Form::Pkcs1 => in_pkcs8(RSA, AnyRef::NULL, &der),
            Form::Sec1 => {
                curve(&der).map_err(Into::into).and_then(|curve| in_pkcs8(ELLIPTIC, (&curve).into(), &der))
            }
        };
        wrapped.map_err(|error| self.problem(format!("it is damaged: {error}")))
    }

    /// The first one of them.
    fn key_in_pem(&self) -> Result<(Form, Zeroizing<Vec<u8>>), TlsError> {
        let mut keys = self.sections(|label| match label {
            b"PRIVATE KEY" => Some(Form::Pkcs8),
            b"ENCRYPTED PRIVATE KEY" => Some(Form::Encrypted),
            b"RSA PRIVATE KEY" => Some(Form::Pkcs1),
            b"EC PRIVATE KEY" => Some(Form::Sec1),
            _ => None,
        });
        keys.next().unwrap_or_else(|| Err(self.problem("there is no usable private key in it")))
    }

    fn key_in_der(&self, password: Option<&str>) -> Result<(Form, Zeroizing<Vec<u8>>), TlsError> {
        let form = match PrivateKeyDer::try_from(self.bytes.as_slice()) {
            Ok(PrivateKeyDer::Pkcs8(_)) => Form::Pkcs8,
            Ok(PrivateKeyDer::Pkcs1(_)) => Form::Pkcs1,
            Ok(PrivateKeyDer::Sec1(_)) => Form::Sec1,
            _ if password.is_some() => Form::Encrypted,
            _ => return Err(self.problem("it is no private key, neither PEM nor DER")),
        };
        Ok((form, self.bytes.clone()))
    }

    fn decrypt(&self, der: &[u8], password: Option<&str>) -> Result<PrivateKey, TlsError> {
        let Some(password) = password else {
            return Err(self.problem("it is encrypted: give its password (key_password)"));
        };
        let encrypted = EncryptedPrivateKeyInfo::try_from(der);
        let encrypted = encrypted.map_err(|error| self.problem(format!("it is damaged: {error}")))?;
        let key = encrypted.decrypt(password);
        wipe_stack();
        let key = key.map_err(|error| {
            self.problem(format!("it cannot be decrypted, is the password right? ({error})"))
        })?;
        Ok(PrivateKey(key.to_bytes()))
    }
}

/// The cipher leaves its last blocks on the stack, below the frame of its caller, and nothing need ever overwrite them.
#[inline(never)]
fn wipe_stack() {
    let mut below = [0_u8; 16 * 1024];
    below.zeroize();
    std::hint::black_box(&below);
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

fn in_pkcs8(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> pkcs8::Result<PrivateKey> {
    let algorithm = pkcs8::AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
    Ok(PrivateKey(SecretDocument::try_from(PrivateKeyInfo::new(algorithm, key))?.to_bytes()))
}

/// That of a key in SEC 1: it need not say so, and there are two that are supported.
fn curve(sec1: &[u8]) -> der::Result<ObjectIdentifier> {
    SliceReader::new(sec1)?.sequence(|fields| {
        u8::decode(fields)?;
        let number = OctetStringRef::decode(fields)?;
        fields.read_slice(fields.remaining_len())?;
        Ok(if number.as_bytes().len() > 32 { P384 } else { P256 })
    })
}
