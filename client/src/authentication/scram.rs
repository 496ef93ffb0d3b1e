//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677): both sides prove that they know a password, and neither sends it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::{AuthenticationError, Authenticator, Exchange};

/// Fewer rounds would give the password away to whoever listens (RFC 7677, 4); more would stop the client's task.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// No channel binding, as the client says it: `n,,` in base 64.
const NO_BINDING: &str = "biws";

/// The hash function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScramHash {
    /// `SCRAM-SHA-256`.
    Sha256,
    /// `SCRAM-SHA-512`.
    Sha512,
}

/// SCRAM as a method of authentication (feature `scram`).
///
/// The broker must prove that it knows the password, too; one that cannot is left before anything is sent to it. The
/// password's salted form is kept, so that a reconnect does not cost thousands of rounds of hashing again.
///
/// ```
/// use packetboat::{Options, Scram, ScramHash};
///
/// let options = Options::new("mqtt://localhost").authenticator(Scram::new(ScramHash::Sha256, "boat", "secret"));
/// ```
pub struct Scram {
    hash: ScramHash,
    user: String,
    password: String,
    salted: Arc<Mutex<Option<Salted>>>,
}

struct Salted {
    salt: Vec<u8>,
    iterations: u32,
    password: Vec<u8>,
}

impl Scram {
    /// User name and password. They are prepared as RFC 4013 says; what it does not allow fails at connecting.
    #[must_use]
    pub fn new(hash: ScramHash, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { hash, user: user.into(), password: password.into(), salted: Arc::default() }
    }
}

/// The password stays out.
impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").field("hash", &self.hash).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Authenticator for Scram {
    fn method(&self) -> &str {
        match self.hash {
            ScramHash::Sha256 => "SCRAM-SHA-256",
            ScramHash::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError> {
        let seeds: [u64; 3] = std::array::from_fn(|_| crate::settings::seed());
        let bytes: Vec<u8> = seeds.iter().flat_map(|seed| seed.to_be_bytes()).collect();
        Ok(Box::new(self.conversation(&STANDARD.encode(bytes))?))
    }
}

impl Scram {
    fn conversation(&self, nonce: &str) -> Result<Conversation, AuthenticationError> {
        let prepared = |what: &str, text: &str| {
            stringprep::saslprep(text).map(std::borrow::Cow::into_owned).map_err(|_| {
                AuthenticationError::new(format_args!("the {what} has characters SCRAM does not allow"))
            })
        };
        let user = prepared("user name", &self.user)?.replace('=', "=3D").replace(',', "=2C");
        let password = prepared("password", &self.password)?;
        Ok(Conversation {
            hash: self.hash,
            password,
            salted: self.salted.clone(),
            first: format!("n={user},r={nonce}"),
            nonce: nonce.to_owned(),
            signature: None,
        })
    }
}

struct Conversation {
    hash: ScramHash,
    password: String,
    salted: Arc<Mutex<Option<Salted>>>,
    /// The client's first message without its header.
    first: String,
    nonce: String,
    /// What the broker must say in the end.
    signature: Option<Vec<u8>>,
}

impl Exchange for Conversation {
    fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(Some(format!("n,,{}", self.first).into_bytes()))
    }

    fn step(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError> {
        if self.signature.is_some() {
            return Err(AuthenticationError::new("the broker wants more steps than SCRAM has"));
        }
        let said = text(data)?;
        let Some((nonce, salt, iterations)) = challenge(said) else {
            return Err(AuthenticationError::new("the broker's challenge is none of SCRAM"));
        };
        // A nonce that is not ours, or adds nothing, is that of a recorded exchange.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(AuthenticationError::new("the broker's nonce does not go on from ours"));
        }
        if !ITERATIONS.contains(&iterations) {
            let text = format_args!(
                "the broker asks for {iterations} iterations, {} to {} are allowed",
                ITERATIONS.start(),
                ITERATIONS.end()
            );
            return Err(AuthenticationError::new(text));
        }
        let salted = self.salt(&salt, iterations);
        let without_proof = format!("c={NO_BINDING},r={nonce}");
        let auth = format!("{},{said},{without_proof}", self.first);
        let client_key = self.hash.mac(&salted, b"Client Key");
        let signature = self.hash.mac(&self.hash.digest(&client_key), auth.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, byte)| key ^ byte).collect();
        self.signature = Some(self.hash.mac(&self.hash.mac(&salted, b"Server Key"), auth.as_bytes()));
        Ok(Some(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes()))
    }

    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), AuthenticationError> {
        // Extensions may follow (RFC 5802, 7), as in a challenge.
        let first = text(data)?.split(',').next().unwrap_or_default();
        let said = first.strip_prefix("v=").and_then(|proof| STANDARD.decode(proof).ok());
        match (&self.signature, said) {
            (Some(expected), Some(said)) if *expected == said => Ok(()),
            _ => Err(AuthenticationError::new(
                "the broker did not prove that it knows the password: is it the right one?",
            )),
        }
    }
}

