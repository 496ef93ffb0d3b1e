//! How payloads are written.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How payloads are written and read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// `application/json`.
    #[default]
    Json,
    /// `application/msgpack`, with the names of fields.
    MessagePack,
}

impl Format {
    /// What messages say of themselves on 5.0.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }

    pub(super) fn is_text(self) -> bool {
        self == Self::Json
    }

    /// Does this content type mean it? Parameters, `; charset=utf-8`, do not matter, nor does case; older names count.
    pub(super) fn is(self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let older: &[&str] = match self {
            Self::Json => &["text/json"],
            Self::MessagePack => &["application/x-msgpack", "application/vnd.msgpack"],
        };
        std::iter::once(&self.content_type()).chain(older).any(|name| essence.eq_ignore_ascii_case(name))
    }

    pub(super) fn encode<P: Serialize>(self, payload: &P) -> Result<Vec<u8>, String> {
        match self {
            Self::Json => serde_json::to_vec(payload).map_err(|error| error.to_string()),
            Self::MessagePack => rmp_serde::to_vec_named(payload).map_err(|error| error.to_string()),
        }
    }

    pub(super) fn decode<P: DeserializeOwned>(self, payload: &[u8]) -> Result<P, String> {
        match self {
            Self::Json => serde_json::from_slice(payload).map_err(|error| error.to_string()),
            Self::MessagePack => {
                let mut rest = payload;
                let value = rmp_serde::from_read(&mut rest).map_err(|error| error.to_string())?;
                if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes too many", rest.len())) }
            }
        }
    }
}
