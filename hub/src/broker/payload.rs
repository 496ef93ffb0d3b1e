//! What is published: bytes, and what is known of them.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use packetboat_config::{Format, Node, Value};

/// A payload with its identifier, timestamp and correlation identifier. Clones are the same payload.
///
/// ```
/// use packetboat_hub::Payload;
///
/// let payload = Payload::new("21.5").correlation_id("order-7");
/// assert_eq!(payload.bytes(), "21.5");
/// assert_eq!(payload.id().len(), 36);
/// ```
#[derive(Clone)]
pub struct Payload {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    content: Content,
    /// A version 4 UUID, made when somebody asks for it.
    id: OnceLock<u128>,
    timestamp: SystemTime,
    correlation_id: String,
}

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    Batch { payloads: Vec<Payload>, manifest: OnceLock<Bytes> },
}

impl Payload {
    /// A payload of now, without a correlation identifier.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Bytes(bytes.into()))
    }

    /// Several payloads as one: a batch. They may be batches themselves. Its bytes are a manifest, see
    /// [`bytes`](Self::bytes).
    #[must_use]
    pub fn batch(payloads: impl IntoIterator<Item = Self>) -> Self {
        Self::of(Content::Batch { payloads: payloads.into_iter().collect(), manifest: OnceLock::new() })
    }

    fn of(content: Content) -> Self {
        let inner = Inner {
            content,
            id: OnceLock::new(),
            timestamp: SystemTime::now(),
            correlation_id: String::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// With another timestamp. Default: when it was made.
    #[must_use]
    pub fn timestamp(self, timestamp: SystemTime) -> Self {
        self.change(|inner| inner.timestamp = timestamp)
    }

    /// With a correlation identifier. Default: an empty one.
    #[must_use]
    pub fn correlation_id(self, id: impl Into<String>) -> Self {
        self.change(|inner| inner.correlation_id = id.into())
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        if let Content::Batch { manifest, .. } = &mut inner.content {
            manifest.take();
        }
        change(inner);
        self
    }

    /// The bytes. Those of a batch are its manifest, a JSON object: `timestamp`, `id`, `correlation_id`, `count` and
    /// `payloads`, where each payload has the first three, and a batch in turn all five.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match &self.inner.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Batch { manifest, .. } => {
                manifest.get_or_init(|| Format::Json.write(&self.entry()).into()).clone()
            }
        }
    }

    /// Its identifier, a UUID of 36 characters.
    #[must_use]
    pub fn id(&self) -> String {
        let bits = *self.inner.id.get_or_init(random_uuid);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// When it was made, or what was said of that.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.inner.timestamp
    }

    /// The timestamp as Panorama counts it: units of 100 ns since 1970.
    #[must_use]
    pub fn ticks(&self) -> i64 {
        let nanos = |span: Duration| i64::try_from(span.as_nanos() / 100).unwrap_or(i64::MAX);
        match self.inner.timestamp.duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        }
    }

    /// Its correlation identifier; empty unless one was given.
    #[must_use]
    pub fn correlation(&self) -> &str {
        &self.inner.correlation_id
    }

    /// The payloads of a batch; none if it is not one.
    #[must_use]
    pub fn payloads(&self) -> &[Self] {
        match &self.inner.content {
            Content::Bytes(_) => &[],
            Content::Batch { payloads, .. } => payloads,
        }
    }

    /// Is it a batch?
    #[must_use]
    pub fn is_batch(&self) -> bool {
        matches!(self.inner.content, Content::Batch { .. })
    }

    /// The payload of a batch with this identifier.
    #[must_use]
    pub fn payload_with_id(&self, id: &str) -> Option<&Self> {
        self.payloads().iter().find(|payload| payload.id() == id)
    }

    /// What is in a batch, at any depth, each batch behind its payloads.
    pub(crate) fn unfolded(&self) -> Vec<Self> {
        self.payloads().iter().flat_map(Self::unfolded).chain([self.clone()]).collect()
    }

    fn entry(&self) -> Node {
        let mut entries = vec![
            ("timestamp".to_owned(), Value::Integer(self.ticks()).into()),
            ("id".to_owned(), Value::Text(self.id()).into()),
            ("correlation_id".to_owned(), Value::Text(self.inner.correlation_id.clone()).into()),
        ];
        if let Content::Batch { payloads, .. } = &self.inner.content {
            let count = i64::try_from(payloads.len()).unwrap_or(i64::MAX);
            entries.push(("count".to_owned(), Value::Integer(count).into()));
            let list = payloads.iter().map(Self::entry).collect();
            entries.push(("payloads".to_owned(), Value::List(list).into()));
        }
        Value::Table(entries).into()
    }
}

