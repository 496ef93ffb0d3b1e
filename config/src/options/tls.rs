//! TLS: by rustls, or by OpenSSL where something is asked for that only OpenSSL has.

use packetboat::{Options, Pem, Tls, TlsVersion};

use super::wrong;
use crate::check::digest;
use crate::node::Value;
use crate::schema::KEYS;
use crate::{Config, ConfigError};

/// Only OpenSSL has them.
const OPENSSL: [&str; 4] = ["tls.psk_identity", "tls.psk_key", "tls.ciphers", "tls.cipher_suites"];
/// OpenSSL has them, too.
const COMMON: [&str; 4] = ["tls.authority", "tls.certificate", "tls.key", "tls.server_name"];
/// They say how TLS is spoken, and alone do not ask for it: an address may.
const MANNERS: [&str; 5] = ["tls.verify", "tls.verify_name", "tls.oldest", "tls.newest", "tls.resumption"];

impl Config {
    pub(super) fn encryption(&self, options: Options, server: &str) -> Result<Options, ConfigError> {
        let all = KEYS.iter().map(|key| key.path).filter(|path| path.starts_with("tls."));
        let given: Vec<&str> = all.filter(|path| self.value(path).is_some()).collect();
        if given.is_empty() {
            return Ok(options);
        }
        for (one, other) in [("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")] {
            if given.contains(&one) && !given.contains(&other) {
                return Err(wrong(one, &format!("needs `{other}` beside it")));
            }
        }
        if let Some(asking) = given.iter().find(|path| OPENSSL.contains(path)) {
            let foreign = given.iter().find(|path| !OPENSSL.contains(path) && !COMMON.contains(path));
            if let Some(foreign) = foreign {
                let message = format!("does not go together with `{asking}`, which asks for OpenSSL");
                return Err(wrong(foreign, &message));
            }
            return self.openssl(options, server);
        }
        let asks = given.iter().any(|path| !MANNERS.contains(path));
        Ok(if asks || is_encrypted(server) { options.tls(self.tls()) } else { options })
    }

    fn tls(&self) -> Tls {
        let mut tls = self.trust(Tls::new());
        if let (Some(certificate), Some(key)) = (self.text("tls.certificate"), self.text("tls.key")) {
            tls = tls.client_certificate(Pem::file(certificate), Pem::file(key));
        }
        if let Some(password) = self.text("tls.key_password") {
            tls = tls.key_password(password);
        }
        if let Some(name) = self.text("tls.server_name") {
            tls = tls.server_name(name);
        }
        tls = self.texts("tls.alpn").fold(tls, |tls, protocol| tls.alpn(protocol.as_bytes()));
        let version = |key, default| match self.text(key) {
            Some("1.2") => TlsVersion::Tls12,
            Some("1.3") => TlsVersion::Tls13,
            _ => default,
        };
        tls =
            tls.versions(version("tls.oldest", TlsVersion::Tls12), version("tls.newest", TlsVersion::Tls13));
        tls.resumption(self.switch("tls.resumption").unwrap_or(true))
    }

    fn trust(&self, mut tls: Tls) -> Tls {
        if let Some(path) = self.text("tls.authority") {
            tls = tls.authority(Pem::file(path));
        }
        if let Some(path) = self.text("tls.authority_folder") {
            tls = tls.authority_folder(path);
        }
        if let Some(text) = self.text("tls.authority_data") {
            tls = tls.authority(Pem::memory(text.as_bytes()));
        }
        if let Some(trust) = self.switch("tls.system_authorities") {
            tls = tls.system_authorities(trust);
        }
        tls = self.texts("tls.revocation_lists").fold(tls, |tls, path| tls.revocation_list(Pem::file(path)));
        if let Some(Value::List(pins)) = self.value("tls.pins") {
            tls = pins.iter().filter_map(digest).fold(tls, Tls::pin);
        }
        // Without a look at the certificate there is none at its name.
        if self.switch("tls.verify") == Some(false) {
            tls = tls.danger_accept_any_certificate();
        } else if self.switch("tls.verify_name") == Some(false) {
            tls = tls.danger_accept_any_name();
        }
        tls
    }

    #[cfg(not(feature = "openssl"))]
    #[allow(clippy::unused_self, reason = "the other build needs it")]
    fn openssl(&self, _: Options, _: &str) -> Result<Options, ConfigError> {
        Err(wrong("tls", "asks for a pre-shared key or cipher string: build with the feature `openssl`"))
    }

    #[cfg(feature = "openssl")]
    fn openssl(&self, options: Options, server: &str) -> Result<Options, ConfigError> {
        if !is_encrypted(server) {
            return Err(wrong(
                "server",
                "must be an mqtts:// or wss:// address where a key or ciphers are given",
            ));
        }
        let mut tls = packetboat_openssl::OpenSsl::new();
        match (self.text("tls.psk_identity"), self.text("tls.psk_key")) {
            (Some(identity), Some(key)) => {
                tls =
                    tls.psk(identity, bytes(key).ok_or_else(|| wrong("tls.psk_key", "must be hexadecimal"))?);
            }
            (Some(_), None) => return Err(wrong("tls.psk_identity", "needs `tls.psk_key` beside it")),
            (None, Some(_)) => return Err(wrong("tls.psk_key", "needs `tls.psk_identity` beside it")),
            (None, None) => {}
        }
        if let Some(ciphers) = self.text("tls.ciphers") {
            tls = tls.ciphers(ciphers);
        }
        if let Some(suites) = self.text("tls.cipher_suites") {
            tls = tls.cipher_suites(suites);
        }
        if let Some(path) = self.text("tls.authority") {
            tls = tls.ca_file(path);
        }
        if let (Some(certificate), Some(key)) = (self.text("tls.certificate"), self.text("tls.key")) {
            tls = tls.certificate(certificate, key);
        }
        if let Some(name) = self.text("tls.server_name") {
            tls = tls.server_name(name);
        }
        Ok(options.transport(tls))
    }
}

fn is_encrypted(address: &str) -> bool {
    let scheme = address.split("://").next().unwrap_or_default().trim_start_matches("mqtt+");
    matches!(scheme, "mqtts" | "ssl" | "tls" | "wss")
}

#[cfg(feature = "openssl")]
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && !digits.is_empty())?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}
