//! TLS by OpenSSL, for what rustls does not have.

use clap::Args;
use packetboat_openssl::OpenSsl;

use super::tls::TlsArguments;

/// One of these switches TLS on.
#[derive(Debug, Args)]
pub(crate) struct OpenSslArguments {
    /// Pre-shared key, in hexadecimal digits; other users of this machine may see it
    #[arg(long, value_name = "KEY", requires = "psk_identity", value_parser = hexadecimal, help_heading = "TLS",
        conflicts_with_all = ["cafile", "cert", "capath", "tls_use_os_certs", "crlfile", "insecure", "tls_alpn",
            "tls_version"])]
    psk: Option<Key>,

    /// Name under which the broker knows the pre-shared key
    #[arg(long, value_name = "IDENTITY", requires = "psk", help_heading = "TLS")]
    psk_identity: Option<String>,

    /// Ciphers of TLS 1.2, as a cipher string of OpenSSL; with --psk, --cafile and --cert
    #[arg(long, value_name = "CIPHERS", help_heading = "TLS",
        conflicts_with_all = ["capath", "tls_use_os_certs", "crlfile", "insecure", "tls_alpn", "tls_version",
            "key_password_file"])]
    ciphers: Option<String>,
}

impl OpenSslArguments {
    /// What is asked of OpenSSL, if anything is.
    pub(crate) fn transport(&self, tls: &TlsArguments) -> Option<OpenSsl> {
        let mut transport = OpenSsl::new();
        match (&self.psk, &self.psk_identity) {
            (Some(Key(key)), Some(identity)) => transport = transport.psk(identity, key.clone()),
            _ if self.ciphers.is_none() => return None,
            _ => {}
        }
        if let Some(ciphers) = &self.ciphers {
            transport = transport.ciphers(ciphers);
        }
        if let Some(file) = &tls.cafile {
            transport = transport.ca_file(file);
        }
        if let (Some(certificate), Some(key)) = (&tls.cert, &tls.key) {
            transport = transport.certificate(certificate, key);
        }
        Some(transport)
    }
}

/// Not to be printed.
#[derive(Clone)]
struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn hexadecimal(text: &str) -> Result<Key, String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if !digits.is_empty() && digits.len() % 2 == 0 => {
            Ok(Key(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
        }
        _ => Err("write the key in pairs of hexadecimal digits, without 0x".into()),
    }
}
