//! How TLS is spoken.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use packetboat::{Options, Pem, Tls, TlsVersion};

/// One of these switches TLS on.
#[derive(Debug, Args)]
pub(crate) struct TlsArguments {
    /// Trust the certificates in this file (PEM), and not the system's; TLS on [default port: 8883]
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(super) cafile: Option<PathBuf>,

    /// Trust the certificates in the files of this folder
    #[arg(long, value_name = "FOLDER", help_heading = "TLS")]
    capath: Option<PathBuf>,

    /// Trust the certificates of the system, with --cafile as well; TLS on
    #[arg(long, help_heading = "TLS")]
    tls_use_os_certs: bool,

    /// Show this certificate to the broker, its issuers behind it
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    pub(super) cert: Option<PathBuf>,

    /// The private key of --cert
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub(super) key: Option<PathBuf>,

    /// How the key is kept; which form the file has is seen from it
    #[arg(long, value_name = "FORM", requires = "key", value_enum, default_value_t = KeyForm::Pem, help_heading = "TLS")]
    keyform: KeyForm,

    /// File whose first line is the password of --key
    #[arg(long, value_name = "FILE", requires = "key", value_parser = first_line, help_heading = "TLS")]
    key_password_file: Option<Secret>,

    /// Refuse certificates that this list of revoked ones names (PEM); it must cover every authority of the chain
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    crlfile: Option<PathBuf>,

    /// Take a certificate that is made out to another host. DANGEROUS: with the system's authorities anybody has one
    #[arg(long, help_heading = "TLS")]
    insecure: bool,

    /// Offer this protocol (ALPN), such as x-amzn-mqtt-ca; may be given several times
    #[arg(long, value_name = "PROTOCOL", help_heading = "TLS")]
    tls_alpn: Vec<String>,

    /// Speak this version only: tlsv1.2 or tlsv1.3 [default: either]
    #[arg(long, value_name = "VERSION", value_parser = version, help_heading = "TLS")]
    tls_version: Option<TlsVersion>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyForm {
    /// In a file: PEM or DER.
    #[value(alias = "der")]
    Pem,
}

impl TlsArguments {
    pub(crate) fn is_asked_for(&self) -> bool {
        self.cafile.is_some()
            || self.capath.is_some()
            || self.tls_use_os_certs
            || self.cert.is_some()
            || self.crlfile.is_some()
            || self.insecure
            || !self.tls_alpn.is_empty()
            || self.tls_version.is_some()
    }

    pub(crate) fn apply(&self, options: Options) -> Options {
        if !self.is_asked_for() {
            return options;
        }
        let mut tls = Tls::new();
        if let Some(file) = &self.cafile {
            tls = tls.authority(Pem::file(file));
        }
        if let Some(folder) = &self.capath {
            tls = tls.authority_folder(folder);
        }
        if self.tls_use_os_certs {
            tls = tls.system_authorities(true);
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            tls = tls.client_certificate(Pem::file(certificate), Pem::file(key));
        }
        if let Some(Secret(password)) = &self.key_password_file {
            tls = tls.key_password(password.as_str());
        }
        if let Some(list) = &self.crlfile {
            tls = tls.revocation_list(Pem::file(list));
        }
        if self.insecure {
            tls = tls.danger_accept_any_name();
        }
        for protocol in &self.tls_alpn {
            tls = tls.alpn(protocol.as_bytes());
        }
        if let Some(version) = self.tls_version {
            tls = tls.versions(version, version);
        }
        options.tls(tls)
    }
}

/// Not to be printed.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn first_line(path: &str) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok(Secret(text.lines().next().unwrap_or_default().to_owned()))
}

fn version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "tlsv1.2" => Ok(TlsVersion::Tls12),
        "tlsv1.3" => Ok(TlsVersion::Tls13),
        _ => Err("write tlsv1.2 or tlsv1.3; older versions are not safe and not spoken".into()),
    }
}
