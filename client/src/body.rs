//! What a message carries, in whatever form the caller has it.

use bytes::Bytes;

use crate::StreamedPayload;

/// The application bytes of a message: borrowed, or owned and never copied if they are large.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// Bytes of the caller's. Copied only if the message must be kept.
    Borrowed(&'a [u8]),
    /// A handle that is cheap to clone.
    Owned(Bytes),
    /// Bytes that are read while they are sent.
    Streamed(StreamedPayload),
}

impl Body<'_> {
    /// To be kept.
    pub(crate) fn into_owned(self) -> Body<'static> {
        match self {
            Self::Borrowed(bytes) => Body::Owned(Bytes::copy_from_slice(bytes)),
            Self::Owned(bytes) => Body::Owned(bytes),
            Self::Streamed(payload) => Body::Streamed(payload),
        }
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Body<'a> {
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a> From<&'a Bytes> for Body<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Self::Owned(bytes.clone())
    }
}

impl From<StreamedPayload> for Body<'_> {
    fn from(payload: StreamedPayload) -> Self {
        Self::Streamed(payload)
    }
}

impl From<Bytes> for Body<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Owned(bytes)
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes.into())
    }
}

impl From<Box<[u8]>> for Body<'_> {
    fn from(bytes: Box<[u8]>) -> Self {
        Self::Owned(bytes.into())
    }
}

impl From<String> for Body<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text.into())
    }
}
