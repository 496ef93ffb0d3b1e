use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use super::matching::{MAXIMUM_LENGTH, SHARE_PREFIX, levels, matches_unshared, overlap_unshared};
use super::{TopicError, TopicName};

/// A topic filter, as a SUBSCRIBE carries it, shared subscriptions (`$share/{name}/{filter}`) included.
///
/// 3.1.1 does not know shared subscriptions, but its brokers do: the two versions are treated alike.
///
/// ```
/// use packetboat_core::topic::{TopicFilter, TopicName};
///
/// let filter = TopicFilter::new("rooms/+/temperature")?;
/// assert!(filter.matches(TopicName::new("rooms/kitchen/temperature")?));
/// # Ok::<(), packetboat_core::topic::TopicError>(())
/// ```
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct TopicFilter {
    /// Shared by all clones.
    text: Arc<str>,
    /// Where the filter proper begins: 0, or after `$share/{name}/`. It follows from the text.
    filter_start: u16,
}

impl TopicFilter {
    /// The filter `text`, if it is one.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, TopicError> {
        let text = text.into();
        let filter_start = validate(&text)?;
        Ok(Self { text: text.into(), filter_start })
    }

    /// The whole text, as it goes over the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The `{name}` of `$share/{name}/{filter}` (5.0 section 4.8.2).
    #[must_use]
    pub fn share_name(&self) -> Option<&str> {
        let end = usize::from(self.filter_start).checked_sub(1)?;
        self.text.get(SHARE_PREFIX.len()..end)
    }

    /// The filter that topic names are compared with: the text without `$share/{name}/`.
    #[must_use]
    pub fn filter(&self) -> &str {
        self.text.get(usize::from(self.filter_start)..).unwrap_or_default()
    }

    /// Does the filter match this name? See [`matches`](super::matches()).
    #[must_use]
    pub fn matches(&self, topic: TopicName<'_>) -> bool {
        matches_unshared(self.filter(), topic.as_str())
    }

    /// Is there a topic name that both filters match? Share names are not compared: a message can come over both
    /// (5.0 section 4.8.2, last note).
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap_unshared(self.filter(), other.filter())
    }

    /// The subscription identifier for this filter, 1 to 268,435,455 (5.0 section 3.8.2.1.2): a hash of the text.
    ///
    /// A broker may deliver messages of an earlier process in a resumed session, with the identifiers that process
    /// chose. So the identifier depends on nothing but the text and must never change between releases. Two filters can
    /// have the same one: let an identifier choose among filters that match, not replace matching.
    #[must_use]
    pub fn subscription_identifier(&self) -> u32 {
        const MAXIMUM: u64 = 268_435_455;
        // FNV-1a, 64 bits: short, published, the same on every machine.
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let hash = self.text.as_bytes().iter().fold(0xCBF2_9CE4_8422_2325, step);
        u32::try_from(hash % MAXIMUM + 1).unwrap_or(1)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TopicFilter").field(&self.text).finish()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// As `str` hashes, so that a map of filters can be asked with a `&str`.
impl Hash for TopicFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for TopicFilter {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl FromStr for TopicFilter {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = TopicError;

    fn try_from(text: &str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

impl TryFrom<String> for TopicFilter {
    type Error = TopicError;

    fn try_from(text: String) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

/// Where the filter proper begins, if the text is valid.
fn validate(text: &str) -> Result<u16, TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAXIMUM_LENGTH {
        return Err(TopicError::TooLong { length: text.len() });
    }
    if text.contains('\0') {
        return Err(TopicError::NullCharacter);
    }
    let filter = if text == "$share" {
        return Err(TopicError::ShareWithoutFilter);
    } else if let Some(shared) = text.strip_prefix(SHARE_PREFIX) {
        without_share_name(shared)?
    } else {
        text
    };
    validate_levels(filter)?;
    u16::try_from(text.len() - filter.len()).map_err(|_| TopicError::TooLong { length: text.len() })
}

/// `{name}/{filter}` without the name `[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`.
fn without_share_name(shared: &str) -> Result<&str, TopicError> {
    let (name, filter) = shared.split_once('/').map_or((shared, None), |(name, filter)| (name, Some(filter)));
    if name.is_empty() || name.contains(['+', '#']) {
        return Err(TopicError::ShareName);
    }
    filter.filter(|filter| !filter.is_empty()).ok_or(TopicError::ShareWithoutFilter)
}

fn validate_levels(filter: &str) -> Result<(), TopicError> {
    let mut after_multi_level = false;
    for level in levels(filter) {
        if after_multi_level || (level.contains(&b'#') && level != b"#") {
            return Err(TopicError::MultiLevelWildcard);
        }
        if level.contains(&b'+') && level != b"+" {
            return Err(TopicError::SingleLevelWildcard);
        }
        after_multi_level = level == b"#";
    }
    Ok(())
}
