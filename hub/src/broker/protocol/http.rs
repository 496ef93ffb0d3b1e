//! HTTP: each message becomes a POST.

use std::fs;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri, body::Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use packetboat_config::{Node, Problem};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::{
    Delivered, DeliveryError, Destination, FailedStart, Later, Outgoing, Protocol, Target, TargetDescription,
};
use crate::broker::template::Template;
use crate::config::{Table, table};

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// More of an answer is not read.
const ANSWER: usize = 64 * 1024;
/// As much of it is shown.
const SHOWN: usize = 200;

/// The protocol `http`, over TLS too: a message is sent by POST. A target has a `url` and perhaps `headers`, an `authority`
/// (a PEM file of certificates to trust instead of the system's) and a `concurrency`; a destination perhaps a `path` behind
/// the address, a `content_type` and `headers`.
///
/// It is delivered when the server says so with a status of 2xx. Redirections are not followed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Http;

impl Protocol for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn target(&self, description: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>> {
        table::read(description.options, |table| {
            let url = table.needed("url", "say where messages are posted");
            if let Some(Err(wrong)) = url.map(address) {
                table.wrong("url", wrong);
            }
            let headers = headers(table);
            let authority = table.text("authority").map(str::to_owned);
            let concurrency = table.integer("concurrency", 1, 256);
            let concurrency = concurrency.and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
            let server = Server {
                url: url?.to_owned(),
                headers,
                authority,
                client: Arc::default(),
                turns: Arc::new(Semaphore::new(concurrency)),
                concurrency,
            };
            Some(Arc::new(server) as Arc<dyn Target>)
        })
    }
}

/// An address that can be used.
fn address(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("is {text:?}, which is no address: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("is {text:?}: it must begin with http:// or https://"));
    }
    match uri.authority() {
        None => Err(format!("is {text:?}, which names no host")),
        Some(authority) if authority.as_str().contains('@') => {
            Err("has a login in it: say it in a header, `Authorization`".to_owned())
        }
        Some(_) => Ok(uri),
    }
}

fn headers(table: &Table<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    let Some(table) = table.table("headers") else { return map };
    for (name, _) in table.entries() {
        let Some(text) = table.text(name.as_str()) else { continue };
        match (name.parse::<HeaderName>(), HeaderValue::from_str(text)) {
            (Ok(header), Ok(mut value)) => {
                // It may be a token.
                value.set_sensitive(true);
                map.insert(header, value);
            }
            _ => table.wrong(name.as_str(), "is no header of HTTP"),
        }
    }
    map
}

/// A target.
struct Server {
    url: String,
    headers: HeaderMap,
    authority: Option<String>,
    client: Arc<OnceLock<HttpClient>>,
    /// Requests at once.
    turns: Arc<Semaphore>,
    concurrency: usize,
}

