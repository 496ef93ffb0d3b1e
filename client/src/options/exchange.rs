//! Options of exchanges: authentication, requests.

use std::sync::Arc;

use super::Options;
use crate::Authenticator;

/// What they decide.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) response_prefix: String,
    pub(crate) response_information: bool,
}

impl Exchange {
    /// Both authenticate in the same way, if at all.
    pub(crate) fn has_authenticator_of(&self, other: &Self) -> bool {
        match (&self.authenticator, &other.authenticator) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self { authenticator: None, response_prefix: "responses".to_owned(), response_information: false }
    }
}

impl Options {
    /// The method of enhanced authentication (5.0): on every connection, and by
    /// [`Client::reauthenticate`](crate::Client::reauthenticate). Default: none. 3.1.1 has no such thing and is not
    /// fallen back to; chosen by hand, it is an error.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.choose().exchange.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// What stands before the client identifier in the topic on which [answers](crate::Client::request) come. Default:
    /// `responses`.
    #[must_use]
    pub fn response_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.choose().exchange.response_prefix = prefix.into();
        self
    }

    /// Ask the broker for response information (5.0): if it gives any, that is the prefix of the topic on which
    /// [answers](crate::Client::request) come. Default: false. 3.1.1 cannot be asked.
    #[must_use]
    pub fn response_information(mut self, wanted: bool) -> Self {
        self.choose().exchange.response_information = wanted;
        self
    }
}
