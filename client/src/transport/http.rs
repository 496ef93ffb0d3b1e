//! The head of an HTTP/1.1 response, as proxies and WebSocket servers send it; and what requests are made of.

use std::fmt;
use std::io;
use std::sync::Arc;
#[cfg(feature = "websocket")]
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A head does not get longer.
const LIMIT: usize = 16 * 1024;

/// So much of a refusal's body is told.
#[cfg(feature = "websocket")]
const BODY: usize = 256;

/// Between two pieces of a refusal's body.
#[cfg(feature = "websocket")]
const BODY_WAIT: Duration = Duration::from_secs(1);

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) reason: String,
    #[cfg_attr(not(feature = "websocket"), allow(dead_code, reason = "of a proxy the status alone counts"))]
    fields: Vec<(String, String)>,
}

/// Why there is no head.
#[derive(Clone, Debug)]
pub(super) enum HeadError {
    /// The connection broke, or was closed.
    Lost(Arc<io::Error>),
    /// It is not HTTP, or a head without end: what it begins with.
    NotHttp(String),
}

impl From<io::Error> for HeadError {
    fn from(error: io::Error) -> Self {
        Self::Lost(Arc::new(error))
    }
}

impl Head {
    /// Reads up to the empty line, and nothing of what follows it.
    pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> Result<Self, HeadError> {
        const END: &[u8; 4] = b"\r\n\r\n";
        const START: &[u8; 7] = b"HTTP/1.";
        let mut bytes = Vec::new();
        loop {
            // What may be read without reading too far: so much is missing of the end.
            let there = (1..END.len()).rev().find(|length| bytes.ends_with(&END[..*length])).unwrap_or(0);
            let mut piece = [0; END.len()];
            let count = io.read(&mut piece[..END.len() - there]).await?;
            bytes.extend_from_slice(&piece[..count]);
            let start = bytes.len().min(START.len());
            if bytes[..start] != START[..start] || bytes.len() > LIMIT {
                let start = &bytes[..bytes.len().min(32)];
                return Err(HeadError::NotHttp(String::from_utf8_lossy(start).into_owned()));
            }
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if bytes.ends_with(END) {
                let text = String::from_utf8_lossy(&bytes);
                return Self::parse(&text).ok_or_else(|| HeadError::NotHttp(text.chars().take(32).collect()));
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.splitn(3, ' ').skip(1);
        let status = words.next().filter(|word| word.len() == 3)?.parse().ok()?;
        let reason = words.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Some(Self { status, reason, fields })
    }
}

#[cfg(feature = "websocket")]
impl Head {
    /// All values of a field, taken apart at the commas.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, value)| value.split(',').map(str::trim))
    }

    /// The start of the body of a refusal, which says more than its status. Whatever comes, it does not take long.
    pub(super) async fn body_start(&self, io: &mut (impl AsyncRead + Unpin)) -> String {
        let announced = self.values("content-length").next().and_then(|value| value.parse().ok());
        let wanted = announced.map_or(BODY, |length: usize| length.min(BODY));
        let mut body = vec![0; wanted];
        let mut length = 0;
        while length < wanted {
            match tokio::time::timeout(BODY_WAIT, io.read(&mut body[length..])).await {
                Ok(Ok(count)) if count > 0 => length += count,
                _ => break,
            }
        }
        String::from_utf8_lossy(&body[..length]).trim().to_owned()
    }
}

/// `host:port`, with brackets where they are due.
pub(super) fn authority(host: &str, port: u16) -> impl fmt::Display {
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    format!("{open}{host}{close}:{port}")
}

/// [RFC 4648, section 4]
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(all(test, feature = "websocket"))]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[tokio::test]
    async fn a_head_ends_where_it_ends_however_it_is_cut() {
        let response = b"HTTP/1.1 407 Proxy Authentication Required\r\nA: b,\tc\r\na: \rd\r\nB:\r\n\r\nrest";
        for size in 1..20 {
            let (mut near, mut far) = tokio::io::duplex(size);
            let writing = tokio::spawn(async move {
                tokio::io::AsyncWriteExt::write_all(&mut far, response).await.unwrap();
            });
            let head = Head::read(&mut near).await.unwrap();
            assert_eq!((head.status, &*head.reason), (407, "Proxy Authentication Required"));
            assert_eq!(head.values("A").collect::<Vec<_>>(), ["b", "c", "d"]);
            assert_eq!(head.body_start(&mut near).await, "rest");
            writing.await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_head_is_refused_and_never_gathered() {
        for (bytes, is_http) in
            [(&b"SSH-2.0-x"[..], false), (b"HTTP/1.1 2000 x\r\n\r\n", false), (b"HTTP/1.1", true)]
        {
            let error = Head::read(&mut &*bytes).await.unwrap_err();
            assert_eq!(matches!(error, HeadError::Lost(_)), is_http, "{error:?}");
        }
        let mut endless = AsyncReadExt::chain(&b"HTTP/1.1 200 OK\r\n"[..], tokio::io::repeat(b'x'));
        assert!(matches!(Head::read(&mut endless).await, Err(HeadError::NotHttp(_))));
    }
}