/// Random enough to be unique; nothing depends on it being a secret. The standard library keys its hash maps from the
/// operating system's randomness.
fn random_uuid() -> u128 {
    let half = || RandomState::new().build_hasher().finish();
    let bits = u128::from(half()) << 64 | u128::from(half());
    // Version 4, variant 1 (RFC 9562).
    bits & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62
}

/// Without the bytes.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Payload");
        match &self.inner.content {
            Content::Bytes(bytes) => debug.field("bytes", &bytes.len()),
            Content::Batch { payloads, .. } => debug.field("payloads", payloads),
        };
        debug.field("correlation_id", &self.inner.correlation_id).finish_non_exhaustive()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_uuids_and_stay_the_same() {
        let (one, other) = (Payload::new("a"), Payload::new("a"));
        let id = one.id();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_eq!(one.clone().id(), id);
        assert_ne!(other.id(), id);
    }

    #[test]
    fn metadata_can_be_said() {
        let payload = Payload::new("x").timestamp(UNIX_EPOCH + Duration::from_micros(5)).correlation_id("c");
        assert_eq!((payload.ticks(), payload.correlation()), (50, "c"));
        assert_eq!(Payload::new("x").correlation(), "");
        assert_eq!(Payload::new("x").timestamp(UNIX_EPOCH - Duration::from_micros(1)).ticks(), -10);
    }

    #[test]
    fn a_batch_has_a_manifest() {
        let at = UNIX_EPOCH + Duration::from_secs(1);
        let leaf = Payload::new("data").timestamp(at).correlation_id("\"q\"");
        let inner = Payload::batch([leaf.clone()]).timestamp(at);
        let outer = Payload::batch([leaf.clone(), inner.clone()]).timestamp(at).correlation_id("all");
        assert!(outer.is_batch() && !leaf.is_batch());
        assert_eq!(outer.payloads().len(), 2);
        assert_eq!(outer.payload_with_id(&leaf.id()).unwrap().bytes(), "data");
        assert!(outer.payload_with_id("nobody").is_none());
        let manifest = Format::Json.parse(std::str::from_utf8(&outer.bytes()).unwrap()).unwrap();
        let value = |node: &Node, key: &str| node.key(key).unwrap().value.clone();
        assert_eq!(value(&manifest, "count"), Value::Integer(2));
        assert_eq!(value(&manifest, "timestamp"), Value::Integer(10_000_000));
        assert_eq!(value(&manifest, "correlation_id"), Value::Text("all".to_owned()));
        let Value::List(list) = value(&manifest, "payloads") else { panic!() };
        assert_eq!(value(&list[0], "id"), Value::Text(leaf.id()));
        assert_eq!(value(&list[0], "correlation_id"), Value::Text("\"q\"".to_owned()));
        assert!(list[0].key("count").is_none());
        assert_eq!(value(&list[1], "id"), Value::Text(inner.id()));
        assert_eq!(value(&list[1], "count"), Value::Integer(1));
    }

    #[test]
    fn changing_a_batch_changes_its_manifest() {
        let batch = Payload::batch([]);
        let before = batch.bytes();
        assert_ne!(batch.correlation_id("later").bytes(), before);
    }
}