impl Conversation {
    /// `Hi` of RFC 5802, unless it is known.
    fn salt(&self, salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut known = self.salted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|one| one.salt == salt && one.iterations == iterations) {
            return known.password.clone();
        }
        let password = self.hash.stretch(self.password.as_bytes(), salt, iterations);
        *known = Some(Salted { salt: salt.to_vec(), iterations, password: password.clone() });
        password
    }
}

fn text(data: Option<&[u8]>) -> Result<&str, AuthenticationError> {
    let text = data.and_then(|data| std::str::from_utf8(data).ok());
    text.ok_or_else(|| AuthenticationError::new("the broker's message is none of SCRAM"))
}

/// Nonce, salt and iterations.
fn challenge(text: &str) -> Option<(&str, Vec<u8>, u32)> {
    let mut parts = text.split(',');
    let nonce = parts.next()?.strip_prefix("r=")?;
    let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
    let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
    Some((nonce, salt, iterations))
}

impl ScramHash {
    fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => stretch::<Hmac<Sha256>>(password, salt, iterations),
            Self::Sha512 => stretch::<Hmac<Sha512>>(password, salt, iterations),
        }
    }

    fn mac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => mac(&keyed::<Hmac<Sha256>>(key), data),
            Self::Sha512 => mac(&keyed::<Hmac<Sha512>>(key), data),
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }
}

fn stretch<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let keyed = keyed::<M>(password);
    let mut block = mac(&keyed, &[salt, &1_u32.to_be_bytes()].concat());
    let mut sum = block.clone();
    for _ in 1..iterations {
        block = mac(&keyed, &block);
        sum.iter_mut().zip(&block).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("a key of any length")
}

fn mac<M: Mac + Clone>(keyed: &M, data: &[u8]) -> Vec<u8> {
    keyed.clone().chain_update(data).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn conversation() -> Conversation {
        Scram::new(ScramHash::Sha256, "user", "pencil").conversation("rOprNGfwEbeRWgbNEkqO").unwrap()
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let mut conversation = conversation();
        assert_eq!(conversation.first().unwrap().unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let last: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(conversation.step(Some(CHALLENGE)).unwrap().unwrap(), last);
        conversation.finish(Some(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")).unwrap();
        conversation.finish(Some(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=later")).unwrap();
        assert!(conversation.finish(Some(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=")).is_err());
        assert!(conversation.finish(None).is_err());
    }

    #[test]
    fn a_challenge_that_is_none_is_refused() {
        for challenge in [
            &b""[..],
            b"\xff",
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096",
            b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        ] {
            assert!(conversation().step(Some(challenge)).is_err(), "{challenge:?}");
        }
        assert!(conversation().step(None).is_err());
        assert!(conversation().finish(Some(b"v=")).is_err(), "before there was a challenge");
        assert!(Scram::new(ScramHash::Sha256, "a", "\u{7}").begin().is_err());
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", Scram::new(ScramHash::Sha512, "user", "secret")).contains("secret"));
    }
}