impl Target for Server {
    fn destination(&self, options: &Node, variables: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>> {
        table::read(options, |table| {
            let path = match table.node("path") {
                Some(_) => {
                    Template::needed(table, "path", "leave it out, or say what follows the url", variables)
                }
                None => Some(Template::fixed("")),
            };
            if let Some(Err(wrong)) = path.as_ref().map(|path| self.uri(path, |_| Some("x".to_owned()))) {
                table.wrong("path", wrong);
            }
            let mut all = self.headers.clone();
            all.entry(USER_AGENT)
                .or_insert(HeaderValue::from_static(concat!("packetboat/", env!("CARGO_PKG_VERSION"))));
            let kind = table.text(["content_type", "content-type"]);
            match kind.map(HeaderValue::from_str) {
                Some(Err(_)) => table.wrong(["content_type", "content-type"], "is no header of HTTP"),
                Some(Ok(kind)) => drop(all.insert(CONTENT_TYPE, kind)),
                None => {
                    let unknown = HeaderValue::from_static("application/octet-stream");
                    all.entry(CONTENT_TYPE).or_insert(unknown);
                }
            }
            all.extend(headers(table));
            let (url, client, turns) = (self.url.clone(), self.client.clone(), self.turns.clone());
            let post = Post { url, path: path?, headers: all, client, turns, concurrency: self.concurrency };
            Some(Arc::new(post) as Arc<dyn Destination>)
        })
    }

    fn start(&self) -> Result<(), FailedStart> {
        let tls = if self.url.starts_with("https:") { self.trust()? } else { RootCertStore::empty() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(tls)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let _ = self.client.set(Client::builder(TokioExecutor::new()).build(connector));
        Ok(())
    }
}

impl Server {
    fn trust(&self) -> Result<RootCertStore, FailedStart> {
        let mut roots = RootCertStore::empty();
        let certificates = match &self.authority {
            Some(path) => {
                let text = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
                let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
                read.map_err(|error| format!("{path}: {error}"))?
            }
            // What cannot be read of the system's is as if it were not there.
            None => rustls_native_certs::load_native_certs().certs,
        };
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(match &self.authority {
                Some(path) => format!("{path}: there is no certificate in it").into(),
                None => "the system has no certificate authorities: name a file with `authority`".into(),
            });
        }
        Ok(roots)
    }

    fn uri(&self, path: &Template, value: impl Fn(&str) -> Option<String>) -> Result<Uri, String> {
        uri(&self.url, path, value)
    }
}

/// Values are encoded: they add nothing to an address but a part of its path or query.
fn uri(url: &str, path: &Template, value: impl Fn(&str) -> Option<String>) -> Result<Uri, String> {
    let path = path.expand(|name| value(name).map(|value| encoded(&value)));
    let mut parts = path.split('?').next().unwrap_or_default().split('/');
    if parts.any(|part| matches!(part, "." | "..")) {
        return Err(format!("is {path:?}, which leads elsewhere"));
    }
    let url = if path.starts_with('/') { url.strip_suffix('/').unwrap_or(url) } else { url };
    address(&format!("{url}{path}"))
}

fn encoded(value: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                // Text takes all.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// A destination.
struct Post {
    url: String,
    path: Template,
    headers: HeaderMap,
    client: Arc<OnceLock<HttpClient>>,
    turns: Arc<Semaphore>,
    concurrency: usize,
}

impl Destination for Post {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let uri = uri(&self.url, &self.path, |name| message.value(name));
        let (headers, client, turns) = (self.headers.clone(), self.client.clone(), self.turns.clone());
        Box::pin(async move {
            let until = Instant::now() + message.limit;
            let uri = uri.map_err(DeliveryError::refused)?;
            let client = client.get().ok_or_else(|| DeliveryError::not_sent("it was not started"))?;
            let Ok(Ok(_turn)) = timeout_at(until, turns.acquire()).await else {
                return Err(DeliveryError::not_sent(
                    "the time limit passed while requests before it were under way",
                ));
            };
            let mut request = Request::new(Full::new(message.payload.bytes()));
            *request.method_mut() = Method::POST;
            *request.headers_mut() = headers;
            *request.uri_mut() = uri;
            let asked = async {
                let response = client.request(request).await.map_err(|error| {
                    let text = with_causes(&error);
                    if error.is_connect() {
                        DeliveryError::not_sent(text)
                    } else {
                        DeliveryError::unknown(text)
                    }
                })?;
                judge(response).await
            };
            timeout_at(until, asked).await.unwrap_or_else(|_| {
                Err(DeliveryError::unknown(format!("the server did not answer within {:?}", message.limit)))
            })
        })
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }
}

async fn judge(response: Response<Incoming>) -> Result<Delivered, DeliveryError> {
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // Read in any case: the connection can be used again.
    let body = Limited::new(response.into_body(), ANSWER).collect().await;
    if status.is_success() {
        return Ok(Delivered::new());
    }
    let body =
        body.map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned()).unwrap_or_default();
    let shown: String = body.chars().take(SHOWN).collect();
    let said = if shown.is_empty() { String::new() } else { format!(": {shown:?}") };
    let text = format!("the server answered {status}{said}");
    Err(match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            DeliveryError::not_sent(text)
        }
        _ if status.is_server_error() => DeliveryError::unknown(text),
        _ => match location {
            Some(location) => DeliveryError::refused(format!("{text}: say where it leads to, {location:?}")),
            None => DeliveryError::refused(text),
        },
    })
}

/// That of hyper alone says little.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_are_put_in_an_address() {
        let made = |path: &str, value: &str| {
            let template = Template::parse(path).unwrap();
            uri("https://host/api/", &template, |_| Some(value.to_owned())).map(|uri| uri.to_string())
        };
        assert_eq!(made("/in/${x}", "a.b").unwrap(), "https://host/api/in/a.b");
        assert_eq!(made("/in/${x}", "../q?a=b#c").unwrap(), "https://host/api/in/..%2Fq%3Fa%3Db%23c");
        assert!(made("/in/${x}/y", "..").unwrap_err().contains("leads elsewhere"));
        assert_eq!(made("?id=${x}", "a&b ä").unwrap(), "https://host/api/?id=a%26b%20%C3%A4");
        assert!(made("/a b", "").is_err());
    }

    #[test]
    fn addresses_are_checked() {
        for wrong in ["host", "ftp://host", "http://", "http://user:secret@host"] {
            let error = address(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
