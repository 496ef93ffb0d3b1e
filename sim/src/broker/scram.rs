//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the broker's side. Not the client's code: each is checked
//! against the other.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::authentication::{Exchange, Method, Step};

/// A hash function of SCRAM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// A method that lets users in by what they know.
#[derive(Clone, Debug)]
pub struct Scram {
    hash: Hash,
    users: BTreeMap<String, Vec<u8>>,
    iterations: u32,
    nonce: String,
    salt: Vec<u8>,
    honest: bool,
}

impl Scram {
    /// Nobody knows a password yet.
    #[must_use]
    pub fn new(hash: Hash) -> Self {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap_or_default();
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
        Self { hash, users: BTreeMap::new(), iterations: 4096, nonce, salt, honest: true }
    }

    /// A user and what proves it. The same for every exchange: nonce and salt are those of the RFC's example.
    #[must_use]
    pub fn user(mut self, name: &str, password: impl Into<Vec<u8>>) -> Self {
        self.users.insert(name.to_owned(), password.into());
        self
    }

    /// Rounds of hashing. Default: 4,096.
    #[must_use]
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.iterations = iterations;
        self
    }

    /// Do not know the password: accept everybody, with a wrong signature.
    #[must_use]
    pub fn impostor(mut self) -> Self {
        self.honest = false;
        self
    }
}

impl Method for Scram {
    fn name(&self) -> &str {
        match self.hash {
            Hash::Sha256 => "SCRAM-SHA-256",
            Hash::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Conversation { scram: self.clone(), so_far: None })
    }
}

#[derive(Debug)]
struct Conversation {
    scram: Scram,
    /// Who, and both first messages.
    so_far: Option<(String, String)>,
}

impl Exchange for Conversation {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        let text = data.and_then(|data| std::str::from_utf8(data).ok());
        let next = match (text, self.so_far.take()) {
            (Some(text), None) => self.first(text),
            (Some(text), Some((user, messages))) => self.last(text, &user, &messages),
            (None, _) => None,
        };
        next.unwrap_or(Step::Refuse)
    }
}

impl Conversation {
    fn first(&mut self, text: &str) -> Option<Step> {
        let bare = text.strip_prefix("n,,")?;
        let (user, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        let user = user.replace("=2C", ",").replace("=3D", "=");
        let Scram { nonce: ours, salt, iterations, .. } = &self.scram;
        let answer = format!("r={nonce}{ours},s={},i={iterations}", STANDARD.encode(salt));
        self.so_far = Some((user, format!("{bare},{answer}")));
        Some(Step::Continue(answer.into_bytes()))
    }

    fn last(&self, text: &str, user: &str, messages: &str) -> Option<Step> {
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let nonce = messages
            .split(',')
            .find_map(|part| part.strip_prefix("r=").filter(|r| r.ends_with(&self.scram.nonce)))?;
        if without_proof != format!("c=biws,r={nonce}") {
            return None;
        }
        let auth = format!("{messages},{without_proof}");
        let proof = STANDARD.decode(proof).ok()?;
        if !self.scram.honest {
            return Some(Step::Accept(Some(b"v=AAAA".to_vec())));
        }
        let salted = self.hi(self.scram.users.get(user)?);
        let client_key = self.mac(&salted, b"Client Key");
        let stored = self.digest(&client_key);
        let signature = self.mac(&stored, auth.as_bytes());
        let recovered: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if proof.len() != signature.len() || self.digest(&recovered) != stored {
            return None;
        }
        let server = self.mac(&self.mac(&salted, b"Server Key"), auth.as_bytes());
        Some(Step::Accept(Some(format!("v={}", STANDARD.encode(server)).into_bytes())))
    }

    fn hi(&self, password: &[u8]) -> Vec<u8> {
        let mut block = self.mac(password, &[self.scram.salt.as_slice(), &1_u32.to_be_bytes()].concat());
        let mut sum = block.clone();
        for _ in 1..self.scram.iterations {
            block = self.mac(password, &block);
            sum.iter_mut().zip(&block).for_each(|(sum, byte)| *sum ^= byte);
        }
        sum
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        // A key of any length will do.
        match self.scram.hash {
            Hash::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
                .unwrap_or_default(),
            Hash::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
                .unwrap_or_default(),
        }
    }

    fn digest(&self, data: &[u8]) -> Vec<u8> {
        match self.scram.hash {
            Hash::Sha256 => Sha256::digest(data).to_vec(),
            Hash::Sha512 => Sha512::digest(data).to_vec(),
        }
    }
}
