//! Options of exchanges on top of the protocol: requests.

use super::Options;

/// What they decide.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) response_prefix: String,
    pub(crate) response_information: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { response_prefix: "responses".to_owned(), response_information: false }
    }
}

impl Options {
    /// What stands before the client identifier in the topic on which [answers](crate::Client::request) come. Default:
    /// `responses`.
    #[must_use]
    pub fn response_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.exchange.response_prefix = prefix.into();
        self
    }

    /// Ask the broker for response information (5.0): if it gives any, that is the prefix of the topic on which
    /// [answers](crate::Client::request) come. Default: false. 3.1.1 cannot be asked.
    #[must_use]
    pub fn response_information(mut self, wanted: bool) -> Self {
        self.exchange.response_information = wanted;
        self
    }
}
