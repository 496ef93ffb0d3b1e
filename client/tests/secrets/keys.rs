//! What is left of a private key and of its password. The keys lie in the read-only part of the program, which is not searched.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use packetboat::{Client, Options, Pem, Tls};

use crate::alone;
use crate::elsewhere::Elsewhere;
use crate::memory::{LENGTH, copies, decoded, letter, pieces_of};

pub(crate) const EC: &str = include_str!("../common/keys/ec.pem");
pub(crate) const RSA: &str = include_str!("../common/keys/rsa.pem");
const EC_SEC1: &str = include_str!("../common/keys/ec-sec1.pem");
const RSA_PKCS1: &str = include_str!("../common/keys/rsa-pkcs1.pem");
/// Its password is the secret of this number.
const EC_ENCRYPTED: &str = include_str!("../common/keys/ec-password-of-secrets.pem");
const PASSWORD: u8 = 7;

static EC_DER: [u8; 138] = decoded(EC);
static RSA_DER: [u8; 1218] = decoded(RSA);

/// A way to write a key.
struct Form {
    name: &'static str,
    contents: &'static [u8],
    /// Where its contents are secret.
    secret: Range<usize>,
    rsa: bool,
    encrypted: bool,
}

const FORMS: [Form; 6] = [
    form("PKCS #8", EC.as_bytes(), 76..118),
    form("SEC 1", EC_SEC1.as_bytes(), 41..84),
    Form { encrypted: true, ..form("encrypted", EC_ENCRYPTED.as_bytes(), 180..350) },
    form("DER", &EC_DER, 36..68),
    Form { rsa: true, ..form("RSA", RSA.as_bytes(), 450..1700) },
    Form { rsa: true, ..form("PKCS #1", RSA_PKCS1.as_bytes(), 450..1650) },
];

const fn form(name: &'static str, contents: &'static [u8], secret: Range<usize>) -> Form {
    Form { name, contents, secret, rsa: false, encrypted: false }
}

impl Form {
    /// Shows a certificate for this key, from there.
    fn tls(&self, folder: &Path, from: &str) -> Tls {
        let (file, certificate) = (folder.join("key"), folder.join(if self.rsa { "rsa" } else { "ec" }));
        std::fs::write(&file, self.contents).unwrap();
        if from == "the certificate's file" {
            let mut both = File::options().append(true).open(&file).unwrap();
            both.write_all(&std::fs::read(&certificate).unwrap()).unwrap();
        }
        let tls = Tls::new().authority(Pem::file(folder.join("ca.pem")));
        let tls = match from {
            "memory" => tls.client_certificate(Pem::file(certificate), Pem::memory(self.contents)),
            "a file" => tls.client_certificate(Pem::file(certificate), Pem::file(file)),
            _ => tls.client_certificate(Pem::file(&file), Pem::file(file)),
        };
        if !self.encrypted {
            return tls;
        }
        let mut password = String::with_capacity(LENGTH);
        password.extend((0..LENGTH).map(|at| char::from(letter(PASSWORD, at))));
        tls.key_password(password)
    }

    /// How much there is of the file, of the private numbers, and of the password.
    fn left(&self) -> [usize; 3] {
        // Behind what is public: the headers, and the modulus.
        let numbers = if self.rsa { &RSA_DER[303..] } else { &EC_DER[36..68] };
        [pieces_of(&self.contents[self.secret.clone()]), pieces_of(numbers), copies(PASSWORD)]
    }
}

#[test]
fn of_a_private_key_nothing_is_left_but_what_signs() {
    let _alone = alone();
    let elsewhere = Elsewhere::start("mutual");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for form in FORMS {
        for from in ["a file", "the certificate's file", "memory"] {
            let is_der = form.contents.len() == EC_DER.len();
            if is_der && from == "the certificate's file" {
                continue;
            }
            let connected = runtime.block_on(async {
                let tls = form.tls(&elsewhere.folder, from);
                let options = Options::new(&format!("mqtts://localhost:{}", elsewhere.port)).tls(tls);
                let client = Client::connect(options).await.unwrap();
                let connected = form.left();
                client.disconnect().await.unwrap();
                connected
            });
            let kept = if from == "memory" { form.secret.len() / 16 } else { 0 };
            let number = if is_der { kept } else { 0 };
            let name = format!("{} from {from}", form.name);
            assert_eq!(connected, [kept, number, usize::from(form.encrypted)], "{name}, while connected");
            assert_eq!(form.left(), [0; 3], "{name}");
        }
    }
}
