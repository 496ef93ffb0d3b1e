//! As whom to connect: values, or somebody who is asked on every attempt.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use packetboat_core::session::ConnectOptions;
use zeroize::Zeroizing;

use crate::settings::{OptionsError, check_password, check_text};
use crate::transport::Identity;
use crate::{Options, Pem, Server};

/// As whom to connect. Passwords are wiped from memory when they are dropped.
///
/// ```
/// use packetboat::{Credentials, Pem};
///
/// let user = Credentials::new().username("boat").password("secret");
/// let machine = Credentials::new().certificate(Pem::file("boat.pem"), Pem::file("boat.key"));
/// assert!(!format!("{user:?}").contains("secret"));
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
    pub(crate) identity: Option<Identity>,
}

impl Credentials {
    /// Nobody in particular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// User name.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Password or token, binary.
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
        self
    }

    /// What to show in the TLS handshake, instead of what [`Tls`](crate::Tls) says: certificate and private key.
    #[must_use]
    pub fn certificate(mut self, certificate: Pem, key: Pem) -> Self {
        self.identity = Some(Identity { certificate, key });
        self
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        check_text("user name", self.username.as_deref().unwrap_or_default())?;
        check_password(self.password.as_deref().map(Vec::as_slice))
    }

    /// CONNECT says it. Its copy of the password is wiped by whoever has encoded it.
    pub(crate) fn apply(&self, connect: &mut ConnectOptions) {
        connect.username.clone_from(&self.username);
        connect.password = self.password.as_deref().cloned();
    }
}

impl Options {
    fn credentials(&mut self) -> &mut Credentials {
        self.credentials.get_or_insert_default()
    }

    /// User name. Default: the URL's, or none.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.credentials().username = Some(username.into());
        self
    }

    /// Password, binary. Default: the URL's, or none.
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.credentials().password = Some(Zeroizing::new(password.into()));
        self
    }

    /// Asks for user name and password on every attempt, as tokens that expire need it. Replaces values set before.
    /// Default: the values. An error counts as a failed attempt; the question ends with the attempt's time limit.
    ///
    /// ```
    /// use packetboat::{Credentials, Options};
    ///
    /// async fn token() -> Result<String, std::io::Error> {
    ///     Ok("fresh".to_owned())
    /// }
    ///
    /// let options = Options::new("mqtt://localhost").credentials_from(|_server| async {
    ///     Ok::<_, std::io::Error>(Credentials::new().username("boat").password(token().await?))
    /// });
    /// ```
    #[must_use]
    pub fn credentials_from<F, Answer, E>(mut self, ask: F) -> Self
    where
        F: Fn(Server) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.provider = Some(Provider::new(ask));
        self
    }
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("certificate", &self.identity)
            .finish()
    }
}

/// What a provider of credentials has to say against it.
pub(crate) type Refusal = Arc<dyn Error + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<Credentials, Refusal>> + Send>>;

/// Asked on every attempt.
#[derive(Clone)]
pub(crate) struct Provider(Arc<dyn Fn(Server) -> Asked + Send + Sync>);

impl Provider {
    pub(crate) fn new<F, Answer, E>(ask: F) -> Self
    where
        F: Fn(Server) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self(Arc::new(move |server| {
            let asked = ask(server);
            Box::pin(async move { asked.await.map_err(|error| Arc::from(error.into())) })
        }))
    }

    pub(crate) fn ask(&self, server: Server) -> Asked {
        (self.0)(server)
    }
}
